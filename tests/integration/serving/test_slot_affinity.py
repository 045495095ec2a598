"""Which conversation gets which slot."""

from custom_components.llamacpp.serving.slot_affinity import (
    IDLE_SECONDS,
    ConversationRef,
    SlotAffinity,
)

NEW = ConversationRef("new")
NOW = 1000.0


def test_each_its_own() -> None:
    """Its own slot, else a free one, else the least recently used; never a busy one."""
    now = NOW
    slots = SlotAffinity()
    assert slots.slot_of("a") is None
    assert not slots.is_needed(0, now)
    for conversation, slot in (("a", 0), ("b", 1)):
        assert slots.best_for([1, 0], b"home", NEW, now) == slot
        slots.give(slot, ConversationRef(conversation), b"home", now)
        assert slots.is_needed(slot, now)
        now += 1
    assert (slots.slot_of("a"), slots.slot_of("b")) == (0, 1)
    slots.give(0, ConversationRef("a"), b"home", now)
    assert slots.best_for([0, 1], b"home", NEW, now) == 1
    assert slots.best_for([0], b"home", NEW, now) == 0
    assert slots.best_for([], b"home", NEW, now) is None
    slots.give(1, ConversationRef("c"), b"home", now)
    assert slots.slot_of("b") is None
    now += IDLE_SECONDS
    assert not slots.is_needed(0, now)
    assert slots.best_for([0, 1], b"home", NEW, now) == 0
    slots.forget()
    assert slots.slot_of("c") is None


def test_what_they_begin_with() -> None:
    """A slot's content is known until a request may have changed it."""
    slots = SlotAffinity()
    slots.fill(0, b"one")
    assert slots.is_filled(0, b"one")
    assert not slots.is_filled(0, b"two")
    assert not slots.is_filled(1, b"one")
    slots.forget()
    assert not slots.is_filled(0, b"one")


def test_who_speaks_has_one_slot() -> None:
    """A speaker's new conversation ends the one before."""
    slots = SlotAffinity()
    for slot, speaker in enumerate(("kitchen", "bedroom")):
        talk = ConversationRef(f"first in the {speaker}", speaker, f"In the {speaker}.")
        assert slots.best_for([0, 1, 2], b"home", talk, NOW) == slot
        slots.give(slot, talk, b"home", NOW)
    assert slots.slot_of("first in the kitchen") == 0
    assert slots.best_for([2, 1, 0], b"home", ConversationRef("b", "bedroom"), NOW) == 1
    assert slots.best_for([0, 1, 2], b"home", ConversationRef("c", "hall"), NOW) == 2
    assert slots.best_for([0, 1, 2], b"home", ConversationRef("d"), NOW) == 2
    # Its own slot is busy.
    assert slots.best_for([1, 2], b"home", ConversationRef("e", "kitchen"), NOW) == 2


def test_who_is_told_the_same_shares_a_slot() -> None:
    """But no active conversation is evicted while there is another slot."""
    now = NOW
    slots = SlotAffinity()
    slots.fill(0, b"home", "At a phone.")
    slots.fill(1, b"home", "In the hall.")
    guest = ConversationRef("c", "guest", "At a phone.")
    assert slots.best_for([0, 1, 2], b"home", guest, now) == 0
    assert (
        slots.best_for([0, 1, 2], b"home", ConversationRef("d", "cellar", "In the cellar."), now)
        == 2
    )
    assert (
        slots.best_for([0, 1], b"home", ConversationRef("d", "cellar", "In the cellar."), now) == 0
    )
    slots.give(0, ConversationRef("a", "owner", "At a phone."), b"home", now)
    assert slots.best_for([0, 1, 2], b"home", guest, now) == 2
    for slot in (1, 2):
        now += 1
        slots.give(
            slot, ConversationRef(f"in {slot}", f"speaker {slot}", f"Place {slot}."), b"home", now
        )
    assert slots.best_for([0, 1, 2], b"home", ConversationRef("d"), now) == 0
    now += 1
    slots.give(0, ConversationRef("a", "owner", "At a phone."), b"home", now)
    assert slots.best_for([0, 1, 2], b"home", ConversationRef("d"), now) == 1
    assert slots.best_for([0, 1, 2], b"home", guest, now) == 0
    now += IDLE_SECONDS
    assert slots.best_for([0, 1, 2], b"home", guest, now) == 0


def test_what_is_to_be_told() -> None:
    """Each note in its own slot, the likeliest first, and none twice."""
    slots = SlotAffinity()
    notes = ("kitchen", "bedroom", "hall", "phone")
    for slot in range(3):
        slots.fill(slot, b"home")
    assert slots.missing_notes(b"home", notes, []) == {}
    assert slots.missing_notes(b"home", notes, [2]) == {2: "kitchen"}
    found = slots.missing_notes(b"home", notes, [2, 1, 0])
    assert found == {0: "kitchen", 1: "bedroom", 2: "hall"}
    for slot, note in found.items():
        slots.fill(slot, b"home", note)
    assert slots.missing_notes(b"home", notes, [0, 1, 2]) == {}
    # The home was prefilled in two slots: each gets its note again.
    for slot in (0, 1):
        slots.fill(slot, b"home")
    assert slots.missing_notes(b"home", ("phone", *notes[:3][::-1]), [0, 1, 2]) == {
        1: "bedroom",
        0: "kitchen",
    }
    slots.fill(0, b"home", "kitchen")
    # Another speaker has used one slot, and the home has changed in another.
    slots.give(0, ConversationRef("a", "guest", "cellar"), b"home", NOW)
    slots.fill(0, b"home", "cellar")
    slots.fill(1, b"old home", "bedroom")
    assert slots.missing_notes(b"home", ("bedroom", "kitchen", "cellar"), [1, 2]) == {
        1: "bedroom",
        2: "kitchen",
    }


def test_the_slot_that_is_ready_is_better_than_ones_own() -> None:
    """A conversation from before a change of the home keeps its slot, if there is another one."""
    slots = SlotAffinity()
    kitchen = ConversationRef("b", "kitchen", "In the kitchen.")
    slots.give(0, ConversationRef("a", "kitchen", "In the kitchen."), b"home", NOW)
    slots.fill(0, b"old home", "In the kitchen.")
    assert slots.best_for([0, 1], b"home", kitchen, NOW) == 0
    slots.fill(1, b"home", "In the kitchen.")
    assert slots.best_for([0, 1], b"home", kitchen, NOW) == 1
    assert slots.best_for([0], b"home", kitchen, NOW) == 0


def test_what_is_not_gone_on_with_takes_what_is_wanted_least() -> None:
    """The last unused slot, else the least recently used one."""
    now = NOW
    slots = SlotAffinity()
    assert slots.least_wanted([], now) is None
    assert slots.least_wanted([0, 1, 2], now) == 2
    for slot in (2, 0, 1):
        slots.give(slot, ConversationRef(f"in {slot}"), b"home", now)
        now += 1
    assert slots.least_wanted([0, 1, 2], now) == 2
    slots.release(1)
    assert slots.slot_of("in 1") is None
    assert slots.least_wanted([0, 1, 2], now) == 1
