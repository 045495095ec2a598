"""Notes that go with the user's message: the speaker, their area, their language.

They come after everything that the KV cache can keep between questions.
"""

from typing import TYPE_CHECKING

from .marks import Marks

if TYPE_CHECKING:
    from homeassistant.components.conversation import Content

# About 15 tokens.
PIECE_CHARACTERS = 60
_NOTES = Marks[str]()


def set_note(content: Content, note: str) -> None:
    """Set the note of a content of a chat log, replacing any other."""
    _NOTES.set(content, note)


def note_of(content: Content) -> str:
    """Return the note, empty if there is none."""
    return _NOTES.get(content) or ""


def with_note(note: str, words: str) -> str:
    """Return a note and the user's message as one text."""
    return f"[{note}]\n{words}" if note else words


def beginnings_of(note: str) -> list[str]:
    """Return growing beginnings of a message with this note, in steps of some words.

    A request that arrives during their prefill only waits for one step.
    """
    whole = with_note(note, "")
    ends = (
        whole.rfind(" ", 0, end) for end in range(PIECE_CHARACTERS, len(whole), PIECE_CHARACTERS)
    )
    return [*dict.fromkeys(whole[:end] for end in ends if end > 0), whole]
