"""What a server is known to hold of prompts in the memory of one model."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .slot_affinity import SlotAffinity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .fingerprint import PromptParts


@dataclass(slots=True)
class CacheState:
    """What was processed since the model came into memory.

    is_empty: nothing was, so that what is on the server's disk is worth reading. is_volatile: the
    model has been out of memory before. is_displaced: another prompt may have pushed those of the
    agents out.

    processed: by agent, the beginning of its newest prompt. parts: by agent, of the newest prompt
    that somebody has waited for. warmed: by agent, the slot where its prompt was processed ahead
    first. begun: agent and slot of a prompt of which only a part was processed, for somebody has
    asked meanwhile. following: the slot where a conversation's next turn is prepared, or was until
    somebody asked. unwritten: agents whose prompts were processed while somebody waited, and are to
    be written.

    read: by slot, beginnings of prompts that were read from the disk, where they had been written,
    and not used since. on_disk: those in whose place another one was read, so that only the disk
    has them.
    """

    is_empty: bool = True
    is_volatile: bool = False
    is_displaced: bool = False
    processed: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, PromptParts] = field(default_factory=dict)
    warmed: dict[str, int] = field(default_factory=dict)
    begun: tuple[str, int] | None = None
    following: int | None = None
    unwritten: set[str] = field(default_factory=set)
    read: dict[int, bytes] = field(default_factory=dict)
    on_disk: set[bytes] = field(default_factory=set)
    slots: SlotAffinity = field(default_factory=SlotAffinity)

    def note_read(self, slot: int, prefix: bytes, *, is_known: bool) -> None:
        """Take note that the server has read the prompt with this beginning into a slot.

        is_known: it is known to have written this very one; if not, it may be one of another home.
        """
        if pushed_out := self.slots.beginning_of(slot):
            self.on_disk.add(pushed_out)
            self.on_disk &= {*self.processed.values()}
        self.note_processed(slot, prefix)
        if is_known:
            self.read[slot] = prefix

    def note_processed(self, slot: int, prefix: bytes, note: str | None = None) -> None:
        """Take note that the server has processed the prompt with this beginning in a slot.

        note: of the speaker, that follows it.
        """
        self.on_disk.discard(prefix)
        self.slots.fill(slot, prefix, note)

    def is_outdated(self, slot: int) -> bool:
        """Tell whether a slot is known to begin with what is no agent's newest prompt."""
        prefix = self.slots.beginning_of(slot)
        return prefix is not None and prefix not in self.processed.values()

    def slot_beside_others(self, n_slots: int) -> int:
        """Return a slot where no agent's prompt was processed ahead, if there is one."""
        taken = {*self.warmed.values()}
        free = (slot for slot in range(n_slots) if slot not in taken)
        return next(free, len(self.warmed) % n_slots)

    def displace(self, agents: Iterable[str]) -> bool:
        """Take note that others may have pushed the prompts out; tell whether one is missed.

        agents: the likeliest to be asked first, whose prompt is to be processed again.
        """
        self.is_displaced = False
        self.slots.forget()
        likeliest = next((one for one in agents if one in self.processed), "")
        return self.processed.pop(likeliest, None) is not None

    def drop(self, agent_id: str) -> None:
        """Take the prompt of an agent for one that was never processed."""
        self.processed.pop(agent_id, None)
        self.warmed.pop(agent_id, None)
        self.unwritten.discard(agent_id)
