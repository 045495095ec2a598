"""The lines that all prompts share, and the note of each."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.conversation import (
    AssistantContent,
    SystemContent,
    UserContent,
)
from hypothesis import given
from hypothesis import strategies as st

from custom_components.llamacpp.prompt.marks import Marks
from custom_components.llamacpp.prompt.messages import to_messages
from custom_components.llamacpp.prompt.notes import (
    PIECE_CHARACTERS,
    beginnings_of,
    set_note,
    with_note,
)
from custom_components.llamacpp.prompt.shared_prefix import shared_prefix, split_clock

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
def test_prefix(prompts: list[str], common: str, notes: list[str]) -> None:
    """Shared lines stay in their order; the others are the note."""
    prefix = shared_prefix(prompts, {})
    assert prefix.prompt == common
    assert [prefix.note_on(prompt) for prompt in prompts] == notes


def test_the_same_whatever_comes_first() -> None:
    """The order of questions does not change the server's prompt."""
    prompts = [f"Name {name}\n{HOME}In room {name}\nEnd" for name in "abc"]
    assert shared_prefix(prompts, {}) == shared_prefix(prompts[::-1], {})


def test_another_prompt_of_the_same_home() -> None:
    """Its extra lines are its note; if a shared line is missing, it has no note."""
    prefix = shared_prefix([f"{HOME}In the hall.", f"{HOME}In the attic."], {})
    assert prefix.note_on(f"You speak to Ann.\n{HOME}In the cellar.") == (
        "You speak to Ann.\nIn the cellar."
    )
    for line in HOME.splitlines():
        assert prefix.note_on(HOME.replace(f"{line}\n", "")) is None


LINES = st.lists(st.sampled_from(["Lamp", "Blind", "  in the hall", "- x", "é"]), max_size=6)


@given(LINES, st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=4))
def test_nothing_is_lost(home: list[str], speakers: list[tuple[list[str], ...]]) -> None:
    """Prefix and note together have each line of a prompt, as often as the prompt."""
    middle = len(home) // 2
    prompts = [
        "\n".join((*first, *home[:middle], *between, *home[middle:], *last))
        for first, between, last in speakers
    ]
    prefix = shared_prefix(prompts, {})
    for prompt in prompts:
        note = prefix.note_on(prompt)
        assert note is not None
        told = sorted([*prefix.prompt.split("\n"), *note.split("\n")])
        assert [one for one in told if one] == sorted(one for one in prompt.split("\n") if one)


def test_clock() -> None:
    """The seconds of the clock are removed."""
    prompt, clock = split_clock(f"{HOME}Current time is 10:00:01. Today's date is 2026-11-24.\nEnd")
    assert prompt == f"{HOME}End"
    assert clock == "Current time is 10:00:01. Today's date is 2026-11-24."


def test_notes_are_told_once() -> None:
    """A note goes with the first words it is new for; without that turn, with the next."""

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
    """Each part is longer by some words, and the last one is the note of a question."""
    *pieces, whole = beginnings_of(note)
    assert with_note(note, "Hello") in (f"{whole}Hello", "Hello")
    before = ""
    for piece in pieces:
        assert whole.startswith(f"{piece} ")
        assert len(before) < len(piece) < len(before) + 2 * PIECE_CHARACTERS
        before = piece
    assert len(whole) - len(before) < 2 * PIECE_CHARACTERS


def test_marks_are_of_one_content() -> None:
    """Two equal contents have marks of their own."""
    marks, contents = Marks[int](), [UserContent("Hello") for _ in range(100)]
    for number, content in enumerate(contents):
        marks.set(content, number)
    assert [marks.get(content) for content in contents] == [*range(100)]
    assert marks.get(UserContent("Hello")) is None
    del content, contents
    others = [UserContent("Hello") for _ in range(1000)]
    assert {marks.get(content) for content in others} == {None}
