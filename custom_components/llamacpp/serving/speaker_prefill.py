"""What goes before a user's words: notes on those who may speak, and what was said before."""

from typing import TYPE_CHECKING

from .fingerprint import prefix_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..client import ChatRequest
    from .background import PreemptibleRequests
    from .budget import PrefillBudget
    from .cache_state import CacheState
    from .slot_allocator import SlotAllocator

type Told = Mapping[str, Sequence[ChatRequest]]

# Whoever has just spoken may speak again, and would find the server at work.
QUIET_SECONDS = 3.0


class SpeakerPrefill:
    """Has one server process what it is told of those who may speak."""

    def __init__(self, ahead: PreemptibleRequests, filling: SlotAllocator) -> None:
        """Begin with nobody."""
        self._ahead = ahead
        self._filling = filling
        # By agent: the request with its prompt, and those with the notes besides.
        self._newest: dict[str, tuple[ChatRequest, Told]] = {}

    def note(self, agent_id: str, request: ChatRequest, told: Told) -> None:
        """Take note of an agent's newest prompt, and of the notes that go with it.

        told: by notes, the likeliest to be needed first, requests that end with more and more of
        the note, so that none has many tokens more than the one before.
        """
        self._newest[agent_id] = (request, told)

    def drop(self, agent_id: str) -> None:
        """Forget an agent."""
        self._newest.pop(agent_id, None)

    def model_of(self, agent_id: str) -> str | None:
        """Return the model that an agent's newest request names."""
        return self._newest[agent_id][0].get("model") if agent_id in self._newest else None

    def is_due(self, kept: CacheState, agent_id: str) -> bool:
        """Tell whether there are notes that could be processed."""
        return bool(self._places(kept, agent_id))

    async def tell(self, kept: CacheState, agent_id: str, spending: PrefillBudget) -> bool:
        """Have notes processed where nobody needs the slot; return whether all were.

        spending: counts what that takes. Raises LlamaServerError.
        """
        if agent_id not in self._newest:
            return True
        request, told = self._newest[agent_id]
        await self._filling.fill_others(
            kept, agent_id, request, may_go_on=lambda: not self._ahead.is_paused
        )
        prefix = prefix_of(request)
        for slot, note in self._places(kept, agent_id).items():
            if not kept.slots.is_filled(slot, prefix):
                # The server could not read the prompt: all of it would be processed.
                continue
            for one in told[note]:
                if self._ahead.is_paused:
                    return False
                body = {**one, "max_tokens": 1, "id_slot": slot}
                completion = await self._ahead.process(body, autoload=False, is_beginning=True)
                if completion is None:
                    return False
                spending.add(completion.usage, is_ahead=True)
            kept.note_processed(slot, prefix, note)
        return True

    async def follow(self, kept: CacheState, request: ChatRequest, spending: PrefillBudget) -> None:
        """Have a conversation's next turn processed up to the user's words, which are empty.

        The server has written its answer itself, and may read it in other tokens. spending: counts
        what that takes. Raises LlamaServerError.
        """
        kept.following = request.get("id_slot")
        is_given_up = False
        try:
            completion = await self._ahead.process({**request, "max_tokens": 1}, autoload=False)
            is_given_up = completion is None
        finally:
            if not is_given_up:
                kept.following = None
        if completion is None:
            spending.add_unknown()
        else:
            spending.add(completion.usage, is_ahead=True)

    def _places(self, kept: CacheState, agent_id: str) -> dict[int, str]:
        if agent_id not in self._newest:
            return {}
        request, told = self._newest[agent_id]
        return self._filling.to_tell(kept, agent_id, request, told)
