"""The prompts of agents, processed before somebody waits for an answer.

Reading the prompt of a home takes nearly all of the time to a small model's answer, and a
llama-server that has read it once starts the next answer behind it.
"""

import asyncio
import json
import time
from collections import deque
from contextlib import aclosing, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from ..const import LOGGER
from ..server import Completion, LlamaServerError, ServerTimeoutError
from .change import PromptParts
from .saved import SavedPrompts
from .slots import IDLE_SECONDS, ConversationSlots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..server import LlamaServerClient
    from .change import Changed
    from .request import Request

# Parts of a request, besides the first message, that change the beginning of the prompt.
_PREFIX_FIELDS = ("model", "tools", "chat_template_kwargs")
# All agents of a server together may have so many tokens processed ahead in an hour: some twenty
# prompts of a large home. More is a prompt that changes all the time.
MAX_TOKENS_PER_HOUR = 100_000
HOUR_SECONDS = 3600.0
# A Raspberry Pi processes the prompt of a large home in some six minutes.
WARM_UP_SECONDS = 1200.0
# Processed prompts are written from, and read into, this slot.
SLOT = 0


class WarmUp(Protocol):
    """Makes an agent's prompt and has the warmer process it."""

    async def __call__(self, *, autoload: bool) -> None:
        """autoload: whether the model may be loaded for that. Raises what that raises."""


