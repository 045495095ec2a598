"""What is kept of a conversation: plain data, and its JSON."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from . import fields
from .fields import FormatError

if TYPE_CHECKING:
    from datetime import datetime

type Json = dict[str, Any]

# Of 64 bits.
MAX_COUNT: Final = 2**63 - 1


class Source(StrEnum):
    """By which way a conversation came about."""

    ACTION = "action"
    ASSIST = "assist"


class Role(StrEnum):
    """Who a message is from."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A note that something was attached; what it was is not kept."""

    media_content_id: str
    mime_type: str

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads."""
        return {"media_content_id": self.media_content_id, "mime_type": self.mime_type}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` returns; raises FormatError if it is something else."""
        source = fields.mapping(value)
        return cls(
            fields.required(source, "media_content_id", str),
            fields.required(source, "mime_type", str),
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool. external: it was run by somebody else than Home Assistant's LLM API."""

    id: str
    name: str
    arguments: Json
    external: bool = False

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads."""
        value: Json = {"id": self.id, "name": self.name, "arguments": self.arguments}
        if self.external:
            value["external"] = True
        return value

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` returns; raises FormatError if it is something else."""
        source = fields.mapping(value)
        return cls(
            fields.required(source, "id", str),
            fields.required(source, "name", str),
            fields.required(source, "arguments", dict),
            external=fields.flag(source, "external"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a turn.

    content: the words, None if there are none. agent_id: who said it, None: the agent of the
    turn. thinking, tool_calls: of the assistant alone. tool_call_id, tool_name, result (a JSON
    object) and is_error: of a tool's result alone. note: what the model was told beside the words
    of the user. question: what the assistant asks the user, as `Question.to_json` has it. created:
    with a time zone.
    """

    role: Role
    created: datetime
    content: str | None = None
    agent_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    result: Json | None = None
    is_error: bool = False
    note: str | None = None
    question: Json | None = None

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads; what is empty is left out."""
        value: Json = {
            "role": str(self.role),
            "created": self.created.isoformat(),
            "content": self.content,
            "agent_id": self.agent_id,
            "attachments": [one.to_json() for one in self.attachments] or None,
            "thinking": self.thinking,
            "tool_calls": [call.to_json() for call in self.tool_calls] or None,
            "tool_call_id": self.tool_call_id,
            "tool_name": self.tool_name,
            "result": self.result,
            "is_error": self.is_error or None,
            "note": self.note,
            "question": self.question,
        }
        return {name: item for name, item in value.items() if item is not None}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` returns; raises FormatError if it is something else."""
        source = fields.mapping(value)
        message = cls(
            role=fields.choice(source, "role", Role),
            created=fields.moment(source, "created"),
            content=fields.optional(source, "content", str),
            agent_id=fields.optional(source, "agent_id", str),
            attachments=fields.each(source, "attachments", Attachment.from_json),
            thinking=fields.optional(source, "thinking", str),
            tool_calls=fields.each(source, "tool_calls", ToolCall.from_json),
            tool_call_id=fields.optional(source, "tool_call_id", str),
            tool_name=fields.optional(source, "tool_name", str),
            result=fields.optional(source, "result", dict),
            is_error=fields.flag(source, "is_error"),
            note=fields.optional(source, "note", str),
            question=fields.optional(source, "question", dict),
        )
        if message.role is Role.TOOL and None in (
            message.tool_call_id,
            message.tool_name,
            message.result,
        ):
            raise FormatError("a tool's message without call, name or result")
        return message


def _bounded(count: int) -> int:
    """Return a count that JSON can hold: a server may claim any."""
    return max(-MAX_COUNT, min(count, MAX_COUNT))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of all requests of a turn. cached_tokens: of the prompt, None if nobody told."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int | None = None

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads."""
        cached = self.cached_tokens
        return {
            "prompt_tokens": _bounded(self.prompt_tokens),
            "completion_tokens": _bounded(self.completion_tokens),
            "total_tokens": _bounded(self.total_tokens),
            "cached_tokens": None if cached is None else _bounded(cached),
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` returns; raises FormatError if it is something else."""
        source = fields.mapping(value)
        return cls(
            fields.required(source, "prompt_tokens", int),
            fields.required(source, "completion_tokens", int),
            fields.required(source, "total_tokens", int),
            fields.optional(source, "cached_tokens", int),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a user said and all that came of it.

    messages: the user's first, then those of the assistant and of the tools. user_id, device_id:
    whose and where, as Home Assistant names them. created: when it began, with a time zone.
    """

    messages: tuple[Message, ...]
    created: datetime
    agent_id: str | None = None
    user_id: str | None = None
    device_id: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads."""
        return {
            "created": self.created.isoformat(),
            "agent_id": self.agent_id,
            "user_id": self.user_id,
            "device_id": self.device_id,
            "usage": self.usage.to_json() if self.usage else None,
            "finish_reason": self.finish_reason,
            "messages": [message.to_json() for message in self.messages],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` returns; raises FormatError if it is something else."""
        source = fields.mapping(value)
        usage = source.get("usage")
        return cls(
            messages=fields.each(source, "messages", Message.from_json),
            created=fields.moment(source, "created"),
            agent_id=fields.optional(source, "agent_id", str),
            user_id=fields.optional(source, "user_id", str),
            device_id=fields.optional(source, "device_id", str),
            usage=None if usage is None else Usage.from_json(usage),
            finish_reason=fields.optional(source, "finish_reason", str),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation with its turns, oldest first.

    user_id: the Home Assistant user it belongs to, None if no user has taken part. agent_id: who
    had the last turn. system_prompt: the instructions that it was begun with, None if they are the
    agent's. updated: when the last turn was added. closed: when it was ended, None if it was not.
    All times have a time zone.
    """

    id: str
    source: Source
    created: datetime
    updated: datetime
    user_id: str | None = None
    agent_id: str | None = None
    system_prompt: str | None = None
    closed: datetime | None = None
    turns: tuple[Turn, ...] = ()

    def with_turn(self, turn: Turn, agent_id: str | None, now: datetime) -> Self:
        """Return the conversation as it is after a further turn, had by this agent until now.

        A conversation without owner belongs to the user of the turn from then on.
        """
        return replace(
            self,
            turns=(*self.turns, turn),
            user_id=self.user_id or turn.user_id,
            agent_id=agent_id,
            updated=now,
        )

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads."""
        return {
            "id": self.id,
            "source": str(self.source),
            "user_id": self.user_id,
            "agent_id": self.agent_id,
            "system_prompt": self.system_prompt,
            "created": self.created.isoformat(),
            "updated": self.updated.isoformat(),
            "closed": self.closed.isoformat() if self.closed else None,
            "turns": [turn.to_json() for turn in self.turns],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` returns; raises FormatError if it is something else."""
        source = fields.mapping(value)
        return cls(
            id=fields.required(source, "id", str),
            source=fields.choice(source, "source", Source),
            user_id=fields.optional(source, "user_id", str),
            agent_id=fields.optional(source, "agent_id", str),
            system_prompt=fields.optional(source, "system_prompt", str),
            created=fields.moment(source, "created"),
            updated=fields.moment(source, "updated"),
            closed=None if source.get("closed") is None else fields.moment(source, "closed"),
            turns=fields.each(source, "turns", Turn.from_json),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A conversation without its turns. size: of its file in bytes, 0 as long as it has none.

    stamp: when the last turn was, in seconds since 1970 by the history's clock.
    """

    id: str
    source: Source
    user_id: str | None
    agent_id: str | None
    created: datetime
    updated: datetime
    closed: datetime | None
    turn_count: int
    message_count: int
    size: int
    stamp: float

    @classmethod
    def of(cls, conversation: Conversation, size: int, stamp: float) -> Self:
        """Sum up a conversation whose file has `size` bytes, and whose last turn was at `stamp`."""
        return cls(
            id=conversation.id,
            source=conversation.source,
            user_id=conversation.user_id,
            agent_id=conversation.agent_id,
            created=conversation.created,
            updated=conversation.updated,
            closed=conversation.closed,
            turn_count=len(conversation.turns),
            message_count=sum(len(turn.messages) for turn in conversation.turns),
            size=size,
            stamp=stamp,
        )
