"""Find items to add to a list, or to remove from one."""

from itertools import accumulate
from typing import TYPE_CHECKING

from ..home.words import as_written, is_like, words_of
from .explained import cautions_in, phrase_places, small_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..home.language import Language, Phrase, Sentence
    from ..home.things import ExposedEntity
    from .relative import Now
    from .utterance import Utterance
    from .verbs import Heard

COMPLETING = "HassListCompleteItem"
TAKING_OFF = (COMPLETING, "HassListRemoveItem")
# Lists of words around an item that are not part of it.
AROUND = ("prepositions", "fillers", "copulas")


class Items:
    """The items in one part of an utterance."""

    def __init__(
        self,
        words: Sequence[str],
        language: Language,
        heard: Mapping[Sentence, Heard],
        said: Utterance | None,
        now: Now,
    ) -> None:
        """Initialize for these words.

        heard: matches of their verbs. said: their utterance. now: contents of the lists.
        """
        self._words = words
        self._language = language
        self._heard = heard
        self._said = said
        self._now = now
        self._written = said.written if said else {}
        lengths = [len(one.words) for one in said.clauses] if said else []
        is_whole = sum(lengths) == len(words)
        # Where the clauses after the first begin.
        self._starts = [*accumulate(lengths)][:-1] if is_whole else []

    def known(self, sentence: Sentence, thing: ExposedEntity) -> list[str]:
        """Return the items to remove that are on the list, or those reported as missing.

        All of an item's words must be in the utterance; none without the sentence's verb.
        """
        if "item" not in sentence.slots or not self._verb(sentence):
            return []
        if sentence.tool not in TAKING_OFF:
            return [] if self._behind_verb(sentence, thing) else self._missing()
        items = self._now.items(thing.entity_id, is_open=sentence.tool == COMPLETING)
        return [one for one in items if _are_all(words_of(one), self._words)]

    def of(self, sentence: Sentence, thing: ExposedEntity | None) -> list[str]:
        """Return the items to add or remove: the words without the verb and the list."""
        if thing and (known := self.known(sentence, thing)):
            return known
        words = self._behind_verb(sentence, thing)
        return [as_written(words, self._written)] if words else []

    def _verb(self, sentence: Sentence) -> frozenset[int]:
        return self._heard[sentence].places if sentence in self._heard else frozenset()

    def _behind_verb(self, sentence: Sentence, thing: ExposedEntity | None) -> Sequence[str]:
        """Return the words behind the verb, or before it if it comes last, without the list.

        Skips earlier clauses: `we are out of milk, put it on the list`. None if all words are
        small, such as `it`.
        """
        verb = self._verb(sentence)
        if not verb:
            return ()
        start = max((one for one in self._starts if one <= min(verb)), default=0)
        own = [(index, word) for index, word in enumerate(self._words) if index not in verb]
        behind = [word for index, word in own if index > min(verb)]
        said = behind or [word for index, word in own if index >= start]
        listed = _words_for(thing, self._language)
        words = self._without_list(said, listed)
        if not behind and any(_is_any(word, listed) for word in words):
            # `Milk on the list was done`: more than the item stands before the verb.
            return ()
        return words if len(small_places(words, self._language)) < len(words) else ()

    def _without_list(self, words: Sequence[str], listed: Iterable[str]) -> Sequence[str]:
        """Strip the words of the list, and small words, from both ends."""
        small = small_places(words, self._language)
        around = {one[0] for name in AROUND for one in self._language.lists[name] if len(one) == 1}
        small |= {
            index
            for index, word in enumerate(words)
            if any(is_like(word, one, may_slip=False) for one in around)
        }
        of_list = {index for index, word in enumerate(words) if _is_any(word, listed)}
        first = _first_but(range(len(words)), small, of_list)
        behind = _first_but(range(len(words) - 1, -1, -1), small, of_list)
        return words[first : behind + 1]

    def _missing(self) -> list[str]:
        """Return the items that another clause reports as missing."""
        found = []
        for start, end in zip((0, *self._starts), (*self._starts, len(self._words)), strict=True):
            words = self._words[start:end]
            told = phrase_places(self._language.lists["missing"], words)
            rest = [word for index, word in enumerate(words) if index not in told]
            is_denied = cautions_in(rest, self._language)
            if told and not is_denied and (item := self._without_list(rest, ())):
                found.append(as_written(item, self._written))
        return found


def _first_but(places: range, small: set[int], of_list: set[int]) -> int:
    """Return the first place that is not small nor, if all before it are, of the list."""
    both = small | of_list
    end = next((one for one in places if one not in both), places.stop)
    if of_list.intersection(range(places.start, end, places.step)):
        return end
    return next((one for one in places if one not in small), places.stop)


def _words_for(thing: ExposedEntity | None, language: Language) -> set[str]:
    """Return the words of an entity's names and kinds."""
    if thing is None:
        return set()
    kinds = (language.kinds[one].words for one in thing.kinds if one in language.kinds)
    return {
        *(word for name in thing.names for word in words_of(name)),
        *(word for phrases in kinds for phrase in phrases for word in phrase),
    }


def _are_all(item: Phrase, words: Sequence[str]) -> bool:
    return bool(item) and all(_is_any(one, words) for one in item)


def _is_any(word: str, words: Iterable[str]) -> bool:
    return any(is_like(word, one) for one in words)
