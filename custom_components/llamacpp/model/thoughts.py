"""Split thinking from the text of an answer while it streams."""

import re
from typing import TYPE_CHECKING, NamedTuple

from ..client import THINKING_MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = (*THINKING_MARKS, *THINKING_MARKS.values())
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_SPACE = re.compile(r"\s*")
_LONGEST = max(map(len, _MARKS))
# The first characters of all marks.
_FIRST = frozenset(one[0] for one in _MARKS)
# A quoted mark is part of the text.
_QUOTES = ("`", '"')


class Part(NamedTuple):
    """A part of an answer. is_all: everything before it was thinking, too."""

    text: str
    is_thought: bool
    is_all: bool = False


class Thoughts:
    """Split one answer into thinking and text.

    Holds back only a possible start of a mark. The result does not depend on the chunks.
    """

    def __init__(self) -> None:
        """Initialize for one answer."""
        self._held = ""
        # Length of the part of `_held` that was already yielded.
        self._place = 0
        # End mark of the current thinking, empty outside of thinking.
        self._end = ""
        self._is_behind_thought = False
        self._last = ""

    def feed(self, text: str) -> Iterator[Part]:
        """Add the next text of the answer and yield the parts that are certain."""
        self._held, self._place = self._held[self._place :] + text, 0
        while part := self._next():
            if part.text or part.is_all:
                yield part

    def end(self) -> Iterator[Part]:
        """Yield the text that was held back."""
        if self._place < len(self._held):
            yield self._part(len(self._held))

    def _next(self) -> Part | None:
        """Return the next part, perhaps an empty one, None if it needs more text."""
        if self._end:
            return self._thought()
        if self._is_behind_thought:
            # Skip the blank lines after thinking.
            self._place = _end_of_space(self._held, self._place)
            self._is_behind_thought = self._place == len(self._held)
        mark = _MARK.search(self._held, self._place)
        if mark is None:
            return self._all_but(_MARKS)
        before = self._held[self._place : mark.start()][-1:] or self._last
        if before in _QUOTES:
            return self._part(mark.end())
        if mark.start() > self._place:
            return self._part(mark.start())
        self._place = mark.end()
        self._end = THINKING_MARKS.get(mark.group(), "")
        self._is_behind_thought = not self._end
        return Part("", is_thought=True, is_all=not self._end)

    def _thought(self) -> Part | None:
        place = self._held.find(self._end, self._place)
        if place < 0:
            return self._all_but((self._end,))
        part = self._part(place)
        self._place = place + len(self._end)
        self._end = ""
        self._is_behind_thought = True
        return part

    def _all_but(self, marks: tuple[str, ...]) -> Part | None:
        """Return all text that cannot start a mark, None if there is none."""
        length = len(self._held)
        places = range(max(self._place, length - _LONGEST), length)
        end = next((one for one in places if _may_begin(self._held[one:], marks)), length)
        return self._part(end) if end > self._place else None

    def _part(self, end: int) -> Part:
        text = self._held[self._place : end]
        self._place = end
        self._last = text[-1:]
        return Part(text, is_thought=bool(self._end))


def _end_of_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _may_begin(text: str, marks: tuple[str, ...]) -> bool:
    return text[0] in _FIRST and any(one.startswith(text) for one in marks)
