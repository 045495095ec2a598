"""The options of the app: from the Supervisor's file, or from environment variables."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import voluptuous as vol

from .errors import AppError
from .flags import parse_flags
from .model_names import InvalidReferenceError, model_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DEFAULT_MODEL_URL: Final = (
    "https://huggingface.co/ggml-org/gemma-3-1b-it-GGUF/resolve/main/gemma-3-1b-it-Q4_K_M.gguf"
)
DEFAULT_MODEL_NAME: Final = "gemma-3-1b-it-Q4_K_M"
# The prompt of a home takes 2,000 to 5,000 tokens.
DEFAULT_CONTEXT_SIZE: Final = 8192
MAX_MODELS: Final = 32
MAX_ENTRIES: Final = 64
MAX_LAYERS: Final = 999
# As api_key: no key is asked of Home Assistant's own network.
NO_KEY: Final = "none"
# A shorter one can be found by trying.
MIN_KEY_CHARACTERS: Final = 8

_NAME: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w.+@-]{0,127}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):(\d{1,5})")
_TRUE: Final = {"1", "true", "yes", "on"}
_FALSE: Final = {"0", "false", "no", "off"}
MAX_PORT: Final = 65535


class OptionsError(AppError):
    """An option has a value that makes no sense."""


class Mode(StrEnum):
    """What this app does: answer, or compute for another one."""

    SERVER = "server"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class ModelOption:
    """A model that the user wants: its name, a reference to it, and its hash if it is known."""

    name: str
    url: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options; None: llama-server's own default.

    context_size: tokens of one conversation. idle_minutes: 0 keeps the model in memory.
    """

    model_url: str = DEFAULT_MODEL_URL
    model_name: str = ""
    model_sha256: str | None = None
    models: tuple[ModelOption, ...] = ()
    hf_token: str | None = None
    context_size: int = DEFAULT_CONTEXT_SIZE
    threads: int | None = None
    gpu_layers: int | None = None
    parallel_requests: int = 1
    log_level: str = "info"
    api_key: str | None = None
    embeddings: bool = False
    flash_attention: str = "auto"
    cache_type: str = "f16"
    idle_minutes: int = 0
    chat_template: str | None = None
    projector_url: str | None = None
    mode: Mode = Mode.SERVER
    rpc_servers: tuple[str, ...] = ()
    worker_address: str | None = None
    reasoning: str = "off"
    extra_arguments: tuple[str, ...] = field(default=())

    def configured_models(self) -> tuple[ModelOption, ...]:
        """Return the models in the order of the options; the first one is served by default."""
        first = self.model_name
        is_default = self.model_url == DEFAULT_MODEL_URL
        if not first or (first == DEFAULT_MODEL_NAME and not is_default):
            # Who changes the address alone wants that model, and not the name of another one.
            first = DEFAULT_MODEL_NAME if is_default else _named(self.model_url)
        main = ModelOption(first, self.model_url, self.model_sha256)
        return (main, *(one for one in self.models if one.name != first))

    @property
    def is_keyless(self) -> bool:
        """Whether Home Assistant's own network is to need no key."""
        return self.api_key == NO_KEY

    def conflict(self) -> str | None:
        """Return in words which options exclude each other; nothing if none do."""
        if self.cache_type != "f16" and self.flash_attention == "off":
            return (
                f"cache_type {self.cache_type} needs flash attention: set flash_attention to auto, "
                "or cache_type to f16."
            )
        return None


def _named(url: str) -> str:
    try:
        return model_name(url)
    except InvalidReferenceError:
        # What is wrong with it is told when it is to be fetched.
        return "model"


def _name(value: object) -> str:
    if isinstance(value, str) and value.lower().endswith(".gguf"):
        value = value[: -len(".gguf")]
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise vol.Invalid(
            "a name of letters, digits and . _ + @ -, with a letter or digit at its beginning"
        )
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise vol.Invalid("a text")
    return value.strip()


