"""Link the words of an utterance to the entities and places of the home."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product, takewhile
from typing import TYPE_CHECKING

from ..home.things import name_words, remembered
from ..home.words import LINKS, LONG, SHORT, is_declined, is_like, n_common, parts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from homeassistant.core import HomeAssistant

    from ..home.language import Language, Phrase
    from ..home.things import ExposedEntity, Home, Place

# Smallest share of a name that counts.
MIN_SHARE = 0.4
# Matches below this share of the best one are dropped.
MIN_OF_BEST = 0.75
MOST_OF_NAME = 0.5
# Score for a kind in its area alone; bonuses for area and for kind.
BY_PLACE, HERE, OF_KIND = 0.95, 0.03, 0.02
# Tolerance when comparing shares.
ROUNDING = 1e-9
# Longest ending of a plural in letters.
MAX_ENDING = 2
MAX_THINGS = 8
MAX_PLACES = 4
MAX_REMEMBERED, MAX_SHORTLISTS = 4096, 64


@dataclass(frozen=True, slots=True)
class EntityMatch:
    """An entity, and the share of its name in the utterance.

    share: 0 to 1. is_whole: has the whole name. is_sure: that, or kind and area. is_only: the only
    match, with at least half of the name. words: those that name it.
    """

    thing: ExposedEntity
    share: float
    is_whole: bool
    is_sure: bool
    words: frozenset[str]
    is_only: bool = False


class NameIndex:
    """Index of a home's names by their words; a query only looks at matching names.

    Thread-safe.
    """

    def __init__(self, home: Home, language: Language) -> None:
        """Index all names: takes time proportional to the home."""
        self.language = language
        self.n_things = len(home.things)
        self.names = [[name_words(name) for name in thing.names] for thing in home.things]
        self.by_word: dict[str, set[int]] = defaultdict(set)
        self.by_kind: dict[str, list[int]] = defaultdict(list)
        self.by_area: dict[str, list[int]] = defaultdict(list)
        self.namesakes = Counter((thing.name, thing.domain) for thing in home.things)
        # Number of entities by kind and by id of the area or floor.
        self.n_in_area: Counter[tuple[str, str]] = Counter()
        self.n_on_floor: Counter[tuple[str, str]] = Counter()
        for index, thing in enumerate(home.things):
            for word in {word for name in self.names[index] for word in name}:
                self.by_word[word].add(index)
            area = home.areas.get(thing.area) if thing.area else None
            for kind in thing.kinds:
                self.by_kind[kind].append(index)
                self.n_in_area[kind, thing.area or ""] += 1
                self.n_on_floor[kind, (area and area.floor) or ""] += 1
            if thing.area:
                self.by_area[thing.area].append(index)
        places = (*home.areas.values(), *home.floors.values())
        words_of_places = [
            {word for name in place.names for word in name_words(name)} for place in places
        ]
        of_places = set().union(*words_of_places)
        # Number of areas and floors with the word in their names.
        self.n_places = Counter(word for words in words_of_places for word in words)
        of_kinds = {word for kind in language.kinds.values() for one in kind.words for word in one}
        self.known = frozenset(self.by_word) | of_places | of_kinds
        self._of_kinds = frozenset(of_kinds)
        self._initials: dict[str, list[str]] = defaultdict(list)
        for word in self.known:
            self._initials[word[0]].append(word)
        # Names such as German `Herdlicht`, by the part before the word for a kind, with that word.
        self.compounds = (
            _compounds(self.by_word, of_kinds, of_places) if language.has_inversion else {}
        )
        self._near: dict[str, frozenset[str]] = {}
        self._weights: dict[str, float] = {}
        # By word: entity index, name index, and the word's share of that name.
        self.shares: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
        for index, names in enumerate(self.names):
            for number, words in enumerate(names):
                whole = sum(map(self.weight, words))
                for word in {*words}:
                    self.shares[word].append((index, number, self.weight(word) / whole))
        # By the words of an utterance and the kinds implied by its verb.
        self.shortlists: dict[tuple[tuple[str, ...], frozenset[str]], EntityLinker] = {}

    @staticmethod
    def of(home: Home, language: Language) -> NameIndex:
        """Return the index of a home, creating it on first use."""
        known = _indexes(home)
        if language.code not in known:
            known[language.code] = NameIndex(home, language)
        return known[language.code]

    def weight(self, word: str) -> float:
        """Return the weight of a word in a name: less, the more names contain it.

        A number only tells entities apart: `the strips` are `Strip 1` and `Strip 2`.
        """
        if word not in self._weights:
            weight = math.log(1 + self.n_things / len(self.by_word[word]))
            is_number = word.isdigit() or (word,) in self.language.numbers
            self._weights[word] = weight / 2 if is_number else weight
        return self._weights[word]

    def numbered(self, before: str, word: str) -> frozenset[str]:
        """Return how names spell the number `word` after the word before it.

        `Lamp two` can be `Lamp 2`, and `lamp 2` can be `Lamp Two`.
        """
        numbers = self.language.numbers
        value = float(word) if word.isdigit() else self._value_of(word)
        if value is None:
            return frozenset()
        same = {f"{value:g}", *(one[0] for one, is_ in numbers.items() if is_ == value)} - {word}
        return frozenset(
            one
            for one in same & self.by_word.keys()
            if any(self.by_word[one] & self.by_word[name] for name in self._named_by(before))
        )

    def _value_of(self, word: str) -> float | None:
        value = self.language.numbers.get((word,))
        return self.language.ordinals.get(word) if value is None else value

    def _named_by(self, word: str) -> frozenset[str]:
        return self.near(word) & self.by_word.keys()

    def near(self, word: str) -> frozenset[str]:
        """Return the known words that this word can mean.

        A known word is never taken as a typo of another.
        """
        found = self._near.get(word)
        if found is None:
            if len(self._near) > MAX_REMEMBERED:
                self._near.clear()
            found = self._near[word] = frozenset(self._find(word))
        return found

    def _find(self, word: str) -> Iterable[str]:
        if word in self.language.common:
            return {word} & self.known
        is_known = word in self.known
        likely = self._initials.get(word[0], ())
        if word in self._of_kinds:
            # `Luci` is not a form of `Lucina`.
            likely = [
                one
                for one in likely
                if one in self._of_kinds
                or one == word
                or is_plural_of(one, word, self.language)
                or is_plural_of(word, one, self.language)
                or is_declined(word, one, self.language.declension)
            ]
        return (
            one
            for one in likely
            if is_like(one, word, may_slip=not is_known)
            or is_declined(one, word, self.language.declension)
        )


def _compounds(
    words: Iterable[str], of_kinds: Iterable[str], of_places: Collection[str]
) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Return the compounds among words of names, with the kind that each ends in, by the rest.

    None with a place: `the light in the kitchen` is not only the `Küchenlicht`.
    """
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for word, kind in product(words, of_kinds):
        if word == kind or not word.endswith(kind):
            continue
        first = word.removesuffix(kind)
        for link in LINKS:
            root = first.removesuffix(link)
            if first.endswith(link) and len(root) >= SHORT and root not in of_places:
                found[root].append((kind, word))
    return found


