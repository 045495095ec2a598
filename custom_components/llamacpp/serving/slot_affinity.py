"""Which conversation continues in which slot.

A llama-server gives a request to the slot whose prompt resembles it most. All prompts of a home
resemble each other, so one slot would get all conversations, each of which would evict the turns of
the one before.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Home Assistant ends a conversation after so long.
IDLE_SECONDS = 300.0


class ConversationRef(NamedTuple):
    """A conversation, as far as its slot is concerned.

    speaker: has one conversation at a time, None for an unknown speaker. note: the text about the
    speaker that follows the prefix. is_once: the conversation does not continue, and no user
    prefills its prompt.
    """

    conversation_id: str
    speaker: str | None = None
    note: str | None = None
    is_once: bool = False


@dataclass(slots=True)
class SlotAffinity:
    """The slots of one model: their conversations and the prefixes they hold.

    All times are monotonic seconds.

    owners: by slot, the conversation and when it was continued last. speakers: by slot, who spoke
    there last. notes: by slot, the note for which it is kept. filled: by slot, the digest of the
    prefix in its KV cache, and the note behind it.
    """

    owners: dict[int, tuple[str, float]] = field(default_factory=dict)
    speakers: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    filled: dict[int, tuple[bytes, str | None]] = field(default_factory=dict)

    def copy(self) -> Self:
        """Return a copy that shares nothing that changes."""
        return replace(
            self,
            owners={**self.owners},
            speakers={**self.speakers},
            notes={**self.notes},
            filled={**self.filled},
        )

    def forget(self) -> None:
        """Forget what the slots hold."""
        self.owners.clear()
        self.filled.clear()

    def forget_contents(self, slots: Iterable[int]) -> None:
        """Forget what these slots hold, but not whose they are."""
        for slot in slots:
            self.filled.pop(slot, None)

    def fill(self, slot: int, prefix: bytes, note: str | None = None) -> None:
        """Record the prefix in a slot, and the note behind it."""
        self.filled[slot] = (prefix, note)
        if note is not None:
            self.notes[slot] = note

    def prefix_in(self, slot: int) -> bytes | None:
        """Return the prefix in a slot, None if unknown."""
        return self.filled[slot][0] if slot in self.filled else None

    def is_filled(self, slot: int, prefix: bytes) -> bool:
        """Return whether a slot holds this prefix."""
        return self.prefix_in(slot) == prefix

    def slot_of(self, conversation_id: str) -> int | None:
        """Return the slot of a conversation, None if it has none."""
        found = (slot for slot, (owner, _) in self.owners.items() if owner == conversation_id)
        return next(found, None)

    def note_for(self, slot: int) -> str | None:
        """Return the note for which a slot is kept, None for none."""
        return self.notes.get(slot)

    def give(self, slot: int, ref: ConversationRef, prefix: bytes, now: float) -> None:
        """Let a conversation with this prefix continue in a slot.

        It is unknown what a slot with another prefix holds until the answer is counted.
        """
        if not self.is_filled(slot, prefix):
            self.forget_contents([slot])
        for other in [one for one, (owner, _) in self.owners.items() if owner == ref[0]]:
            del self.owners[other]
        self.owners[slot] = (ref.conversation_id, now)
        for kept, value in ((self.speakers, ref.speaker), (self.notes, ref.note)):
            kept.pop(slot, None)
            if value is not None:
                kept[slot] = value

    def best_for(
        self, idle: Collection[int], prefix: bytes, ref: ConversationRef, now: float
    ) -> int | None:
        """Return the slot for a new conversation, None if no slot is idle.

        Prefers slots that no other conversation needs, as the speaker does not continue the one
        before, and of these one with the prefix and the note. The last choice is the slot of
        a speaker with the same note, or the one unused for longest.
        """

        def reluctance(slot: int) -> tuple[float | bool, ...]:
            is_own = ref.speaker is not None and self.speakers.get(slot) == ref.speaker
            needed_at = 0.0 if is_own else self._needed_at(slot, now)
            return (
                needed_at > 0,
                ref.note is None or self.filled.get(slot) != (prefix, ref.note),
                not is_own,
                ref.note is None or self.notes.get(slot) != ref.note,
                needed_at,
                slot in self.notes,
            )

        # The prefix is prefilled in the first of equally good slots.
        return min(sorted(idle), key=reluctance, default=None)

    def least_wanted(self, idle: Collection[int], now: float) -> int | None:
        """Return the slot for a prompt that does not continue, None if no slot is idle."""
        # The likeliest speakers have the first slots.
        return min(
            sorted(idle, reverse=True), key=lambda slot: self._needed_at(slot, now), default=None
        )

    def release(self, slot: int) -> None:
        """End the conversation in a slot."""
        self.owners.pop(slot, None)
        self.speakers.pop(slot, None)

    def is_needed(self, slot: int, now: float) -> bool:
        """Return whether the conversation in a slot may continue."""
        return self._needed_at(slot, now) > 0

    def missing_notes(
        self, prefix: bytes, notes: Iterable[str], usable: Collection[int]
    ) -> dict[int, str]:
        """Return which notes to prefill behind a prefix, by slot: each once, while slots last.

        notes: the likeliest first. usable: slots that no conversation needs.
        """
        notes = [*notes]
        known = {slot: note for slot, (begins, note) in self.filled.items() if begins == prefix}
        rest = [slot for slot in sorted(usable) if known.get(slot) not in notes]
        found: dict[int, str] = {}
        for note in (one for one in notes if one not in known.values()):
            kept = [slot for slot in rest if self.notes.get(slot) == note]
            others = [slot for slot in rest if self.notes.get(slot) not in notes]
            for slot in (kept or others)[:1]:
                found[slot] = note
                rest.remove(slot)
        return found

    def _needed_at(self, slot: int, now: float) -> float:
        """Return when a conversation that may continue used a slot, 0 if none did."""
        owned_at = self.owners[slot][1] if slot in self.owners else 0.0
        return owned_at if now - owned_at < IDLE_SECONDS else 0.0
