"""The app as a child process on the loopback interface, as its image runs it."""

import contextlib
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coverage

from dev.llama import path_from_environment
from dev.processes import LOOPBACK, ChildProcess, free_port
from tests.conftest import sockets

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60.0
REQUEST_SECONDS = 60.0


def lay_models(folder: Path, model: Path, names: Iterable[str] = ("smol",)) -> None:
    """Put a model below `folder`, where a `RunningApp` looks for it, under each of these names."""
    models = folder / "config" / "models"
    models.mkdir(parents=True, exist_ok=True)
    for name in names:
        (models / f"{name}.gguf").symlink_to(model)


class RunningApp:
    """Runs `python -m llamacpp_app` with folders below `folder`.

    options: by their names, given as environment variables. environment: further ones.
    """

    def __init__(
        self, folder: Path, environment: dict[str, str] | None = None, **options: str
    ) -> None:
        """Describe it; nothing is started yet."""
        self.folder = folder
        self.server_port, self.api_port, self.ingress_port = (free_port() for _ in range(3))
        self.url = f"http://{LOOPBACK}:{self.api_port}"
        self.server_url = f"http://{LOOPBACK}:{self.server_port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'addon'}",
            "DATA_DIR": str(folder / "data"),
            "CONFIG_DIR": str(folder / "config"),
            "LLAMA_DIR": str(path_from_environment("LLAMACPP_SERVER").parent),
            "BIND_ADDRESS": LOOPBACK,
            "SERVER_PORT": str(self.server_port),
            "API_PORT": str(self.api_port),
            "INGRESS_PORT": str(self.ingress_port),
            "CONTEXT_SIZE": "2048",
            # As scripts/test has it: several wait for each other on a busy machine.
            "THREADS": "1",
            **(environment or {}),
            **{name.upper(): value for name, value in options.items()},
        }
        self.process = ChildProcess(
            "the app",
            [sys.executable, *_measured(), "-m", "llamacpp_app"],
            folder / "log.txt",
            self.environment,
            ROOT,
        )

    @property
    def key(self) -> str:
        """The key of both ports."""
        return (self.folder / "data" / "api_key").read_text().strip()

    @property
    def headers(self) -> dict[str, str]:
        """What requests must have."""
        return {"Authorization": f"Bearer {self.key}"}

    def start(self) -> None:
        """Start it. Raises ProcessError."""
        self.process.start()

    def wait_ready(self, status: str = "ok") -> None:
        """Wait until its health is this. Raises ProcessError."""
        self.process.wait_until(lambda: self._status() == status, READY_SECONDS)

    def wait_for(self, words: str) -> None:
        """Wait until the log has these words. Raises ProcessError."""
        self.process.wait_until(lambda: words in self.log(), READY_SECONDS)

    def _status(self) -> object:
        try:
            return self.ask("GET", "/api/health")[1].get("status")
        except OSError:
            return None

    def log(self) -> str:
        """Return all that it has written."""
        return self.process.log.read_text()

    def ask(
        self, method: str, path: str, body: object = None, *, key: str | None = None
    ) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the answer. Raises OSError."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.key if key is None else key}"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310
                return response.status, json.load(response)
        except urllib.error.HTTPError as err:
            return err.code, json.load(err)

    def stop(self) -> None:
        """Stop it as the Supervisor does."""
        self.process.stop()


@contextlib.contextmanager
def serving_app(
    folder: Path,
    environment: dict[str, str] | None = None,
    *,
    status: str = "ok",
    **options: str,
) -> Generator[RunningApp]:
    """Run an app for fixtures that outlive one test; the parameters are those of `RunningApp`.

    status: the health that is waited for.
    """
    with sockets():
        app = RunningApp(folder, environment, **options)
        app.start()
        try:
            app.wait_ready(status)
            yield app
        finally:
            app.stop()


def _measured() -> list[str]:
    """Return what runs a program under coverage, if this very run is measured."""
    current = coverage.Coverage.current()
    if current is None:
        return []
    data = current.config.data_file
    return ["-m", "coverage", "run", "--parallel-mode", f"--data-file={data}"]
