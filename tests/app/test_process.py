"""llama-server as a child: ready, crashed, restarted, out of memory, and stopped in time."""

import asyncio
import errno
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.llama import path_from_environment
from dev.processes import LOOPBACK, free_port
from llamacpp_app import process as process_module
from llamacpp_app.process import ProcessState, ServerProcess
from llamacpp_app.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import aiohttp

WAIT_SECONDS = 60.0


async def reached(process: ServerProcess, state: ProcessState) -> None:
    """Wait until the process is in this state."""
    async with asyncio.timeout(WAIT_SECONDS):
        while process.status.state is not state:
            process.changed.clear()
            await process.changed.wait()


class Running:
    """A supervised process of a test."""

    def __init__(self, command: Sequence[str | Path], upstream: Upstream | None = None) -> None:
        """Describe it without starting it."""
        self.n_starts = 0
        self.advice: str | None = None
        self.fault: OSError | None = None
        self._command = [str(one) for one in command]
        is_ready = upstream.is_healthy if upstream else self._never
        self.process = ServerProcess(self._make_command, is_ready, lambda: self.advice)
        self.task = asyncio.create_task(self.process.run())

    async def _make_command(self) -> list[str]:
        self.n_starts += 1
        if self.fault:
            raise self.fault
        return self._command

    async def _never(self) -> bool:
        return False

    async def stop(self) -> float:
        """Stop it; return how many seconds that took."""
        started = time.monotonic()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        return time.monotonic() - started


@pytest.fixture
async def server(
    session: aiohttp.ClientSession, model: Path
) -> AsyncGenerator[tuple[Running, Upstream]]:
    """Run a real llama-server under supervision."""
    port = free_port()
    upstream = Upstream(session, f"http://{LOOPBACK}:{port}", "")
    command: list[str | Path] = [
        path_from_environment("LLAMACPP_SERVER"),
        *("--model", model, "--port", str(port), "--ctx-size", "2048", "--no-ui"),
    ]
    running = Running(command, upstream)
    yield running, upstream
    await running.stop()


async def test_ready_crashed_and_ready_again(server: tuple[Running, Upstream]) -> None:
    """The error has the reason of a crash, and the server restarts."""
    running, upstream = server
    await reached(running.process, ProcessState.READY)
    assert await upstream.is_healthy()
    child = running.process.child
    assert child is not None
    child.send_signal(signal.SIGABRT)
    await reached(running.process, ProcessState.RESTARTING)
    assert running.process.status.error == "llama-server was ended by SIGABRT."
    await reached(running.process, ProcessState.READY)
    assert not running.process.status.error
    assert running.n_starts == 2


async def test_stopped_in_time_while_it_answers(server: tuple[Running, Upstream]) -> None:
    """An endless answer does not delay it: no process is left after a few seconds."""
    running, upstream = server
    await reached(running.process, ProcessState.READY)
    child = running.process.child
    assert child is not None
    body = {
        "messages": [{"role": "user", "content": "Count."}],
        "ignore_eos": True,
        "max_tokens": 2000,
    }
    pieces = upstream.chat(body)
    await anext(pieces)
    seconds = await running.stop()
    assert child.returncode is not None
    assert running.process.status.state is ProcessState.STOPPED
    # The documented limit, not a measurement.
    assert seconds < 10
    await pieces.aclose()


