"""A slot of the server for each conversation, so that several can be gone on with in turns.

A llama-server gives a request to the slot whose prompt is most like it. All prompts of a home are
alike, so one slot would get all conversations, each of which pushes out what was said in another.
"""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# Home Assistant ends a conversation after so long.
IDLE_SECONDS = 300.0


class ConversationSlots:
    """Knows which conversation has which slot, and what each slot begins with."""

    def __init__(self) -> None:
        """Begin with empty slots."""
        # By slot: the conversation, and when it was gone on with (monotonic seconds).
        self._owners: dict[int, tuple[str, float]] = {}
        # By slot: a digest of the prompt that it begins with.
        self._filled: dict[int, bytes] = {}

    def forget(self) -> None:
        """Take note that the slots may hold anything."""
        self._owners.clear()
        self._filled.clear()

    def fill(self, slot: int, prefix: bytes) -> None:
        """Take note of the prompt that a slot begins with."""
        self._filled[slot] = prefix

    def is_filled(self, slot: int, prefix: bytes) -> bool:
        """Tell whether a slot begins with this prompt."""
        return self._filled.get(slot) == prefix

    def take(self, conversation_id: str, idle: Collection[int]) -> int | None:
        """Return the slot for a conversation, its own or else the one unused for longest.

        idle: the slots that are not at work. None if the conversation's own is not among them, or
        there is none.
        """
        now = time.monotonic()
        for slot, (owner, _) in self._owners.items():
            if owner == conversation_id:
                if slot not in idle:
                    return None
                self._owners[slot] = (conversation_id, now)
                return slot

        def last_used(slot: int) -> float:
            owned_at = self._owners[slot][1] if slot in self._owners else 0.0
            # Of those that nobody needs any more, the first one is warmed up.
            return owned_at if now - owned_at < IDLE_SECONDS else 0.0

        if not idle:
            return None
        chosen = min(sorted(idle), key=last_used)
        self._owners[chosen] = (conversation_id, now)
        return chosen
