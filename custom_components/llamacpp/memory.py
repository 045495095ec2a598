"""Between a chat log, which lives for some minutes, and the history, which lasts."""

from typing import TYPE_CHECKING

from homeassistant.components.conversation import SystemContent, UserContent

from .history import Source, Turn, Usage, contents_of, messages_of

if TYPE_CHECKING:
    from homeassistant.components.conversation import ChatLog, Content

    from .agent.turn import Outcome
    from .history import History


async def async_recall(history: History, chat_log: ChatLog) -> None:
    """Fill a fresh chat log with the earlier turns of its conversation, if there are any.

    Those of a conversation that was closed are taken out instead. Raises HistoryError if they
    cannot be read.
    """
    if history.is_closed(chat_log.conversation_id):
        del chat_log.content[1:-1]
        return
    if any(not isinstance(one, (SystemContent, UserContent)) for one in chat_log.content):
        return
    conversation = await history.async_get(chat_log.conversation_id)
    if conversation is not None and conversation.closed is None:
        chat_log.content[1:1] = contents_of(conversation)


async def async_remember(  # noqa: PLR0913 - what a turn is made of
    history: History,
    chat_log: ChatLog,
    agent_id: str,
    outcome: Outcome,
    *,
    source: Source,
    user_id: str | None = None,
    device_id: str | None = None,
) -> None:
    """Store the newest turn of a chat log.

    A turn of an action is on disk when this returns, one of Assist some seconds later. Raises
    HistoryError if it cannot be stored.
    """
    start = max(index for index, one in enumerate(chat_log.content) if isinstance(one, UserContent))
    said = chat_log.content[start]
    usage = outcome.usage
    turn = Turn(
        messages=messages_of(chat_log.content[start:], agent_id),
        created=said.created,
        agent_id=agent_id,
        user_id=user_id,
        device_id=device_id,
        usage=Usage(
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
    )


def position_of(content: Content, chat_log: ChatLog) -> int:
    """Return where in a chat log this very content stands; equal ones may stand elsewhere."""
    return next(index for index, one in enumerate(chat_log.content) if one is content)
