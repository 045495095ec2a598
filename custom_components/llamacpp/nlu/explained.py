"""Find the words that a command does not explain: they may change its meaning."""

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

from ..home.durations import lengths
from ..home.numbers import HALF, with_half
from ..home.things import name_words
from ..home.words import PERCENT, is_like
from .relative import difference, step
from .utterance import n_begin
from .verbs import ENDING, EXACT, passive_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..home.language import Language, Phrase, Sentence
    from ..home.things import ExposedEntity, Place
    from .entity_linking import EntityLinker
    from .verbs import Heard


# Tool and domain of an order that does no harm.
LOCKING = ("HassTurnOn", "lock")


class Explained:
    """Accounts for the words of one part of an utterance."""

    def __init__(
        self,
        words: Sequence[str],
        language: Language,
        shortlist: EntityLinker,
        *,
        joins: frozenset[int] = frozenset(),
        is_room_known: bool = False,
    ) -> None:
        """Find the words without a meaning of their own, such as articles and `could you`.

        joins: places of words such as `and`. is_room_known: `here` means a room.
        """
        self._words = words
        self._language = language
        self._shortlist = shortlist
        lists = language.lists
        # `Deja` alone is small, `deja de` asks to stop; `s'il te plaît` has a word for `if`.
        cautions = tuple(one for one in lists["not_now"] if len(one) > 1)
        whole = tuple(one for one in (*lists["small"], *lists["orders"]) if len(one) > 1)
        stopped = _places(_index(cautions), words) - _places(_index(whole), words)
        self._small = {*joins, *small_places(words, language)} - stopped
        self._all = _places(_index(lists["all"]), words)
        if is_room_known:
            self._small |= _places(_index(lists["here"]), words)
        self._there = there_places(words, language)
        if n_begin(tuple(words), lists["orders"]):
            self._small |= _places(_index(lists["auxiliaries"]), words)
        self._small |= passive_places(words, language)
        # `Leave it on` is no order to turn it on.
        self._kept = set[int]().union(
            *(_in_order(one, words) for one in lists["keep"] if len(one) > 1)
        )

    def rest(  # noqa: PLR0913 - each is a part of the command
        self,
        sentence: Sentence,
        heard: Heard | None,
        *,
        thing: ExposedEntity | None = None,
        kind: str | None = None,
        place: Place | None = None,
        item_end: int = 0,
        item: Phrase = (),
    ) -> tuple[str, ...]:
        """Return the words that a command does not explain.

        sentence: its template. heard: the match of its verb, None: not in this part. thing, or kind
        and place: its target. item_end: where the words that it adds to a list end, 0 if it adds
        none. item: words of an item that is on the list, or reported as missing.
        """
        shortlist, language = self._shortlist, self._language
        known = {*self._small}
        if heard:
            known |= heard.places | self._before_each("possessives", heard.places)
            known |= self._item(heard, item_end) if item_end else set()
        if item:
            # `Is done`, `is finished`.
            for name in ("missing", "copulas"):
                known |= phrase_places(language.lists[name], self._words)
            known |= {
                index
                for index, word in enumerate(self._words)
                if any(is_like(word, one) for one in item)
            }
        target = self.of_thing(thing) if thing else set()
        if kind:
            target |= shortlist.places_of(_words_of_kind(kind, language))
        if place:
            target |= shortlist.places_of_place(place)
        owner = shortlist.places_of_owner(thing.area) if thing else set()
        known |= target | self._all | self._modals(target - owner)
        # `The heating of the whole home` is not the radiator that is named besides.
        if not place and (kind or (self._all and not shortlist.is_specific)):
            known |= _places(_index(language.lists["home"]), self._words)
        for slot in sentence.slots.values():
            known |= self.of_value(slot)
        if by_step := step(self._words, sentence, language):
            known |= by_step.places
        known -= self._elsewhere(kind)
        if not sentence.slots:
            known -= self._kept
        return tuple(word for index, word in enumerate(self._words) if index not in known)

    def _elsewhere(self, kind: str | None) -> set[int]:
        """Return the places of words such as `there`: they mean neither here nor everywhere.

        Empty for a single entity, or if the words name a place, too.
        """
        is_placed = bool(self._shortlist.areas or self._shortlist.floors)
        return self._there if (kind or self._all) and not is_placed else set()

    def _before_each(self, name: str, places: frozenset[int]) -> set[int]:
        """Return the places of words of a list that stand directly before one of these places."""
        found = _places(_index(self._language.lists[name]), self._words)
        return {one for one in found if one + 1 in places}

    def _modals(self, target: set[int]) -> set[int]:
        """Return the places of words such as `may` whose subject is the target.

        In `may the lamp be off` it is no order, and in `she may use the lamp` it is her.
        """
        found = _places(_index(self._language.lists["modals"]), self._words)
        first = min(found, default=0)
        is_subject = {*range(first)} - self._small <= target
        return found if is_subject and target.intersection(range(first)) else set()

    def beside(
        self, things: Iterable[ExposedEntity], places: Iterable[Place], name: str
    ) -> tuple[str, ...]:
        """Return the words that name none of these entities and places.

        name: of a list of further phrases that count as explained.
        """
        phrases = self._language.lists[name]
        known = {*self._small, *self._all, *_places(_index(phrases), self._words)}
        for thing in things:
            known |= self.of_thing(thing)
        for place in places:
            known |= self._shortlist.places_of_place(place)
        return tuple(word for index, word in enumerate(self._words) if index not in known)

    def of_thing(self, thing: ExposedEntity) -> set[int]:
        """Return the places of the words for an entity: its names, its kinds and its area."""
        words = {word for name in thing.names for word in name_words(name)}
        words |= {word for kind in thing.kinds for word in _words_of_kind(kind, self._language)}
        shortlist = self._shortlist
        named = shortlist.places_of(words) | shortlist.places_of_area(thing.area)
        owner = shortlist.places_of_owner(thing.area) - named
        # `Zoe's lamp` can be any of the lamps in her room.
        return named | owner if owner and self._is_told_apart(thing) else named

    def _is_told_apart(self, thing: ExposedEntity) -> bool:
        """Return whether more than its kind names the entity, or its kind is unique in its room.

        Words of the room's own name do not count.
        """
        shortlist = self._shortlist
        area = shortlist.home.areas.get(thing.area) if thing.area else None
        common = {word for name in (area.names if area else ()) for word in name_words(name)}
        common |= _words_of_kind(thing.kinds[0], self._language)
        own = {word for name in thing.names for word in name_words(name)} - common
        alike = [
            one
            for one in shortlist.home.things
            if one.area == thing.area and one.kinds[0] == thing.kinds[0]
        ]
        return len(alike) == 1 or bool(shortlist.places_of(own))

    def owner(self, area: str) -> set[str]:
        """Return the words that only this area's name has: `Zoe's`."""
        return {self._words[place] for place in self._shortlist.places_of_owner(area)}

    def is_own(self, thing: ExposedEntity, heard: Heard) -> bool:
        """Return whether the words name exactly this entity.

        By its name, or a part of it that no other has; by its kind and its room; or by a word for
        its kind alone that is in its name, if it is the only one. `Door` is no such word: it has a
        lock, or a motor. Nor is `garage door` for the gate of a shed.
        """
        language, shortlist = self._language, self._shortlist
        kind = _words_of_kind(thing.kinds[0], language)
        names = [frozenset(name_words(name)) for name in thing.names]
        if any(
            shortlist.is_name_of(thing, name - kind)
            if name - kind
            else all(shortlist.places_of((word,)) for word in name)
            for name in names
        ):
            return True
        of_names = frozenset[str]().union(*names)
        alone = shortlist.places_of(_words_of_kind_alone(thing.kinds[0], language) & of_names)
        is_only = len(shortlist.of_kinds(frozenset(thing.kinds[:1]))) == 1
        is_placed = bool(shortlist.places_of_area(thing.area))
        return (is_only and bool(alone - heard.places)) or (
            is_placed and bool(shortlist.places_of(kind) - heard.places)
        )

    def inexact(
        self, thing: ExposedEntity, heard: Heard, every: Iterable[Heard]
    ) -> tuple[str, ...]:
        """Return the words that match the entity or its verb only inexactly.

        They match several entities, are typos or verb forms that orders do not have, stand before a
        verb that should come first, or belong to a longer verb of `every` that is for other
        entities: `cierra con llave` closes no valve.
        """
        language, shortlist, words = self._language, self._shortlist, self._words
        own = {word for name in thing.names for word in name_words(name)}
        own |= _words_of_kind(thing.kinds[0], language)
        in_area = shortlist.places_of_area(thing.area)
        where = self.of_thing(thing) - self._small - heard.places
        wrong = self._of_longer(heard, every, thing)
        # All doors may be locked, but not unlocked.
        if not (self._all and (heard.sentence.tool, thing.domain) == LOCKING):
            wrong |= self._all | {
                place
                for place in where
                if not (shortlist.is_said_as(place, own) or place in in_area)
            }
        if heard.quality < (ENDING if language.endings is None else EXACT):
            wrong |= heard.places
        if language.is_verb_first and heard.places:
            first = min(heard.places)
            wrong |= {index for index in range(first) if index not in self._small}
        return tuple(words[index] for index in sorted(wrong))

    def _of_longer(self, own: Heard, heard: Iterable[Heard], thing: ExposedEntity) -> set[int]:
        """Return the places of the additional words of a longer verb for other entities.

        None if the entity's whole name is in the utterance: the verb may share words with it.
        """
        if any(
            all(self._shortlist.places_of((word,)) for word in name_words(name))
            for name in thing.names
        ):
            return set()
        places = own.places - self._small
        longer = (
            one.places
            for one in heard
            if places < one.places and not one.sentence.kinds.intersection(thing.kinds)
        )
        return set().union(*longer) - own.places - self._small

    def _item(self, heard: Heard, end: int) -> set[int]:
        """Return the places of the verb and all behind it, or all before if it comes last.

        None if the item begins with a word such as `not`.
        """
        first = min(heard.places, default=0)
        behind = {*range(first, end)}
        if behind <= heard.places | self._small:
            behind = {*range(end)}
        cautions = {one[0] for one in self._language.lists["not_now"] if len(one) == 1}
        item = [index for index in sorted(behind - heard.places) if index not in self._small]
        return set() if item and self._words[item[0]] in cautions else behind

    def of_value(self, slot: str) -> set[int]:
        """Return the places of the words that a value of this kind may consist of."""
        language, words = self._language, self._words
        match slot:
            case "percent":
                phrases = [*language.numbers, *language.levels, (PERCENT,)]
            case "degrees":
                phrases = [*language.numbers, *language.lists["degrees"]]
            case "kelvin":
                phrases = [*language.numbers]
            case "color":
                return {index for index, word in enumerate(words) if word in language.colors}
            case "area":
                areas = self._shortlist.areas
                return {place for area in areas for place in self._shortlist.places_of_area(area)}
            case "duration":
                found = lengths(words, language)[:1]
                by = phrase_places((*language.lists["by"], *language.lists["more"]), words)
                return {
                    place
                    for one in found
                    for place in (*range(*one.places), *by.intersection(_beside(one.places)))
                }
            case _:
                return set()
        digits = {
            index
            for index, word in enumerate(words)
            if word[0].isdigit() or with_half(word, language) is not None
        }
        told = difference(words, language, is_degrees=slot == "degrees")
        by_difference = told.places if told else frozenset[int]()
        halves = [
            phrase
            for one, value in language.parts.items()
            if value == HALF
            for phrase in (one, *((*also, *one) for also in language.lists["also"]))
        ]
        places = digits | by_difference | _places(_index((*phrases, *halves)), words)
        to = phrase_places(language.lists["to"], words)
        return places | {place for place in to if place + 1 in places}


