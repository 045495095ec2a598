"""Convert Home Assistant's chat log to stored messages, and back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeassistant.components.conversation import (
    AssistantContent,
    ToolResultContent,
    UserContent,
)
from homeassistant.helpers import llm

from ..prompt.notes import note_of, set_note
from ..prompt.question import Question, question_of, set_question
from .model import Attachment, Message, Role, ToolCall
from .plain import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from homeassistant.components.conversation import Content

    from .model import Conversation


# Home Assistant's contents take their time from the clock; these take that of the message.


@dataclass(frozen=True, kw_only=True, eq=False)
class _RestoredUser(UserContent):
    created: datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class _RestoredAssistant(AssistantContent):
    created: datetime


@dataclass(frozen=True, kw_only=True, eq=False)
class _RestoredToolResult(ToolResultContent):
    created: datetime


def messages_of(contents: Iterable[Content], agent_id: str) -> tuple[Message, ...]:
    """Return the messages to store for these contents of a chat log, without system prompts.

    agent_id: of the turn; only messages of another agent store an id. Copies the values of tools,
    so that they can be written while others change them.
    """
    messages = []
    for content in contents:
        match content:
            case UserContent():
                messages.append(_of_user(content))
            case AssistantContent():
                messages.append(_of_assistant(content, agent_id))
            case ToolResultContent():
                messages.append(_of_tool(content, agent_id))
    return tuple(messages)


def contents_of(conversation: Conversation) -> list[Content]:
    """Return a conversation's turns as contents of a chat log, without the system prompt.

    Attachments are lost: a note in the user's message says that there was one.
    """
    return [
        _to_content(message, message.agent_id or turn.agent_id or conversation.agent_id or "")
        for turn in conversation.turns
        for message in turn.messages
    ]


def _of_user(content: UserContent) -> Message:
    return Message(
        role=Role.USER,
        created=content.created,
        content=content.content,
        attachments=tuple(
            Attachment(one.media_content_id, one.mime_type) for one in content.attachments or ()
        ),
        note=note_of(content) or None,
    )


def _of_assistant(content: AssistantContent, agent_id: str) -> Message:
    return Message(
        role=Role.ASSISTANT,
        created=content.created,
        content=content.content,
        agent_id=content.agent_id if content.agent_id != agent_id else None,
        thinking=content.thinking_content,
        tool_calls=tuple(
            ToolCall(call.id, call.tool_name, to_plain(call.tool_args), external=call.external)
            for call in content.tool_calls or ()
        ),
        question=question.to_json() if (question := question_of(content)) else None,
    )


def _of_tool(content: ToolResultContent, agent_id: str) -> Message:
    return Message(
        role=Role.TOOL,
        created=content.created,
        agent_id=content.agent_id if content.agent_id != agent_id else None,
        tool_call_id=content.tool_call_id,
        tool_name=content.tool_name,
        result=to_plain(content.result.data),
        is_error=content.result.error,
    )


def _to_content(message: Message, agent_id: str) -> Content:
    content: Content
    match message.role:
        case Role.USER:
            content = _RestoredUser(_with_attachments(message), created=message.created)
            set_note(content, message.note or "")
        case Role.ASSISTANT:
            content = _RestoredAssistant(
                agent_id,
                content=message.content,
                thinking_content=message.thinking,
                tool_calls=[
                    llm.ToolInput(call.name, call.arguments, id=call.id, external=call.external)
                    for call in message.tool_calls
                ]
                or None,
                created=message.created,
            )
            if question := Question.from_json(message.question):
                set_question(content, question)
        case Role.TOOL:
            content = _RestoredToolResult(
                agent_id,
                message.tool_call_id or "",
                message.tool_name or "",
                llm.ToolResult(message.result or {}, error=message.is_error),
                created=message.created,
            )
    return content


def _with_attachments(message: Message) -> str:
    files = (f"[{one.mime_type}: {one.media_content_id}]" for one in message.attachments)
    return "\n".join((message.content or "", *files))
