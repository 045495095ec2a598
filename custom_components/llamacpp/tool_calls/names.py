"""Match names that a model has written against the known names."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from ..home.words import is_like, words_of
from ..model.markers import JOINER
from .tool_names import short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Most near names in an error, most names of a list, most letters of each name.
MAX_NEAREST = 5
MAX_LISTED = 12
MAX_CHARS = 60


@dataclass(frozen=True, slots=True)
class NameMatch[T]:
    """Matches of a name. is_sure: they differ in spelling only."""

    all: tuple[T, ...]
    is_sure: bool = True


def match_name[T](written: str, named: Sequence[tuple[T, Sequence[str]]]) -> NameMatch[T]:
    """Match a written name. named: candidates, each with all of its names.

    Tries Home Assistant's own comparison first, then the words of the name, then words that differ
    in an ending or a typo.
    """
    plain = _plain(written)
    if found := [one for one, names in named if any(_plain(name) == plain for name in names)]:
        return NameMatch(tuple(found))
    # The prompt lists all names of an entity in a row.
    if found := [one for one, names in named if _plain(", ".join(names)) == plain]:
        return NameMatch(tuple(found))
    words = words_of(written)
    spelled = [(one, words_of(name)) for one, names in named for name in names]
    if found := [one for one, others in spelled if words and _are_same(words, others)]:
        return NameMatch(tuple(dict.fromkeys(found)))
    found = [one for one, others in spelled if words and _are_like(words, others)]
    return NameMatch(tuple(dict.fromkeys(found)), is_sure=False)


def nearest(written: str, names: Iterable[str]) -> str:
    """Return the known names nearest to a written one as text; also for names of tools."""
    words = words_of(written)
    plain = _plain(short_name(written))[:MAX_CHARS]

    def distance(name: str) -> tuple[int, float, str]:
        others = words_of(name)
        common = sum(any(is_like(word, other) for other in others) for word in words)
        likeness = SequenceMatcher(None, plain, _plain(short_name(name))[:MAX_CHARS]).ratio()
        return -common, -likeness, name

    return listed(sorted(set(names), key=distance), MAX_NEAREST)


def listed(names: Iterable[str], most: int = MAX_LISTED) -> str:
    """Return the first `most` names as text, and how many more there are."""
    every = list(names)
    told = ", ".join(map(clipped, every[:most])) or "nothing"
    return f"{told} and {len(every) - most} more" if len(every) > most else told


def clipped(text: str) -> str:
    """Shorten a text to `MAX_CHARS` characters."""
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"


def _plain(name: str) -> str:
    # A model may leave out the joiner that breaks a marker in a name.
    return name.replace(JOINER, "").strip().casefold()


def _are_same(words: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether the words are the same, in any order or written as one."""
    if sorted(words) == sorted(others):
        return True
    # The numbers 1 and 12 are not 11 and 2.
    together = "".join(words)
    return together.isalpha() and together == "".join(others)


def _are_like(words: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether each word matches a similar one of the others, with none left over."""
    left = list(others)
    for word in sorted(words, key=lambda one: one not in left):
        like = next((one for one in left if is_like(word, one)), None)
        if like is None:
            return False
        left.remove(word if word in left else like)
    return not left
