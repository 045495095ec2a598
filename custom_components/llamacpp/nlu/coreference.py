"""Resolve references to earlier turns, such as `make it blue`."""

from typing import TYPE_CHECKING

from ..home.numbers import numbers_in
from ..home.spoken import command_text, sentence_of
from ..home.things import name_words
from ..home.words import as_written
from .entity_linking import EntityLinker
from .explained import Explained, beside, phrase_places, small_places, there_places
from .relative import difference
from .utterance import is_any, n_begin, understand
from .verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..home.language import Language, Phrase
    from ..home.things import ExposedEntity, Home
    from .candidates import Command

# Number of earlier user turns to search.
MAX_TURNS = 3
# Slot kinds with numeric values.
NUMBERS = ("percent", "degrees", "kelvin")


class Coreference:
    """Resolves references in one home and one language."""

    def __init__(self, home: Home, language: Language) -> None:
        """Initialize for a home."""
        self._home = home
        self._language = language
        self._verbs = Verbs(language)

    def is_bare(self, text: str) -> bool:
        """Return whether the text is an order without any target."""
        words = understand(text, self._language).words
        return self._is_order(text) and not self._verbs.named_besides(words)

    def begins_with_order(self, text: str) -> bool:
        """Return whether the text begins with an order: a model would claim to have done it."""
        words = understand(text, self._language).words
        orders = [
            one for one in self._verbs.found(words) if one.sentence.kinds and not one.sentence.reads
        ]
        verbs = frozenset[int]().union(*(one.places for one in orders))
        small = small_places(words, self._language) - verbs
        return next((index for index in range(len(words)) if index not in small), None) in verbs

    def without_no(self, text: str) -> str:
        """Return a text that follows another without a leading `no`: `no, turn it off`.

        Behind an order, it would revoke it. Also without words such as `rather` around it.
        """
        said, lists = understand(text, self._language), self._language.lists
        first = said.clauses[0].words if said.clauses else ()
        # `Oh no, ...`
        is_no = any(first[index:] in lists["no"] for index in range(len(first)))
        words = said.words[len(first) if is_no else 0 :]
        while n_words := n_begin(words, lists["rather"]):
            words = words[n_words:]
        ends = (len(one) for one in lists["rather"] if words[-len(one) :] == one)
        words = words[: len(words) - max(ends, default=0)]
        return as_written(words, said.written) if words and words != said.words else text

    def with_name(self, text: str, before: Sequence[str]) -> str:
        """Return the text with the name of its target appended, if an earlier turn named one.

        before: the user's earlier texts. Unchanged if the latest one with names has several.
        """
        words = understand(text, self._language).words
        if not self._is_order(text) or is_any(self._language.lists["all"], words, self._language):
            return text
        found = (self._named(one) for one in before[-MAX_TURNS:][::-1])
        names = next(filter(None, found), [])
        return f"{text} {names[0]}" if len(names) == 1 else text

    def with_place(self, text: str, before: Sequence[str]) -> str:
        """Return the text with a room instead of a word such as `there`.

        before: the user's earlier texts: the room that the last one names, or that of the entities
        in it. Unchanged if the text names a place itself, or if the last one has not one room.
        """
        said = understand(text, self._language)
        places = there_places(said.words, self._language)
        own = EntityLinker.of(self._home, self._language, said.words)
        if not (places and before) or own.areas or own.floors:
            return text
        last = understand(before[-1], self._language).words
        names = self._named(before[-1])
        rooms = {
            *EntityLinker.of(self._home, self._language, last).areas,
            *(one.area for one in self._home.things if one.name in names),
        }
        area = next(iter(rooms)) if len(rooms) == 1 else None
        if area is None:
            return text
        at, name = min(places), self._home.areas[area].name
        words = [word for index, word in enumerate(said.words) if index not in places]
        before_it, behind = (as_written(one, said.written) for one in (words[:at], words[at:]))
        return " ".join(filter(None, (before_it, name, behind)))

    def same_for(self, text: str, commands: Sequence[Command]) -> str:
        """Return the last order for a newly named target or value, or for the other of two.

        commands: of the last order. Appends words that are neither names nor values nor like `the
        other one too`. Empty for anything else, or if a wrong guess would do harm: that takes an
        order of its own.
        """
        language = self._language
        said = understand(text, language)
        words = said.words
        is_other = said.is_question or said.is_chat or said.is_yes or not words
        if len(commands) != 1 or is_other or commands[0].is_critical:
            return ""
        (command,) = commands
        before = next((one for one in self._home.things if one.name == command.thing), None)
        heard = [one for one in self._verbs.heard(words) if one.kinds]
        if any(before is None or one.kinds.intersection(before.kinds) for one in heard):
            return ""
        # A leading `no` is part of `no, the left one`; behind an order, it revokes it.
        words = words[n_begin(words, language.lists["no"]) :]
        value, of_value = self._value_in(words, command)
        target, of_target = self._target_in(words, command, before)
        shortlist = EntityLinker.of(self._home, language, words)
        is_named = shortlist.things or shortlist.areas or shortlist.floors
        if not (target or value) or (is_named and not target):
            return ""
        known = of_value | of_target
        rest = [word for index, word in enumerate(words) if index not in known]
        rest = [*beside(rest, language, "also", "thanks", *(("to", "no") if value else ()))]
        args = {**command.args, **target, **value}
        return " ".join((command_text(command.tool, args, language), *rest))

    def _target_in(
        self, words: Phrase, command: Command, before: ExposedEntity | None
    ) -> tuple[dict[str, str], set[int]]:
        """Return the named target, the other of two, or another room, and the places of its words.

        before: the entity of the last order, None: several.
        """
        shortlist = EntityLinker.of(self._home, self._language, words)
        things = [one for one in shortlist.things if before and one.thing.kinds == before.kinds]
        # Among similar names, a part is enough: `the left one`.
        is_one = before is not None
        named = [one for one in shortlist.things if one.is_whole or (is_one and one.is_only)]
        named = named or things
        if before and len(named) == 1 and named[0] in things:
            places = shortlist.places_of(named[0].words)
            places |= shortlist.places_of_area(named[0].thing.area)
            return {"name": named[0].thing.name}, places
        if len(shortlist.areas) == 1 and not named and not shortlist.is_specific:
            area = self._home.areas[shortlist.areas[0]]
            there = [one for one in shortlist.of_area() if before and one.kinds == before.kinds]
            places = shortlist.places_of_place(area)
            if len(there) == 1:
                return {"name": there[0].name}, places
            return ({"area": area.name}, places) if "area" in command.args else ({}, set())
        others = self._alike(before) if before else []
        other = self._language.lists["other"]
        if len(others) == 1 and is_any(other, words, self._language):
            return {"name": others[0].name}, phrase_places(other, words)
        return {}, set()

    def _value_in(self, words: Phrase, command: Command) -> tuple[dict[str, float], set[int]]:
        """Return the new value, such as in `make that 22`, and the places of its words."""
        language = self._language
        sentence = sentence_of(command.tool, command.args, language)
        numbers = numbers_in(words, language, language.levels)
        if sentence is None or len(sentence.slots) != 1 or len(numbers) != 1:
            return {}, set()
        ((slot, kind),) = sentence.slots.items()
        if kind not in NUMBERS or difference(words, language, is_degrees=kind == "degrees"):
            return {}, set()
        shortlist = EntityLinker.of(self._home, language, words)
        verbs = (one for one in self._verbs.found(words) if one.sentence.slots)
        places = Explained(words, language, shortlist).of_value(kind)
        return {slot: numbers[0]}, places.union(*(one.places for one in verbs))

    def is_for_all(self, text: str) -> bool:
        """Return whether the whole text is `both` or `all of them`."""
        words = understand(text, self._language).words
        is_said = is_any(self._language.lists["all_of_them"], words, self._language)
        return is_said and not beside(words, self._language, "all_of_them", "thanks")

    def _alike(self, thing: ExposedEntity) -> list[ExposedEntity]:
        """Return the other entities of the same kind and room that share a word of the name."""
        own = {*name_words(thing.name)}
        return [
            one
            for one in self._home.things
            if one is not thing
            and one.kinds == thing.kinds
            and one.area == thing.area
            and own & {*name_words(one.name)}
        ]

    def _is_order(self, text: str) -> bool:
        """Return whether the text is an order that names nothing of the home."""
        said = understand(text, self._language)
        heard = [one for one in self._verbs.heard(said.words) if one.kinds and not one.reads]
        verbs = (one for one in self._verbs.found(said.words) if one.sentence.kinds)
        of_verbs = frozenset[int]().union(*(one.places for one in verbs))
        small = small_places(said.words, self._language)
        first = next((one for one in range(len(said.words)) if one not in small - of_verbs), None)
        # Neither `turn it back off` nor `switch it off` names the back door or a switch.
        rest = [
            word for index, word in enumerate(said.words) if index not in small and index != first
        ]
        shortlist = EntityLinker.of(self._home, self._language, rest)
        is_named = shortlist.things or shortlist.kinds or shortlist.areas or shortlist.floors
        return bool(heard) and not (said.is_question or said.is_chat or is_named)

    def _named(self, text: str) -> list[str]:
        words = understand(text, self._language).words
        things = EntityLinker.of(self._home, self._language, words).things
        return [one.thing.name for one in things if one.is_sure or one.is_only]
