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
