"""What is told to the model beside the words of a user: who asks, where, in which language.

It goes with the words, behind everything that the server can keep from one question to the next.
"""

from typing import TYPE_CHECKING

from .marks import Marks

if TYPE_CHECKING:
    from homeassistant.components.conversation import Content

# Some 15 tokens.
PIECE_CHARACTERS = 60
_NOTES = Marks[str]()


def set_note(content: Content, note: str) -> None:
    """Add a note to a content of a chat log, in place of the one that it has."""
    _NOTES.set(content, note)


def note_of(content: Content) -> str:
    """Return the note, empty if there is none."""
    return _NOTES.get(content) or ""


def with_note(note: str, words: str) -> str:
    """Return a note and the words that it goes with as one message."""
    return f"[{note}]\n{words}" if note else words


def beginnings_of(note: str) -> list[str]:
    """Return the beginnings of a message with this note, by some words longer each, then all of it.

    Who asks while one is processed waits for these words only.
    """
    whole = with_note(note, "")
    ends = (
        whole.rfind(" ", 0, end) for end in range(PIECE_CHARACTERS, len(whole), PIECE_CHARACTERS)
    )
    return [*dict.fromkeys(whole[:end] for end in ends if end > 0), whole]
