"""What somebody means who only says what to do: `make it blue`."""

from typing import TYPE_CHECKING

from .explained import beside, small_places
from .home import name_words
from .said import is_any, n_begin, understand
from .shortlist import Shortlist
from .spoken import command_text
from .verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .candidates import Command
    from .home import Home, Thing
    from .language import Language

# So many of the user's turns before are looked at.
MAX_TURNS = 3


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

        commands: of before, each for one thing. Words that are neither names nor such as `the other
        one too` stay behind the order. Empty if something else is said, or if a wrong guess would
        do harm: that takes an order of its own.
        """
        language = self._language
        said = understand(text, language)
        words = said.words
        is_other = said.is_question or said.is_chat or said.is_yes or not words
        if len(commands) != 1 or is_other or commands[0].is_critical:
            return ""
        (command,) = commands
        shortlist = Shortlist.of(self._home, language, words)
        named = [one.thing for one in shortlist.things if one.is_whole or one.is_only]
        before = next((one for one in self._home.things if one.name == command.thing), None)
        if before is None or any(
            one.kinds.intersection(before.kinds) for one in self._verbs.heard(words)
        ):
            return ""
        # `No, the left one` begins so; behind it, a `no` takes the order back.
        words = words[n_begin(words, language.lists["no"]) :]
        if len(named) == 1 and named[0].kinds == before.kinds:
            names = shortlist.naming(named[0])
            rest = [one for one in beside(words, language, "also", "thanks") if one not in names]
            return _again(command, named[0], language, rest)
        others = self._alike(before)
        if len(others) == 1 and is_any(language.lists["other"], words, language):
            rest = [*beside(words, language, "also", "thanks", "other")]
            return _again(command, others[0], language, rest)
        return ""

    def is_for_all(self, text: str) -> bool:
        """Tell whether all that was said is `both`, or `all of them`."""
        words = understand(text, self._language).words
        is_said = is_any(self._language.lists["all_of_them"], words, self._language)
        return is_said and not beside(words, self._language, "all_of_them", "thanks")

    def _alike(self, thing: Thing) -> list[Thing]:
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
        rest = self._verbs.without_first(said.words)
        shortlist = Shortlist.of(self._home, self._language, rest)
        is_named = shortlist.things or shortlist.kinds or shortlist.areas or shortlist.floors
        return bool(heard) and not (said.is_question or said.is_chat or is_named)

    def _named(self, text: str) -> list[str]:
        words = understand(text, self._language).words
        things = Shortlist.of(self._home, self._language, words).things
        return [one.thing.name for one in things if one.is_sure or one.is_only]


def _again(command: Command, thing: Thing, language: Language, rest: Sequence[str]) -> str:
    """Return a command for another thing, with words that are not explained behind it."""
    args = {**command.args, "name": thing.name}
    return " ".join((command_text(command.tool, args, language), *rest))