async def async_read_names(hass: HomeAssistant, home: Home, language: Language) -> None:
    """Index the names of a changed home in the background, so that no request waits for it."""
    if language.code not in _indexes(home):
        await hass.async_add_executor_job(NameIndex.of, home, language)


@remembered
def _indexes(home: Home) -> dict[str, NameIndex]:  # noqa: ARG001 - one for each home
    """Return the indexes of a home by language code."""
    return {}


class EntityLinker:
    """The entities and places of a home that an utterance names."""

    def __init__(
        self,
        home: Home,
        language: Language,
        words: Sequence[str],
        implied: frozenset[str] = frozenset(),
    ) -> None:
        """Match names in the utterance. implied: kinds implied by its verb."""
        self.home = home
        self._language = language
        self.index = NameIndex.of(home, language)
        self._things_of_kinds: dict[frozenset[str], list[ExposedEntity]] = {}
        self._words: list[str] = []
        # For each of these words, the place of the word that contains it.
        self._places_of_parts: list[int] = []
        for place, word in enumerate(words):
            for part in parts_of(word, self.index.known):
                self._words.append(part)
                self._places_of_parts.append(place)
        self._said = self._find_said()
        self.kinds = implied | {
            name
            for name, kind in language.kinds.items()
            if any(self._is_phrase(one) for one in kind.words)
        }
        self.plurals = frozenset(
            name
            for name, kind in language.kinds.items()
            if any(set(one) <= set(self._words) for one in kind.plurals)
        )
        self.areas = self._places(home.areas)
        self.floors = self._places(home.floors)
        self.things = self._things()

    @staticmethod
    def of(
        home: Home,
        language: Language,
        words: Sequence[str],
        implied: frozenset[str] = frozenset(),
    ) -> EntityLinker:
        """Return the linker for the words, from the cache: a turn asks several times."""
        known = NameIndex.of(home, language).shortlists
        key = (tuple(words), implied)
        found = known.get(key)
        if found is None:
            if len(known) >= MAX_SHORTLISTS:
                known.clear()
            found = known[key] = EntityLinker(home, language, words, implied)
        return found

    def of_kinds(self, kinds: frozenset[str], area: str | None = None) -> list[ExposedEntity]:
        """Return the entities of these kinds, only those in the area if there are any.

        A blind is also a cover, but `blinds` does not mean the garage door.
        """
        precise = frozenset(one for one in kinds if "." in one)
        found = self._of(precise) or self._of(kinds)
        return [thing for thing in found if area and thing.area == area] or found

    def of_area(self) -> list[ExposedEntity]:
        """Return the entities in the named areas."""
        return [
            self.home.things[index]
            for area in self.areas
            for index in self.index.by_area.get(area, ())
        ]

    def _of(self, kinds: frozenset[str]) -> list[ExposedEntity]:
        if kinds not in self._things_of_kinds:
            found = {index for kind in kinds for index in self.index.by_kind.get(kind, ())}
            self._things_of_kinds[kinds] = [self.home.things[index] for index in sorted(found)]
        return self._things_of_kinds[kinds]

    @property
    def is_specific(self) -> bool:
        """Return whether the utterance has more of a name than kind and place."""
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
        """Return the words that name kinds: `gate` does not mean a door."""
        kinds = self._language.kinds.values()
        known = frozenset(word for kind in kinds for one in kind.words for word in one)
        return known.intersection(self._words) - self._language.common

    def naming(self, thing: ExposedEntity | None) -> frozenset[str]:
        """Return the words that name an entity and places: they are not values."""
        of_thing = (one.words for one in self.things if one.thing is thing)
        names = self._of_places.union(*of_thing)
        numbers = (self._said.get(one, ()) for one in names if one.isdigit())
        return names.union(self._words[place] for places in numbers for place in places)

    @property
    def is_plural_of_kind(self) -> bool:
        """Return whether the plural of a kind, such as `lights`, is there and names no entity."""
        plurals = {
            word
            for name in self.plurals
            for phrase in self._language.kinds[name].plurals
            for word in phrase
        }
        is_name = any(one.is_whole or plurals & one.words for one in self.things)
        return bool(self.plurals) and not (is_name or (self.are_several and self.is_specific))

    @property
    def are_several(self) -> bool:
        """Return whether the utterance has the plural of a name that several entities share."""
        language = self._language
        words = {one.words for one in self.things}
        return len(words) == 1 and any(
            is_plural_of(self._words[place], word, language)
            for word in next(iter(words))
            for place in self._said.get(word, ())
        )

    def places_of(self, words: Iterable[str]) -> set[int]:
        """Return the places of these words of names in the utterance."""
        return {
            self._places_of_parts[index] for word in words for index in self._said.get(word, ())
        }

    def is_name_of(self, thing: ExposedEntity, words: frozenset[str]) -> bool:
        """Return whether these words are in the utterance, or some that only this entity has."""
        said = [word for word in words if word in self._said]
        alike = (self.index.by_word[word] for word in said)
        others = (
            [self.home.things[index] for index in set[int].intersection(*alike)] if said else []
        )
        is_only = all(one is thing or one.domain != thing.domain for one in others)
        return bool(said) and (is_only or len(said) == len(words))

    def is_said_as(self, place: int, words: Iterable[str]) -> bool:
        """Return whether the word at a place is one of these, apart from its ending."""
        parts = [
            word
            for word, own in zip(self._words, self._places_of_parts, strict=True)
            if own == place
        ]
        declension = self._language.declension
        return all(
            any(
                is_like(part, one, may_slip=False) or is_declined(part, one, declension)
                for one in words
            )
            for part in parts
        )

    def places_of_area(self, area: str | None) -> set[int]:
        """Return the places of the whole name of an area or its floor."""
        place = self.home.areas.get(area) if area else None
        if place is None:
            return set()
        floor = self.home.floors.get(place.floor) if place.floor else None
        return self.places_of_place(place) | (self.places_of_place(floor) if floor else set())

    def places_of_owner(self, area: str | None) -> set[int]:
        """Return the places of words that are only in this area's name.

        `Zoe's lamp` is in `Zoe's Room`.
        """
        place = self.home.areas.get(area) if area else None
        words = {word for name in place.names for word in name_words(name)} if place else set()
        return self.places_of(word for word in words if self.index.n_places[word] == 1)

    def places_of_place(self, place: Place) -> set[int]:
        """Return the places of the whole name of an area or a floor."""
        return self.places_of(self._named(place.names))

    @property
    def _of_places(self) -> frozenset[str]:
        """Return the words that name places."""
        places = (
            *(self.home.areas[one].names for one in self.areas),
            *(self.home.floors[one].names for one in self.floors),
        )
        return frozenset[str]().union(*map(self._named, places))

    def _find_said(self) -> Mapping[str, list[int]]:
        """Return the places of each word of a name in the utterance."""
        found: dict[str, list[int]] = defaultdict(list)
        for index, word in enumerate(self._words):
            for one in self.index.near(word):
                found[one].append(index)
            for kind, compound in self.index.compounds.get(word, ()):
                # `The light above the stove`: its word for the kind stands before.
                if kind in self._words[:index]:
                    found[compound] += [self._words.index(kind), index]
        for index, (one, other) in enumerate(pairwise(self._words)):
            if len(one + other) > LONG and one + other in self.index.known:
                found[one + other] += [index, index + 1]
            for number in self.index.numbered(one, other):
                found[number].append(index + 1)
            if one in self._language.ordinals:
                # `The second lamp` is `Lamp 2`.
                for number in self.index.numbered(other, one):
                    found[number].append(index)
        return dict(found)

    def _is_phrase(self, phrase: Phrase) -> bool:
        """Return whether the utterance has the words of a phrase in order."""
        start = 0
        for word in phrase:
            index = next((one for one in self._said.get(word, ()) if one >= start), None)
            if index is None:
                return False
            start = index + 1
        return True

    def _places(self, places: Mapping[str, Place]) -> list[str]:
        """Return the ids of the named places, without those whose name is part of another."""
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
        """Return the words of the longest name that is in the utterance as a whole."""
        said = [
            frozenset(words)
            for name in names
            if (words := name_words(name)) and all(word in self._said for word in words)
        ]
        return max(said, key=len, default=frozenset())

    def _things(self) -> list[EntityMatch]:
        """Return the entities that may be meant, the likeliest first."""
        likely = self._likely()
        found = [meant for one in sorted(likely) if (meant := self._meant(one))]
        best = max((one.share for one in found), default=0.0)
        if best < MIN_SHARE:
            return self._by_head(found)
        near = [one for one in found if one.share >= MIN_OF_BEST * best]
        sure = [one for one in near if one.is_sure]
        kept = [one for one in sure or near if not any(_is_less(one, other) for other in sure)]
        if len(kept) == 1 and kept[0].share >= MOST_OF_NAME:
            kept = [replace(kept[0], is_only=True)]
        return sorted(kept, key=lambda one: -one.share)[:MAX_THINGS]

    def _by_head(self, found: Iterable[EntityMatch]) -> list[EntityMatch]:
        """Return the only entity whose name begins so: `the machine`, the `Machine for coffee`.

        None if that is a word for a kind of entity, or a place.
        """
        small = {one[0] for one in self._language.lists["small"] if len(one) == 1}
        no_heads = small.union(self.kind_words, self._of_places)
        heads = []
        for one in found:
            for words in map(name_words, one.thing.names):
                head = frozenset(takewhile(lambda word: word not in small, words))
                if len(head) < len(words) and head and head <= one.words - no_heads:
                    heads.append(replace(one, share=MOST_OF_NAME, is_only=True))
                    break
        return heads if len(heads) == 1 else []

    def _likely(self) -> set[int]:
        """Return the indexes of entities with a sufficient share, and of those in named areas."""
        shares: dict[tuple[int, int], float] = defaultdict(float)
        for word in self._said:
            for index, number, share in self.index.shares.get(word, ()):
                shares[index, number] += share
        least = MIN_OF_BEST * max(shares.values(), default=0.0) - HERE - OF_KIND - ROUNDING
        likely = {index for (index, _), share in shares.items() if share >= least}
        return likely.union(*(self.index.by_area.get(area, ()) for area in self.areas))

    def _meant(self, index: int) -> EntityMatch | None:
        thing = self.home.things[index]
        weight = self.index.weight
        is_here = thing.area in self.areas
        is_kind = bool(self.kinds.intersection(thing.kinds))
        best, best_words = 0.0, frozenset[str]()
        for words in self.index.names[index]:
            said = frozenset(word for word in words if word in self._said)
            whole = sum(map(weight, words))
            share = sum(map(weight, said)) / whole if whole else 0.0
            if (share, len(said)) > (best, len(best_words)):
                best, best_words = share, said
        is_sure = is_whole = best > 1 - ROUNDING
        if is_here and is_kind and not is_sure:
            best = max(best, BY_PLACE)
            is_sure = True
        if is_here and is_sure and thing.area:
            best_words |= self._named(self.home.areas[thing.area].names)
        if not best:
            return None
        return EntityMatch(
            thing, best + HERE * is_here + OF_KIND * is_kind, is_whole, is_sure, best_words
        )


