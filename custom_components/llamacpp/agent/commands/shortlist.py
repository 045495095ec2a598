"""Which things and places of the home were meant, by the words that were said."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .said import is_any
from .words import find, is_like, parted, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .home import Home, Place, Thing
    from .language import Language

# Less of a name than this says nothing.
MIN_SHARE = 0.45
# What is meant this much less than the best is not meant.
MIN_OF_BEST = 0.75
MOST_OF_NAME = 0.5
# How much it tells that a thing is of a kind in a place, beside its whole name; and what either
# adds to its name.
BY_PLACE, HERE, OF_KIND = 0.95, 0.03, 0.02
MAX_THINGS = 8
MAX_PLACES = 4


@dataclass(frozen=True, slots=True)
class Meant:
    """A thing, and how much of what names it was said.

    share: 0 to 1. is_whole: its whole name was said. is_sure: that, or its kind and its place.
    is_only: nothing else was named, and of this half or more. words: those that name it.
    """

    thing: Thing
    share: float
    is_whole: bool
    is_sure: bool
    words: frozenset[str]
    is_only: bool = False


class Shortlist:
    """What was named of a home."""

    def __init__(
        self,
        home: Home,
        language: Language,
        words: Sequence[str],
        implied: frozenset[str] = frozenset(),
    ) -> None:
        """Look for the names of a home in what was said. implied: kinds that go with its verb."""
        self._home = home
        self._language = language
        self._known = _words_of_names(home) | {
            word for kind in language.kinds.values() for one in kind.words for word in one
        }
        words = self._words = parted(words, self._known)
        self.kinds = implied | {
            name for name, kind in language.kinds.items() if is_any(kind.words, words, language)
        }
        self.plurals = frozenset(
            name
            for name, kind in language.kinds.items()
            if any(set(one) <= set(words) for one in kind.plurals)
        )
        self.areas = self._places(home.areas)
        self.floors = self._places(home.floors)
        self.things = self._things()

    def of_kinds(self, kinds: frozenset[str], area: str | None = None) -> list[Thing]:
        """Return the things of these kinds, those of an area only if there are some.

        A blind is also a cover, but who speaks of blinds does not mean the garage door.
        """
        precise = frozenset(one for one in kinds if "." in one)
        found = self._of(precise) or self._of(kinds)
        return [thing for thing in found if area and thing.area == area] or found

    def _of(self, kinds: frozenset[str]) -> list[Thing]:
        return [thing for thing in self._home.things if kinds.intersection(thing.kinds)]

    @property
    def is_specific(self) -> bool:
        """Return whether more of a thing was named than its kind and its place."""
        kinds = (self._language.kinds[one].words for one in self.kinds)
        other = [word for phrases in kinds for phrase in phrases for word in phrase]
        other += self._of_places
        return any(
            not any(is_like(word, one) for one in other)
            for meant in self.things
            for word in meant.words - self._language.common
        )

    @property
    def kind_words(self) -> frozenset[str]:
        """Return the words that were said for kinds of things: `gate` means no door."""
        kinds = self._language.kinds.values()
        known = frozenset(word for kind in kinds for one in kind.words for word in one)
        return known.intersection(self._words) - self._language.common

    def naming(self, thing: Thing | None) -> frozenset[str]:
        """Return the words that name a thing and places: they are no values."""
        of_thing = (one.words for one in self.things if one.thing is thing)
        return self._of_places.union(*of_thing)

    @property
    def _of_places(self) -> frozenset[str]:
        """Return the words that name places."""
        places = (
            *(self._home.areas[one].names for one in self.areas),
            *(self._home.floors[one].names for one in self.floors),
        )
        return frozenset[str]().union(*map(self._named, places))

    def _places(self, places: Mapping[str, Place]) -> list[str]:
        """Return the ids of the places that were named, those with the longest names only."""
        named = {
            place_id: words
            for place_id, place in places.items()
            if (words := self._named(place.names))
        }
        return [
            one
            for one, words in named.items()
            if not any(words < other for other in named.values())
        ][:MAX_PLACES]

    def _named(self, names: Sequence[str]) -> frozenset[str]:
        """Return the words of the longest name that was said as a whole."""
        said = [
            frozenset(words)
            for name in names
            if (words := words_of(name)) and all(self._was_said(word) for word in words)
        ]
        return max(said, key=len, default=frozenset())

    def _was_said(self, word: str) -> bool:
        return find(word, self._words, self._language.common, self._known) is not None

    def _things(self) -> list[Meant]:
        """Return the things that may be meant, the likeliest first."""
        weights = _weights(self._home)
        found = [meant for thing in self._home.things if (meant := self._meant(thing, weights))]
        best = max((one.share for one in found), default=0.0)
        if best < MIN_SHARE:
            return []
        near = [one for one in found if one.share >= MIN_OF_BEST * best]
        sure = [one for one in near if one.is_sure]
        kept = [one for one in sure or near if not any(_is_less(one, other) for other in sure)]
        if len(kept) == 1 and kept[0].share >= MOST_OF_NAME:
            kept = [replace(kept[0], is_only=True)]
        return sorted(kept, key=lambda one: -one.share)[:MAX_THINGS]

    def _meant(self, thing: Thing, weights: Mapping[str, float]) -> Meant | None:
        is_here = thing.area in self.areas
        is_kind = bool(self.kinds.intersection(thing.kinds))
        best, best_words = 0.0, frozenset[str]()
        for name in thing.names:
            words = words_of(name)
            said = frozenset(filter(self._was_said, words))
            whole = sum(weights.get(word, 1.0) for word in words)
            share = sum(weights.get(word, 1.0) for word in said) / whole if whole else 0.0
            if (share, len(said)) > (best, len(best_words)):
                best, best_words = share, said
        is_sure = is_whole = best > 1 - 1e-9
        if is_here and is_kind and not is_sure:
            best = max(best, BY_PLACE)
            is_sure = True
        if is_here and is_sure and thing.area:
            best_words |= self._named(self._home.areas[thing.area].names)
        if not best:
            return None
        return Meant(
            thing, best + HERE * is_here + OF_KIND * is_kind, is_whole, is_sure, best_words
        )


def _is_less(one: Meant, other: Meant) -> bool:
    """Tell whether another thing is meant, as all that names this one names that one better."""
    is_named_better = one.share <= BY_PLACE + HERE + OF_KIND < other.share
    return one.words < other.words or (one.words == other.words and is_named_better)


def _words_of_names(home: Home) -> frozenset[str]:
    places = (*home.areas.values(), *home.floors.values())
    named = (*(one.names for one in home.things), *(one.names for one in places))
    return frozenset(word for names in named for name in names for word in words_of(name))


def _weights(home: Home) -> dict[str, float]:
    """Return how much each word of the names tells: less, the more names it is in."""
    counts: dict[str, int] = {}
    for thing in home.things:
        for word in {word for name in thing.names for word in words_of(name)}:
            counts[word] = counts.get(word, 0) + 1
    n_things = len(home.things)
    return {word: math.log(1 + n_things / count) for word, count in counts.items()}
