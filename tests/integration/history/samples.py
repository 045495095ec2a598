"""Conversations to store."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from custom_components.llamacpp.history import (
    Attachment,
    Conversation,
    Message,
    Role,
    Source,
    StoredTurn,
    StoredUsage,
    ToolCall,
)
from custom_components.llamacpp.history.model import title_of

if TYPE_CHECKING:
    from pathlib import Path

    from custom_components.llamacpp.history import History

ENTRY = "01HENTRY"
AGENT = "conversation.llama_cpp"
THEN = datetime.now(UTC).replace(microsecond=0)


def turn(text: str = "Hello", answer: str = "Hi.", created: datetime = THEN) -> StoredTurn:
    """Return a turn of two messages."""
    return StoredTurn(
        messages=(
            Message(role=Role.USER, created=created, content=text),
            Message(role=Role.ASSISTANT, created=created, content=answer),
        ),
        created=created,
        agent_id=AGENT,
    )


def turn_with_tools() -> StoredTurn:
    """Return a turn with everything."""
    later = THEN + timedelta(seconds=3)
    call = ToolCall("call1", "intent__HassTurnOn", {"name": "Küche", "domain": ["light"]})
    other = ToolCall("call2", "search", {"query": "x"}, external=True)
    return StoredTurn(
        messages=(
            Message(
                role=Role.USER,
                created=THEN,
                content="Kitchen on",
                attachments=(Attachment("media-source://camera/door", "image/jpeg"),),
            ),
            Message(
                role=Role.ASSISTANT,
                created=THEN,
                content="",
                thinking="Which tool?",
                tool_calls=(call, other),
            ),
            Message(
                role=Role.TOOL,
                created=later,
                tool_call_id="call1",
                tool_name=call.name,
                result={"success": [], "n": 1.5, "none": None},
            ),
            Message(
                role=Role.TOOL,
                created=later,
                agent_id="conversation.other",
                tool_call_id="call2",
                tool_name="search",
                result={},
                is_error=True,
            ),
            Message(role=Role.ASSISTANT, created=later, content="Done 💡"),
        ),
        created=THEN,
        agent_id=AGENT,
        user_id="user1",
        device_id="device1",
        usage=StoredUsage(100, 20, 120, 90),
        finish_reason="stop",
    )


def conversation(
    conversation_id: str, *turns: StoredTurn, updated: datetime = THEN, **values: Any
) -> Conversation:
    """Return a conversation with these turns."""
    return Conversation(
        id=conversation_id,
        source=values.pop("source", Source.ACTION),
        created=THEN,
        updated=updated,
        turns=turns,
        title=values.pop("title", title_of(turns)),
        **values,
    )


async def append(
    history: History, conversation_id: str, text: str = "Hello", *, durable: bool = True
) -> None:
    """Add a turn with these words."""
    await history.async_append(
        conversation_id, turn(text), durable=durable, source=Source.ASSIST, agent_id=AGENT
    )


def damage(path: Path, content: str | bytes = "not a folder") -> None:
    """Put this in the place of a file or a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def move(path: Path, new_path: Path) -> None:
    """Rename a file or a folder."""
    path.rename(new_path)


def mend(path: Path) -> None:
    """Remove what `damage` has put there."""
    path.unlink()


def said(path: Path) -> list[str]:
    """Return the users' words in a file of the history."""
    stored = json.loads(path.read_text())
    return [one["messages"][0]["content"] for one in stored["data"]["turns"]]


def names(folder: Path) -> set[str]:
    """Return the names of the files in a folder, if it exists, without the clock's."""
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    return found - {"clock"}
