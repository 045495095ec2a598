"""What of a conversation fits into the model's context."""

from typing import TYPE_CHECKING

from homeassistant.components.conversation import ToolResultContent, UserContent
from homeassistant.helpers.json import json_dumps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homeassistant.components.conversation import Content

# After trimming the prompt fills this share of the context: the room that is left lets the
# conversation go on for a while with the same beginning, which the server can keep warm.
TARGET_SHARE = 0.5
# What a message takes besides its words, in characters: the template's marks.
MESSAGE_CHARACTERS = 20


def surplus(contents: Sequence[Content], n_prompt_tokens: int, n_ctx: int) -> int:
    """Return how many contents behind the system prompt have to go, so that the rest fits well.

    contents: a chat log, system prompt first. n_prompt_tokens: what all of it takes, tools
    included, by the server's count. n_ctx: the context in tokens. Whole turns go, the oldest
    first, so a tool call never loses its result; the turn that is being answered always stays.
    Returns 0 if there is nothing that could go.
    """
    starts = [index for index, content in enumerate(contents) if isinstance(content, UserContent)]
    if len(starts) <= 1:
        return 0
    sizes = [_characters(content) for content in contents]
    # The server counts tokens and the home's tools, this only shares them out.
    per_character = n_prompt_tokens / max(1, sum(sizes))
    excess = n_prompt_tokens - TARGET_SHARE * n_ctx
    for start in starts[1:]:
        if sum(sizes[starts[0] : start]) * per_character >= excess:
            return start - starts[0]
    return starts[-1] - starts[0]


def _characters(content: Content) -> int:
    if isinstance(content, ToolResultContent):
        return len(json_dumps(content.result.data)) + MESSAGE_CHARACTERS
    size = len(content.content or "") + MESSAGE_CHARACTERS
    for tool_call in getattr(content, "tool_calls", None) or ():
        size += len(json_dumps(tool_call.tool_args)) + MESSAGE_CHARACTERS
    return size
