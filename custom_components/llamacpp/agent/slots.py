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

    def beginning_of(self, slot: int) -> bytes | None:
        """Return the prompt that a slot begins with, None if that is not known."""
        return self._filled.get(slot)

    def is_filled(self, slot: int, prefix: bytes) -> bool:
        """Tell whether a slot begins with this prompt."""
        return self._filled.get(slot) == prefix

    def of(self, conversation_id: str) -> int | None:
        """Return the slot that a conversation has been in, None if it has none."""
        found = (slot for slot, (owner, _) in self._owners.items() if owner == conversation_id)
        return next(found, None)

    def give(self, slot: int, conversation_id: str) -> None:
        """Have a conversation go on in this slot."""
        self._owners[slot] = (conversation_id, time.monotonic())

    def free(self, idle: Collection[int]) -> int | None:
        """Return the slot for a new conversation: the one that has been unused for longest.

        idle: the slots that are not at work. None if there is none.
        """
        # Of those that nobody needs any more, the first one is warmed up.
        return min(sorted(idle), key=self._needed_at, default=None)

    def is_needed(self, slot: int) -> bool:
        """Tell whether the conversation in a slot may be gone on with."""
        return self._needed_at(slot) > 0

    def _needed_at(self, slot: int) -> float:
        """Return when a slot was used by a conversation that may be gone on with, 0 if by none."""
        owned_at = self._owners[slot][1] if slot in self._owners else 0.0
        return owned_at if time.monotonic() - owned_at < IDLE_SECONDS else 0.0
