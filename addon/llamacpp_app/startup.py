"""What the app is started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .key import api_key_of
from .options import load_options
from .paths import Paths, Ports
from .references import HUGGING_FACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .options import Options

SUPERVISOR: Final = "http://supervisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything from outside. supervisor_token: None without a Supervisor. hub: of models."""

    options: Options
    paths: Paths
    ports: Ports
    api_key: str
    supervisor_url: str = SUPERVISOR
    supervisor_token: str | None = None
    hub: str = HUGGING_FACE

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Setup:
        """Read the options and the environment; the key is made if there is none yet.

        Raises OptionsError, OSError.
        """
        paths = Paths.of(environment)
        options = load_options(paths.options, environment)
        return cls(
            options=options,
            paths=paths,
            ports=Ports.of(environment),
            api_key=api_key_of(paths.api_key, options.api_key),
            supervisor_url=environment.get("SUPERVISOR_URL", SUPERVISOR),
            supervisor_token=environment.get("SUPERVISOR_TOKEN"),
            hub=environment.get("HF_ENDPOINT", HUGGING_FACE),
        )
