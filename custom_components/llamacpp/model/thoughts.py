"""What a model thinks in the middle of its words, told apart from them as they come."""

import re
from typing import TYPE_CHECKING, NamedTuple

from ..client import THINKING_MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = (*THINKING_MARKS, *THINKING_MARKS.values())
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_SPACE = re.compile(r"\s*")
_LONGEST = max(map(len, _MARKS))
# How all marks begin.
_FIRST = frozenset(one[0] for one in _MARKS)
# Behind these a mark is spoken of.
_QUOTES = ("`", '"')


class Part(NamedTuple):
    """A part of an answer. is_all: what came before it were thoughts as well."""

    text: str
    is_thought: bool
    is_all: bool = False


class Thoughts:
    """Tells the thoughts of one answer from its words.

    Only what may become a mark is held back. Any split of the answer leads to the same.
    """

    def __init__(self) -> None:
        """Begin an answer."""
        self._held = ""
        # So much of it is told.
        self._place = 0
        # What ends the thought that is being read, empty: none is.
        self._end = ""
        self._is_behind_thought = False
        self._last = ""

    def feed(self, text: str) -> Iterator[Part]:
        """Yield what is known of the answer with this text that follows."""
        self._held, self._place = self._held[self._place :] + text, 0
        while part := self._next():
            if part.text or part.is_all:
                yield part

    def end(self) -> Iterator[Part]:
        """Yield what was held back."""
        if self._place < len(self._held):
            yield self._part(len(self._held))

    def _next(self) -> Part | None:
        """Return the next part, perhaps an empty one, None if more must come first."""
        if self._end:
            return self._thought()
        if self._is_behind_thought:
            # Between a thought and what follows are lines that are nobody's words.
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
        """Return all that cannot be the beginning of a mark, None if there is nothing."""
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
