"""One home in a real Home Assistant, with the agents to compare."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dev.ha_client import HomeAssistantClient, HomeAssistantError
from dev.hass import HomeAssistant

from ..agents import CORE, OURS, create_pipeline, set_up_pipeline
from ..day.agent import Manner, set_up_agent
from ..errors import BenchmarkError
from .calls import HomeNames, calls_of, names_of, normal
from .scoring import flat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from dev.ha_client import AssistAnswer

    from ..day.proxy import RecordingProxy
    from .calls import AgentCall
    from .cases import AssistHome
    from .scoring import Snapshot

BUILTIN = "builtin"
BUILTIN_ENTITY = "conversation.home_assistant"
# By name, agents with a llama-server, and their integrations.
MODEL_FIRST, RANDOM = "model_first", "random"
WITH_MODEL = {"ours": OURS, MODEL_FIRST: OURS, RANDOM: OURS, "core": CORE}
OVERLAP = "overlap"
OVERLAP_DOMAIN = "word_overlap"
# Agents of every run, for comparison.
ALWAYS = ("ours", BUILTIN, RANDOM, "core")
AGENTS = (*ALWAYS, MODEL_FIRST, OVERLAP)
ANSWER_TOKENS = 160
# Of a config flow.
MAX_STEPS = 8
HOME_SECONDS = 30.0
SETTLE_SECONDS = 3.0
SETTLED_POLLS = 3
POLL_SECONDS = 0.05
ASSISTANT = "conversation"


def integration(agent: str) -> tuple[str, dict[str, Any]]:
    """Return the domain and the values for the config flow in `DOMAIN={JSON}`.

    Raises BenchmarkError if the text has another form.
    """
    domain, _, values = agent.partition("=")
    try:
        fields = json.loads(values or "{}")
    except ValueError:
        fields = None
    if not (domain.isidentifier() and isinstance(fields, dict)):
        raise BenchmarkError(f"{domain} is no agent, and no DOMAIN={{JSON}} of an integration")
    return domain, fields


def name_of(agent: str) -> str:
    """Return the name of an agent in tables: without the values, which may be secret."""
    return agent.partition("=")[0]


@dataclass(frozen=True, slots=True)
class Asked:
    """An agent that is asked.

    target: id of its pipeline, or of the agent if it has none. proxy: between it and its server,
    None without a server.
    """

    name: str
    target: str
    proxy: RecordingProxy | None = None


class Client(HomeAssistantClient):
    """A logged-in user who can read chat logs."""

    async def chat_log(self, conversation_id: str) -> list[Mapping[str, Any]]:
        """Return the messages of a conversation; raises HomeAssistantError if there is none."""
        async with self._connection() as connection:
            await connection.send_json(
                {
                    "id": 1,
                    "type": "conversation/chat_log/subscribe",
                    "conversation_id": conversation_id,
                }
            )
            answer = await connection.receive_json()
            if not answer.get("success"):
                raise HomeAssistantError(str(answer.get("error")))
            event = (await connection.receive_json())["event"]
            content: list[Mapping[str, Any]] = event["data"]["content"]
            return content


class AssistStage:
    """A Home Assistant with one home; use it as an asynchronous context manager."""

    def __init__(self, folder: Path, home: AssistHome, python: Path, language: str) -> None:
        """Describe it; nothing is started. folder: for configuration and log."""
        self.home = home
        self.client: Client
        self.names = HomeNames()
        self.version = ""
        self._hass = HomeAssistant(
            folder / "config", python=python, home=home.written(folder / "home")
        )
        self._language = language
        self._devices: dict[str, str] = {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start Home Assistant. Raises ProcessError, HomeAssistantError or BenchmarkError."""
        try:
            self._stack.callback(self._hass.stop)
            self._hass.start()
            await asyncio.to_thread(self._hass.wait_ready)
            self.client = await self._stack.enter_async_context(Client(self._hass.base_url))
            await self.client.wait_started()
            await self._wait_for_home()
            await self.client.command("config/core/update", language=self._language)
            await self._remove_areas()
            await self._read_names()
        except BaseException:
            await self._stack.aclose()
            raise
        self.version = (await self.client.request("GET", "/api/config"))["version"]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop it."""
        await self._stack.aclose()

    async def set_up(self, agent: str, proxy: RecordingProxy | None) -> Asked:
        """Set up an agent. agent: one of `AGENTS`, or `DOMAIN={JSON}`, as on the command line.

        Raises HomeAssistantError or BenchmarkError.
        """
        if agent in WITH_MODEL and proxy is not None:
            manner = Manner(ANSWER_TOKENS, self._language, exact_first=agent != MODEL_FIRST)
            made = await set_up_agent(
                self.client, WITH_MODEL[agent], proxy.base_url, manner, keep_warm=False
            )
            return Asked(agent, made.pipeline, proxy)
        if agent != BUILTIN:
            domain, values = (OVERLAP_DOMAIN, {}) if agent == OVERLAP else integration(agent)
            await self._add(domain, values)
            added = await set_up_pipeline(self.client, domain, language=self._language)
            return Asked(name_of(agent), added.pipeline)
        pipeline = await create_pipeline(self.client, BUILTIN_ENTITY, self._language)
        return Asked(agent, pipeline)

    async def ask(
        self, asked: Asked, sentence: str, device: str | None, conversation: str | None
    ) -> AssistAnswer:
        """Say a sentence to an agent; raises HomeAssistantError.

        device, conversation: Home Assistant's ids; None: no device, and a new conversation.
        """
        given = {"device_id": device, "conversation_id": conversation}
        fields = {"pipeline": asked.target} | {name: one for name, one in given.items() if one}
        return await self.client.ask(sentence, **fields)

    async def _add(self, domain: str, values: Mapping[str, Any]) -> None:
        """Complete an integration's config flow; each form gets the values of its fields."""
        step = await self.client.start_flow(domain)
        for _ in range(MAX_STEPS):
            if step["type"] != "form" or step.get("errors"):
                break
            fields = {one["name"] for one in step.get("data_schema") or ()}
            given = {name: value for name, value in values.items() if name in fields}
            step = await self.client.next_step(step["flow_id"], given)
        if step["type"] != "create_entry":
            raise BenchmarkError(
                f"{domain} is not set up with these values: {step.get('errors') or step['type']}"
            )

    def device(self, device: str | None) -> str | None:
        """Return Home Assistant's id of a device of the home's file; raises BenchmarkError."""
        if device is None:
            return None
        if device not in self._devices:
            raise BenchmarkError(f"{self.home.path}: there is no device {device}")
        return self._devices[device]

    async def bring(
        self, setup: Mapping[str, Mapping[str, Any]], now: datetime | None = None
    ) -> None:
        """Reset the home to the state of its file, then set these states.

        now: the time to set, None: the real one. Raises BenchmarkError if an entity refuses its
        state.
        """
        await self.client.call("virtual_home", "reset", {})
        if now is not None:
            await self.client.call("virtual_home", "set_time", {"now": now.isoformat()})
        for entity_id, fields in setup.items():
            given = {name: value for name, value in fields.items() if value is not None}
            try:
                await self.client.call(
                    "virtual_home", "set_state", {"entity_id": entity_id, **given}
                )
            except HomeAssistantError as err:
                raise BenchmarkError(
                    f"{self.home.path}: {entity_id} cannot be brought into a case's state: {err}"
                ) from None

    async def snapshot(self) -> Snapshot:
        """Return the states of all entities of the home."""
        states = await self.client.request("GET", "/api/states")
        return {
            one["entity_id"]: flat(one) for one in states if one["entity_id"] in self.home.entities
        }

    async def settled(self) -> Snapshot:
        """Return the states as soon as nothing has changed for a moment."""
        seen = await self.snapshot()
        same = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while same < SETTLED_POLLS:
                    await asyncio.sleep(POLL_SECONDS)
                    latest = await self.snapshot()
                    same = same + 1 if latest == seen else 0
                    seen = latest
        return seen

    async def calls(self, conversation_id: str | None) -> list[AgentCall]:
        """Return the tool calls in a conversation, none if it is unknown."""
        if conversation_id is None:
            return []
        try:
            content = await self.client.chat_log(conversation_id)
        except HomeAssistantError:
            return []
        return calls_of(content, self.names)

    async def expose(self, entity_ids: Iterable[str], *, exposed: bool) -> None:
        """Expose these entities to Assist, or hide them."""
        await self.client.command(
            "homeassistant/expose_entity",
            assistants=[ASSISTANT],
            entity_ids=list(entity_ids),
            should_expose=exposed,
        )

    async def exposed(self) -> list[str]:
        """Return the ids of the home's entities that are exposed to Assist."""
        listed = await self.client.command("homeassistant/expose_entity/list")
        return [
            entity_id
            for entity_id, seen in listed["exposed_entities"].items()
            if seen.get(ASSISTANT) and entity_id in self.home.entities
        ]

    async def _wait_for_home(self) -> None:
        """Wait until all entities exist; raises BenchmarkError if the home is refused."""
        try:
            async with asyncio.timeout(HOME_SECONDS):
                while True:
                    entries = await self.client.command("config_entries/get", domain="virtual_home")
                    if entries and entries[0]["state"] == "setup_error":
                        raise BenchmarkError(str(entries[0]["reason"]))
                    if len(await self.snapshot()) == len(self.home.entities):
                        return
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise BenchmarkError(f"{self.home.path}: not all of its entities came up") from None

    async def _remove_areas(self) -> None:
        """Remove Home Assistant's default areas, unless the home has them."""
        own = {normal(str(area["name"])) for area in self.home.content.get("areas") or ()}
        for area in await self.client.command("config/area_registry/list"):
            if normal(area["name"]) not in own:
                await self.client.command("config/area_registry/delete", area_id=area["area_id"])

    async def _read_names(self) -> None:
        devices = await self.client.command("config/device_registry/list")
        self._devices = {
            identifier: device["id"]
            for device in devices
            for domain, identifier in device["identifiers"]
            if domain == "virtual_home"
        }
        exposed = await self.client.command("homeassistant/expose_entity/list")
        ids = [one for one, seen in exposed["exposed_entities"].items() if seen.get(ASSISTANT)]
        entries = await self.client.command("config/entity_registry/get_entries", entity_ids=ids)
        states = await self.client.request("GET", "/api/states")
        friendly = {one["entity_id"]: one["attributes"].get("friendly_name") for one in states}
        self.names = names_of(
            (
                {
                    "name": friendly.get(one),
                    "aliases": [one, *((entries.get(one) or {}).get("aliases") or ())],
                }
                for one in ids
            ),
            await self.client.command("config/area_registry/list"),
            await self.client.command("config/floor_registry/list"),
        )
