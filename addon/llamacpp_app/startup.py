"""What the app is started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .api_key import api_key_of
from .model_names import HUGGING_FACE
from .options import NO_KEY, OptionsError, load_options
from .paths import Paths, Ports

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
        supervisor_token = environment.get("SUPERVISOR_TOKEN")
        if options.is_keyless and supervisor_token is None:
            # Where a request comes from can be told by nobody here.
            raise OptionsError(
                f"The option api_key must not be {NO_KEY} here: only within Home Assistant's own "
                "network, under its Supervisor, is nobody asked for a key. Leave it empty, and "
                "send the key that is made, or choose one."
            )
        wanted = None if options.is_keyless else options.api_key
        return cls(
            options=options,
            paths=paths,
            ports=Ports.of(environment),
            api_key=api_key_of(paths.api_key, wanted),
            supervisor_url=environment.get("SUPERVISOR_URL", SUPERVISOR),
            supervisor_token=supervisor_token,
            hub=environment.get("HF_ENDPOINT", HUGGING_FACE),
        )
