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
    assert slots.take("a", [0, 1]) == 0
    now += 1
    assert slots.take("b", [0, 1]) == 1
    now += 1
    assert slots.take("a", [0, 1]) == 0
    assert slots.take("a", [1]) is None
    now += 1
    assert slots.take("c", [0, 1]) == 1
    now += IDLE_SECONDS
    assert slots.take("d", [0, 1]) == 0
    assert slots.take("e", []) is None
    slots.forget()
    assert slots.take("c", [1]) == 1


def test_what_they_begin_with() -> None:
    """What a slot holds is known until it may hold anything."""
    slots = ConversationSlots()
    slots.fill(0, b"one")
    assert slots.is_filled(0, b"one")
    assert not slots.is_filled(0, b"two")
    assert not slots.is_filled(1, b"one")
    slots.forget()
    assert not slots.is_filled(0, b"one")
