"""A real llama-server as a child process."""

import os
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from .processes import LOOPBACK, ChildProcess, ProcessError, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

LOAD_SECONDS = 120.0
HTTP_SECONDS = 2.0


def path_from_environment(name: str) -> Path:
    """Return the path in an environment variable that `scripts/setup` sets.

    Raises ProcessError if the variable is not set.
    """
    try:
        return Path(os.environ[name])
    except KeyError:
        message = f"{name} is not set: start this by scripts/demo or scripts/test"
        raise ProcessError(message) from None


def answers(url: str) -> bool:
    """Return whether a GET of `url` gets a status below 400."""
    try:
        with urllib.request.urlopen(url, timeout=HTTP_SECONDS):  # noqa: S310 - our own loopback URL
            return True
    except OSError:
        return False


class LlamaServer(ChildProcess):
    """llama-server on a loopback port.

    It runs with `--metrics`, `--slots` and the port; the caller chooses all other flags.
    """

    def __init__(
        self,
        log: Path,
        *arguments: str | Path,
        model: Path | None = None,
        port: int | None = None,
        api_key: str | None = None,
    ) -> None:
        """Describe the server; this starts nothing.

        log: file for its output. arguments: further flags of llama-server. model: GGUF file, None:
        router mode, by the caller's flags. port: by default a free one. api_key: None: requests
        need none.
        """
        self.port = port or free_port()
        self.base_url = f"http://{LOOPBACK}:{self.port}"
        self.api_key = api_key
        command: Sequence[str | Path] = [
            path_from_environment("LLAMACPP_SERVER"),
            *("--host", LOOPBACK, "--port", str(self.port)),
            *("--metrics", "--slots"),
            *(("--model", model) if model else ()),
            *(("--api-key", api_key) if api_key else ()),
            *arguments,
        ]
        super().__init__("llama-server", command, log)

    def wait_ready(self, seconds: float = LOAD_SECONDS) -> None:
        """Wait until the model is loaded. Raises ProcessError if that fails."""
        self.wait_until(lambda: answers(f"{self.base_url}/health"), seconds)