async def test_a_crash_loop_is_told(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Restarts become less and less frequent, and the last words are kept."""
    monkeypatch.setattr(process_module, "FIRST_PAUSE_SECONDS", 0.01)
    code = "import sys; print('0.00.001.000 E srv load: no such model'); sys.exit(1)"
    running = Running([sys.executable, "-c", code])
    await reached(running.process, ProcessState.CRASHING)
    assert running.process.status.crashes == process_module.CRASH_LOOP
    assert running.process.status.error == "llama-server ended: srv load: no such model"
    await running.stop()


async def test_a_reason_that_was_told_better_before(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """llama-server does not always give the reason: an earlier one is kept."""
    monkeypatch.setattr(process_module, "FIRST_PAUSE_SECONDS", 0.01)
    said = "0.1 E common_chat_templates_init: error: parser: Parser Error: Expected }}"
    code = f"""
import pathlib
print("error: the supplied chat template is not supported: x")
path = pathlib.Path({str(tmp_path / "n")!r})
n = len(path.read_text()) if path.exists() else 0
path.write_text("x" * (n + 1))
if n == 1:
    print({said!r})
raise SystemExit(1)
"""
    running = Running([sys.executable, "-c", code])
    words = "The option chat_template has a mistake"
    await reached(running.process, ProcessState.RESTARTING)
    assert str(running.process.status.error).startswith(f"{words}: mend it")
    await reached(running.process, ProcessState.CRASHING)
    assert str(running.process.status.error).startswith(f"{words} (Expected }}}}): mend it")
    await running.stop()


async def test_out_of_memory_is_explained(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
) -> None:
    """The error says what would fit into memory."""
    running = Running([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    running.advice = "A context_size of 2048 would fit."
    await reached(running.process, ProcessState.RESTARTING)
    assert running.process.status.error == (
        "llama-server was killed, most likely for lack of memory. A context_size of 2048 would fit."
    )
    await running.stop()


async def test_a_program_that_is_not_there(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
    tmp_path: Path,
) -> None:
    """It is not retried."""
    running = Running([tmp_path / "none"])
    with pytest.raises(FileNotFoundError):
        await running.task


async def test_a_server_that_answers_nobody_is_started_anew(
    server: tuple[Running, Upstream], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that hangs is restarted."""
    monkeypatch.setattr(process_module, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr("llamacpp_app.upstream.HEALTH_SECONDS", 0.2)
    running, _ = server
    await reached(running.process, ProcessState.READY)
    child = running.process.child
    assert child is not None
    child.send_signal(signal.SIGSTOP)
    await reached(running.process, ProcessState.RESTARTING)
    # We have killed it ourselves, so it did not run out of memory.
    assert running.process.status.error == "llama-server did not answer any more."
    await reached(running.process, ProcessState.READY)
    assert running.n_starts == 2


async def test_a_server_that_never_gets_ready_is_started_anew(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loading has a time limit, too."""
    monkeypatch.setattr(process_module, "LOAD_SECONDS", 0.1)
    running = Running([sys.executable, "-c", "import time; time.sleep(60)"])
    await reached(running.process, ProcessState.RESTARTING)
    assert running.process.status.error == "llama-server has not loaded its model in an hour."
    await running.stop()


async def test_what_a_crash_leaves_is_ended(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
    tmp_path: Path,
) -> None:
    """Children of a dead server are killed."""
    told = tmp_path / "pid"
    code = f"""
import pathlib, subprocess
none = subprocess.DEVNULL
child = subprocess.Popen(["sleep", "60"], stdin=none, stdout=none, stderr=none)
pathlib.Path({str(told)!r}).write_text(str(child.pid))
raise SystemExit(1)
"""
    running = Running([sys.executable, "-c", code])
    await reached(running.process, ProcessState.RESTARTING)
    async with asyncio.timeout(WAIT_SECONDS):
        while is_alive(told.read_text()):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)
    await running.stop()


def is_alive(pid: str) -> bool:
    """Return whether a process runs; a dead one may still wait for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_command_that_cannot_be_made(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
) -> None:
    """A full disk is reported and retried."""
    running = Running([sys.executable, "-c", "pass"])
    running.fault = OSError(errno.ENOSPC, "No space left on device", "/data/models.ini")
    await reached(running.process, ProcessState.RESTARTING)
    assert running.process.status.error == (
        "llama-server cannot be started. The disk is full: delete something on it."
    )
    running.fault = None
    async with asyncio.timeout(WAIT_SECONDS):
        while running.process.child is None:  # noqa: ASYNC110 - no event of that
            await asyncio.sleep(0.01)
    await running.stop()
