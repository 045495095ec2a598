"""What of a conversation fits into the model's context, or into what an agent is to send."""

from enum import Enum, auto
from typing import TYPE_CHECKING

from homeassistant.components.conversation import ToolResultContent, UserContent
from homeassistant.helpers.json import json_dumps

from ..tool_calls.results import is_of_home, result_text
from .notes import note_of, with_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homeassistant.components.conversation import Content

# After trimming what was measured fills this share of its limit: the room that is left lets the
# conversation go on for a while with the same beginning, which the server can keep warm.
TARGET_SHARE = 0.5
# Tools are what is large if they take so many times as much as all that is told of the home.
TOOLS_SHARE = 4
# What a message takes besides its words, in characters: the template's marks.
MESSAGE_CHARACTERS = 20


def surplus(contents: Sequence[Content], n_prompt_tokens: int, n_ctx: int) -> int:
    """Return how many contents behind the system prompt have to go, so that the rest fits well.

    contents: a chat log, system prompt first. n_prompt_tokens: what all of it takes, tools
    included, by the server's count. n_ctx: the context in tokens. Whole turns go, the oldest
    first, so a tool call never loses its result; the turn that is being answered always stays.
    Returns 0 if there is nothing that could go.
    """
    return _oldest(contents, _excess(_characters(contents), n_prompt_tokens, n_ctx))


def history_surplus(contents: Sequence[Content], n_tokens: int, budget: int) -> int:
    """Return how many contents have to go, so that the earlier turns fit well into a budget.

    contents: a chat log. n_tokens: what `history_of` it takes, by the server's count. budget: in
    tokens. The same contents go as with `surplus`; none if the budget holds all of them.
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
    """Tell whether it is for the home, rather than for what was said, that a prompt is too long.

    contents: a chat log that was refused, system prompt first. tools: those offered with it. It is
    for the home if system prompt and tools take more than half of the context. Of numbers that the
    server did not tell (None), it is taken that the prompt is just too long.
    """
    home = len(words_of(contents[0])) + len(json_dumps(tools))
    said = _characters(contents[1:])
    excess = n_prompt_tokens / n_ctx if n_prompt_tokens and n_ctx else 1
    return excess * home / (home + said) > TARGET_SHARE


class Large(Enum):
    """What of a prompt is so large that it does not fit."""

    HOME = auto()
    TOOLS = auto()
    SAID = auto()


def what_is_large(
    contents: Sequence[Content],
    tools: Sequence[object],
    n_prompt_tokens: int | None,
    n_ctx: int | None,
) -> Large:
    """Return what it is that makes a prompt too long, of what `is_home_too_large` takes."""
    states = sum(len(words_of(one)) for one in contents if is_of_home(one))
    told = len(words_of(contents[0])) + states
    if len(json_dumps(tools)) > TOOLS_SHARE * told:
        return Large.TOOLS
    is_home = is_home_too_large(contents, tools, n_prompt_tokens, n_ctx)
    return Large.HOME if is_home or states > _characters(contents) / 2 else Large.SAID


def history_of(contents: Sequence[Content]) -> Sequence[Content]:
    """Return the turns of a chat log before the one that is being answered."""
    starts = _starts(contents)
    return contents[starts[0] : starts[-1]] if starts else []


def words_of(content: Content) -> str:
    """Return all that a message says to the model, tools' arguments and results included."""
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
    """Return how many characters are too many: the server counts tokens, this shares them out."""
    return n_characters * (1 - TARGET_SHARE * limit / n_tokens)


def _oldest(contents: Sequence[Content], n_characters: float) -> int:
    """Return how many contents the oldest turns have that hold as many characters."""
    first, *others = _starts(contents) or [0]
    for start in others:
        if _characters(contents[first:start]) >= n_characters:
            return start - first
    return others[-1] - first if others else 0
