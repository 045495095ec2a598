"""What somebody means who only says what to do: `make it blue`."""

from typing import TYPE_CHECKING

from ..home.numbers import numbers_in
from ..home.spoken import command_text, sentence_of
from ..home.things import name_words
from ..home.words import as_written
from .entity_linking import EntityLinker
from .explained import Explained, beside, phrase_places, small_places
from .relative import difference
from .utterance import is_any, n_begin, understand
from .verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..home.language import Language, Phrase
    from ..home.things import ExposedEntity, Home
    from .candidates import Command

# So many of the user's turns before are looked at.
MAX_TURNS = 3
# The kinds of values that are numbers.
NUMBERS = ("percent", "degrees", "kelvin")


class Before:
    """Finds what was named before, in one home and one language."""

    def __init__(self, home: Home, language: Language) -> None:
        """Begin with a home."""
        self._home = home
        self._language = language
        self._verbs = Verbs(language)

    def is_bare(self, text: str) -> bool:
        """Tell whether it was only said what to do, and nothing at all to do it to."""
        words = understand(text, self._language).words
        return self._is_order(text) and not self._verbs.named_besides(words)

    def begins_with_order(self, text: str) -> bool:
        """Tell whether it was begun by saying what to do: a model would say that it had done it."""
        words = understand(text, self._language).words
        orders = [
            one for one in self._verbs.found(words) if one.sentence.kinds and not one.sentence.reads
        ]
        verbs = frozenset[int]().union(*(one.places for one in orders))
        small = small_places(words, self._language) - verbs
        return next((index for index in range(len(words)) if index not in small), None) in verbs

    def without_no(self, text: str) -> str:
        """Return what somebody says without a `no` before it: `no, turn it off`.

        Behind an order, it would take it back.
        """
        said = understand(text, self._language)
        first = said.clauses[0].words if said.clauses else ()
        # `Oh no, ...`
        if not any(first[index:] in self._language.lists["no"] for index in range(len(first))):
            return text
        return as_written(said.words[len(said.clauses[0].words) :], said.written)

    def with_name(self, text: str, before: Sequence[str]) -> str:
        """Return what somebody says with the name of what it is about, if that was said before.

        before: what they have said until then. Not if several things were named there.
        """
        words = understand(text, self._language).words
        if not self._is_order(text) or is_any(self._language.lists["all"], words, self._language):
            return text
        found = (self._named(one) for one in before[-MAX_TURNS:][::-1])
        names = next(filter(None, found), [])
        return f"{text} {names[0]}" if len(names) == 1 else text

    def same_for(self, text: str, commands: Sequence[Command]) -> str:
        """Return an order of before for what is named now instead, or for the other of two.

        It is repeated with another value, too. commands: of before. Words that are neither names,
        values nor such as `the other one too` stay behind the order. Empty if something else is
        said, or if a wrong guess would do harm: that takes an order of its own.
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
        # `No, the left one` begins so; behind it, a `no` takes the order back.
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
        """Return what is named now, the other of two, or another room, and the places of its words.

        before: what the command was for, None: for several.
        """
        shortlist = EntityLinker.of(self._home, self._language, words)
        things = [one for one in shortlist.things if before and one.thing.kinds == before.kinds]
        # Of those alike, a part of the name tells which: `the left one`.
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
        """Return another value for a command, such as in `make that 22`, and its places."""
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
        """Tell whether all that was said is `both`, or `all of them`."""
        words = understand(text, self._language).words
        is_said = is_any(self._language.lists["all_of_them"], words, self._language)
        return is_said and not beside(words, self._language, "all_of_them", "thanks")

    def _alike(self, thing: ExposedEntity) -> list[ExposedEntity]:
        """Return the other things of a kind in the same room that are called alike."""
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
        """Tell whether it was said what to do, and nothing of the home was named."""
        said = understand(text, self._language)
        heard = [one for one in self._verbs.heard(said.words) if one.kinds and not one.reads]
        verbs = (one for one in self._verbs.found(said.words) if one.sentence.kinds)
        of_verbs = frozenset[int]().union(*(one.places for one in verbs))
        small = small_places(said.words, self._language)
        first = next((one for one in range(len(said.words)) if one not in small - of_verbs), None)
        # Neither `turn it back off` nor `switch it off` names the back door, or a switch.
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
