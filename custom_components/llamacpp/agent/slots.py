"""A slot of the server for each conversation, so that several can be gone on with in turns.

A llama-server gives a request to the slot whose prompt is most like it. All prompts of a home are
alike, so one slot would get all conversations, each of which pushes out what was said in another.
"""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Home Assistant ends a conversation after so long.
IDLE_SECONDS = 300.0


class ConversationSlots:
    """Knows who speaks in which slot, and what each slot begins with.

    A speaker is whoever is told the same beside the home: somebody at a satellite, or a user. Who
    begins a new conversation does not go on with the one before.
    """

    def __init__(self) -> None:
        """Begin with empty slots."""
        # By slot: the conversation, and when it was gone on with (monotonic seconds).
        self._owners: dict[int, tuple[str, float]] = {}
        # By slot: who has it.
        self._speakers: dict[int, str] = {}
        # By slot: a digest of the prompt that it begins with, and who is told what follows.
        self._filled: dict[int, tuple[bytes, str | None]] = {}

    def forget(self) -> None:
        """Take note that the slots may hold anything."""
        self._owners.clear()
        self._filled.clear()

    def fill(self, slot: int, prefix: bytes, speaker: str | None = None) -> None:
        """Take note of the prompt that a slot begins with, and of who is told what follows it."""
        self._filled[slot] = (prefix, speaker)

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

    def speaker_in(self, slot: int) -> str | None:
        """Return who has a slot, None if nobody in particular."""
        return self._speakers.get(slot)

    def give(self, slot: int, conversation_id: str, speaker: str | None = None) -> None:
        """Have a conversation go on in this slot."""
        self._owners[slot] = (conversation_id, time.monotonic())
        self.assign(slot, speaker)

    def assign(self, slot: int, speaker: str | None) -> None:
        """Keep a slot for a speaker, who has no other one then; None: for nobody."""
        self._speakers = {
            one: who for one, who in self._speakers.items() if one != slot and who != speaker
        }
        if speaker is not None:
            self._speakers[slot] = speaker

    def free(self, idle: Collection[int], speaker: str | None = None) -> int | None:
        """Return the slot for a new conversation: the speaker's, or one that is unused for longest.

        idle: the slots that are not at work. None if there is none.
        """
        own = next((slot for slot in idle if speaker and self._speakers.get(slot) == speaker), None)
        if own is not None:
            return own
        # Of those that nobody needs any more, the first one is warmed up.
        return min(sorted(idle), key=self._wanted, default=None)

    def is_needed(self, slot: int) -> bool:
        """Tell whether the conversation in a slot may be gone on with."""
        return self._needed_at(slot) > 0

    def to_tell(self, speakers: Iterable[str], usable: Collection[int]) -> dict[int, str]:
        """Return who is to be told in which slots what they are told beside the home's prompt.

        speakers: those that are likeliest to speak first. usable: slots that hold that prompt, and
        that nobody needs. Each speaker has one at most, as far as there are so many.
        """
        speakers = list(speakers)
        theirs = {who: slot for slot, who in self._speakers.items()}
        rest = [slot for slot in sorted(usable) if self._speakers.get(slot) not in speakers]
        found: dict[int, str] = {}
        for speaker in speakers:
            slot = theirs[speaker] if speaker in theirs else next(iter(rest), None)
            if slot is None or slot not in usable:
                continue
            rest = [one for one in rest if one != slot]
            if self._filled[slot][1] != speaker:
                found[slot] = speaker
        return found

    def _wanted(self, slot: int) -> tuple[float, bool]:
        return self._needed_at(slot), slot in self._speakers

    def _needed_at(self, slot: int) -> float:
        """Return when a slot was used by a conversation that may be gone on with, 0 if by none."""
        owned_at = self._owners[slot][1] if slot in self._owners else 0.0
        return owned_at if time.monotonic() - owned_at < IDLE_SECONDS else 0.0