def _in_order(phrase: Phrase, words: Sequence[str]) -> set[int]:
    """Return the places of the words of a phrase, perhaps with others between; none without all."""
    places: list[int] = []
    for word in phrase:
        start = places[-1] + 1 if places else 0
        place = next((one for one in range(start, len(words)) if words[one] == word), None)
        if place is None:
            return set()
        places.append(place)
    return set(places)


def _beside(places: tuple[int, int]) -> tuple[int, int]:
    """Return the places directly before and behind a range."""
    start, end = places
    return start - 1, end


def beside(words: Sequence[str], language: Language, *names: str) -> tuple[str, ...]:
    """Return the words with a meaning of their own that are in no phrase of these lists."""
    known = small_places(words, language)
    for name in names:
        known |= _places(_index(language.lists[name]), words)
    return tuple(word for index, word in enumerate(words) if index not in known)


def small_places(words: Sequence[str], language: Language) -> set[int]:
    """Return the places of words without a meaning of their own: articles, `could you`."""
    return _places(_by_first(language), words)


def there_places(words: Sequence[str], language: Language) -> set[int]:
    """Return the places of words such as `there`, which stand for a place of an earlier turn.

    Without its accent, French and Italian `là` is an article unless it comes last.
    """
    lists = language.lists
    thanks = phrase_places(lists["thanks"], words)
    ends = [place for place in range(len(words)) if place not in thanks]
    articles = {one for one in lists["there"] if one in lists["fillers"]}
    found = phrase_places(tuple(one for one in lists["there"] if one not in articles), words)
    return found | {one for one in ends[-1:] if (words[one],) in articles}


