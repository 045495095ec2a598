"""All parts of the app together, as the API speaks to them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from .catalog import ModelState, Origin
from .conversations import StoreError
from .options import parse_options
from .process import ProcessState
from .statistics import SAMPLE_SECONDS, Statistics
from .suggestions import SUGGESTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .catalog import Catalog, Entry
    from .choice import Choice
    from .conversations import ConversationStore
    from .discovery import Discovery
    from .keyless import Keyless
    from .runner import Runner
    from .turns import Turns

_LOGGER = logging.getLogger(__name__)

PRUNE_SECONDS: Final = 3600.0
# A conversation is active if something was said in it so lately.
ACTIVE_SECONDS: Final = 300.0


@dataclass(slots=True, kw_only=True)
class Service:
    """What the API speaks to; `run` keeps everything going."""

    runner: Runner
    catalog: Catalog
    choice: Choice
    store: ConversationStore
    turns: Turns
    discovery: Discovery
    keyless: Keyless
    log_lines: Sequence[str]
    statistics: Statistics = field(default_factory=Statistics)

    async def run(self) -> None:
        """Run until this is cancelled; then llama-server is stopped."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.catalog.run())
            tasks.create_task(self.runner.run())
            tasks.create_task(self._announce())
            tasks.create_task(self.keyless.look())
            tasks.create_task(self._sample())
            tasks.create_task(self._prune())

    async def _announce(self) -> None:
        """Tell the Supervisor at once: Home Assistant shows how far the model is."""
        await self.discovery.announce()

    async def _sample(self) -> None:
        while True:
            if counters := await self.runner.counters():
                self.statistics.add(counters)
                for sample in self.statistics.samples()[-1:]:
                    self.choice.learn(sample)
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _prune(self) -> None:
        while True:
            try:
                await self.store.prune()
            except StoreError as err:
                # A full disk, say: answers go on, and there is a next time.
                _LOGGER.warning("%s", err)
            await asyncio.sleep(PRUNE_SECONDS)

    async def health(self) -> dict[str, Any]:
        """Return what `/api/health` tells."""
        runner = self.runner
        entries = self.catalog.entries.values()
        return {
            "status": self._status(),
            "llama_server": "sleeping" if runner.is_asleep else runner.status.state.value,
            "message": self._message(),
            "model": runner.model,
            "context_size": runner.context_size,
            "memory_bytes": await asyncio.to_thread(runner.memory_bytes),
            "active_conversations": await self.store.active_count(ACTIVE_SECONDS),
            "waiting": self.turns.n_present,
            "crashes": runner.status.crashes,
            "workers": list(runner.workers),
            "cards": [asdict(one) for one in runner.cards.used],
            "cards_message": runner.cards.message,
            "home_assistant": self.discovery.home_assistant,
            "keyless_ports": list(self.keyless.ports),
            "keyless_message": self.keyless.message,
            "downloads": [
                _progress_of(one) for one in entries if one.state is ModelState.DOWNLOADING
            ],
            "failed_downloads": [
                _failed(one) for one in entries if one.state is ModelState.FAILED and one.option
            ],
        }

    def _message(self) -> str | None:
        """Return why nothing can be answered, or what cannot be had for other reasons."""
        can_answer = self.runner.is_ready or self.runner.is_asleep
        if not can_answer or self.runner.fault:
            return self.runner.why_not()
        entry = self.catalog.entries.get(self.runner.model or "")
        return entry.warning if entry else None

    def _status(self) -> str:
        """Return one word for the whole app."""
        if self.runner.is_ready or self.runner.is_asleep:
            return "error" if self.runner.fault else "ok"
        if self.runner.refused or self.runner.status.state is ProcessState.CRASHING:
            return "error"
        if self.runner.is_serving:
            return "loading"
        entries = self.catalog.entries.values()
        if any(one.progress and one.progress.fault for one in entries):
            return "error"
        under_way = {ModelState.DOWNLOADING, ModelState.WAITING}
        return "downloading" if under_way & {one.state for one in entries} else "error"

    async def describe_models(self) -> list[dict[str, Any]]:
        """Return what `/api/models` tells."""
        states = await self.runner.memory_states()
        usable = await self.choice.usable_bytes()
        return [
            _described(one, states.get(one.name, "unloaded"), self.runner.fault_of(one.name))
            | self.choice.describe(one.name, one.info, usable)
            for one in self.catalog.entries.values()
        ]

    async def describe_suggestions(self) -> list[dict[str, Any]]:
        """Return what `/api/models` tells of models that are worth a try."""
        usable = await self.choice.usable_bytes()
        return [
            self.choice.describe(one.name, one.info, usable) | one.as_json() for one in SUGGESTIONS
        ]

    def add_model(self, name: str, url: str, sha256: str | None, *, use: bool) -> None:
        """Want a further model. use: it answers as soon as it is there. Raises AppError."""
        given = {"name": name, "url": url, "sha256": sha256}
        wanted = {key: one for key, one in given.items() if one is not None}
        (option,) = parse_options({"models": [wanted]}).models
        self.catalog.add(option)
        if use:
            self.runner.choose(name)


SERVICE: Final = web.AppKey("service", Service)


def _progress_of(entry: Entry) -> dict[str, Any]:
    """Return how far a model is, and why nothing comes if that is so."""
    progress = entry.progress
    return {
        "model": entry.name,
        "file": progress.file_name if progress else None,
        "done_bytes": progress.done_bytes if progress else 0,
        "total_bytes": progress.total_bytes if progress else None,
        "bytes_per_second": progress.bytes_per_second if progress else None,
        "seconds_left": progress.seconds_left if progress else None,
        "error": progress.fault if progress else None,
        "retry_seconds": _seconds_until(progress.retry_at) if progress else None,
    }


def _failed(entry: Entry) -> dict[str, Any]:
    """Return why a model cannot be had, and in how many seconds it is tried again, if at all."""
    return {
        "model": entry.name,
        "error": entry.error or "",
        "retry_seconds": _seconds_until(entry.retry_at),
    }


def _seconds_until(moment: float | None) -> float | None:
    """Return the seconds to a moment (monotonic seconds); None if it does not come."""
    if moment is None or moment == math.inf:
        return None
    return round(max(0.0, moment - time.monotonic()), 1)


def _described(entry: Entry, in_memory: str, fault: str | None) -> dict[str, Any]:
    """Return a model as the API tells of it. fault: why llama-server could not load it."""
    info = entry.info
    return {
        "name": entry.name,
        "origin": entry.origin.value,
        "state": entry.state.value,
        "memory": in_memory,
        "error": entry.error or fault or entry.warning,
        "can_delete": entry.origin is not Origin.OPTIONS,
        "architecture": info.architecture if info else None,
        "parameters": info.n_params if info else None,
        "context_length": info.n_ctx_train if info else None,
        "bytes": info.file_bytes if info else None,
        "download": _progress_of(entry) if entry.state is ModelState.DOWNLOADING else None,
    }
