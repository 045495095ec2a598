"""Slots of the server that are filled with processed prompts from its own disk."""

from typing import TYPE_CHECKING

from ..client import LlamaServerError
from ..const import LOGGER
from .fingerprint import prefix_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..client import ChatRequest, LlamaServerClient
    from .cache_state import CacheState
    from .slot_affinity import ConversationRef
    from .slot_files import SlotFiles

# Processed prompts are written from, and first read into, this slot.
SLOT = 0


class SlotAllocator:
    """Has one server read what it has written of the agents' prompts, where it is needed."""

    def __init__(self, client: LlamaServerClient, saved: SlotFiles) -> None:
        """Begin with a server that answers one request at a time."""
        self._client = client
        self._saved = saved
        self.n_slots = 1

    async def slot_for(
        self,
        kept: CacheState,
        agent_id: str,
        request: ChatRequest,
        talk: ConversationRef,
        *,
        has_lost: bool,
    ) -> int | None:
        """Return the slot in which a conversation with an agent is to go on, warm.

        request: what the server is about to be asked. has_lost: it does not keep prompts beside
        those in its slots. None: it is to choose. So it does if it has only one slot, or cannot
        write them.
        """
        model, prefix = request.get("model"), prefix_of(request)
        if talk.is_once:
            return await self._choose_once(kept, model, talk)
        if kept.is_empty:
            await self._read_first(kept, agent_id, request, autoload=True)
        if self.n_slots > 1:
            return await self._choose(kept, agent_id, request, talk)
        is_lost = has_lost and not kept.slots.is_filled(SLOT, prefix)
        if (is_lost or prefix in kept.on_disk) and self._saved.has(agent_id, model, prefix):
            await self._read(kept, SLOT, agent_id, model, prefix)
        return None

    async def _choose(
        self, kept: CacheState, agent_id: str, request: ChatRequest, talk: ConversationRef
    ) -> int | None:
        """Return one of several slots: the conversation's own, or one that is free and filled."""
        model, prefix = request.get("model"), prefix_of(request)
        idle = await self._idle_slots(model)
        if kept.following is not None:
            # At work with some tokens at most: whoever has just spoken there may speak again.
            idle.append(kept.following)
            kept.following = None
        slot = kept.slots.of(talk.conversation_id)
        if kept.begun:
            begun_agent, begun_slot = kept.begun
            if slot is None and begun_agent == agent_id:
                slot = begun_slot
            if slot == begun_slot:
                # It may still be at work with a batch: any other slot would begin anew.
                kept.slots.give(slot, talk)
                return slot
        can_fill = self._can_fill(agent_id, model, prefix)
        if slot is None and can_fill:
            slot = kept.slots.free(idle, prefix, talk)
        if slot is None or slot not in idle:
            return None
        kept.slots.give(slot, talk)
        if can_fill and not kept.slots.is_filled(slot, prefix):
            await self._read(kept, slot, agent_id, model, prefix)
        return slot

    async def _choose_once(
        self, kept: CacheState, model: str | None, talk: ConversationRef
    ) -> int | None:
        """Return the slot that is wanted least, so that it is known what is pushed out."""
        if self.n_slots < 2 or not self._saved.is_supported(model):  # noqa: PLR2004 - there is no choice
            return None
        slot = kept.slots.least_wanted(await self._idle_slots(model))
        if slot is not None:
            kept.slots.give(slot, talk)
        return slot

    async def read_ahead(
        self, kept: CacheState, agent_id: str, request: ChatRequest, *, autoload: bool
    ) -> bool:
        """Have the server read a prompt if it has it on its disk and nowhere else.

        autoload: whether a router may load the model for that. Returns whether it did.
        """
        # If it was written, another prompt has taken its place since.
        if kept.is_empty or self._saved.has(agent_id, request.get("model"), prefix_of(request)):
            return await self._read_first(kept, agent_id, request, autoload=autoload)
        return False

    async def _read_first(
        self, kept: CacheState, agent_id: str, request: ChatRequest, *, autoload: bool
    ) -> bool:
        """Have the server read what it has of an agent, which need not be the newest prompt."""
        model, prefix = request.get("model"), prefix_of(request)
        kept.is_empty = False
        is_known = self._saved.has(agent_id, model, prefix)
        is_read = await self._saved.restore(SLOT, agent_id, model, autoload=autoload)
        if is_read:
            kept.note_read(SLOT, prefix, is_known=is_known)
        return is_read

    async def slot_to_prove(
        self, kept: CacheState, agent_id: str, request: ChatRequest
    ) -> int | None:
        """Have the server read a prompt into one slot of several, and return that slot.

        None: it is known whether the model goes on from what was read, or no slot is free. Else
        that is to be seen there, before slots are filled that may hold what is good.
        """
        model, prefix = request.get("model"), prefix_of(request)
        can_prove = self.n_slots > 1 and self._saved.has(agent_id, model, prefix)
        if not can_prove or self._saved.is_proven(model):
            return None
        idle = [slot for slot in await self._idle_slots(model) if slot != SLOT]
        slot = kept.slots.least_wanted([one for one in idle if not kept.slots.is_needed(one)])
        if slot is None or not await self._read(kept, slot, agent_id, model, prefix):
            return None
        return slot

    async def fill_others(
        self, kept: CacheState, agent_id: str, request: ChatRequest, may_go_on: Callable[[], bool]
    ) -> None:
        """Have the other slots read what was written, before somebody waits for that.

        Not those of conversations that may be gone on with, unless they begin with a prompt that
        no agent has any more: that would have to be read then.
        """
        model, prefix = request.get("model"), prefix_of(request)
        if self.n_slots < 2 or not self._can_fill(agent_id, model, prefix):  # noqa: PLR2004 - there are no others
            return
        for slot in await self._idle_slots(model):
            if not may_go_on():
                return
            if kept.is_outdated(slot):
                kept.slots.release(slot)
            if not (kept.slots.is_needed(slot) or kept.slots.is_filled(slot, prefix)):
                await self._read(kept, slot, agent_id, model, prefix)

    def to_tell(
        self, kept: CacheState, agent_id: str, request: ChatRequest, notes: Iterable[str]
    ) -> dict[int, str]:
        """Return in which slots which notes are to be processed behind a prompt that was written.

        notes: the likeliest to be needed first.
        """
        model, prefix = request.get("model"), prefix_of(request)
        if self.n_slots < 2 or not self._saved.has(agent_id, model, prefix):  # noqa: PLR2004 - a single one has the newest
            return {}
        usable = [slot for slot in range(self.n_slots) if not kept.slots.is_needed(slot)]
        return kept.slots.to_tell(prefix, notes, usable)

    async def _read(
        self, kept: CacheState, slot: int, agent_id: str, model: str | None, prefix: bytes
    ) -> bool:
        is_read = await self._saved.restore(slot, agent_id, model, autoload=False)
        if is_read:
            kept.note_read(slot, prefix, is_known=True)
        return is_read

    def _can_fill(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Tell whether slots can be filled with a prompt that was written."""
        return self._saved.has(agent_id, model, prefix) and self._saved.is_proven(model)

    async def _idle_slots(self, model: str | None) -> list[int]:
        """Return the slots that are not at work, none if the server does not tell."""
        try:
            return [one.id for one in await self._client.slots(model) if not one.is_processing]
        except LlamaServerError as err:
            LOGGER.debug("The server does not tell of its slots: %s", err)
            return []
