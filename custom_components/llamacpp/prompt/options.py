"""Convert an agent's options to the fields of a chat completion."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONF_HISTORY_TOKENS: Final = "history_tokens"
CONF_MAX_TOKENS: Final = "max_tokens"
CONF_MAX_TOOL_ROUNDS: Final = "max_tool_rounds"
CONF_MIN_P: Final = "min_p"
CONF_REPEAT_PENALTY: Final = "repeat_penalty"
CONF_SEED: Final = "seed"
CONF_STOP: Final = "stop"
CONF_TEMPERATURE: Final = "temperature"
CONF_THINKING: Final = "thinking"
CONF_THINKING_BUDGET: Final = "thinking_budget"
CONF_TOP_K: Final = "top_k"
CONF_TOP_P: Final = "top_p"

# The names are also llama-server's. Forms return every number as a float, and the server rejects a
# float for an integer.
_NUMBERS: Mapping[str, Callable[[Any], float | int]] = {
    CONF_MAX_TOKENS: int,
    CONF_MIN_P: float,
    CONF_REPEAT_PENALTY: float,
    CONF_SEED: int,
    CONF_TEMPERATURE: float,
    CONF_TOP_K: int,
    CONF_TOP_P: float,
}


class Thinking(StrEnum):
    """Whether a reasoning model thinks before it answers."""

    DEFAULT = "default"
    ON = "on"
    OFF = "off"


def to_request_options(
    options: Mapping[str, Any], usually: Thinking = Thinking.DEFAULT
) -> dict[str, Any]:
    """Return the fields of a chat completion for an agent's options.

    usually: whether the model thinks if the user has not chosen.

    Options that are not set are not sent: the server and its model have their own defaults.
    """
    fields: dict[str, Any] = {
        name: to_number(options[name]) for name, to_number in _NUMBERS.items() if name in options
    }
    if stop := options.get(CONF_STOP):
        fields["stop"] = list(stop)
    thinking = options.get(CONF_THINKING, Thinking.DEFAULT)
    if thinking == Thinking.DEFAULT:
        thinking = usually
    if thinking != Thinking.DEFAULT:
        # For the chat templates of Qwen and related models; others ignore it.
        fields["chat_template_kwargs"] = {"enable_thinking": thinking == Thinking.ON}
    if CONF_THINKING_BUDGET in options and thinking != Thinking.OFF:
        fields["thinking_budget_tokens"] = int(options[CONF_THINKING_BUDGET])
    return fields
