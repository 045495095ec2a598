"""What prompts have in common, and what each says beyond."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.conversation import (
    AssistantContent,
    SystemContent,
    UserContent,
)

from custom_components.llamacpp.agent.frame import MAX_PROMPTS, make_frame, split_clock
from custom_components.llamacpp.agent.messages import to_messages
from custom_components.llamacpp.agent.notes import (
    PIECE_CHARACTERS,
    beginnings_of,
    set_note,
    with_note,
)

if TYPE_CHECKING:
    from homeassistant.components.conversation import (
        Content,
    )

HOME = "Be brief.\n- names: Lamp\n  domain: light\n- names: Blind\n  domain: cover\n"


@pytest.mark.parametrize(
    ("prompts", "common", "notes"),
    [
        ([HOME], HOME.rstrip(), [""]),
        (
            [f"{HOME}In the hall.\nNo timers.", f"{HOME}In the attic.\nNo timers."],
            f"{HOME}No timers.",
            ["In the hall.", "In the attic."],
        ),
        (
            [f"{HOME}In the hall.", f"You speak to Ann.\n{HOME}Nowhere.", HOME],
            HOME.rstrip(),
            ["In the hall.", "You speak to Ann.\nNowhere.", ""],
        ),
        (["One", "Two"], "", ["One", "Two"]),
    ],
)
def test_frame(prompts: list[str], common: str, notes: list[str]) -> None:
    """Lines that all have stay in their order; the rest of each is its note."""
    frame = make_frame(prompts, {})
    assert frame.prompt == common
    assert [frame.notes[prompt] for prompt in prompts] == notes


def test_the_same_whatever_comes_first() -> None:
    """What the server sees does not depend on who asked first."""
    prompts = [f"Name {name}\n{HOME}In room {name}\nEnd" for name in "abc"]
    assert make_frame(prompts, {}).prompt == make_frame(prompts[::-1], {}).prompt


def test_another_prompt_of_the_same_home() -> None:
    """What it has beyond the others is its note; what all are told stays as it is."""
    frame = make_frame([f"{HOME}In the hall.", f"{HOME}In the attic."], {})
    other = f"You speak to Ann.\n{HOME}In the cellar."
    fitted = frame.with_prompt(other, "ann", is_same_home=True)
    assert fitted.prompt == frame.prompt
    assert fitted.notes[other] == "You speak to Ann.\nIn the cellar."
    assert fitted.with_prompt(other, "ann", is_same_home=True) is fitted
    for number in range(2 * MAX_PROMPTS):
        fitted = fitted.with_prompt(f"{HOME}In room {number}.", "", is_same_home=True)
        assert fitted.prompt == frame.prompt
    assert len(fitted.notes) == MAX_PROMPTS


@pytest.mark.parametrize(
    "change", [("Lamp", "Torch"), ("Be brief.", "It is 3 degrees."), ("- names: Blind", "- x\n- y")]
)
@pytest.mark.parametrize("is_same_home", [True, False])
def test_the_same_speaker_in_another_home(change: tuple[str, str], *, is_same_home: bool) -> None:
    """What was said of the speaker is still the note: the rest is what all are told now."""
    prompts = {who: f"Hello {who}\n{HOME}In the {who}." for who in ("hall", "attic")}
    frame = make_frame([*prompts.values()], {}, prompts)
    changed = {who: prompt.replace(*change) for who, prompt in prompts.items()}
    fitted = frame.with_prompt(changed["attic"], "attic", is_same_home=is_same_home)
    expected = make_frame([*changed.values()], {}, changed)
    assert fitted.prompt == expected.prompt
    assert fitted.notes[changed["attic"]] == expected.speakers["attic"]
    again = fitted.with_prompt(changed["hall"], "hall", is_same_home=is_same_home)
    assert again.prompt == expected.prompt
    assert again.notes[changed["hall"]] == expected.speakers["hall"]


def test_somebody_unknown_in_another_home() -> None:
    """Nothing is taken out of a prompt of which it is not known what is about the speaker."""
    prompts = {who: f"{HOME}In the {who}." for who in ("hall", "attic")}
    frame = make_frame([*prompts.values()], {}, prompts)
    other = f"{HOME}- names: New\n  domain: light\nIn the cellar."
    fitted = frame.with_prompt(other, "cellar", is_same_home=False)
    assert (fitted.prompt, fitted.notes[other]) == (other, "")
    known = fitted.with_prompt(other.replace("cellar", "hall"), "hall", is_same_home=False)
    assert known.prompt == f"{HOME}- names: New\n  domain: light"


def test_clock() -> None:
    """The seconds of the clock are taken out."""
    prompt, clock = split_clock(f"{HOME}Current time is 10:00:01. Today's date is 2026-11-24.\nEnd")
    assert prompt == f"{HOME}End"
    assert clock == "Current time is 10:00:01. Today's date is 2026-11-24."


def test_notes_are_told_once() -> None:
    """A note goes with the words that it is new for; without the first turn, with the next."""

    def said(words: str, note: str) -> UserContent:
        content = UserContent(words)
        set_note(content, note)
        return content

    system = SystemContent("Be brief.")
    turns: list[list[Content]] = [
        [said("One", "In the hall."), AssistantContent("agent", "1")],
        [said("Two", "In the hall."), AssistantContent("agent", "2")],
        [said("Three", "In the attic.")],
    ]
    words = [one["content"] for one in to_messages([system, *turns[0], *turns[1], *turns[2]])]
    assert words[1:] == ["[In the hall.]\nOne", "1", "Two", "2", "[In the attic.]\nThree"]
    words = [one["content"] for one in to_messages([system, *turns[1], *turns[2]])]
    assert words[1:] == ["[In the hall.]\nTwo", "2", "[In the attic.]\nThree"]


@pytest.mark.parametrize("note", ["", "In the hall.", "You are in the area of the kitchen. " * 9])
def test_a_note_is_told_in_pieces(note: str) -> None:
    """Each beginning is longer by some words, and the last one is what goes with a user's words."""
    *pieces, whole = beginnings_of(note)
    assert with_note(note, "Hello") in (f"{whole}Hello", "Hello")
    before = ""
    for piece in pieces:
        assert whole.startswith(f"{piece} ")
        assert len(before) < len(piece) < len(before) + 2 * PIECE_CHARACTERS
        before = piece
    assert len(whole) - len(before) < 2 * PIECE_CHARACTERS
