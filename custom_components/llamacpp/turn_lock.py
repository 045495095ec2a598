"""Serialise the turns of a conversation, for all agents and callers."""

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from homeassistant.components.conversation.chat_log import DATA_CHAT_LOGS, current_chat_log
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from homeassistant.core import HomeAssistant

# Limit of the wait, as long as one turn can take: a longer queue cannot be answered in time.
QUEUE_SECONDS = 300.0
POLL_SECONDS = 0.1
_LOCKS: HassKey[WeakValueDictionary[str, asyncio.Lock]] = HassKey(f"{DOMAIN}_turns")
# Conversations whose turn this task is part of: a tool may use its own conversation.
_within: ContextVar[frozenset[str]] = ContextVar("llamacpp_turns", default=frozenset())


class ConversationBusyError(HomeAssistantError):
    """The earlier turns have taken too long."""

    def __init__(self) -> None:
        """Initialize with the translated message."""
        super().__init__(translation_domain=DOMAIN, translation_key="conversation_busy")


@asynccontextmanager
async def async_turn_of(
    hass: HomeAssistant, conversation_id: str | None, *, seconds: float | None = None
) -> AsyncGenerator[None]:
    """Wait for earlier turns of a conversation, and make later ones wait.

    conversation_id: None for a new one. seconds: limit of the wait, by default `QUEUE_SECONDS`.
    Raises ConversationBusyError after that time.
    """
    seconds = QUEUE_SECONDS if seconds is None else seconds
    if conversation_id is None or conversation_id in _within.get():
        yield
        return
    locks = hass.data.setdefault(_LOCKS, WeakValueDictionary())
    lock = locks.setdefault(conversation_id, asyncio.Lock())
    try:
        async with asyncio.timeout(seconds):
            await lock.acquire()
    except TimeoutError:
        raise ConversationBusyError from None
    try:
        await _until_closed(hass, conversation_id, seconds)
        token = _within.set(_within.get() | {conversation_id})
        try:
            yield
        finally:
            _within.reset(token)
    finally:
        lock.release()


async def _until_closed(hass: HomeAssistant, conversation_id: str, seconds: float) -> None:
    """Wait until no other turn, such as a voice pipeline's, has the chat log open.

    Since 2026.11 Home Assistant rejects a second one.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                chat_log = hass.data.get(DATA_CHAT_LOGS, {}).get(conversation_id)
                is_open = chat_log is not current_chat_log.get() and getattr(
                    chat_log, "turn_active", False
                )
                if not is_open:
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise ConversationBusyError from None