def phrase_places(phrases: tuple[Phrase, ...], words: Sequence[str]) -> set[int]:
    """Return the places of the words of all exact matches of the phrases."""
    return _places(_index(phrases), words)


def cautions_in(words: Iterable[str], language: Language) -> bool:
    """Return whether the unexplained words ask not to do it now."""
    return bool(_places(_index(language.lists["not_now"]), tuple(words)))


@lru_cache(maxsize=1024)
def _words_of_kind(kind: str, language: Language) -> frozenset[str]:
    known = language.kinds.get(kind)
    return frozenset(word for phrase in known.words for word in phrase) if known else frozenset()


@lru_cache(maxsize=1024)
def _words_of_kind_alone(kind: str, language: Language) -> frozenset[str]:
    """Return the words for this kind only, or for the one that includes it."""
    others = (one for one in language.kinds if one not in {kind, kind.partition(".")[0]})
    shared = frozenset[str]().union(*(_words_of_kind(one, language) for one in others))
    return _words_of_kind(kind, language) - shared


@lru_cache(maxsize=16)
def _by_first(language: Language) -> Mapping[str, Sequence[Phrase]]:
    return _index((*language.lists["small"], *language.lists["orders"]))


@lru_cache(maxsize=256)
def _index(phrases: tuple[Phrase, ...]) -> Mapping[str, Sequence[Phrase]]:
    """Return phrases by their first word."""
    found: dict[str, list[Phrase]] = defaultdict(list)
    for phrase in phrases:
        found[phrase[0]].append(phrase)
    return found


def _places(phrases: Mapping[str, Sequence[Phrase]], words: Sequence[str]) -> set[int]:
    """Return the places of the words of all exact matches of the phrases."""
    return {
        place
        for start, word in enumerate(words)
        for phrase in phrases.get(word, ())
        if tuple(words[start : start + len(phrase)]) == phrase
        for place in range(start, start + len(phrase))
    }