def _secret(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(
        r"[\x21\x22\x24-\x7e][\x21-\x7e]{0,511}", value
    ):
        raise vol.Invalid("a key without spaces, of at most 512 characters, and not begin with #")
    return value


def _key(value: object) -> str:
    key = _secret(value)
    if len(key) < MIN_KEY_CHARACTERS and key != NO_KEY:
        raise vol.Invalid(
            f"at least {MIN_KEY_CHARACTERS} characters long, or empty, so that one is made"
        )
    return key


def _sha256(value: object) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise vol.Invalid("64 digits from 0 to f")
    return value.lower()


def _address(value: object) -> str:
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < int(match[2]) <= MAX_PORT:
        raise vol.Invalid("host:port, such as 192.168.1.20:50052")
    return match[0]


def _whole(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        wanted = f"a whole number from {low} to {high}"
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise vol.Invalid(wanted)
        try:
            number = int(value)
        except ValueError:
            raise vol.Invalid(wanted) from None
        if not low <= number <= high:
            raise vol.Invalid(wanted)
        return number

    return check


def _layers(value: object) -> int | None:
    """Check a number of layers; `auto` is as many as fit."""
    if value == "auto":
        return None
    try:
        return _whole(0, MAX_LAYERS)(value)
    except vol.Invalid as err:
        raise vol.Invalid(f"auto, or {err.msg}") from None


def _one_of(*names: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in names:
            raise vol.Invalid(f"one of {', '.join(names)}")
        return str(value)

    return check


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise vol.Invalid("true or false")
    return text in _TRUE


def _several(check: Callable[[Any], Any], most: int = MAX_ENTRIES) -> Callable[[object], Any]:
    """Return a check of a list; in an environment variable, commas or spaces part its entries."""

    def run(value: object) -> tuple[Any, ...]:
        entries = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
        if not isinstance(entries, list) or len(entries) > most:
            raise vol.Invalid(f"a list of at most {most} entries")
        return tuple(check(one) for one in entries if one != "")

    return run


def _arguments(value: object) -> tuple[str, ...]:
    """Check flags and their values; an environment variable is read as a shell reads a line.

    There it may be a JSON list, too, in which nothing has a meaning of its own.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else shlex.split(value)
        except ValueError:
            raise vol.Invalid("flags and values parted by blanks, or a JSON list of them") from None
    return tuple(_several(_text)(value))


_MODEL: Final = vol.Schema(
    {
        vol.Required("name"): _name,
        vol.Required("url"): _text,
        # Empty in the Supervisor's form: nobody knows it.
        vol.Optional("sha256"): lambda value: None if value == "" else _sha256(value),
    }
)


def _models(value: object) -> tuple[ModelOption, ...]:
    """Check the further models; in an environment variable they are JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise vol.Invalid("a JSON list of models with name and url") from None
    if not isinstance(value, list) or len(value) > MAX_MODELS:
        raise vol.Invalid(f"a list of at most {MAX_MODELS} models")
    found = tuple(ModelOption(**_MODEL(one)) for one in value)
    if len({one.name for one in found}) < len(found):
        raise vol.Invalid("a list in which every model has a name of its own")
    return found


CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "model_url": _text,
    "model_name": _name,
    "model_sha256": _sha256,
    "models": _models,
    "hf_token": _secret,
    "context_size": _whole(512, 131072),
    "threads": _whole(1, 128),
    "gpu_layers": _layers,
    "parallel_requests": _whole(1, 8),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "api_key": _key,
    "embeddings": _switch,
    "flash_attention": _one_of("auto", "on", "off"),
    "cache_type": _one_of("f16", "q8_0", "q4_0"),
    "idle_minutes": _whole(0, 1440),
    "chat_template": _text,
    "projector_url": _text,
    "mode": lambda value: Mode(_one_of(*Mode)(value)),
    "rpc_servers": _several(_address),
    "worker_address": _address,
    "reasoning": _one_of("off", "auto", "on"),
    "extra_arguments": _arguments,
}


def _check(name: str, value: object) -> Any:
    try:
        return CHECKS[name](value)
    except vol.Invalid as err:
        where = ".".join([name, *(str(one) for one in err.path)])
        shown = "the given one" if CHECKS[name] in (_secret, _key) else repr(value)[:80]
        raise OptionsError(f"The option {where} must be {err.msg}, not {shown}.") from None


def parse_options(values: Mapping[str, object]) -> Options:
    """Check values by their names; what is empty counts as not set. Raises OptionsError."""
    if unknown := sorted(set(values) - set(CHECKS)):
        raise OptionsError(f"There is no option {unknown[0]}.")
    given = {name: one for name, one in values.items() if one not in (None, "", [], ())}
    checked = {name: _check(name, value) for name, value in given.items()}
    if "extra_arguments" in checked:
        checked["extra_arguments"] = parse_flags(checked["extra_arguments"])
    return Options(**checked)


def load_options(path: Path, environment: Mapping[str, str]) -> Options:
    """Read the Supervisor's file, or without one, the environment variables of the same names.

    Raises OptionsError.
    """
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        given = {name: environment.get(name.upper(), "") for name in CHECKS}
        return parse_options({name: one.strip() for name, one in given.items()})
    except (OSError, ValueError) as err:
        raise OptionsError(f"The options cannot be read from {path}: {err}") from err
    if not isinstance(values, dict):
        raise OptionsError(f"{path} holds no options.")
    return parse_options(values)
