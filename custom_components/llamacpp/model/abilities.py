"""How a model is best offered tools: by its chat template, in its prompt, or as commands."""

import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from ..client import LlamaServerError
from ..const import LOGGER
from .fitting import Fitting
from .markers import GENERAL, Markers, looks_like_marker, markers_in
from .probing import TemplateProbe

if TYPE_CHECKING:
    from ..client import LlamaServerClient, ServerProps

CONF_TOOL_CALLS: Final = "tool_calls"
# More of a chat template is not looked at; the longest of known models have a fifth of it.
MAX_TEMPLATE_CHARACTERS = 100_000
# Of so many tokens it is asked whether they are special; no known template has a tenth of it.
MAX_UNKNOWN_TOKENS = 32
# Models with fewer weights make calls that fail more often than they choose the wrong command. On
# the public set `assist-mini`, with tools: Llama 3.2 1B 4 %, Qwen3 1.7B 60 %, Llama 3.2 3B 82 %,
# Qwen3 4B 87 %; with commands, SmolLM2 135M: see benchmarks/README.md.
MIN_TOOL_PARAMS = 2_500_000_000

_SCALE = {"b": 1e9, "m": 1e6}
_SIZE = r"(\d+(?:\.\d+)?)"
# What names of models say of the weights that work for each token, between other words of the name:
# `30B-A3B` and `1b-a400m`; `E2B`, which Gemma calls effective; `17B-16E` with the number of experts
# behind; `8x7B`, of whose experts two work; `1B-7B`, as OLMoE is called, with all weights behind.
_ACTIVE = tuple(
    re.compile(rf"(?<![a-z\d.]){form}(?![a-z\d])", re.IGNORECASE)
    for form in (
        *(rf"[ae]{_SIZE}([bm])", rf"{_SIZE}(b)-\d+e", rf"\d+x{_SIZE}(b)"),
        rf"{_SIZE}(b)-\d+(?:\.\d+)?b",
    )
)
_N_EXPERTS = {_ACTIVE[2]: 2}


class ToolCalls(StrEnum):
    """What the user has chosen for an agent."""

    AUTO = "auto"
    NATIVE = "native"
    COMMANDS = "commands"


class ToolStrategy(Enum):
    """How a model is given the tools.

    NATIVE: in the request, for its chat template. WRITTEN: in its prompt, and it writes calls under
    a grammar. COMMANDS: it chooses among commands, and is told of no tools.
    """

    NATIVE = auto()
    WRITTEN = auto()
    COMMANDS = auto()


def active_params(n_params: int | None, *names: str) -> int | None:
    """Return how many weights of a model work for each token.

    n_params: how many it has, None if that is not known. names: of the model, its file or folder.
    Servers do not tell, but mixtures of experts and Gemma's models for phones mostly say so in
    their names. Those that do not count as if all of their weights worked.
    """
    for name in names:
        for form in _ACTIVE:
            if match := form.search(name):
                active = round(float(match[1]) * _SCALE[match[2].lower()]) * _N_EXPERTS.get(form, 1)
                return active if n_params is None else min(active, n_params)
    return n_params


@dataclass(frozen=True, slots=True)
class Abilities:
    """What matters of a model.

    active_params: number of its weights that work for each token, None if the server did not tell.
    markers: what its template and tokenizer take for their own. fitting: what its template wants of
    messages.
    """

    supports_tools: bool
    active_params: int | None
    markers: Markers = field(default=GENERAL, compare=False)
    fitting: Fitting = field(default=Fitting(), compare=False)

    def strategy(self, chosen: ToolCalls) -> ToolStrategy:
        """Return how the model is given the tools, by what the user has chosen."""
        if chosen is ToolCalls.COMMANDS or (chosen is ToolCalls.AUTO and not self._is_able):
            return ToolStrategy.COMMANDS
        return ToolStrategy.NATIVE if self.supports_tools else ToolStrategy.WRITTEN

    @property
    def _is_able(self) -> bool:
        """Tell whether the model makes better calls than it would choose commands."""
        if self.active_params is None:
            return self.supports_tools
        return self.active_params >= MIN_TOOL_PARAMS


class ModelAbilities:
    """Asks a server for its models' abilities, once for each start of it."""

    def __init__(self, client: LlamaServerClient) -> None:
        """Begin with nothing known."""
        self._client = client
        self._known: dict[tuple[str, str | None], Abilities] = {}

    async def of(self, model: str | None, instance: str, *, autoload: bool) -> Abilities:
        """Return what a model can do; raises LlamaServerError.

        model: for a router. instance: a word that differs with every start of the server.
        autoload: whether a router may load the model for that.
        """
        key = (instance, model)
        if key not in self._known:
            props = await self._client.props(model, autoload=autoload)
            # A router has loaded the model now. If it is unloaded meanwhile, it stays so: to load
            # it again is for whoever asks next. A front cannot be told.
            autoload = self._client.front is not None
            # A server that does not tell its template is taken at its word that it takes tools.
            supports_tools, fitting = True, Fitting()
            if props.chat_template:
                probe = TemplateProbe(self._client, model, autoload=autoload)
                supports_tools, fitting = await probe.find_out(props.chat_template_caps)
            names = (model or "", *_names(props.model_alias), *_names(props.model_path))
            active = active_params(await self._n_params(model), *names)
            markers = await self._markers(props, model, autoload=autoload)
            if model and not autoload:
                # What a model refuses that is gone says nothing of its template.
                await self._client.props(model, autoload=False)
            self._known = {key: Abilities(supports_tools, active, markers, fitting)}
        return self._known[key]

    async def _n_params(self, model: str | None) -> int | None:
        try:
            return await self._client.n_params(model)
        except LlamaServerError as err:
            LOGGER.debug("The server does not tell the size of its model: %s", err)
            return None

    async def _markers(self, props: ServerProps, model: str | None, *, autoload: bool) -> Markers:
        """Return what the model takes for its own: as its template has it, and its tokenizer."""
        template = props.chat_template[:MAX_TEMPLATE_CHARACTERS]
        if not template:
            return GENERAL
        found = {*markers_in(template), props.bos_token, props.eos_token}
        text = f"{template}\n{props.bos_token}\n{props.eos_token}"
        try:
            found |= await self._special_tokens(text, model, autoload=autoload)
        except LlamaServerError as err:
            LOGGER.debug("The server does not tell the tokens of its template: %s", err)
        return Markers(found)

    async def _special_tokens(self, text: str, model: str | None, *, autoload: bool) -> set[str]:
        """Return the special tokens in a text that are not like those of known models."""
        pieces = partial(self._client.pieces, model=model, autoload=autoload)
        special = await pieces(text, parse_special=True)
        plain = await pieces(text, parse_special=False)
        unknown = [
            (token, piece)
            for token, piece in special.items()
            if token not in plain and looks_like_marker(piece) and GENERAL.broken(piece) == piece
        ]
        # Beside a special token a text is divided in another way, into tokens that are not special.
        return {
            piece
            for token, piece in unknown[:MAX_UNKNOWN_TOKENS]
            if token not in await pieces(piece, parse_special=False)
        }


def _names(path: str) -> tuple[str, ...]:
    """Return the names of a file and of its folder: of a model in parts the latter tells more."""
    return PurePath(path).parts[:-3:-1]
