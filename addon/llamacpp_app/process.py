"""llama-server as a child: started, watched, started again after a crash, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from .errors import in_words
from .logs import log_server_line
from .reasons import Kind, Reason, Words, reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_LOGGER = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.25
WATCH_SECONDS: Final = 15.0
# From a slow disk, the largest models take half an hour.
LOAD_SECONDS: Final = 3600.0
# Six times without an answer, each waited for: a server that answers nobody for minutes is hung.
MISSES: Final = 6
# After so long without a crash, the next one counts as the first.
STEADY_SECONDS: Final = 600.0
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0
# So many crashes in a row are a fault that does not go away by itself.
CRASH_LOOP: Final = 3
# With an answer under way, the first SIGTERM is not enough (llama-server 0.7).
STOP_SIGNALS: Final = (
    (signal.SIGTERM, 2.0),
    (signal.SIGTERM, 3.0),
    (signal.SIGKILL, 2.0),
)
# An app that is killed takes the server along (a tool of every Debian).
DIE_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL")
MAX_LINE_BYTES: Final = 64 * 1024


class ProcessState(StrEnum):
    """What llama-server is up to."""

    STOPPED = "stopped"
    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    CRASHING = "crashing"


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """state, since when (Unix seconds), how often it crashed in a row, and why."""

    state: ProcessState = ProcessState.STOPPED
    since: float = 0.0
    crashes: int = 0
    error: str | None = None


class ServerProcess:
    """Runs one command until it is stopped.

    make_command: returns the command, made for each start; what it raises ends `run`. is_ready:
    asks whether the server answers and has its model. advise: returns what helps against a lack of
    memory, or nothing. blame: is told why a server has ended, its last words, and whether it was
    ready; returns what follows from that, or nothing. words: what the server has said.
    """

    def __init__(
        self,
        make_command: Callable[[], Awaitable[Sequence[str]]],
        is_ready: Callable[[], Awaitable[bool]],
        advise: Callable[[], str | None] = lambda: None,
        blame: Callable[[Reason, Sequence[str], bool], str | None] = lambda *_: None,
    ) -> None:
        """Take note; nothing is started yet."""
        self._make_command = make_command
        self._is_ready = is_ready
        self._advise = advise
        self._blame = blame
        self._process: asyncio.subprocess.Process | None = None
        self._started: Sequence[str] = ()
        # Why it has ended the last time, by itself.
        self._reason: Reason | None = None
        self.words = Words()
        # Why we have ended a server ourselves.
        self._given_up: str | None = None
        self.status = ProcessStatus()
        # Set whenever the status has changed.
        self.changed = asyncio.Event()

    @property
    def child(self) -> asyncio.subprocess.Process | None:
        """The newest process."""
        return self._process

    async def run(self) -> None:
        """Keep the server running until this is cancelled; then it is stopped."""
        pause = FIRST_PAUSE_SECONDS
        try:
            while True:
                started = time.monotonic()
                returncode = await self._run_once()
                if time.monotonic() - started > STEADY_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                    self.status = replace(self.status, crashes=0)
                self._tell_crash(returncode, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        finally:
            await asyncio.shield(self._stop())

    async def _run_once(self) -> int:
        """Start the server, wait for its end, and return its exit status."""
        self.words.clear()
        self._given_up = None
        try:
            self._started = command = await self._make_command()
        except OSError as err:
            # A full disk, say, which does not stay so.
            self._given_up = f"llama-server cannot be started. {in_words(err)}"
            return 1
        if shutil.which(command[0]) is None:
            raise FileNotFoundError(f"There is no program {command[0]}.")
        self._process = await asyncio.create_subprocess_exec(
            *DIE_WITH_PARENT,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
            # A signal for the app is not one for the server, which is stopped in good order.
            start_new_session=True,
        )
        self._set(ProcessState.LOADING)
        watch = asyncio.create_task(self._watch(self._process))
        try:
            await self._read(self._process)
            return await self._process.wait()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            self._end_children()

    def _end_children(self) -> None:
        """End what a server that is gone has left: a router's models would stay for seconds."""
        if self._process is not None and self._process.returncode is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Take the server's lines until it closes its output."""
        reader = process.stdout
        while reader is not None:
            try:
                line = await reader.readline()
            except ValueError:
                # Longer than anything that is meant for people.
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            if text:
                self.words.add(text)
                log_server_line(text)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the server is ready; end it if it answers nobody any more."""
        started = time.monotonic()
        while not await self._is_ready():
            if time.monotonic() - started > LOAD_SECONDS:
                self._give_up(process, "llama-server has not loaded its model in an hour.")
                return
            await asyncio.sleep(POLL_SECONDS)
        self._set(ProcessState.READY)
        _LOGGER.info("llama-server is ready after %.1f s", time.monotonic() - started)
        misses = 0
        while misses < MISSES:
            await asyncio.sleep(WATCH_SECONDS)
            misses = 0 if await self._is_ready() else misses + 1
        self._give_up(process, "llama-server did not answer any more.")

    def _give_up(self, process: asyncio.subprocess.Process, reason: str) -> None:
        """End a server that hangs."""
        self._given_up = reason
        process.kill()

    def _tell_crash(self, returncode: int, pause: float) -> None:
        was_ready = self.status.state is ProcessState.READY
        lines = self.words.of_server(was_ready=was_ready)
        if self._given_up:
            found = Reason(Kind.UNKNOWN, self._given_up)
        else:
            found = reason_of(returncode, lines, self._started, was_ready=was_ready)
            if found.is_vague and self._reason and self._reason.kind is found.kind:
                found = self._reason
            self._reason = found
        told = [found.text]
        if found.kind is Kind.MEMORY and (advice := self._advise()):
            told.append(advice)
        reason = " ".join(told)
        if follows := self._blame(replace(found, text=reason), lines, was_ready):
            reason = f"{reason} {follows}"
        crashes = self.status.crashes + 1
        looping = crashes >= CRASH_LOOP
        self._set(
            ProcessState.CRASHING if looping else ProcessState.RESTARTING,
            crashes=crashes,
            error=reason,
        )
        _LOGGER.error("%s It is started again in %.0f s.", reason, pause)

    def _set(
        self, state: ProcessState, *, crashes: int | None = None, error: str | None = None
    ) -> None:
        before = self.status
        self.status = ProcessStatus(
            state,
            time.time(),
            before.crashes if crashes is None else crashes,
            error if error or state is ProcessState.READY else before.error,
        )
        self.changed.set()

    async def _stop(self) -> None:
        """End the server: politely, then firmly. Takes at most seven seconds."""
        process = self._process
        for number, seconds in STOP_SIGNALS:
            if process is None or process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), seconds)
        self._end_children()
        self._set(ProcessState.STOPPED)
