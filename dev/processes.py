"""A child process with a log file, which is ended together with its own children."""

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
# The kernel ends the child when its parent dies, even if it was killed.
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
LOG_TAIL_LINES = 15


class ProcessError(Exception):
    """A process did not start, was not ready in time, or exited."""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on.

    For a minute the system does not give it to others that ask for any free port, such as other
    tests. A server that asks for this number gets it, as all of ours set one of these two options.
    """
    with socket.socket() as listener:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind((LOOPBACK, 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            # The side that closes first keeps the port in TIME_WAIT.
            listener.accept()[0].close()
        return port


def port_is_taken(port: int) -> bool:
    """Return whether a process listens on this port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


class ChildProcess:
    """A program in its own process group, so that ending it ends its children, too."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Describe the program; this starts nothing.

        name: for messages. command: program and arguments. log: file to append its output to.
        env, cwd: its whole environment and its working directory, by default those of this
        process.
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
        """Return whether the process is running."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the program. Raises ProcessError if it cannot be executed.

        The calling thread must live as long as the program, which ends with it.
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
        """Wait until `ready` returns true.

        Raises ProcessError with the end of the log if the process exits before, or after
        `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                message = f"{self.name} exited:\n{self.log_tail()}"
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
        """Terminate the process; kill it and its children after `seconds` at the latest."""
        if self._process is None:
            return
        if self.running:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill the process and its children, like a power cut."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
