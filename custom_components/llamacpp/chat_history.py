"""Load stored turns into a chat log, which lives for some minutes, and store new ones."""

from contextlib import contextmanager, suppress
from inspect import signature
from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import ConverseError, SystemContent, UserContent
from homeassistant.helpers.chat_session import (
    DATA_CHAT_SESSION,
    ChatSession,
    async_get_chat_session,
)
from homeassistant.helpers.typing import UNDEFINED

from .client import LlamaServerError
from .history import HistoryError, Source, StoredTurn, StoredUsage, contents_of, messages_of
from .prompt.marks import Marks
from .turn.done import Done

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from homeassistant.components.conversation import ChatLog, Content
    from homeassistant.core import HomeAssistant

    from .access import Caller
    from .history import History
    from .turn.turn import Outcome

# Since 2026.11 a session has an owner, and Home Assistant needs the context of its user. None
# skips its check, which would reject admins and automations; `async_claim` allows them.
_NO_CONTEXT: dict[str, Any] = (
    {"context": None} if "context" in signature(async_get_chat_session).parameters else {}
)


async def async_session(
    hass: HomeAssistant, history: History, conversation_id: str | None
) -> AbstractContextManager[ChatSession]:
    """Return Home Assistant's session of a conversation, a new one for None.

    Home Assistant replaces the id of an expired session (after five minutes or a restart) if it is
    a ULID. A conversation that is stored and open keeps its id.
    """
    if conversation_id is not None:
        # `async_load_into` reports unreadable conversations.
        with suppress(HistoryError):
            summary = await history.async_summary(conversation_id)
            if summary is not None and summary.closed is None:
                _renew_session(hass, conversation_id)
    return async_get_chat_session(hass, conversation_id, **_NO_CONTEXT)


def _renew_session(hass: HomeAssistant, conversation_id: str) -> None:
    if DATA_CHAT_SESSION not in hass.data:
        # The first session initialises Home Assistant's data for all sessions.
        with async_get_chat_session(hass, conversation_id, **_NO_CONTEXT):
            pass
    hass.data[DATA_CHAT_SESSION].setdefault(conversation_id, ChatSession(conversation_id))


async def async_claim(history: History, session: ChatSession, caller: Caller) -> bool:
    """Return whether the caller may continue the conversation of a session.

    The caller becomes the owner if there is none: of the session at once, as in Home Assistant
    2026.11, of the stored conversation with its next turn. Raises HistoryError if it is unreadable.
    """
    summary = await history.async_summary(session.conversation_id)
    stored = summary.user_id if summary else None
    # Sessions before 2026.11 do not have this attribute.
    live = getattr(session, "user_id", UNDEFINED)
    owner = stored or (None if live is UNDEFINED else live)
    is_allowed = caller.may_access(owner)
    # Home Assistant ignores stored owners: it gives the session to the first user.
    if (not is_allowed and stored) or live is UNDEFINED:
        owner = owner or caller.user_id
        if owner is not None:
            session.__dict__["user_id"] = owner
    return is_allowed


# User messages of turns that failed.
_HAS_FAILED = Marks[bool]()


@contextmanager
def forgetting_failures(chat_log: ChatLog) -> Iterator[None]:
    """Remove the user's last message from the chat log if its turn fails.

    The model must not see an unanswered order or our error message. Keep the turn if tools have
    acted: the model must know. If a turn ends with another error or is cancelled, Home Assistant
    adds messages of its own; the next turn removes these.
    """
    _take_out_failed(chat_log)
    said = chat_log.content[-1]
    try:
        yield
    except LlamaServerError, HistoryError, ConverseError:
        forget(chat_log, said)
        raise
    except BaseException:
        if not Done.by(chat_log).is_something:
            _HAS_FAILED.set(said, True)  # noqa: FBT003 - a value, no option
        raise


def _take_out_failed(chat_log: ChatLog) -> None:
    """Remove the turns that are marked as failed, with all their messages."""
    kept: list[Content] = []
    is_failed = False
    for content in chat_log.content:
        if isinstance(content, UserContent):
            is_failed = bool(_HAS_FAILED.get(content))
        if not is_failed:
            kept.append(content)
    chat_log.content[:] = kept


async def async_load_into(history: History, chat_log: ChatLog) -> None:
    """Insert the stored turns of a conversation into a new chat log.

    If the conversation is closed, remove its turns instead. Raises HistoryError if they cannot be
    read.
    """
    summary = history.summary(chat_log.conversation_id)
    if summary is not None and summary.closed is not None:
        del chat_log.content[1:-1]
        return
    if any(not isinstance(one, (SystemContent, UserContent)) for one in chat_log.content):
        return
    conversation = await history.async_get(chat_log.conversation_id)
    if conversation is not None and conversation.closed is None:
        chat_log.content[1:1] = contents_of(conversation)


async def async_append_from(  # noqa: PLR0913 - what a turn is made of
    history: History,
    chat_log: ChatLog,
    agent_id: str,
    outcome: Outcome,
    *,
    source: Source,
    user_id: str | None = None,
    device_id: str | None = None,
    closes: bool = False,
) -> None:
    """Store the last turn of a chat log. closes: the turn ends the conversation.

    A turn of an action is on disk when this returns, one of Assist some seconds later. Raises
    HistoryError if it cannot be stored.
    """
    start = max(index for index, one in enumerate(chat_log.content) if isinstance(one, UserContent))
    said = chat_log.content[start]
    usage = outcome.usage
    turn = StoredTurn(
        messages=messages_of(chat_log.content[start:], agent_id),
        created=said.created,
        agent_id=agent_id,
        user_id=user_id,
        device_id=device_id,
        usage=StoredUsage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
            cached_tokens=usage.cached_tokens,
        ),
        finish_reason=outcome.finish_reason.value,
    )
    await history.async_append(
        chat_log.conversation_id,
        turn,
        durable=source is Source.ACTION,
        source=source,
        agent_id=agent_id,
        closes=closes,
    )


def forget(chat_log: ChatLog, said: Content) -> None:
    """Remove this content object and all that follows it from a chat log, if it is there."""
    for index, one in enumerate(chat_log.content):
        if one is said:
            del chat_log.content[index:]
            return
