"""Data classes of a stored conversation, and their JSON."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from . import fields
from .fields import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

type Json = dict[str, Any]

# Largest signed 64-bit integer.
MAX_COUNT: Final = 2**63 - 1
# Characters of a title: fits in a line of a list.
MAX_TITLE: Final = 60


class Source(StrEnum):
    """Origin of a conversation."""

    ACTION = "action"
    ASSIST = "assist"


class Role(StrEnum):
    """Author of a message."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Reference to an attachment; its content is not stored."""

    media_content_id: str
    mime_type: str

    def to_json(self) -> Json:
        """Return the JSON that `from_json` reads."""
        return {"media_content_id": self.media_content_id, "mime_type": self.mime_type}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse the result of `to_json`; raises FormatError for anything else."""
        source = fields.mapping(value)
        return cls(
            fields.required(source, "media_content_id", str),
            fields.required(source, "mime_type", str),
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call. external: something other than Home Assistant's LLM API ran it."""

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
        """Parse the result of `to_json`; raises FormatError for anything else."""
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

    content: its text, None if it has none. agent_id: of its author, None: the agent of the turn.
    thinking, tool_calls: only of the assistant. tool_call_id, tool_name, result (a JSON object) and
    is_error: only of a tool result. note: turn context sent with the user's message. question: of
    the assistant to the user, as `Question.to_json` returns it. created: with a time zone.
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
        """Return the JSON that `from_json` reads, without empty fields."""
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
        """Parse the result of `to_json`; raises FormatError for anything else."""
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
    """Limit a count to what JSON can hold: a server may report any number."""
    return max(-MAX_COUNT, min(count, MAX_COUNT))


@dataclass(frozen=True, slots=True)
class StoredUsage:
    """Tokens of all requests of a turn. cached_tokens: of the prompt, None if not reported."""

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
        """Parse the result of `to_json`; raises FormatError for anything else."""
        source = fields.mapping(value)
        return cls(
            fields.required(source, "prompt_tokens", int),
            fields.required(source, "completion_tokens", int),
            fields.required(source, "total_tokens", int),
            fields.optional(source, "cached_tokens", int),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTurn:
    """A user's message and all messages that answer it.

    messages: the user's first, then those of the assistant and of the tools. user_id, device_id: of
    the speaker, as in Home Assistant. created: its start, with a time zone.
    """

    messages: tuple[Message, ...]
    created: datetime
    agent_id: str | None = None
    user_id: str | None = None
    device_id: str | None = None
    usage: StoredUsage | None = None
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
        """Parse the result of `to_json`; raises FormatError for anything else."""
        source = fields.mapping(value)
        usage = source.get("usage")
        return cls(
            messages=fields.each(source, "messages", Message.from_json),
            created=fields.moment(source, "created"),
            agent_id=fields.optional(source, "agent_id", str),
            user_id=fields.optional(source, "user_id", str),
            device_id=fields.optional(source, "device_id", str),
            usage=None if usage is None else StoredUsage.from_json(usage),
            finish_reason=fields.optional(source, "finish_reason", str),
        )


def title_of(turns: Iterable[StoredTurn]) -> str | None:
    """Return the first words of the first text that a user has written, None if there is none.

    One line of at most MAX_TITLE characters, that ends with an ellipsis if there was more.
    """
    for message in (one for turn in turns for one in turn.messages):
        if message.role is Role.USER and (title := _first_words(message.content or "")):
            return title
    return None


def _first_words(text: str) -> str:
    # As many words are longer than a title: what follows is not split.
    line = " ".join(text.split(maxsplit=MAX_TITLE))
    if len(line) > MAX_TITLE:
        start = line[: MAX_TITLE - 1]
        is_between_words = line[MAX_TITLE - 1] == " "
        # A long word is cut anywhere, as is a text without spaces.
        line = f"{start if is_between_words else start.rpartition(' ')[0] or start}…"
    # JSON has no lone surrogates.
    return line.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation with its turns, oldest first.

    user_id: its owner, a Home Assistant user, None if no user has taken part. agent_id: of the last
    turn. system_prompt: its own instructions, None for the agent's. updated: time of the last turn.
    closed: time of its end, None if it is open. All times have a time zone. title: the first words
    of its first turn, as `title_of` returns them, also when that turn is dropped.
    """

    id: str
    source: Source
    created: datetime
    updated: datetime
    user_id: str | None = None
    agent_id: str | None = None
    system_prompt: str | None = None
    closed: datetime | None = None
    title: str | None = None
    turns: tuple[StoredTurn, ...] = ()

    def with_turn(self, turn: StoredTurn, agent_id: str | None, now: datetime) -> Self:
        """Return the conversation with a further turn of this agent. now: time of its end.

        A conversation without owner gets the user of the turn as its owner, one without title that
        of the turn.
        """
        return replace(
            self,
            turns=(*self.turns, turn),
            user_id=self.user_id or turn.user_id,
            title=self.title or title_of([turn]),
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
            "title": self.title,
            "turns": [turn.to_json() for turn in self.turns],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse the result of `to_json`; raises FormatError for anything else.

        A conversation that was stored without title gets that of its turns.
        """
        source = fields.mapping(value)
        turns = fields.each(source, "turns", StoredTurn.from_json)
        return cls(
            id=fields.required(source, "id", str),
            source=fields.choice(source, "source", Source),
            user_id=fields.optional(source, "user_id", str),
            agent_id=fields.optional(source, "agent_id", str),
            system_prompt=fields.optional(source, "system_prompt", str),
            created=fields.moment(source, "created"),
            updated=fields.moment(source, "updated"),
            closed=None if source.get("closed") is None else fields.moment(source, "closed"),
            title=fields.optional(source, "title", str) or title_of(turns),
            turns=turns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A conversation without its turns. size: of its file in bytes, 0 until it has one.

    stamp: time of the last turn, in seconds since 1970 by the history's clock.
    """

    id: str
    source: Source
    user_id: str | None
    agent_id: str | None
    title: str | None
    created: datetime
    updated: datetime
    closed: datetime | None
    turn_count: int
    message_count: int
    size: int
    stamp: float

    @classmethod
    def of(cls, conversation: Conversation, size: int, stamp: float) -> Self:
        """Summarise a conversation. size: of its file in bytes. stamp: time of its last turn."""
        return cls(
            id=conversation.id,
            source=conversation.source,
            user_id=conversation.user_id,
            agent_id=conversation.agent_id,
            title=conversation.title,
            created=conversation.created,
            updated=conversation.updated,
            closed=conversation.closed,
            turn_count=len(conversation.turns),
            message_count=sum(len(turn.messages) for turn in conversation.turns),
            size=size,
            stamp=stamp,
        )
