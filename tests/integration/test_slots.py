"""Which conversation gets which slot."""

import time
from typing import TYPE_CHECKING

from custom_components.llamacpp.agent.slots import IDLE_SECONDS, ConversationSlots

if TYPE_CHECKING:
    import pytest


def test_each_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its own, else a free one, else the one unused for longest; never one at work."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    slots = ConversationSlots()
    assert slots.of("a") is None
    assert not slots.is_needed(0)
    for conversation, slot in (("a", 0), ("b", 1)):
        assert slots.free([1, 0]) == slot
        slots.give(slot, conversation)
        assert slots.is_needed(slot)
        now += 1
    assert (slots.of("a"), slots.of("b")) == (0, 1)
    slots.give(0, "a")
    assert slots.free([0, 1]) == 1
    assert slots.free([0]) == 0
    assert slots.free([]) is None
    slots.give(1, "c")
    assert slots.of("b") is None
    now += IDLE_SECONDS
    assert not slots.is_needed(0)
    assert slots.free([0, 1]) == 0
    slots.forget()
    assert slots.of("c") is None


def test_what_they_begin_with() -> None:
    """What a slot holds is known until it may hold anything."""
    slots = ConversationSlots()
    slots.fill(0, b"one")
    assert slots.is_filled(0, b"one")
    assert not slots.is_filled(0, b"two")
    assert not slots.is_filled(1, b"one")
    slots.forget()
    assert not slots.is_filled(0, b"one")


def test_who_speaks_has_one_slot() -> None:
    """A new conversation ends the one before it, of the same speaker alone."""
    slots = ConversationSlots()
    slots.give(slots.free([0, 1, 2], "kitchen") or 0, "a", "kitchen")
    slots.give(slots.free([0, 1, 2], "bedroom") or 0, "b", "bedroom")
    assert (slots.of("a"), slots.of("b")) == (0, 1)
    assert slots.free([0, 1, 2], "kitchen") == 0
    assert slots.free([0, 1, 2], "bedroom") == 1
    assert slots.free([0, 1, 2], "hall") == 2
    assert slots.free([0, 1, 2]) == 2
    # Its own is at work.
    slots.give(slots.free([1, 2], "kitchen") or 0, "c", "kitchen")
    assert slots.speaker_in(0) is None
    assert slots.free([0, 1, 2], "kitchen") == 2
    assert slots.of("a") == 0


def test_nobody_is_given_the_slot_of_another_one_first() -> None:
    """A slot that nobody has is taken before that of a speaker who has said nothing for long."""
    slots = ConversationSlots()
    slots.assign(0, "kitchen")
    assert slots.free([0, 1], "hall") == 1
    assert slots.free([0], "hall") == 0
    assert slots.free([0, 1], "kitchen") == 0


def test_who_is_to_be_told() -> None:
    """Each in a slot of their own, the likeliest first, and nobody twice."""
    slots = ConversationSlots()
    for slot in range(3):
        slots.fill(slot, b"home")
    slots.assign(1, "bedroom")
    speakers = ("kitchen", "bedroom", "hall", "phone")
    assert slots.to_tell(speakers, []) == {}
    assert slots.to_tell(speakers, [0, 2]) == {0: "kitchen", 2: "hall"}
    found = slots.to_tell(speakers, [0, 1, 2])
    assert found == {0: "kitchen", 1: "bedroom", 2: "hall"}
    for slot, speaker in found.items():
        slots.assign(slot, speaker)
        slots.fill(slot, b"home", speaker)
    assert slots.to_tell(speakers, [0, 1, 2]) == {}
    # The home was read anew into one.
    slots.fill(1, b"home")
    assert slots.to_tell(speakers, [0, 1, 2]) == {1: "bedroom"}
    # Somebody else has spoken in one.
    slots.give(0, "a", "cellar")
    slots.fill(0, b"home", "cellar")
    assert slots.to_tell(("kitchen", "cellar"), [0, 1, 2]) == {1: "kitchen"}
