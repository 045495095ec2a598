"""How a model is best offered tools: by its chat template, or as commands to choose among."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ..const import LOGGER
from ..server import LlamaServerError
from .markers import GENERAL, Markers, looks_like_marker, markers_in

if TYPE_CHECKING:
    from ..server import LlamaServerClient, ServerProps

CONF_TOOL_CALLS: Final = "tool_calls"
# More of a chat template is not looked at; the longest of known models have a fifth of it.
MAX_TEMPLATE_CHARACTERS = 100_000
# Of so many tokens it is asked whether they are special; no known template has a tenth of it.
MAX_UNKNOWN_TOKENS = 32
# Models with fewer weights make calls that fail more often than they choose the wrong command. On
# the public set `assist-mini`, with tools: Llama 3.2 1B 4 %, Qwen3 1.7B 60 %, Llama 3.2 3B 82 %,
# Qwen3 4B 87 %; with commands, SmolLM2 135M: see benchmarks/README.md.
MIN_NATIVE_PARAMS = 2_500_000_000


class ToolCalls(StrEnum):
    """How the model of an agent is offered tools."""

    AUTO = "auto"
    NATIVE = "native"
    COMMANDS = "commands"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What matters of a model.

    n_params: number of its weights, None if the server did not tell. markers: what its template and
    tokenizer take for their own.
    """

    supports_tools: bool
    n_params: int | None
    markers: Markers = field(default=GENERAL, compare=False)

    @property
    def wants_commands(self) -> bool:
        """Return whether the model does better with commands."""
        is_small = self.n_params is not None and self.n_params < MIN_NATIVE_PARAMS
        return is_small or not self.supports_tools


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
            # A server that does not tell its template is taken at its word that it takes tools.
            supports_tools = props.chat_template_caps.supports_tools or not props.chat_template
            n_params, markers = await self._n_params(model), await self._markers(props, model)
            self._known = {key: Abilities(supports_tools, n_params, markers)}
        return self._known[key]

    async def _n_params(self, model: str | None) -> int | None:
        try:
            sizes = {one.id: one.n_params for one in await self._client.models()}
        except LlamaServerError as err:
            LOGGER.debug("The server does not tell the size of its model: %s", err)
            return None
        return sizes.get(model) if model else next(iter(sizes.values()), None)

    async def _markers(self, props: ServerProps, model: str | None) -> Markers:
        """Return what the model takes for its own: as its template has it, and its tokenizer."""
        template = props.chat_template[:MAX_TEMPLATE_CHARACTERS]
        if not template:
            return GENERAL
        found = {*markers_in(template), props.bos_token, props.eos_token}
        text = f"{template}\n{props.bos_token}\n{props.eos_token}"
        try:
            found |= await self._special_tokens(text, model)
        except LlamaServerError as err:
            LOGGER.debug("The server does not tell the tokens of its template: %s", err)
        return Markers(found)

    async def _special_tokens(self, text: str, model: str | None) -> set[str]:
        """Return the special tokens in a text that are not like those of known models."""
        special = await self._client.pieces(text, parse_special=True, model=model)
        plain = await self._client.pieces(text, parse_special=False, model=model)
        unknown = [
            (token, piece)
            for token, piece in special.items()
            if token not in plain and looks_like_marker(piece) and GENERAL.broken(piece) == piece
        ]
        # Beside a special token a text is divided in another way, into tokens that are not special.
        return {
            piece
            for token, piece in unknown[:MAX_UNKNOWN_TOKENS]
            if token not in await self._client.pieces(piece, parse_special=False, model=model)
        }
