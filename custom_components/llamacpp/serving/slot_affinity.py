"""A slot of the server for each conversation, so that several can be gone on with in turns.

A llama-server gives a request to the slot whose prompt is most like it. All prompts of a home are
alike, so one slot would get all conversations, each of which pushes out what was said in another.
"""

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Home Assistant ends a conversation after so long.
IDLE_SECONDS = 300.0


class ConversationRef(NamedTuple):
    """A conversation that is gone on with.

    speaker: who has one conversation at a time, None if nobody in particular. note: what the model
    is told of the speaker beside the home. is_once: it is not gone on with, and its prompt is not
    kept warm.
    """

    conversation_id: str
    speaker: str | None = None
    note: str | None = None
    is_once: bool = False


class SlotAffinity:
    """Knows which conversation has which slot, and what each slot begins with."""

    def __init__(self) -> None:
        """Begin with empty slots."""
        # By slot: the conversation, and when it was gone on with (monotonic seconds).
        self._owners: dict[int, tuple[str, float]] = {}
        # By slot: who has spoken there last, and the note for which it is kept.
        self._speakers: dict[int, str] = {}
        self._notes: dict[int, str] = {}
        # By slot: a digest of the prompt that it begins with, and the note that follows that.
        self._filled: dict[int, tuple[bytes, str | None]] = {}

    def forget(self) -> None:
        """Take note that the slots may hold anything."""
        self._owners.clear()
        self._filled.clear()

    def fill(self, slot: int, prefix: bytes, note: str | None = None) -> None:
        """Take note of the prompt that a slot begins with, and of the note that follows it."""
        self._filled[slot] = (prefix, note)
        if note is not None:
            self._notes[slot] = note

    def beginning_of(self, slot: int) -> bytes | None:
        """Return the prompt that a slot begins with, None if that is not known."""
        return self._filled[slot][0] if slot in self._filled else None

    def is_filled(self, slot: int, prefix: bytes) -> bool:
        """Tell whether a slot begins with this prompt."""
        return self.beginning_of(slot) == prefix

    def of(self, conversation_id: str) -> int | None:
        """Return the slot that a conversation has been in, None if it has none."""
        found = (slot for slot, (owner, _) in self._owners.items() if owner == conversation_id)
        return next(found, None)

    def note_for(self, slot: int) -> str | None:
        """Return the note for which a slot is kept, None if for none."""
        return self._notes.get(slot)

    def give(self, slot: int, talk: ConversationRef) -> None:
        """Have a conversation go on in this slot."""
        self._owners[slot] = (talk.conversation_id, time.monotonic())
        for kept, value in ((self._speakers, talk.speaker), (self._notes, talk.note)):
            kept.pop(slot, None)
            if value is not None:
                kept[slot] = value

    def free(self, idle: Collection[int], prefix: bytes, talk: ConversationRef) -> int | None:
        """Return the slot for a new conversation.

        One that nobody needs any more, as the speaker does not go on with the conversation before:
        best one that begins with the prompt and the note. At last that of somebody who is told the
        same, or that is unused for longest. idle: the slots that are not at work. None if there is
        none.
        """

        def reluctance(slot: int) -> tuple[float | bool, ...]:
            is_own = talk.speaker is not None and self._speakers.get(slot) == talk.speaker
            needed_at = 0.0 if is_own else self._needed_at(slot)
            return (
                needed_at > 0,
                talk.note is None or self._filled.get(slot) != (prefix, talk.note),
                not is_own,
                talk.note is None or self._notes.get(slot) != talk.note,
                needed_at,
                slot in self._notes,
            )

        # Of those that are as good as each other, the first one is warmed up.
        return min(sorted(idle), key=reluctance, default=None)

    def least_wanted(self, idle: Collection[int]) -> int | None:
        """Return the slot for what is not gone on with; None if there is none.

        idle: the slots that are not at work.
        """
        # Those who are likeliest to speak have the first slots.
        return min(sorted(idle, reverse=True), key=self._needed_at, default=None)

    def release(self, slot: int) -> None:
        """Take note that nobody goes on in this slot."""
        self._owners.pop(slot, None)
        self._speakers.pop(slot, None)

    def is_needed(self, slot: int) -> bool:
        """Tell whether the conversation in a slot may be gone on with."""
        return self._needed_at(slot) > 0

    def to_tell(
        self, prefix: bytes, notes: Iterable[str], usable: Collection[int]
    ) -> dict[int, str]:
        """Return which notes are to follow a prompt in which slots.

        notes: the likeliest to be needed first. usable: slots that no conversation needs. Each note
        is in one slot, as far as there are so many.
        """
        notes = [*notes]
        told = {slot: note for slot, (begins, note) in self._filled.items() if begins == prefix}
        rest = [slot for slot in sorted(usable) if told.get(slot) not in notes]
        found: dict[int, str] = {}
        for note in (one for one in notes if one not in told.values()):
            kept = [slot for slot in rest if self._notes.get(slot) == note]
            others = [slot for slot in rest if self._notes.get(slot) not in notes]
            for slot in (kept or others)[:1]:
                found[slot] = note
                rest.remove(slot)
        return found

    def _needed_at(self, slot: int) -> float:
        """Return when a slot was used by a conversation that may be gone on with, 0 if by none."""
        owned_at = self._owners[slot][1] if slot in self._owners else 0.0
        return owned_at if time.monotonic() - owned_at < IDLE_SECONDS else 0.0