class Warmer:
    """Has one server process its agents' prompts: one at a time, and never while somebody waits.

    What a server has processed is forgotten with `forget`, when it has been started anew.
    """

    def __init__(
        self, client: LlamaServerClient, on_displaced: Callable[[], None] = lambda: None
    ) -> None:
        """Begin with a server of which nothing is known.

        on_displaced: called when prompts are to be processed: another one may have pushed that of
        the agent out that is likeliest to be asked next, or somebody who asked has put it off.
        """
        self._client = client
        self._on_displaced = on_displaced
        self._saved = SavedPrompts(client)
        self._slots = ConversationSlots()
        self._lock = asyncio.Lock()
        self._n_pauses = 0
        self._task: asyncio.Task[Completion] | None = None
        # By agent, the beginning of the newest prompt that the server has processed.
        self._processed: dict[str, bytes] = {}
        # The agent whose prompt the server has in part only, for somebody has asked meanwhile.
        self._begun: str | None = None
        # Agents whose prompts were processed while somebody waited, and are still to be written.
        self._unwritten: set[str] = set()
        self._asked_at = -IDLE_SECONDS
        # By agent, the newest prompt that somebody has waited for.
        self._parts: dict[str, PromptParts] = {}
        # By agent, the one that was asked or made last behind all others.
        self._warm_ups: dict[str, WarmUp] = {}
        self._spent: deque[tuple[float, int]] = deque()
        self._is_displaced = False
        # Whether a prompt was not processed because somebody asked.
        self._is_put_off = False
        self._is_empty = False
        # How many requests the server answers at a time.
        self.n_slots = 1
        # Tokens of prompts of our own requests since they were last asked for.
        self._n_own_tokens = 0
        self._is_own_known = True

    def register(self, agent_id: str, warm_up: WarmUp) -> Callable[[], None]:
        """Take note of how an agent's prompt is made and processed; returns what ends that."""
        self._warm_ups[agent_id] = warm_up

        def unregister() -> None:
            self._warm_ups.pop(agent_id, None)
            self._processed.pop(agent_id, None)
            self._unwritten.discard(agent_id)

        return unregister

    async def warm_all(self, *, anew: bool = False, autoload: bool = False) -> None:
        """Process the prompts of all agents that are not; the one that was asked last comes last.

        Then its prompt is the one that a server keeps which has room for only one. anew: also those
        that count as processed. Raises what the warm-ups raise, once all have been tried.
        """
        failure: Exception | None = None
        self._is_displaced = self._is_put_off = False
        for agent_id, warm_up in list(self._warm_ups.items()):
            if anew:
                self._processed.pop(agent_id, None)
            try:
                await warm_up(autoload=autoload)
            except Exception as err:  # noqa: BLE001 - raised below
                failure = err
        if failure:
            raise failure

    async def warm_up(self, agent_id: str) -> None:
        """Process the prompt of an agent anew; raises KeyError, and what its warm-up raises."""
        self._processed.pop(agent_id, None)
        await self._warm_ups[agent_id](autoload=True)

    def forget(self, *, is_empty: bool = True) -> None:
        """Take note that nothing is known of the server's memory, or that it is empty."""
        self._processed.clear()
        self._unwritten.clear()
        self._parts.clear()
        self._slots.forget()
        self._begun = None
        self._is_empty = is_empty
        self._saved.forget()

    @property
    def is_busy(self) -> bool:
        """Return whether somebody waits for an answer, or a warm-up is under way."""
        return self._n_pauses > 0 or self._task is not None

    @property
    def is_to_write(self) -> bool:
        """Return whether a prompt is still to be written, and nobody goes on with a conversation.

        It is written without what was said, so the server forgets that.
        """
        return bool(self._unwritten) and time.monotonic() - self._asked_at >= IDLE_SECONDS

    def take_own_tokens(self) -> int | None:
        """Return how many tokens the prompts had that were sent since the last call.

        None if nobody knows, for the server has processed some whose end was not waited for.
        """
        count, self._n_own_tokens = self._n_own_tokens, 0
        is_known, self._is_own_known = self._is_own_known, True
        return count if is_known else None

    @contextmanager
    def asking(
        self, agent_id: str, *, is_own: bool = True
    ) -> Iterator[Callable[[Mapping[str, Any], Completion], Changed]]:
        """Keep warm-ups away while somebody waits for an answer.

        is_own: the agent is asked with the prompt that is kept warm. Yields what takes note of a
        request that the server has processed, and of what that took; it returns what was another
        than in the agent's request before.
        """

        def note(request: Mapping[str, Any], completion: Completion) -> Changed:
            self._is_empty = False
            parts = PromptParts.of(request)
            changed = parts.changed_since(self._parts.get(agent_id))
            self._parts[agent_id] = parts
            if usage := completion.usage:
                self._n_own_tokens += usage.prompt_tokens
            prefix = _prefix(request)
            if is_own and agent_id in self._warm_ups:
                self._warm_ups[agent_id] = self._warm_ups.pop(agent_id)
                self._note_processed(agent_id, request, prefix)
            elif prefix not in self._processed.values():
                self._is_displaced = True
            return changed

        with self.paused():
            try:
                yield note
            except BaseException:
                self._is_own_known = False
                raise
        if self._n_pauses:
            return
        if self._is_displaced:
            self.displaced()
        elif self._is_put_off:
            self._on_displaced()

    def _note_processed(self, agent_id: str, request: Mapping[str, Any], prefix: bytes) -> None:
        self._processed[agent_id] = prefix
        if self._begun == agent_id:
            self._begun = None
        if (slot := request.get("id_slot")) is not None:
            self._slots.fill(slot, prefix)
        if self._saved.lacks(agent_id, request.get("model"), prefix):
            self._unwritten.add(agent_id)

    def displaced(self) -> None:
        """Have the prompt processed again of the agent that is likeliest to be asked next."""
        self._is_displaced = False
        self._slots.forget()
        if agent_id := next(reversed(self._warm_ups), None):
            self._processed.pop(agent_id, None)
            self._on_displaced()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep warm-ups away, and end the one that is under way."""
        self._n_pauses += 1
        if self._task:
            self._task.cancel()
        try:
            yield
        finally:
            self._n_pauses -= 1
            self._asked_at = time.monotonic()

    async def restore(self, agent_id: str, model: str | None, *, autoload: bool = True) -> bool:
        """Give a server whose memory is empty what it has written to its disk of this agent.

        autoload: whether a router may load the model for that. Returns whether it has read it.
        """
        if not self._is_empty:
            return False
        self._is_empty = False
        return await self._saved.restore(SLOT, agent_id, model, autoload=autoload)

    async def slot_for(self, agent_id: str, request: Request, conversation_id: str) -> int | None:
        """Return the slot in which a conversation with an agent is to go on, warm.

        request: what the server is about to be asked. None: it is to choose. So it does if it has
        only one slot, or cannot write them.
        """
        if self.n_slots < 2:  # noqa: PLR2004 - one is no choice
            return None
        model, prefix = request.get("model"), _prefix(request)
        idle = await self._idle_slots(model)
        slot = self._slots.of(conversation_id)
        if slot is None and self._begun == agent_id:
            slot = SLOT
        if slot == SLOT and self._begun:
            # It may still be at work with a batch: any other slot would begin anew.
            self._slots.give(slot, conversation_id)
            return slot
        can_fill = self._can_fill(agent_id, model, prefix)
        if slot is None and can_fill:
            slot = self._slots.free(idle)
        if slot is None or slot not in idle:
            return None
        self._slots.give(slot, conversation_id)
        if can_fill and not self._slots.is_filled(slot, prefix):
            await self._fill(slot, agent_id, model, prefix)
        return slot

    async def _fill(self, slot: int, agent_id: str, model: str | None, prefix: bytes) -> None:
        """Have a slot read what was written of a prompt."""
        if await self._saved.restore(slot, agent_id, model, autoload=False):
            self._slots.fill(slot, prefix)

    def _can_fill(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Tell whether there are several slots, and what each of them can read."""
        return self.n_slots > 1 and self._saved.has(agent_id, model, prefix)

    async def _idle_slots(self, model: str | None) -> list[int]:
        """Return the slots that are not at work, none if the server does not tell."""
        try:
            return [one.id for one in await self._client.slots(model) if not one.is_processing]
        except LlamaServerError as err:
            LOGGER.debug("The server does not tell of its slots: %s", err)
            return []

    async def warm(self, agent_id: str, request: Request, *, autoload: bool) -> bool:
        """Have the server process the prompt of a request, unless it just has.

        autoload: whether a router may load the model for that; if not, it refuses.

        Returns whether it did: not if nothing has changed, nor if somebody waits for an answer,
        before or meanwhile, nor if too much was processed ahead in the last hour. Raises
        LlamaServerError.
        """
        prefix = _prefix(request)
        async with self._lock:
            if self._is_done(agent_id, prefix) or self._has_spent():
                return False
            if not self._n_pauses:
                await self._read(agent_id, request.get("model"), prefix, autoload=autoload)
            if self._n_pauses:
                self._is_put_off = True
                return False
            body = {**request, "max_tokens": 1}
            if self.n_slots > 1:
                # Which slot the server would choose is not known, and one must be written.
                body["id_slot"] = SLOT
            self._task = asyncio.create_task(self._process(body, autoload=autoload))
            try:
                await asyncio.wait({self._task})
            finally:
                self._task.cancel()
                task, self._task = self._task, None
            if task.cancelled():
                self._is_own_known = False
                self._is_put_off = True
                self._begun = agent_id
                return False
            self._begun = None
            self._note_spent(task.result())
            self._processed[agent_id] = prefix
            self._slots.fill(SLOT, prefix)
            self._unwritten.discard(agent_id)
            await self._saved.save(SLOT, agent_id, request.get("model"), prefix)
            await self._fill_slots(agent_id, request.get("model"), prefix)
            return True

    def _is_done(self, agent_id: str, prefix: bytes) -> bool:
        """Tell whether the server has a prompt, also on its disk if it is time for that."""
        is_to_write = agent_id in self._unwritten and self.is_to_write
        return self._processed.get(agent_id) == prefix and not is_to_write

    async def _fill_slots(self, agent_id: str, model: str | None, prefix: bytes) -> None:
        """Have the other slots read what was written, before somebody waits for that.

        Not those of conversations that may be gone on with.
        """
        if not self._can_fill(agent_id, model, prefix):
            return
        for slot in await self._idle_slots(model):
            if self._n_pauses:
                return
            if not (self._slots.is_needed(slot) or self._slots.is_filled(slot, prefix)):
                await self._fill(slot, agent_id, model, prefix)

    async def _read(
        self, agent_id: str, model: str | None, prefix: bytes, *, autoload: bool
    ) -> None:
        """Have the server read the prompt from its disk, if it has it there and nowhere else."""
        # Since it was written, another prompt has taken its place.
        self._is_empty |= self._saved.has(agent_id, model, prefix)
        await self.restore(agent_id, model, autoload=autoload)

    def _has_spent(self) -> bool:
        """Tell whether the hour's tokens are used up."""
        while self._spent and time.monotonic() - self._spent[0][0] > HOUR_SECONDS:
            self._spent.popleft()
        if sum(tokens for _, tokens in self._spent) < MAX_TOKENS_PER_HOUR:
            return False
        LOGGER.debug("Nothing is warmed up: too much was, within the hour")
        return True

    def _note_spent(self, completion: Completion) -> None:
        if usage := completion.usage:
            self._n_own_tokens += usage.prompt_tokens
            self._spent.append((time.monotonic(), usage.prompt_tokens - usage.cached_tokens))

    async def _process(self, request: Request, *, autoload: bool) -> Completion:
        completion = Completion(usage=None, timings=None)
        try:
            async with (
                asyncio.timeout(WARM_UP_SECONDS),
                aclosing(self._client.stream_chat(request, autoload=autoload)) as events,
            ):
                async for event in events:
                    if isinstance(event, Completion):
                        completion = event
        except TimeoutError as err:
            raise ServerTimeoutError("The prompt was not processed in time") from err
        return completion


def _prefix(request: Mapping[str, Any]) -> bytes:
    """Return a digest of the part of the prompt that stays from one question to the next."""
    parts = [request["messages"][0], *(request.get(name) for name in _PREFIX_FIELDS)]
    return sha256(json.dumps(parts).encode()).digest()
