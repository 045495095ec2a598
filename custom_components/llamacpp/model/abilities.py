"""Choose how to offer tools to a model: by its chat template, in its prompt, or as commands."""

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
# Limit of the part of a chat template to search; the longest known one has a fifth of it.
MAX_TEMPLATE_CHARACTERS = 100_000
# Limit of the tokens to check for being special; no known template has a tenth of it.
MAX_UNKNOWN_TOKENS = 32
# Smaller models fail at tool calls more often than they choose the wrong command. On the public set
# `assist-mini`, with tools: Llama 3.2 1B 4 %, Qwen3 1.7B 60 %, Llama 3.2 3B 82 %, Qwen3 4B 87 %;
# with commands, SmolLM2 135M: see benchmarks/README.md.
MIN_TOOL_PARAMS = 2_500_000_000

_SCALE = {"b": 1e9, "m": 1e6}
_SIZE = r"(\d+(?:\.\d+)?)"
# Active weights per token in model names, between other words: `30B-A3B` and `1b-a400m`; `E2B`,
# Gemma's effective weights; `17B-16E`, followed by the number of experts; `8x7B`, with two active
# experts; `1B-7B`, as in OLMoE, followed by the total.
_ACTIVE = tuple(
    re.compile(rf"(?<![a-z\d.]){form}(?![a-z\d])", re.IGNORECASE)
    for form in (
        *(rf"[ae]{_SIZE}([bm])", rf"{_SIZE}(b)-\d+e", rf"\d+x{_SIZE}(b)"),
        rf"{_SIZE}(b)-\d+(?:\.\d+)?b",
    )
)
_N_EXPERTS = {_ACTIVE[2]: 2}


class ToolCalls(StrEnum):
    """The agent's option for tool calls."""

    AUTO = "auto"
    NATIVE = "native"
    COMMANDS = "commands"


class ToolStrategy(Enum):
    """How to offer tools to a model.

    NATIVE: in the request, for its chat template. WRITTEN: in its prompt, with calls written under
    a grammar. COMMANDS: the model chooses among commands and does not see the tools.
    """

    NATIVE = auto()
    WRITTEN = auto()
    COMMANDS = auto()


def active_params(n_params: int | None, *names: str) -> int | None:
    """Return a model's number of active weights per token.

    n_params: its total number of weights, None if unknown. names: of the model, its file or folder.
    Servers do not report active weights, but mixtures of experts and Gemma's models for phones
    mostly have them in their names. Otherwise all weights count as active.
    """
    for name in names:
        for form in _ACTIVE:
            if match := form.search(name):
                active = round(float(match[1]) * _SCALE[match[2].lower()]) * _N_EXPERTS.get(form, 1)
                return active if n_params is None else min(active, n_params)
    return n_params


@dataclass(frozen=True, slots=True)
class Abilities:
    """Capabilities of a model.

    active_params: number of active weights per token, None if the server did not report it.
    markers: of its template and tokenizer. fitting: its template's requirements for messages.
    """

    supports_tools: bool
    active_params: int | None
    markers: Markers = field(default=GENERAL, compare=False)
    fitting: Fitting = field(default=Fitting(), compare=False)

    def strategy(self, chosen: ToolCalls) -> ToolStrategy:
        """Return the tool strategy for the agent's option."""
        if chosen is ToolCalls.COMMANDS or (chosen is ToolCalls.AUTO and not self._is_able):
            return ToolStrategy.COMMANDS
        return ToolStrategy.NATIVE if self.supports_tools else ToolStrategy.WRITTEN

    @property
    def _is_able(self) -> bool:
        """Return whether the model is better at tool calls than at choosing commands."""
        if self.active_params is None:
            return self.supports_tools
        return self.active_params >= MIN_TOOL_PARAMS


class ModelAbilities:
    """Detects the capabilities of a server's models, once per start of the server."""

    def __init__(self, client: LlamaServerClient) -> None:
        """Initialize with an empty cache."""
        self._client = client
        self._known: dict[tuple[str, str | None], Abilities] = {}

    async def of(self, model: str | None, instance: str, *, autoload: bool) -> Abilities:
        """Return a model's capabilities; raises LlamaServerError.

        model: for a router. instance: a string that is unique for each start of the server.
        autoload: a router may load the model for this.
        """
        key = (instance, model)
        if key not in self._known:
            props = await self._client.props(model, autoload=autoload)
            # A router has loaded the model now. If it gets unloaded meanwhile, leave it so: the
            # next request loads it again. Proxies have no such option.
            autoload = self._client.front is not None
            # Assume support for tools if the server does not report its template.
            supports_tools, fitting = True, Fitting()
            if props.chat_template:
                probe = TemplateProbe(self._client, model, autoload=autoload)
                supports_tools, fitting = await probe.find_out(props.chat_template_caps)
            names = (model or "", *_names(props.model_alias), *_names(props.model_path))
            active = active_params(await self._n_params(model), *names)
            markers = await self._markers(props, model, autoload=autoload)
            if model and not autoload:
                # An unloaded model also rejects the probes, which says nothing about its template.
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
        """Return the markers of the model's chat template and tokenizer."""
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
        """Return the special tokens in a text that `GENERAL` does not cover."""
        pieces = partial(self._client.pieces, model=model, autoload=autoload)
        special = await pieces(text, parse_special=True)
        plain = await pieces(text, parse_special=False)
        unknown = [
            (token, piece)
            for token, piece in special.items()
            if token not in plain and looks_like_marker(piece) and GENERAL.broken(piece) == piece
        ]
        # Beside a special token, a text splits differently, into tokens that are not special.
        return {
            piece
            for token, piece in unknown[:MAX_UNKNOWN_TOKENS]
            if token not in await pieces(piece, parse_special=False)
        }


def _names(path: str) -> tuple[str, ...]:
    """Return the names of a file and its folder: for split models, the folder says more."""
    return PurePath(path).parts[:-3:-1]
