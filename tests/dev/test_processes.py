"""Child processes that fail, hang or never start."""

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from dev.llama import path_from_environment
from dev.processes import LOOPBACK, ChildProcess, ProcessError, free_port, port_is_taken

if TYPE_CHECKING:
    from pathlib import Path


def python(tmp_path: Path, code: str) -> ChildProcess:
    """Return a process that runs this code."""
    return ChildProcess("the program", [sys.executable, "-c", code], tmp_path / "log.txt")


def test_one_that_ends_by_itself(tmp_path: Path) -> None:
    """Its last words are in the error."""
    process = python(tmp_path, "print('no memory left')").start()
    with pytest.raises(ProcessError, match=r"exited:\nno memory left"):
        process.wait_until(lambda: False, 10.0)


def test_one_that_does_not_get_ready(tmp_path: Path) -> None:
    """The wait has a limit, and the process is stopped."""
    process = python(tmp_path, "import time; time.sleep(60)").start()
    with pytest.raises(ProcessError, match="was not ready"):
        process.wait_until(lambda: False, 0.1)
    assert process.running
    process.stop()
    assert not process.running


def test_one_that_does_not_want_to_end(tmp_path: Path) -> None:
    """A process that ignores signals is killed."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code = f"{deaf}; print(1, flush=True); time.sleep(60)"
    process = python(tmp_path, code).start()
    process.wait_until(lambda: process.log_tail() == "1", 10.0)
    process.stop(0.1)
    assert not process.running


def test_one_that_was_never_started(tmp_path: Path) -> None:
    """Stopping it does nothing, and it has no id."""
    process = python(tmp_path, "")
    process.stop()
    process.kill()
    assert process.log_tail() == ""
    with pytest.raises(ProcessError, match="is not started"):
        _ = process.pid


def test_outside_of_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the script that sets it up."""
    monkeypatch.delenv("LLAMACPP_SERVER", raising=False)
    with pytest.raises(ProcessError, match="scripts/demo or scripts/test"):
        path_from_environment("LLAMACPP_SERVER")


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_free_port_is_kept_for_who_knows_it(option: int) -> None:
    """Nothing listens there, and only a caller with its number gets it."""
    port = free_port()
    assert not port_is_taken(port)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((LOOPBACK, port))
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, option, 1)
        server.bind((LOOPBACK, port))
