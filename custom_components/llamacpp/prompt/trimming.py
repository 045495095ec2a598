"""Trim a conversation to the model's context or to the agent's history budget."""

from enum import Enum, auto
from typing import TYPE_CHECKING

from homeassistant.components.conversation import ToolResultContent, UserContent
from homeassistant.helpers.json import json_dumps

from ..tool_calls.results import is_of_home, result_text
from .notes import note_of, with_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homeassistant.components.conversation import Content

# After trimming, the measured part fills this share of its limit: the conversation then keeps its
# prefix for a while, and the KV cache matches.
TARGET_SHARE = 0.5
# Tools are the largest part from this multiple of the home's description.
TOOLS_SHARE = 4
# Characters of the template's markup per message.
MESSAGE_CHARACTERS = 20


def surplus(contents: Sequence[Content], n_prompt_tokens: int, n_ctx: int) -> int:
    """Return how many contents behind the system prompt to drop, so that the rest fits well.

    contents: a chat log, system prompt first. n_prompt_tokens: of all of it, tools included, as the
    server counts. n_ctx: the context in tokens. Drops whole turns, the oldest first, so a tool call
    never loses its result; the current turn always stays. Returns 0 if there is nothing to drop.
    """
    return _oldest(contents, _excess(_characters(contents), n_prompt_tokens, n_ctx))


def history_surplus(contents: Sequence[Content], n_tokens: int, budget: int) -> int:
    """Return how many contents to drop, so that the earlier turns fit well into a budget.

    contents: a chat log. n_tokens: of its `history_of`, as the server counts. budget: in tokens.
    Drops the same contents as `surplus`; none if the budget holds all of them.
    """
    if n_tokens <= budget:
        return 0
    return _oldest(contents, _excess(_characters(history_of(contents)), n_tokens, budget))


def is_home_too_large(
    contents: Sequence[Content],
    tools: Sequence[object],
    n_prompt_tokens: int | None,
    n_ctx: int | None,
) -> bool:
    """Return whether the home, rather than the conversation, makes a prompt too long.

    contents: a chat log that was refused, system prompt first. tools: of the same request. The home
    does if system prompt and tools take more than half of the context. If the server did not report
    a number (None), the prompt counts as just too long.
    """
    home = len(words_of(contents[0])) + len(json_dumps(tools))
    said = _characters(contents[1:])
    excess = n_prompt_tokens / n_ctx if n_prompt_tokens and n_ctx else 1
    return excess * home / (home + said) > TARGET_SHARE


class Large(Enum):
    """The part of a prompt that is too large for the context."""

    HOME = auto()
    TOOLS = auto()
    SAID = auto()


def what_is_large(
    contents: Sequence[Content],
    tools: Sequence[object],
    n_prompt_tokens: int | None,
    n_ctx: int | None,
) -> Large:
    """Return the part that makes a prompt too long. Arguments as for `is_home_too_large`."""
    states = sum(len(words_of(one)) for one in contents if is_of_home(one))
    told = len(words_of(contents[0])) + states
    if len(json_dumps(tools)) > TOOLS_SHARE * told:
        return Large.TOOLS
    is_home = is_home_too_large(contents, tools, n_prompt_tokens, n_ctx)
    return Large.HOME if is_home or states > _characters(contents) / 2 else Large.SAID


def history_of(contents: Sequence[Content]) -> Sequence[Content]:
    """Return the turns of a chat log before the current one."""
    starts = _starts(contents)
    return contents[starts[0] : starts[-1]] if starts else []


def words_of(content: Content) -> str:
    """Return the text of a message for the model, tools' arguments and results included."""
    if isinstance(content, ToolResultContent):
        return result_text(content)
    if isinstance(content, UserContent):
        return with_note(note_of(content), content.content)
    calls = getattr(content, "tool_calls", None) or ()
    return (content.content or "") + "".join(json_dumps(call.tool_args) for call in calls)


def _starts(contents: Sequence[Content]) -> list[int]:
    return [index for index, content in enumerate(contents) if isinstance(content, UserContent)]


def _characters(contents: Sequence[Content]) -> int:
    return sum(len(words_of(content)) + MESSAGE_CHARACTERS for content in contents)


def _excess(n_characters: int, n_tokens: int, limit: int) -> float:
    """Return how many characters are too many, estimated from the server's token count."""
    return n_characters * (1 - TARGET_SHARE * limit / n_tokens)


def _oldest(contents: Sequence[Content], n_characters: float) -> int:
    """Return how many contents to drop with the oldest turns to remove as many characters."""
    first, *others = _starts(contents) or [0]
    for start in others:
        if _characters(contents[first:start]) >= n_characters:
            return start - first
    return others[-1] - first if others else 0
