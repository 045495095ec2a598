"""Convert Home Assistant's chat log to messages for a model that chooses from commands.

A call becomes its command again; results that the model need not comment on are dropped. Each turn
reads as the model has made it, and templates see alternating roles.
"""

from typing import TYPE_CHECKING

from homeassistant.components.conversation import AssistantContent, ToolResultContent, UserContent

from ...home.spoken import command_text, sentence_of
from ...prompt.messages import to_messages
from ...tool_calls.results import result_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from homeassistant.components.conversation import Content
    from homeassistant.helpers import llm

    from ...client import ChatMessage
    from ...home.language import Language


def to_command_messages(
    contents: Sequence[Content], language: Language, images: Mapping[Path, str]
) -> list[ChatMessage]:
    """Return the contents of a chat log as messages in OpenAI's format.

    images: attached pictures as `data:` URLs by path, as in `to_messages`.
    """
    plain = iter(to_messages([one for one in contents if _is_plain(one)], images))
    messages: list[ChatMessage] = []
    is_told = False
    for content in contents:
        if isinstance(content, ToolResultContent):
            is_told = is_told and not has_failed(content.result)
            if not is_told:
                _add(messages, "user", f"[{result_text(content)}]")
        elif isinstance(content, AssistantContent) and content.tool_calls:
            calls = [(one.tool_name, one.tool_args) for one in content.tool_calls]
            is_told = all(
                (sentence := sentence_of(*call, language)) is not None and sentence.done
                for call in calls
            )
            _add(messages, "assistant", "\n".join(command_text(*one, language) for one in calls))
        elif content.content or isinstance(content, UserContent):
            message = next(plain)
            # The text after a command is our own confirmation.
            if isinstance(content, UserContent):
                messages.append(message)
            elif not (is_told and isinstance(content, AssistantContent)):
                _add(messages, message["role"], message["content"])
            is_told = False
    return messages


def has_failed(result: llm.ToolResult) -> bool:
    """Return whether a tool has failed."""
    return result.error or "error" in result.data


def _is_plain(content: Content) -> bool:
    return not (
        isinstance(content, ToolResultContent)
        or (isinstance(content, AssistantContent) and content.tool_calls)
    )


def _add(messages: list[ChatMessage], role: str, text: str) -> None:
    """Add a message, or append the text to the last one if the role is the same."""
    if messages and messages[-1]["role"] == role and isinstance(messages[-1]["content"], str):
        messages[-1]["content"] += f"\n{text}"
    else:
        messages.append({"role": role, "content": text})
