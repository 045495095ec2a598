"""The app in its image, as the Supervisor runs it."""

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from dev.processes import LOOPBACK, ChildProcess

from .running_app import RunningApp

if TYPE_CHECKING:
    from pathlib import Path

# As DOCS has it: no program of the image gets more rights than it was started with.
SAFETY = ("--security-opt", "no-new-privileges")
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
STOP_SECONDS = 30.0


def image() -> str | None:
    """Return the image that `scripts/test` has built, None if it could not."""
    return os.environ.get("LLAMACPP_APP_IMAGE")


class ContainerApp(RunningApp):
    """Runs the image with its folders below `folder`; options come in the Supervisor's file."""

    def __init__(
        self, folder: Path, environment: dict[str, str] | None = None, **options: object
    ) -> None:
        """Describe the container without starting it."""
        super().__init__(folder)
        for name in ("data", "config/models"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        options = {"context_size": 512, **options}
        (folder / "data" / "options.json").write_text(json.dumps(options))
        self.name = f"llamacpp-test-{os.getpid()}-{self.api_port}"
        self._tool = shlex.split(os.environ["LLAMACPP_CONTAINER_TOOL"])
        variables = {
            "BIND_ADDRESS": LOOPBACK,
            "SERVER_PORT": self.server_port,
            "API_PORT": self.api_port,
            **(environment or {}),
        }
        self.process = ChildProcess(
            "the container",
            [
                *self._tool,
                *("run", "--rm", "--name", self.name, "--network", "host", *SAFETY, *LIMITS),
                *("-v", f"{folder / 'data'}:/data", "-v", f"{folder / 'config'}:/config"),
                *(word for item in variables.items() for word in ("-e", f"{item[0]}={item[1]}")),
                str(image()),
            ],
            folder / "log.txt",
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container."""
        return self._do("exec", self.name, *command)

    def _do(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._tool, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=STOP_SECONDS,
        )

    def stop(self) -> None:
        """Stop it as the Supervisor does."""
        self._do("stop", "-t", "10", self.name)
        self.process.stop()

    def kill(self) -> None:
        """Kill it, as in a power cut."""
        self._do("kill", self.name)
        self.process.stop()