def is_plural_of(word: str, one: str, language: Language) -> bool:
    """Return whether a word is the plural of another, with an ending used by a kind."""
    return word != one and any(
        word.endswith(several) and one == word.removesuffix(several) + single
        for single, several in _plural_endings(language)
    )


@lru_cache(maxsize=16)
def _plural_endings(language: Language) -> frozenset[tuple[str, str]]:
    """Return pairs of singular and plural endings, as in `lampada` and `lampade`."""
    found: set[tuple[str, str]] = set()
    cases: set[tuple[str, str]] = set()
    for kind in language.kinds.values():
        plurals = {one[0] for one in kind.plurals if len(one) == 1}
        singles = {one[0] for one in kind.words if len(one) == 1} - plurals
        found |= _ending_pairs(singles, plurals)
        # Polish `lampę` without its accent ends as a plural.
        is_declined_much = language.declension and not language.has_inversion
        cases |= _ending_pairs(singles, singles) if is_declined_much else set()
    return frozenset(found - cases)


def _ending_pairs(ones: Iterable[str], others: Iterable[str]) -> set[tuple[str, str]]:
    """Return the endings by which words differ from others of the same stem."""
    pairs = set()
    for one, other in product(ones, others):
        common = n_common(one, other)
        endings = (one[common:], other[common:])
        if common >= SHORT and max(map(len, endings)) <= MAX_ENDING:
            pairs.add(endings)
    return pairs


def _is_less(one: EntityMatch, other: EntityMatch) -> bool:
    """Return whether `other` matches these words and more, or the same by its whole name."""
    is_named_better = one.share <= BY_PLACE + HERE + OF_KIND < other.share
    return one.words < other.words or (one.words == other.words and is_named_better)
