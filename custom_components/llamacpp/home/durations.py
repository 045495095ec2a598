"""Lengths of time in what was said: `two and a half hours`, `90 seconds`, `un'ora e un quarto`."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from .numbers import MAX_WORDS, first_phrase, number_at
from .words import is_slip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .language import Language

# The units of timers, each with how many of the next one it has.
UNITS = {"hours": 60, "minutes": 60, "seconds": 0}


@dataclass(frozen=True, slots=True)
class Length:
    """A length of time.

    places: where its words begin, and the place behind them. units: whole numbers by unit.
    """

    places: tuple[int, int]
    units: Mapping[str, int]


def lengths(words: Sequence[str], language: Language) -> tuple[Length, ...]:
    """Return the lengths of time that were said, in their order."""
    return _lengths(tuple(words), language)


@lru_cache(maxsize=512)
def _lengths(words: tuple[str, ...], language: Language) -> tuple[Length, ...]:
    reader = _Reader(words, language)
    found: list[Length] = []
    at = 0
    while at < len(words):
        length = reader.length(at)
        if length:
            found.append(length)
        at = length.places[1] if length else at + 1
    return tuple(found)


def duration_text(duration: Mapping[str, int], language: Language) -> str:
    """Return a length of time in words. duration: numbers by the names of units."""
    units = ((number, language.units[unit]) for unit, number in duration.items())
    return " ".join(f"{n} {' '.join(names[0] if n == 1 else names[-1])}" for n, names in units)


class _Reader:
    """Reads lengths of time at places among the words."""

    def __init__(self, words: tuple[str, ...], language: Language) -> None:
        self._words = words
        self._language = language
        self._joins = frozenset(one[0] for one in language.lists["also"])

    def length(self, start: int) -> Length | None:
        """Return the length that begins at a place: units in their order, the largest first."""
        found: dict[str, int] = {}
        end = start
        smaller = list(UNITS)
        while measured := self._measured(self._behind(self._joins, end) if found else end):
            unit, value, behind = measured
            if unit not in smaller:
                break
            smaller = smaller[smaller.index(unit) + 1 :]
            for name, number in _whole(unit, value).items():
                found[name] = found.get(name, 0) + number
            end = behind
        if list(found) == ["hours"]:
            end = self._add_minutes(found, end)
        return Length((start, end), found) if found else None

    def _measured(self, at: int) -> tuple[str, float, int] | None:
        """Return a unit, how many of it, and the place behind; None if there is none here."""
        part, behind = self._part(at)
        unit, end = self._unit(behind)
        if part and unit:
            return unit, part, end
        number, behind = number_at(self._words, at, self._language)
        if number is None and self._behind(self._language.ones, at) > at:
            number, behind = 1.0, at + 1
        if not number:
            return self._compound(at)
        unit, end = self._unit(behind)
        part, behind = self._part(self._behind(self._joins, end))
        if unit:
            # `An hour and half a minute`: the half is of another unit.
            is_own = part and not self._unit(behind)[0]
            return (unit, number + part, behind) if is_own else (unit, number, end)
        unit, end = self._unit(behind)
        return (unit, number + part, end) if part and unit else self._compound(at)

    def _add_minutes(self, found: dict[str, int], end: int) -> int:
        """Add minutes that were said without their unit: `one hour thirty` ends with them."""
        number, behind = number_at(self._words, self._behind(self._joins, end), self._language)
        if number is None or not 0 < number < UNITS["hours"] or behind < len(self._words):
            return end
        found["minutes"] = int(number)
        return behind

    def _part(self, at: int) -> tuple[float, int]:
        """Return the part of a unit that is said at a place, 0 if none, and the place behind."""
        phrase = first_phrase(self._words[at : at + MAX_WORDS], self._language.parts)
        return (self._language.parts[phrase] if phrase else 0.0), at + len(phrase)

    def _unit(self, at: int) -> tuple[str | None, int]:
        name = _unit_of(self._words[at], self._language) if at < len(self._words) else None
        return name, at + (name is not None)

    def _compound(self, at: int) -> tuple[str, float, int] | None:
        """Return what one word says that has both in it: `Viertelstunde`."""
        at = self._behind(self._language.ones, at)
        if at < len(self._words) and (known := _compounds(self._language).get(self._words[at])):
            return *known, at + 1
        return None

    def _behind(self, words: frozenset[str], at: int) -> int:
        """Return the place behind one of these words, if it is here; else this place."""
        return at + (at < len(self._words) and self._words[at] in words)


@lru_cache(maxsize=4096)
def _unit_of(word: str, language: Language) -> str | None:
    """Return the unit that a word names, None if it names none."""
    for name, phrases in language.units.items():
        if any(is_slip(word, one[0]) for one in phrases):
            return name
    return None


@lru_cache(maxsize=16)
def _compounds(language: Language) -> dict[str, tuple[str, float]]:
    """Return the words of a part and a unit in one, each with its unit and how much of it."""
    return {
        part[0] + unit: (name, value)
        for name, phrases in language.units.items()
        for (unit, *_), (part, value) in product(phrases, language.parts.items())
        if len(part) == 1
    }


def _whole(unit: str, value: float) -> dict[str, int]:
    """Return a number of a unit as whole numbers, of this one and of smaller ones."""
    found: dict[str, int] = {}
    names = list(UNITS)
    for name in names[names.index(unit) :]:
        whole = int(value + 1e-6)
        if whole:
            found[name] = whole
        value = (value - whole) * UNITS[name]
    return found
