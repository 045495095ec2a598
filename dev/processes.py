"""A child process with a log file, ended with everything that it started."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
# The kernel ends a child when its parent is gone, even if that was killed.
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
LOG_TAIL_LINES = 15


class ProcessError(Exception):
    """A process that did not start, did not get ready in time, or ended by itself."""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on.

    For a minute the system gives it to nobody who asks for just any port, as other tests do. A
    server that asks for it by its number gets it; all of ours set one of these two options.
    """
    with socket.socket() as listener:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind((LOOPBACK, 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            # Who closes first keeps the port in TIME_WAIT.
            listener.accept()[0].close()
        return port


def port_is_taken(port: int) -> bool:
    """Tell whether something listens on this port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


class ChildProcess:
    """A program in a process group of its own, so that ending it ends its children too."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Describe the program; nothing is started yet.

        name: how messages call it. command: program and arguments. log: file that takes its
        output, opened for appending. env, cwd: its whole environment and the folder to run it
        in, by default this process's.
        """
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self._env = env
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id; raises ProcessError before the start."""
        if self._process is None:
            message = f"{self.name} is not started"
            raise ProcessError(message)
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tell whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the program. Raises ProcessError if it cannot be executed.

        Call it from a thread that lives as long as the program is to run.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    [*DIE_WITH_PARENT, *self.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self._cwd,
                    start_new_session=True,
                )
            except OSError as err:
                message = f"{self.name} cannot be started: {err}"
                raise ProcessError(message) from err
        return self

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` says so.

        Raises ProcessError with the end of the log if the process ends before, or after
        `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                message = f"{self.name} ended by itself:\n{self.log_tail()}"
                raise ProcessError(message)
            if time.monotonic() > deadline:
                message = f"{self.name} was not ready after {seconds:.0f} s:\n{self.log_tail()}"
                raise ProcessError(message)
            time.sleep(POLL_SECONDS)

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask the process to end, and end it and its children after `seconds` at the latest."""
        if self._process is None:
            return
        if self.running:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End the process and its children at once, as a power cut would."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
