"""Runs llama-server with the models and workers that there are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from . import rpc
from .build import why_refused
from .cards import Cards
from .catalog import CatalogError, ModelState, UnknownModelError
from .command import Launch, loaded_beside, server_command
from .idleness import Idleness
from .memory import (
    MIN_CHECKPOINTS,
    MIN_CONTEXT,
    Beside,
    available_bytes,
    cache_mib,
    checkpoint_bytes,
    checkpoint_count,
    conversation_bytes,
    explain,
    needed_bytes,
    slot_count,
)
from .process import ProcessState, ServerProcess
from .proxy import asleep
from .reasons import Kind, reason_of
from .rss import private_bytes, resident_bytes
from .selection import Selection
from .upstream import NotReadyError, TooLongError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence

    from .catalog import Catalog, Entry
    from .command import LocalModel
    from .gguf import GgufInfo
    from .process import ProcessStatus
    from .reasons import Reason
    from .startup import Setup
    from .upstream import Upstream

_LOGGER = logging.getLogger(__name__)

# Workers that come back are taken in again, those that go are left out, this long afterwards.
WORKER_SECONDS: Final = 30.0
IDLE_POLL_SECONDS: Final = 2.0
# Where requests never end, a new model comes all the same.
LONGEST_WAIT_SECONDS: Final = 1800.0
# Flags by which a model takes more than it was trained for.
STRETCHING: Final = ("--rope", "--yarn")
IN_MEMORY: Final = ("loaded", "sleeping")
MINUTE_SECONDS: Final = 60.0
# As long as a long prompt may take on a small machine.
WAKE_SECONDS: Final = 600.0
FAILED_STATES: Final = (ProcessState.RESTARTING, ProcessState.CRASHING)


class Runner:
    """Keeps llama-server running, and knows what it can answer.

    n_waiting: tells how many wait for answers by our own API.
    """

    def __init__(
        self, setup: Setup, catalog: Catalog, upstream: Upstream, n_waiting: Callable[[], int]
    ) -> None:
        """Put the parts together; nothing runs yet."""
        self._setup = setup
        self._options = setup.options
        self._catalog = catalog
        self._upstream = upstream
        self._n_waiting = n_waiting
        self._served: tuple[LocalModel, ...] = ()
        self._selection = Selection(setup.paths, setup.options)
        self._beside = Beside()
        # Why a router's models could not be loaded, by their names.
        self.faults: dict[str, str] = {}
        # Why llama-server is not started at all.
        self.refused: str | None = None
        self.workers: tuple[str, ...] = ()
        self.cards = Cards(setup.paths.server, setup.options.gpu_layers)
        self._idleness = Idleness()
        # Whether llama-server is stopped until it is needed.
        self.is_asleep = False
        # What it said before, by path and model, until it answers again.
        self._said: Mapping[tuple[str, str], str] | None = None
        self._process = ServerProcess(self._command, self._is_ready, self._advice, self._blame)

    @property
    def status(self) -> ProcessStatus:
        """What llama-server is up to."""
        return self._process.status

    @property
    def is_ready(self) -> bool:
        """Whether it can answer."""
        return self.status.state is ProcessState.READY

    @property
    def is_away(self) -> bool:
        """Whether llama-server sleeps or wakes up."""
        is_waking = not self.is_ready and self.status.state not in FAILED_STATES
        return self._said is not None and (self.is_asleep or is_waking)

    def said(self, path: str, name: str) -> str | None:
        """Return what it said at a path before it fell asleep, of a router's model or of itself."""
        if path == "/models" or not self.is_router:
            name = ""
        return (self._said or {}).get((path, name))

    @asynccontextmanager
    async def needed(self) -> AsyncGenerator[None]:
        """Keep the model in memory until the end of the block; wakes it before if it sleeps.

        Raises NotReadyError if that takes too long.
        """
        with self._idleness.used():
            try:
                async with asyncio.timeout(WAKE_SECONDS):
                    while self.is_away:
                        self._process.changed.clear()
                        await self._process.changed.wait()
            except TimeoutError as err:
                raise NotReadyError("The model takes too long to wake up.") from err
            yield

    @property
    def fault(self) -> str | None:
        """Why the model in use cannot answer though llama-server can."""
        return self.faults.get(self.model or "")

    def fault_of(self, name: str) -> str | None:
        """Return why a model cannot be loaded; None if that is not known, or it can."""
        is_alone = [one.name for one in self._served] == [name]
        if is_alone and self.status.crashes and not self.is_ready:
            return self.status.error
        return self.faults.get(name)

    @property
    def is_serving(self) -> bool:
        """Whether there is a model to serve, loaded or not."""
        return bool(self._served)

    @property
    def model(self) -> str | None:
        """The model that answers who names none."""
        names = [one.name for one in self._served]
        chosen = self._selection.name
        return chosen if chosen in names else next(iter(names), None)

    def memory_bytes(self) -> int | None:
        """Return the memory that llama-server has taken; None while it is not running."""
        child = self._process.child
        if child is None or child.returncode is not None:
            return None
        # It leads a session of its own.
        return resident_bytes(child.pid)

    def private_bytes(self) -> int:
        """Return the memory that another model would find free without the one in use."""
        child = self._process.child
        return 0 if child is None or child.returncode is not None else private_bytes(child.pid)

    @property
    def is_router(self) -> bool:
        """Whether it serves several models, of which each request names one."""
        return len(self._served) > 1

    async def run(self) -> None:
        """Run until this is cancelled; start again when there are other models or workers."""
        self.refused = self._options.conflict() or await why_refused(self._setup.paths.server)
        if self.refused:
            _LOGGER.error("%s", self.refused)
        while not self.refused:
            self._catalog.changed.clear()
            self._served = self._to_serve()
            if not self._served:
                self._said = None
                self._process.changed.set()
                await self._catalog.changed.wait()
                continue
            self.cards.forgive()
            for one in self._served:
                self.faults.pop(one.name, None)
            running = asyncio.create_task(self._process.run())
            others = asyncio.create_task(self._others_are_wanted())
            idle = asyncio.create_task(self._nobody_needs_it())
            tasks = (running, others, idle)
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    # Only a program or a setting that cannot be used ends it.
                    running.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            if self.is_asleep:
                await self._sleep()

    async def _nobody_needs_it(self) -> None:
        """Return, asleep, when nobody has needed the model for as long as the option says."""
        seconds = MINUTE_SECONDS * self._options.idle_minutes
        if not seconds:
            await asyncio.get_running_loop().create_future()
        await self.wait_ready()
        self._said = None
        self._idleness.begin()
        while True:
            await self._idleness.last(seconds)
            said = await self._say()
            # From here to the end nobody else comes in between.
            if said is not None and self.is_ready and not self._idleness.left(seconds):
                break
            await asyncio.sleep(IDLE_POLL_SECONDS)
        self._said = said
        self._idleness.wanted.clear()
        self.is_asleep = True
        _LOGGER.info("Nobody has asked for %s min: the model sleeps", self._options.idle_minutes)

    async def _say(self) -> dict[tuple[str, str], str] | None:
        """Return what llama-server is to say while it sleeps; None if it cannot be asked."""
        names = [""]
        try:
            if self.is_router:
                states = await self._states()
                names += [name for name, state in states.items() if state in IN_MEMORY]
            found = {("/models", ""): await self._upstream.text("/models", {})}
            for name in names:
                query = {"model": name, "autoload": "false"} if name else {}
                found["/props", name] = await self._upstream.text("/props", query)
                if name or not self.is_router:
                    found["/metrics", name] = await self._upstream.text("/metrics", query)
            return {key: asleep(key[0], text) for key, text in found.items()}
        except (UpstreamError, ValueError) as err:
            _LOGGER.debug("llama-server does not fall asleep: %s", err)
            return None

    async def _sleep(self) -> None:
        """Return when the model is needed, or another one is to be served."""
        wanted = asyncio.create_task(self._idleness.wanted.wait())
        others = asyncio.create_task(self._other_models_are_wanted())
        tasks = (wanted, others)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.is_asleep = False
        _LOGGER.info("The model wakes up")

    async def _other_models_are_wanted(self) -> None:
        """Return when llama-server is to be started with other models."""
        while self._to_serve() == self._served:
            self._catalog.changed.clear()
            await self._catalog.changed.wait()

    def _to_serve(self) -> tuple[LocalModel, ...]:
        """Return what llama-server is to have: one model, or all if the options name several.

        With several, whoever asks it has to name one: no file in the folder is to bring that about.
        """
        ready = self._catalog.ready()
        if len(self._options.configured_models()) > 1:
            return ready
        chosen = [one for one in ready if one.name == self._selection.name]
        # Until the chosen one is there, the one before answers.
        before = [one for one in ready if one in self._served] if self._selection.name else []
        return (*chosen, *before, *ready)[:1]

    async def wait_ready(self) -> None:
        """Return as soon as it can answer."""
        while not self.is_ready:
            self._process.changed.clear()
            await self._process.changed.wait()

    async def _others_are_wanted(self) -> None:
        """Return when llama-server is to be started with other models or workers."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORKER_SECONDS):
                    await self._catalog.changed.wait()
            self._catalog.changed.clear()
            ready = self._catalog.ready()
            if self._to_serve() == self._served and await self._same_workers():
                continue
            # A model that is gone cannot answer anyway; for a new one nobody is interrupted, nor
            # for a projector.
            if {one.path for one in self._served} <= {one.path for one in ready}:
                await self._wait_idle()
            return

    async def _same_workers(self) -> bool:
        return await rpc.alive(self._options.rpc_servers) == self.workers

    async def _wait_idle(self) -> None:
        """Return when nobody waits for an answer, neither by our API nor by llama-server's.

        Returns after a long time at the latest.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                # Whether others wait at port 8080 can only be asked.
                while self._n_waiting() or await self._is_computing():  # noqa: ASYNC110
                    await asyncio.sleep(IDLE_POLL_SECONDS)

    async def _is_computing(self) -> bool:
        counters = await self.counters()
        return bool(counters.get("requests_processing") or counters.get("requests_deferred"))

    async def _command(self) -> list[str]:
        self.workers = await rpc.alive(self._options.rpc_servers)
        for address in set(self._options.rpc_servers) - set(self.workers):
            _LOGGER.warning("The worker %s does not answer: it is left out until it does", address)
        await self.cards.look(has_workers=bool(self.workers))
        self._beside = await asyncio.to_thread(
            loaded_beside, self._options, self._setup.paths, self._served[0]
        )
        if advice := self._advice():
            _LOGGER.warning("%s", advice)
        self._tell_context()
        _LOGGER.info("Starting llama-server with %s", ", ".join(one.name for one in self._served))
        launch = self._launch()
        return await asyncio.to_thread(server_command, self._options, self._setup.paths, launch)

    def _launch(self) -> Launch:
        """Return what llama-server is started with; what memory is left goes to conversations."""
        launch = Launch(
            self._setup.ports, self._served, self.workers, on_card=bool(self.cards.used)
        )
        entry = self._catalog.entries.get(self._served[0].name)
        if entry is None or entry.info is None:
            return launch
        parallel, context_size = self._options.parallel_requests, self._context_size(entry.info)
        kv_type = self._options.cache_type
        free = available_bytes() - needed_bytes(
            entry.info,
            context_size=context_size,
            parallel=parallel,
            kv_type=kv_type,
            beside=self._beside,
        )
        one = conversation_bytes(
            entry.info, context_size=context_size, kv_type=kv_type, beside=self._beside
        )
        checkpoint = checkpoint_bytes(entry.info, context_size=context_size, kv_type=kv_type)
        one += MIN_CHECKPOINTS * checkpoint
        slots = parallel
        if not self._is_elsewhere:
            # Of the memory of graphics cards and of other machines nothing is known.
            slots = slot_count(parallel, conversation=one, free_bytes=free)
        more = one * (slots - parallel)
        # Checkpoints are in this machine's memory, also where a card computes.
        checkpoints = checkpoint_count(free - more, checkpoint=checkpoint, slots=slots)
        more += (checkpoints - MIN_CHECKPOINTS) * checkpoint * slots
        # What is taken for more than is needed comes out of the half that is for the cache.
        cache = cache_mib(free - 2 * more)
        return replace(
            launch,
            cache_mib=cache,
            checkpoints=checkpoints,
            slots=slots,
            context_size=context_size,
        )

    @property
    def context_size(self) -> int | None:
        """The tokens of a conversation with the model in use, None as long as nothing is known."""
        entry = self._catalog.entries.get(self.model or "")
        return self._context_size(entry.info) if entry and entry.info else None

    def _context_size(self, info: GgufInfo) -> int:
        """Return the tokens of a conversation: what goes beyond the training takes memory only.

        A router's models may have been trained for more than its first one.
        """
        wanted, trained = self._options.context_size, info.n_ctx_train
        stretched = any(one.startswith(STRETCHING) for one in self._options.extra_arguments)
        if trained is None or trained >= wanted or stretched or self.is_router:
            return wanted
        return max(trained, MIN_CONTEXT)

    def _tell_context(self) -> None:
        """Tell if a conversation gets fewer tokens than the option wants."""
        entry = self._catalog.entries.get(self._served[0].name)
        wanted = self._options.context_size
        if entry and entry.info and (given := self._context_size(entry.info)) < wanted:
            _LOGGER.info(
                "context_size is %s, but %s was trained for %s: a conversation gets as many",
                *(wanted, entry.name, given),
            )

    @property
    def _is_elsewhere(self) -> bool:
        """Whether the model is in memory of which nothing is known."""
        return bool(self.workers or self.cards.used)

    def _blame(self, reason: Reason, lines: Sequence[str], was_ready: bool) -> str | None:  # noqa: FBT001
        name = self._served[0].name
        if self._selection.name == name and reason.kind is Kind.MODEL and not was_ready:
            self._selection.choose(None)
            self.faults[name] = reason.text
            self._catalog.changed.set()
            return f"The model {name} is not in use any more."
        seeing = [one.name for one in self._served if one.projector]
        # Some damaged ones end llama-server without a word on them.
        is_unknown = reason.kind is Kind.UNKNOWN and not was_ready
        if seeing and (is_unknown or reason.kind is Kind.PROJECTOR):
            for name in seeing:
                self._catalog.drop_projector(name, reason.text)
            return "The next start does without a projector."
        # Which of them was to blame, cards or workers, cannot be told.
        return None if self.workers else self.cards.blame(reason, lines, was_ready=was_ready)

    def _advice(self) -> str | None:
        """Return what would fit, if the model that is loaded first does not."""
        entry = self._catalog.entries.get(self._served[0].name) if self._served else None
        if entry is None or entry.info is None or self._is_elsewhere:
            return None
        return explain(
            entry.info,
            name=entry.name,
            context_size=self._context_size(entry.info),
            parallel=self._options.parallel_requests,
            kv_type=self._options.cache_type,
            available=available_bytes(),
            beside=self._beside,
        )

    async def _is_ready(self) -> bool:
        if not await self._upstream.is_healthy():
            return False
        if not self.is_router:
            return True
        try:
            return (await self._states()).get(self._served[0].name) != "loading"
        except UpstreamError:
            return False

    async def _states(self) -> dict[str, str]:
        """Return what the router tells of its models, by their names.

        Why some could not be loaded is noted on the way.
        """
        told = {
            str(one.get("id")): one.get("status") or {} for one in await self._upstream.models()
        }
        for name, status in told.items():
            self._note_fault(name, status)
        return {name: str(status.get("value")) for name, status in told.items()}

    def _note_fault(self, name: str, status: Mapping[str, Any]) -> None:
        """Note why a router's model could not be loaded, or that it has been since.

        status: what the router tells: whether it failed, its exit code, and its command.
        """
        if not status.get("failed"):
            if status.get("value") in IN_MEMORY:
                self.faults.pop(name, None)
            return
        command = [str(one) for one in status.get("args") or []]
        _, _, rest = " ".join(command).partition(" --port ")
        lines = self._process.words.of_model(rest.partition(" ")[0])
        reason = reason_of(int(status.get("exit_code") or 1), lines, command)
        if not lines or self.faults.get(name) == reason.text:
            return
        self.faults[name] = reason.text
        _LOGGER.error("The model %s cannot be loaded. %s", name, reason.text)
        if reason.kind is Kind.PROJECTOR:
            self._catalog.drop_projector(name, reason.text)

    async def memory_states(self) -> dict[str, str]:
        """Return whether models are loaded, by their names."""
        if self.is_asleep and self.model:
            return {self.model: "sleeping"}
        if not self.is_ready:
            return {}
        if not self.is_router:
            return {self._served[0].name: "loaded"}
        with contextlib.suppress(UpstreamError):
            return await self._states()
        return {}

    async def counters(self) -> dict[str, float]:
        """Return llama-server's counters; none while it cannot answer."""
        if self.is_asleep:
            return {}
        states = await self.memory_states()
        loaded = [name for name, state in states.items() if state in IN_MEMORY]
        if not loaded:
            return {}
        try:
            return await self._upstream.metrics(loaded[0] if self.is_router else None)
        except UpstreamError:
            return {}

    def require_ready(self) -> None:
        """Raise NotReadyError, with the reason in words, while nothing can be answered."""
        if not self.is_ready:
            raise NotReadyError(self.why_not())

    def why_not(self) -> str:
        """Return in words why nothing can be answered."""
        status = self.status
        if self.refused:
            return self.refused
        if self.is_ready and self.fault:
            return f"The model {self.model} cannot be loaded. {self.fault}"
        if self._served and status.crashes == 0:
            return "The model is being loaded: try again in a moment."
        if self._served:
            return f"{status.error} It is started again soon."
        return _why_none(self._catalog.entries.values())

    async def explained(self, err: UpstreamError, name: str | None) -> UpstreamError:
        """Return the error of an answer, with what is known here of its reason."""
        if isinstance(err, TooLongError):
            entry = self._catalog.entries.get(name or self.model or "")
            trained = entry.info.n_ctx_train if entry and entry.info else None
            is_most = bool(trained and err.context and err.context >= trained)
            return TooLongError(err.needed, err.context, is_most=is_most)
        if not self.is_router or err.code != "server_error":
            return err
        with contextlib.suppress(UpstreamError):
            await self._states()
        name = name or self.model or ""
        if fault := self.faults.get(name):
            return UpstreamError(err.code, f"The model {name} cannot be loaded. {fault}")
        return err

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a request; a router wants to know the model by name.

        Raises UnknownModelError.
        """
        name = given.get("model")
        if name is not None and name not in {one.name for one in self._served}:
            if name in self._catalog.entries:
                raise UnknownModelError(
                    f"The model {name} is not in use: choose it on the page, or name it in the "
                    "option models, which offers several."
                )
            raise UnknownModelError(f"There is no model {name} that could answer.")
        if not self.is_router:
            return {key: one for key, one in given.items() if key != "model"}
        return {**given, "model": name or self.model}

    async def load(self, name: str) -> None:
        """Bring a model into memory and make it the one that answers. Raises AppError."""
        entry = self._catalog.entry(name)
        if entry.state is ModelState.FAILED:
            raise CatalogError(f"The model {name} cannot be loaded: {entry.error}")
        if entry.state is not ModelState.READY:
            raise NotReadyError(f"The model {name} is not there yet.")
        if self.is_router:
            async with self.needed():
                self.require_ready()
                if (await self._states()).get(name) not in (*IN_MEMORY, "loading"):
                    await self._upstream.load(name)
        self.choose(name)
        # A single one is restarted; if it is the one that sleeps, it wakes up.
        with self._idleness.used():
            pass

    def choose(self, name: str) -> None:
        """Make a model the one that answers, as soon as it is there."""
        self._selection.choose(name)
        self.faults.pop(name, None)
        self._catalog.changed.set()


def _why_none(entries: Collection[Entry]) -> str:
    """Return in words why there is no model that could be served."""
    for entry in entries:
        if entry.state is ModelState.DOWNLOADING or (entry.progress and entry.progress.fault):
            return _download_of(entry)
    errors = [one.error for one in entries if one.error]
    return errors[0] if errors else "There is no model yet."


def _download_of(entry: Entry) -> str:
    """Return in words how far a model is, or why it does not come."""
    progress = entry.progress
    if progress and progress.fault:
        return (
            f"The model {entry.name} cannot be downloaded just now: {progress.fault}. It is tried "
            "again soon."
        )
    share = ""
    if progress and progress.total_bytes:
        share = f" ({100 * progress.done_bytes // progress.total_bytes} %)"
    return f"The model {entry.name} is being downloaded{share}: try later."
