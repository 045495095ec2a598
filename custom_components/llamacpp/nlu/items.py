"""Find items to add to a list, or to remove from one."""

from itertools import accumulate
from typing import TYPE_CHECKING

from ..home.words import as_written, is_like, words_of
from .explained import cautions_in, phrase_places, small_places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ..home.language import Language, Phrase, Sentence
    from ..home.things import ExposedEntity
    from .relative import Now
    from .utterance import Utterance
    from .verbs import Heard

COMPLETING = "HassListCompleteItem"
ADDING = "HassListAddItem"
TAKING_OFF = (COMPLETING, "HassListRemoveItem")
# Maximum number of words of each of several items: more may be a sentence.
MAX_WORDS_OF_ITEM = 3
# Codes of languages in which a noun comes before what describes it.
NOUN_FIRST = ("ca", "es", "fr", "it", "pt", "pt-BR", "ro")
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

    def end(self, sentence: Sentence, thing: ExposedEntity | None) -> int:
        """Return where the item ends: with the clause of the verb, if the list is in it, too."""
        verb, n_words = self._verb(sentence), len(self._words)
        end = next((one for one in self._starts if one > max(verb, default=n_words)), n_words)
        start = max((one for one in self._starts if one <= min(verb, default=0)), default=0)
        listed = _words_for(thing, self._language)
        is_there = any(
            _is_any(self._words[index], listed) for index in range(start, end) if index not in verb
        )
        return end if is_there else n_words

    def each(self, sentence: Sentence, thing: ExposedEntity | None) -> list[str]:
        """Return the items to add one by one, as `each_item`; empty if it may be a single one."""
        missing = self.known(sentence, thing) if thing else []
        words = words_of(missing[0]) if missing else tuple(self._behind_verb(sentence, thing))
        if not words or sentence.tool != ADDING:
            return []
        places = range(len(self._words))
        start = next((one for one in places if self._words[one:][: len(words)] == words), 0)
        marks = {one - start for one in self._starts if 0 < one - start < len(words)}
        return [as_written(one, self._written) for one in each_item(words, self._language, marks)]

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
        end = self.end(sentence, thing)
        own = [(index, word) for index, word in enumerate(self._words[:end]) if index not in verb]
        behind = [word for index, word in own if index > min(verb)]
        said = behind or [word for index, word in own if index >= start]
        listed = _words_for(thing, self._language)
        words = _without_list(said, listed, self._language)
        if not behind and any(_is_any(word, listed) for word in words):
            # `Milk on the list was done`: more than the item stands before the verb.
            return ()
        return words if len(small_places(words, self._language)) < len(words) else ()

    def _missing(self) -> list[str]:
        """Return the items that another clause reports as missing."""
        found = []
        for start, end in zip((0, *self._starts), (*self._starts, len(self._words)), strict=True):
            words = self._words[start:end]
            told = phrase_places(self._language.lists["missing"], words)
            rest = [word for index, word in enumerate(words) if index not in told]
            is_denied = cautions_in(rest, self._language)
            if told and not is_denied and (item := _without_list(rest, (), self._language)):
                found.append(as_written(item, self._written))
        return found


def each_item(
    words: Phrase, language: Language, marks: Collection[int] = ()
) -> list[Sequence[str]]:
    """Return the words of each of several items; empty if they may be one item.

    marks: places of words behind a punctuation mark. `Bread and cheese` are two, but `salt and
    vinegar crisps` may be one. There are several if marks separate them, if the last has an
    article, or if what one has more words cannot belong to both: what describes a noun comes
    before it, in Romance languages behind it.
    """
    lists = language.lists
    joining = {one[0] for one in lists["also"]}
    groups: list[list[str]] = [[]]
    for index, word in enumerate(words):
        if word in joining or index in marks:
            groups.append([])
        if word not in joining:
            groups[-1].append(word)
    groups = [one for one in groups if one]
    items = [_without_list(one, (), language) for one in groups]
    longest = max(map(len, items), default=0)
    if (
        len(items) < 2  # noqa: PLR2004 - a single item
        or not all(items)
        or longest > MAX_WORDS_OF_ITEM
        or phrase_places(lists["one_item"], words)
    ):
        return []
    if longest == 1:
        return items
    n_joins = sum(word in joining for word in words)
    is_told = bool(marks) or len(items[-1]) < len(groups[-1])
    short = items[0] if language.code in NOUN_FIRST else items[-1]
    return items if n_joins == 1 and (is_told or len(short) == 1) else []


def _without_list(words: Sequence[str], listed: Iterable[str], language: Language) -> Sequence[str]:
    """Strip the words of the list, and small words, from both ends."""
    small = small_places(words, language)
    around = {one[0] for name in AROUND for one in language.lists[name] if len(one) == 1}
    small |= {
        index
        for index, word in enumerate(words)
        if any(is_like(word, one, may_slip=False) for one in around)
    }
    of_list = {index for index, word in enumerate(words) if _is_any(word, listed)}
    first = _first_but(range(len(words)), small, of_list)
    behind = _first_but(range(len(words) - 1, -1, -1), small, of_list)
    return words[first : behind + 1]


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
