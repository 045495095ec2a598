"""Home Assistant's chat log as the messages of a chat completion."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import (
    AssistantContent,
    SystemContent,
    ToolResultContent,
    UserContent,
)
from homeassistant.helpers.json import json_dumps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from homeassistant.components.conversation import (
        Content,
    )

type Message = dict[str, Any]


def to_messages(
    contents: Sequence[Content], images: Mapping[Path, str] | None = None
) -> list[Message]:
    """Return the messages, in OpenAI's format, that say the same as these parts of a chat log.

    images: attached pictures as `data:` URLs; an attachment without one is left out.

    What the model thought goes back to it only within the turn that it belongs to: a model that
    calls tools needs its plan until it has spoken, and only old thoughts would fill the context.
    """
    turn_start = max(
        (index for index, content in enumerate(contents) if isinstance(content, UserContent)),
        default=0,
    )
    return [
        _to_message(content, images or {}, in_turn=index > turn_start)
        for index, content in enumerate(contents)
        if not _is_empty(content)
    ]


def with_closing(messages: list[Message], sentence: str) -> list[Message]:
    """Return the messages with a sentence at the end of the system prompt."""
    if not messages or messages[0]["role"] != "system":
        return [{"role": "system", "content": sentence}, *messages]
    first, *others = messages
    return [{**first, "content": f"{first['content']}\n{sentence}"}, *others]


def _is_empty(content: Content) -> bool:
    """Tell whether there is nothing in it that a chat template could show."""
    if isinstance(content, AssistantContent):
        return not (content.content or content.tool_calls)
    return isinstance(content, SystemContent) and not content.content


def _to_message(content: Content, images: Mapping[Path, str], *, in_turn: bool) -> Message:
    if isinstance(content, ToolResultContent):
        return {
            "role": "tool",
            "tool_call_id": content.tool_call_id,
            "content": json_dumps(content.result.data),
        }
    if isinstance(content, UserContent):
        return {"role": "user", "content": _with_images(content, images)}
    if isinstance(content, SystemContent):
        return {"role": "system", "content": content.content}
    message: Message = {"role": "assistant", "content": content.content}
    if in_turn and content.thinking_content:
        message["reasoning_content"] = content.thinking_content
    if content.tool_calls:
        message["tool_calls"] = [
            {
                "id": tool_call.id,
                "type": "function",
                "function": {
                    "name": tool_call.tool_name,
                    "arguments": json_dumps(tool_call.tool_args),
                },
            }
            for tool_call in content.tool_calls
        ]
    return message


def _with_images(content: UserContent, images: Mapping[Path, str]) -> str | list[Message]:
    """Return the words alone, or the parts of a message with words and pictures."""
    urls = [images[one.path] for one in content.attachments or () if one.path in images]
    if not urls:
        return content.content
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"type": "text", "text": content.content}, *pictures]
