"""Values for the arguments of calls, taken from what was said."""

from typing import TYPE_CHECKING, Any

from .said import numbers_in
from .words import find, is_like, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .home import Home, Thing
    from .language import Language, Sentence
    from .shortlist import Shortlist

MAX_PERCENT = 100
MAX_DEGREES = 40


class Values:
    """The values that one part of what was said holds."""

    def __init__(
        self, words: Sequence[str], language: Language, home: Home, shortlist: Shortlist
    ) -> None:
        """Look for values in these words. shortlist: what they name."""
        self._words = words
        self._shortlist = shortlist
        self._language = language
        self._home = home

    def of(self, kind: str, sentence: Sentence, thing: Thing | None) -> Iterator[tuple[str, Any]]:
        """Yield what a slot of this kind can be filled with: in words, and for the tool."""
        names = self._shortlist.naming(thing)
        words = [one for one in self._words if one not in names]
        match kind:
            case "percent":
                yield from self._percents(words)
            case "degrees":
                yield from self._degrees(words)
            case "color":
                known = self._language.colors
                yield from ((word, known[word]) for word in words if word in known)
            case "area":
                named = (self._home.areas[one].name for one in self._shortlist.areas)
                yield from ((name, name) for name in named)
            case "item":
                if item := self._item(sentence, thing):
                    yield item, item
            case "duration":
                if duration := self._duration():
                    yield " ".join(f"{n} {unit}" for unit, n in duration.items()), duration

    def _percents(self, words: Sequence[str]) -> Iterator[tuple[str, int]]:
        for number in numbers_in(words, self._language):
            if 0 <= number <= MAX_PERCENT and number == int(number):
                yield str(int(number)), int(number)

    def _degrees(self, words: Sequence[str]) -> Iterator[tuple[str, float]]:
        for number in numbers_in(words, self._language):
            if 0 < number <= MAX_DEGREES:
                yield f"{number:g}", number

    def _duration(self) -> dict[str, int]:
        """Return a length of time by units, empty if none was said."""
        found: dict[str, int] = {}
        pending: list[str] = []
        for word in self._words:
            unit = next(
                (
                    name
                    for name, phrases in self._language.units.items()
                    if any(is_like(word, one[0]) for one in phrases)
                ),
                None,
            )
            if unit and (numbers := numbers_in(pending, self._language)):
                found[unit] = int(numbers[-1])
                pending = []
            else:
                pending.append(word)
        return found

    def _item(self, sentence: Sentence, thing: Thing | None) -> str:
        """Return what is to be put on a list: what is left without the verb and the list."""
        words = list(self._words)
        for phrase in sentence.hear:
            if (index := find(phrase[0], words)) is not None:
                words = words[index + 1 :]
                break
        prepositions = {one[0] for one in self._language.lists["prepositions"]}
        fillers = {one[0] for one in self._language.lists["fillers"]}
        listed = {
            *(word for name in (thing.names if thing else ()) for word in words_of(name)),
            *(
                word
                for kind in (thing.kinds if thing else ())
                if kind in self._language.kinds
                for phrase in self._language.kinds[kind].words
                for word in phrase
            ),
        }
        for index in range(len(words) - 1, 0, -1):
            rest = [word for word in words[index + 1 :] if word not in fillers]
            if (
                words[index] in prepositions
                and rest
                and all(any(is_like(word, one) for one in listed) for word in rest)
            ):
                words = words[:index]
                break
        while words and words[0] in fillers:
            words = words[1:]
        while words and words[-1] in fillers:
            words = words[:-1]
        return " ".join(words)
