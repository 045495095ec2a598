"""Find durations in an utterance: `two and a half hours`, `90 seconds`, `un'ora e un quarto`."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from .numbers import MAX_WORDS, first_phrase, number_at
from .words import is_slip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .language import Language

# Units of timers, each with the number of the next smaller unit in it.
UNITS = {"hours": 60, "minutes": 60, "seconds": 0}


@dataclass(frozen=True, slots=True)
class Length:
    """A duration.

    places: index of its first word, and the index behind its last. units: integers by unit.
    """

    places: tuple[int, int]
    units: Mapping[str, int]


def lengths(words: Sequence[str], language: Language) -> tuple[Length, ...]:
    """Return the durations of an utterance, in order."""
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
    """Return a duration in words. duration: numbers by the names of units."""
    units = ((number, language.units[unit]) for unit, number in duration.items())
    return " ".join(f"{n} {' '.join(names[0] if n == 1 else names[-1])}" for n, names in units)


class _Reader:
    """Reads durations at indexes of the words."""

    def __init__(self, words: tuple[str, ...], language: Language) -> None:
        self._words = words
        self._language = language
        self._joins = frozenset(one[0] for one in language.lists["also"])

    def length(self, start: int) -> Length | None:
        """Return the duration at an index: units in descending order."""
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
        """Return a unit, its number, and the index behind; None if there is none here."""
        part, behind = self._part(at)
        unit, end = self._unit(behind)
        if part and unit:
            return unit, part, end
        number, behind = number_at(self._words, at, self._language)
        is_article = number is None and self._behind(self._language.ones, at) > at
        if is_article:
            number, behind = 1.0, at + 1
        if not number:
            return self._compound(at)
        unit, end = self._unit(behind)
        part, behind = self._part(self._behind(self._joins, end))
        if unit:
            # `An hour and half a minute`: the half belongs to another unit.
            is_own = part and not self._unit(behind)[0]
            return (unit, number + part, behind) if is_own else (unit, number, end)
        unit, end = self._unit(behind)
        # `Eine dreiviertel Stunde` is less than an hour.
        whole = 0 if is_article else number
        return (unit, whole + part, end) if part and unit else self._compound(at)

    def _add_minutes(self, found: dict[str, int], end: int) -> int:
        """Add minutes without a unit at the end of the utterance, as in `one hour thirty`."""
        number, behind = number_at(self._words, self._behind(self._joins, end), self._language)
        if number is None or not 0 < number < UNITS["hours"] or behind < len(self._words):
            return end
        found["minutes"] = int(number)
        return behind

    def _part(self, at: int) -> tuple[float, int]:
        """Return the fraction of a unit at an index, 0 if there is none, and the index behind."""
        phrase = first_phrase(self._words[at : at + MAX_WORDS], self._language.parts)
        return (self._language.parts[phrase] if phrase else 0.0), at + len(phrase)

    def _unit(self, at: int) -> tuple[str | None, int]:
        name = _unit_of(self._words[at], self._language) if at < len(self._words) else None
        return name, at + (name is not None)

    def _compound(self, at: int) -> tuple[str, float, int] | None:
        """Return the value of a compound of fraction and unit, such as `Viertelstunde`."""
        at = self._behind(self._language.ones, at)
        if at < len(self._words) and (known := _compounds(self._language).get(self._words[at])):
            return *known, at + 1
        return None

    def _behind(self, words: frozenset[str], at: int) -> int:
        """Return the index behind one of these words, if it is here; else this index."""
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
    """Return the compounds of a fraction and a unit, each with its unit and value."""
    return {
        part[0] + unit: (name, value)
        for name, phrases in language.units.items()
        for (unit, *_), (part, value) in product(phrases, language.parts.items())
        if len(part) == 1
    }


def _whole(unit: str, value: float) -> dict[str, int]:
    """Return a number of a unit as integers of this unit and smaller ones."""
    found: dict[str, int] = {}
    names = list(UNITS)
    for name in names[names.index(unit) :]:
        whole = int(value + 1e-6)
        if whole:
            found[name] = whole
        value = (value - whole) * UNITS[name]
    return found
