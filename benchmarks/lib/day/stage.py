"""The programs of a day: a fresh Home Assistant, a fresh llama-server, and the proxy."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import yaml

from dev.ha_client import HomeAssistantClient
from dev.hass import ROOT, HomeAssistant
from dev.llama import LlamaServer

from .agent import Manner, set_up_agent
from .proxy import RecordingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from .agent import DayAgent

HOME = ROOT / "dev" / "homes" / "day.yaml"
THREADS = 2
CONTEXT_TOKENS = 8192
# The default of our app, if memory allows.
SLOTS = 4
# Both agents offer tools in the same way.
MANNER = Manner(tool_calls="native")
# More than the questions by phone in a day.
MAX_PHONES = 32
GUEST = "guest"
GUEST_PASSWORD = "guest-of-the-home"  # noqa: S105 - good for this process's loopback port only


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of llama-server and of the home.

    template: None: the model's own. cache_ram: MiB of the host cache, None: llama-server's default.
    batch: tokens of a batch. is_plain: the home's satellites are plain devices, and each question
    by phone comes from a new device.
    """

    model: Path
    template: Path | None
    cache_ram: int | None = None
    slots: int = 1
    batch: int = 512
    is_plain: bool = False

    def flags(self, slot_folder: Path) -> list[str | Path]:
        """Return the flags of llama-server. slot_folder: for slot files."""
        return [
            *("--ctx-size", str(CONTEXT_TOKENS * self.slots), "--parallel", str(self.slots)),
            *("--threads", str(THREADS), "--batch-size", str(self.batch)),
            *(("--chat-template-file", self.template) if self.template else ()),
            *("--slot-save-path", f"{slot_folder}/"),
            "--no-cache-idle-slots",
            *(() if self.cache_ram is None else ("--cache-ram", str(self.cache_ram))),
        ]


def plain_home(folder: Path) -> Path:
    """Write the home of the day without satellites to this folder, and return the file.

    Devices without entities take their places; there are phones, too.
    """
    home = yaml.safe_load(HOME.read_text())
    satellites = [one for one in home["entities"] if one["id"].startswith("assist_satellite.")]
    home["entities"] = [one for one in home["entities"] if one not in satellites]
    timers = {one["device"] for one in satellites if one.get("attributes", {}).get("timers")}
    for device in home["devices"]:
        device["timers"] = device["id"] in timers
    home["devices"] += [{"id": f"phone_{n}", "name": phone(n)} for n in range(MAX_PHONES)]
    path = folder / HOME.name
    path.write_text(yaml.safe_dump(home, allow_unicode=True))
    scripts = f"{HOME.stem}_scripts.yaml"
    (folder / scripts).write_text(HOME.with_name(scripts).read_text())
    return path


def phone(number: int) -> str:
    """Return the name of a phone of a plain home, from 0 to MAX_PHONES - 1."""
    return f"Phone {number}"


class DayStage:
    """Home Assistant, llama-server and proxy; use it as an asynchronous context manager."""

    def __init__(self, folder: Path, settings: ServerSettings, python: Path) -> None:
        """Describe it; this starts nothing. folder: for logs and configuration."""
        slots = folder / "slots"
        slots.mkdir(parents=True)
        self.settings = settings
        self.server = LlamaServer(
            folder / "llama-server.log", *settings.flags(slots), model=settings.model
        )
        home = plain_home(folder) if settings.is_plain else HOME
        self.hass = HomeAssistant(folder / "config", python=python, home=home)
        self.proxy = RecordingProxy(self.server.base_url)
        self.owner: HomeAssistantClient
        self.guest: HomeAssistantClient
        self.devices: dict[str, str] = {}
        self.version = ""
        self._stack = contextlib.AsyncExitStack()
        self._logins = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything, and log in both people. Raises ProcessError, HomeAssistantError."""
        try:
            await self._stack.enter_async_context(self.proxy)
            for program in (self.server, self.hass):
                self._stack.callback(program.stop)
                program.start()
            self._stack.push_async_callback(self._log_out)
            await self._wait_ready()
            async with HomeAssistantClient(self.hass.base_url) as first:
                await first.wait_started()
                await first.add_user("Guest", GUEST, GUEST_PASSWORD)
            await self._log_in()
        except BaseException:
            await self._stack.aclose()
            raise
        self.version = (await self.owner.request("GET", "/api/config"))["version"]
        devices = await self.owner.command("config/device_registry/list")
        self.devices = {one["name"]: one["id"] for one in devices}
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop everything."""
        await self._stack.aclose()

    async def set_up(self, domain: str, *, keep_warm: bool) -> DayAgent:
        """Set up the agent of an integration."""
        return await set_up_agent(
            self.owner, domain, self.proxy.base_url, MANNER, keep_warm=keep_warm
        )

    async def restart(self, *, home_assistant: bool, server: bool) -> None:
        """Restart one program or both, and wait until all are ready."""
        programs = [*([self.hass] if home_assistant else []), *([self.server] if server else [])]
        if home_assistant:
            await self._log_out()
        for program in programs:
            await asyncio.to_thread(program.stop)
        for program in programs:
            program.start()
        await self._wait_ready()
        if home_assistant:
            await self._log_in()
            await self.owner.wait_started()

    async def _wait_ready(self) -> None:
        for program in (self.server, self.hass):
            await asyncio.to_thread(program.wait_ready)

    async def _log_in(self) -> None:
        self.owner = await self._logins.enter_async_context(HomeAssistantClient(self.hass.base_url))
        self.guest = await self._logins.enter_async_context(
            HomeAssistantClient(self.hass.base_url, GUEST, GUEST_PASSWORD)
        )

    async def _log_out(self) -> None:
        await self._logins.aclose()
        self._logins = contextlib.AsyncExitStack()
