"""Where the app keeps what it has, where its programs are, and where it listens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKER_PORT: Final = 50052


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the app listens. host: an address of this machine, or all of them."""

    host: str = "0.0.0.0"  # noqa: S104 - in the container, whose ports are closed by default
    server: int = 8080
    api: int = 5000
    ingress: int = 8099

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Ports:
        """Return the ports of the image, or those that the environment names."""
        default = cls()
        return cls(
            environment.get("BIND_ADDRESS", default.host),
            int(environment.get("SERVER_PORT", default.server)),
            int(environment.get("API_PORT", default.api)),
            int(environment.get("INGRESS_PORT", default.ingress)),
        )


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of the app.

    data: only for the app itself. config: what the user sees as `/app_configs/...`. programs:
    where llama-server is.
    """

    data: Path
    config: Path
    programs: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Paths:
        """Return the folders of the image, or those that the environment names."""
        return cls(
            Path(environment.get("DATA_DIR", "/data")),
            Path(environment.get("CONFIG_DIR", "/config")),
            Path(environment.get("LLAMA_DIR", "/opt/llama")),
        )

    @property
    def options(self) -> Path:
        """The file in which the Supervisor gives the options."""
        return self.data / "options.json"

    @property
    def models(self) -> Path:
        """The folder of model files, downloaded or put there by hand."""
        return self.config / "models"

    @property
    def added_models(self) -> Path:
        """What was added on the page."""
        return self.data / "models.json"

    @property
    def sources(self) -> Path:
        """Where the files in the folder of models were downloaded from."""
        return self.data / "sources.json"

    @property
    def speeds(self) -> Path:
        """How fast models wrote on this machine."""
        return self.data / "speeds.json"

    @property
    def selected(self) -> Path:
        """The model that was chosen on the page or in Home Assistant."""
        return self.data / "selected.json"

    @property
    def api_key(self) -> Path:
        """The key of both ports, as llama-server reads it."""
        return self.data / "api_key"

    @property
    def conversations(self) -> Path:
        """The database of conversations."""
        return self.data / "conversations.db"

    @property
    def preset(self) -> Path:
        """The models of llama-server's router mode."""
        return self.data / "models.ini"

    @property
    def slots(self) -> Path:
        """The folder of processed prompts, which llama-server writes and reads."""
        return self.data / "slots"

    @property
    def chat_template(self) -> Path:
        """The chat template of the options, as a file."""
        return self.data / "chat_template.jinja"

    @property
    def server(self) -> Path:
        """The program that answers."""
        return self.programs / "llama-server"

    @property
    def worker(self) -> Path:
        """The program that computes for another machine."""
        return self.programs / "ggml-rpc-server"
