"""Turns of conversations: what is sent to the model, and what is kept of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from .conversations import Message, UnknownConversationError
from .errors import AppError
from .upstream import TooLongError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from .conversations import ConversationStore
    from .upstream import Piece, Upstream

    type Settings = Mapping[str, Any]
    type Tell = Callable[[str], Awaitable[None]]

# More than this wait for nothing but each other.
MAX_WAITING: Final = 16
TURN_SECONDS: Final = 600.0


async def silently(text: str) -> None:
    """Tell nobody."""


class BusyError(AppError):
    """Too many are waiting for an answer."""


@dataclass(slots=True)
class Answer:
    """An answer: its words, why it ended, and what it took."""

    text: str = ""
    finish_reason: str = "unknown"
    usage: Mapping[str, int] | None = None
    timings: Mapping[str, float] | None = None
    model: str | None = None
    message_count: int | None = None

    def add(self, piece: Piece) -> None:
        """Take a piece of it."""
        self.text += piece.text
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.usage = piece.usage or self.usage
        self.timings = piece.timings or self.timings
        self.model = piece.model or self.model


class Turns:
    """Answers messages, at most so many at a time, and stores those of conversations.

    parallel: how many llama-server answers at the same time.
    """

    def __init__(self, upstream: Upstream, store: ConversationStore, parallel: int) -> None:
        """Begin with nobody waiting."""
        self._upstream = upstream
        self._store = store
        self._running = asyncio.Semaphore(parallel)
        self._n_present = 0
        self._most_present = parallel + MAX_WAITING
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def n_present(self) -> int:
        """How many are being answered, or wait for it."""
        return self._n_present

    async def once(
        self, message: str, system_prompt: str | None, settings: Settings, tell: Tell = silently
    ) -> Answer:
        """Answer one message, whose words are told as they come. Raises AppError."""
        said = {"role": "user", "content": message}
        async with self._turn(contextlib.nullcontext()):
            return await self._answer([*_system(system_prompt), said], settings, tell)

    async def within(
        self, conversation_id: str, message: str, settings: Settings, tell: Tell = silently
    ) -> Answer:
        """Answer a message within a conversation, and store the turn before this returns.

        Two messages to one conversation are answered one after the other. A turn that fails, or is
        given up, leaves no trace. Raises AppError.
        """
        async with self._turn(self._locks.setdefault(conversation_id, asyncio.Lock())):
            conversation = await self._store.get(conversation_id)
            if conversation is None:
                raise UnknownConversationError(f"There is no conversation {conversation_id}.")
            asked = time.time()
            answer = await self._answer_that_fits(
                _system(conversation.system_prompt),
                await self._store.messages(conversation_id),
                {"role": "user", "content": message},
                settings,
                tell,
            )
            usage = answer.usage or {}
            answer.message_count = await self._store.add_turn(
                conversation_id,
                Message("user", message, asked),
                Message(
                    "assistant",
                    answer.text,
                    time.time(),
                    usage.get("prompt_tokens"),
                    usage.get("completion_tokens"),
                ),
            )
            return answer

    async def _answer_that_fits(
        self,
        system: list[dict[str, str]],
        earlier: Sequence[Message],
        said: dict[str, str],
        settings: Settings,
        tell: Tell,
    ) -> Answer:
        """Answer with as many of the earlier turns as the context holds."""
        kept = [{"role": one.role, "content": one.content} for one in earlier]
        while True:
            try:
                return await self._answer([*system, *kept, said], settings, tell)
            except TooLongError:
                if not kept:
                    raise
                kept = _newer_half(kept)

    async def _answer(
        self, messages: Sequence[Mapping[str, str]], settings: Settings, tell: Tell
    ) -> Answer:
        answer = Answer()
        body = {"messages": list(messages), **settings}
        pieces_of = self._upstream.chat(body, is_live=tell is not silently)
        async with contextlib.aclosing(pieces_of) as pieces:
            async for piece in pieces:
                answer.add(piece)
                if piece.text:
                    await tell(piece.text)
        return answer

    @asynccontextmanager
    async def _turn(self, lock: AbstractAsyncContextManager[None]) -> AsyncGenerator[None]:
        """Wait for a free place; raises BusyError if too many do already.

        lock: of the conversation, if there is one. It comes first: who waits for an earlier message
        of the same conversation takes nobody's place.
        """
        if self._n_present >= self._most_present:
            raise BusyError("Too many are waiting for an answer: try again in a moment.")
        self._n_present += 1
        try:
            async with asyncio.timeout(TURN_SECONDS), lock, self._running:
                yield
        except TimeoutError as err:
            raise UpstreamError("timeout", "The answer took too long.", 504) from err
        finally:
            self._n_present -= 1


def _system(prompt: str | None) -> list[dict[str, str]]:
    return [{"role": "system", "content": prompt}] if prompt else []


def _newer_half(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the newer half of a conversation, from the beginning of a turn on."""
    # A turn is two messages: what was said, and the answer.
    return messages[(len(messages) + 2) // 4 * 2 :]
