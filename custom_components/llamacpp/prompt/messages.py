"""Convert Home Assistant's chat log to the messages of a chat completion."""

import json
from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import (
    AssistantContent,
    SystemContent,
    ToolResultContent,
    UserContent,
)

from ..tool_calls.results import result_text
from .notes import note_of, with_note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from homeassistant.components.conversation import (
        Content,
    )

    from ..client import ChatMessage


def to_messages(
    contents: Sequence[Content], images: Mapping[Path, str] | None = None
) -> list[ChatMessage]:
    """Return the contents of a chat log as messages in OpenAI's format.

    images: attached pictures as `data:` URLs by path; attachments without one are left out.

    A note goes with the first user message that has it. Thinking goes back to the model only within
    its turn: a model that calls tools needs its plan until it has spoken, and old thoughts would
    only fill the context.
    """
    turn_start = max(
        (index for index, content in enumerate(contents) if isinstance(content, UserContent)),
        default=0,
    )
    messages = []
    told = ""
    for index, content in enumerate(contents):
        if isinstance(content, UserContent):
            note = note_of(content)
            messages.append(_of_user(content, images or {}, "" if note == told else note))
            told = note
        elif not _is_empty(content):
            messages.append(_to_message(content, in_turn=index > turn_start))
    return messages


def _is_empty(content: Content) -> bool:
    """Return whether the content has nothing for a chat template to render."""
    if isinstance(content, AssistantContent):
        return not (content.content or content.tool_calls)
    return isinstance(content, SystemContent) and not content.content


def _to_message(
    content: SystemContent | AssistantContent | ToolResultContent, *, in_turn: bool
) -> ChatMessage:
    if isinstance(content, ToolResultContent):
        return {
            "role": "tool",
            "tool_call_id": content.tool_call_id,
            "content": result_text(content),
        }
    if isinstance(content, SystemContent):
        return {"role": "system", "content": content.content}
    message: ChatMessage = {"role": "assistant", "content": content.content}
    if in_turn and content.thinking_content:
        message["reasoning_content"] = content.thinking_content
    if content.tool_calls:
        message["tool_calls"] = [
            {
                "id": tool_call.id,
                "type": "function",
                "function": {
                    "name": tool_call.tool_name,
                    "arguments": _as_written_by_models(tool_call.tool_args),
                },
            }
            for tool_call in content.tool_calls
        ]
    return message


def _as_written_by_models(arguments: Mapping[str, Any]) -> str:
    """Return arguments as JSON with the spaces that models learn to write.

    A template that renders it verbatim then reproduces the tokens in the KV cache.
    """
    return json.dumps(arguments, ensure_ascii=False, default=str)


def _of_user(content: UserContent, images: Mapping[Path, str], note: str) -> ChatMessage:
    """Return a user message: the text alone, or parts with text and images."""
    words = with_note(note, content.content)
    urls = [images[one.path] for one in content.attachments or () if one.path in images]
    if not urls:
        return {"role": "user", "content": words}
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [{"type": "text", "text": words}, *pictures]}
