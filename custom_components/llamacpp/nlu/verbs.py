"""Match the verbs of an utterance to the language's sentences."""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from ..home.durations import lengths
from ..home.words import LONG, ONE_SLIP, SHORT, TWO_SLIPS, find, n_common, n_slips

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..home.language import Language, Phrase, Sentence

# Slot kind of durations.
DURATION = "duration"
# Lists of words that are in no name.
SMALL = ("fillers", "prepositions", "all", "home", "also", "orders")
# Shortest word whose ending may change, in letters; in shorter ones each counts: `auf`, `aus`.
STEM = 4
# Prefixes turn verbs into their opposites (`unlock`, `déverrouille`): a change in so many letters
# at the start is no typo.
PREFIX = 2
# Between the two parts of a German or Dutch verb, in its infinitive and its participle.
INFIXES = ("zu", "ge")
EXACT, ENDING, SLIP = 2, 1, 0
VOWELS = "aeiouy"
ON_OFF = ("HassTurnOn", "HassTurnOff")


@dataclass(frozen=True, slots=True)
class Heard:
    """A sentence whose verb is in the utterance.

    words: of its best phrase, as in the language pack. places: of the words of all its phrases in
    the utterance. quality: EXACT, ENDING or SLIP, of the worst word of the best phrase.
    """

    sentence: Sentence
    words: frozenset[str]
    places: frozenset[int]
    quality: int

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """Return the sort key of the match: more, better, more places, longer words."""
        return len(self.words), self.quality, len(self.places), sum(map(len, self.words))

    def is_less_exact(self, other: Heard) -> bool:
        """Return whether the other stops by the same verb what this would switch off."""
        return (
            self.words == other.words
            and self.sentence.tool == "HassTurnOff"
            and other.sentence.tool in STOPPING
            and self.sentence.kinds <= other.sentence.kinds
        )

    def contradicts(self, other: Heard) -> bool:
        """Return whether the two are opposite orders for the same kind of entity."""
        one, two = self.sentence, other.sentence
        if one.target != two.target or (one.kinds and not one.kinds & two.kinds):
            return False
        return frozenset(((one.tool, *one.args.values()), (two.tool, *two.args.values()))) in (
            OPPOSITES
        )


# Orders that only stop something, though some languages have the verb for switching off, too.
STOPPING = ("HassMediaPause", "HassStopMoving")
# Tools with their fixed arguments.
OPPOSITES = frozenset(
    frozenset(map(tuple, pair))
    for pair in (
        (("HassTurnOn",), ("HassTurnOff",)),
        (("HassMediaPlayerMute",), ("HassMediaPlayerUnmute",)),
        (("HassMediaPause",), ("HassMediaUnpause",)),
        (("HassMediaNext",), ("HassMediaPrevious",)),
        (("HassSetVolumeRelative", "up"), ("HassSetVolumeRelative", "down")),
        (("HassVacuumStart",), ("HassVacuumReturnToBase",)),
        (("HassLawnMowerStartMowing",), ("HassLawnMowerDock",)),
        (("HassListAddItem",), ("HassListRemoveItem",)),
        (("HassIncreaseTimer",), ("HassDecreaseTimer",)),
        (("HassPauseTimer",), ("HassUnpauseTimer",)),
    )
)


class Verbs:
    """Finds the verbs of one language."""

    def __init__(self, language: Language) -> None:
        """Initialize for a language."""
        self._language = language

    def found(self, words: Sequence[str]) -> list[Heard]:
        """Return the matches: `carry on` is not the verb `on`.

        Nor is `pause the timer` about music. Of two opposites only the better match remains,
        neither if they match equally.
        """
        return list(_found(self._language, tuple(words)))

    def heard(self, words: Sequence[str]) -> list[Sentence]:
        """Return the sentences whose verb is in the words."""
        return [one.sentence for one in self.found(words)]

    def implied(self, words: Sequence[str]) -> frozenset[str]:
        """Return the only kind that a verb applies to, such as `lock`; empty if there is none."""
        found = _phrases(self._language, tuple(words))
        kinds = {
            one.sentence.kinds
            for one in found
            if not any(one.words < other.words for other in found)
        }
        only = next(iter(kinds), frozenset[str]())
        return only if len(kinds) == len(only) == 1 else frozenset()

    def named_besides(self, words: Sequence[str]) -> list[str]:
        """Return the words that are neither small nor part of a verb."""
        verbs = self._words(words)
        return [one for one in self.without_first(words) if find(one, verbs) is None]

    def without_first(self, words: Sequence[str]) -> list[str]:
        """Return the words without small ones and without a leading verb.

        Further behind, the same word can name something: `switch on the switch`.
        """
        small = {word for name in SMALL for one in self._language.lists[name] for word in one}
        rest = [word for word in words if word not in small]
        return rest[1:] if rest and find(rest[0], self._words(words)) is not None else rest

    def _words(self, words: Sequence[str]) -> list[str]:
        found = _phrases(self._language, tuple(words))
        return [*frozenset[str]().union(*(one.words for one in found))]


def asks(words: Sequence[str], language: Language) -> bool:
    """Return whether the words begin like a polite request: `could you`, or `could ... be`."""
    first = tuple(words[:1])
    return _n_asking(words, language) > 0 or any(
        one[:1] == first for one in language.lists["passive"]
    )


def passive_places(words: Sequence[str], language: Language) -> frozenset[int]:
    """Return the places of `could` and `be` in `could the lamp be turned off`; else none.

    A participle must be beside `be`: `could the lamp be off` wonders.
    """
    forms = _Forms.of(language)
    auxiliaries = language.lists["auxiliaries"]
    begin = words[: max(1, _n_asking(words, language))]
    for could, be in language.lists["passive"]:
        if could not in begin or be not in words:
            continue
        place = words.index(be)
        for side in (range(place + 1, len(words)), range(place - 1, 0, -1)):
            verb = next((one for one in side if (words[one],) not in auxiliaries), place)
            if verb != place and forms.asked(words, verb):
                between = range(min(verb, place) + 1, max(verb, place))
                return frozenset((words.index(could), place, *between))
    return frozenset()


def _n_asking(words: Sequence[str], language: Language) -> int:
    """Return the length of a phrase such as `could you` at the start of the words."""
    orders = language.lists["orders"]
    return max((len(one) for one in orders if tuple(words[: len(one)]) == one), default=0)


def is_order(words: Sequence[str], language: Language, *, is_clear: bool = False) -> bool:
    """Return whether the words have the verb of a command that changes something.

    is_clear: ignore verbs made of prepositions only: `we are out of coffee` is no order, and typos
    of verbs.
    """
    small = frozenset[str]()
    if is_clear:
        lists = (language.lists[name] for name in ("prepositions", "fillers", "small"))
        small = frozenset(one[0] for phrases in lists for one in phrases if len(one) == 1)
    return any(
        not (one.sentence.reads or one.words <= small or (is_clear and one.quality == SLIP))
        for one in _phrases(language, tuple(words))
    )


def has_opposites(words: Sequence[str], language: Language) -> bool:
    """Return whether the words have verbs both for on and for off."""
    return {one.sentence.tool for one in _phrases(language, tuple(words))} >= {*ON_OFF}


@lru_cache(maxsize=1024)
def _found(language: Language, words: tuple[str, ...]) -> tuple[Heard, ...]:
    """Return the matches, as `Verbs.found`."""
    found = _phrases(language, words)
    longest = [
        one
        for one in found
        if not any(
            one.words < other.words
            and (one.sentence.kinds & other.sentence.kinds or other.sentence.target == "none")
            for other in found
        )
    ]
    return tuple(
        one
        for one in longest
        if not any(
            (one.contradicts(other) and one.rank <= other.rank) or one.is_less_exact(other)
            for other in longest
        )
    )


@lru_cache(maxsize=1024)
def _phrases(language: Language, words: tuple[str, ...]) -> tuple[Heard, ...]:
    """Return the sentences whose verb is in the words, each with its best phrase."""
    times = lengths(words, language)
    no_verbs = {index for one in times for index in range(*one.places)}
    forms = _Forms.of(language)
    said = forms.places(words, no_verbs)
    matches: dict[int, list[Heard]] = defaultdict(list)
    for number, phrase in (one for word in said for one in forms.by_first.get(word, ())):
        sentence = language.sentences[number]
        if (times or DURATION not in sentence.slots.values()) and (
            match := _match(sentence, phrase, said)
        ):
            matches[number].append(match)
    for number, phrase in forms.last:
        if places := _at_end(phrase, words, language):
            sentence = language.sentences[number]
            matches[number].append(Heard(sentence, frozenset(phrase), places, EXACT))
    found = []
    for _, matched in sorted(matches.items()):
        # `Dim it to 30 percent` matches two phrases.
        places = frozenset[int]().union(*(one.places for one in matched))
        found.append(replace(max(matched, key=lambda one: one.rank), places=places))
    return tuple(found)


def _at_end(phrase: Phrase, words: tuple[str, ...], language: Language) -> frozenset[int]:
    """Return the places of a phrase at the end of the words, perhaps before thanks; else none."""
    end = len(words)
    while end and words[:end][-1:] in language.lists["thanks"]:
        end -= 1
    start = end - len(phrase)
    return frozenset(range(start, end)) if words[max(start, 0) : end] == phrase else frozenset()


def _match(
    sentence: Sentence, phrase: Phrase, said: Mapping[str, Sequence[tuple[int, int, int]]]
) -> Heard | None:
    """Match the words of a phrase in order, perhaps with others in between."""
    start, quality = 0, EXACT
    places: set[int] = set()
    for word in phrase:
        match = next((one for one in said.get(word, ()) if one[0] >= start), None)
        if match is None:
            return None
        begin, start, how = match
        places.update(range(begin, start))
        quality = min(quality, how)
    return Heard(sentence, frozenset(phrase), frozenset(places), quality)


class _Forms:
    """Index of the words of a language's verbs by their forms."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._words = {word for one in language.sentences for phrase in one.hear for word in phrase}
        # By the first word of a phrase: its sentence's index and the phrase.
        self.by_first: dict[str, list[tuple[int, Phrase]]] = defaultdict(list)
        for number, sentence in enumerate(language.sentences):
            for phrase in sentence.hear:
                self.by_first[phrase[0]].append((number, phrase))
        self.last = [
            (number, phrase)
            for number, sentence in enumerate(language.sentences)
            for phrase in sentence.hear_last
        ]
        self._stems: dict[str, list[str]] = defaultdict(list)
        for word in self._words:
            self._stems[word[:PREFIX]].append(word)
        self._meant: dict[str, tuple[tuple[str, int], ...]] = {}

    @staticmethod
    @lru_cache(maxsize=16)
    def of(language: Language) -> _Forms:
        return _Forms(language)

    def places(
        self, words: Sequence[str], no_verbs: Iterable[int]
    ) -> dict[str, list[tuple[int, int, int]]]:
        """Return the matches of each verb word: start, end and quality."""
        without = set(no_verbs)
        found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        is_asked = asks(words, self._language)
        for index, word in enumerate(words):
            if index not in without:
                of_word = (is_asked and self.asked(words, index)) or self._of(word)
                for meant, how in of_word:
                    found[meant].append((index, index + 1, how))
        for index, (one, other) in enumerate(pairwise(words)):
            # Written as two words: `auf machen`.
            if len(one + other) > LONG and one + other in self._words:
                found[one + other].append((index, index + 2, EXACT))
        return found

    def _of(self, word: str) -> tuple[tuple[str, int], ...]:
        found = self._meant.get(word)
        if found is None:
            if len(self._meant) > 4096:  # noqa: PLR2004 - bounded, as people type anything
                self._meant.clear()
            found = self._meant[word] = tuple(self._find(word))
        return found

    def _find(self, word: str) -> list[tuple[str, int]]:
        """Return the verb words of which this one is a form, else a typo."""
        own = [(word, EXACT)] if word in self._words else []
        if word in self._language.common or not word.isalpha():
            return own
        near = self._stems.get(word[:PREFIX], ())
        if found := [(one, ENDING) for one in near if one != word and self._is_form(word, one)]:
            return own + found
        if own or len(word) < ONE_SLIP:
            return own
        if found := [(one, ENDING) for one in near if self._is_order_form(word, one)]:
            return found
        slips = [
            (n_slips(word, one), one)
            for one in near
            if len(one) >= ONE_SLIP
            and abs(len(one) - len(word)) <= 2  # noqa: PLR2004 - two slips
            and not self._is_other_form(word, one)
        ]
        allowed = 2 if len(word) >= TWO_SLIPS else 1
        least = min((n for n, _ in slips), default=allowed + 1)
        return [(one, SLIP) for n, one in slips if n == least <= allowed]

    def _is_order_form(self, word: str, verb: str) -> bool:
        """Return whether a word is a verb with a pronoun (`accendiglielo`), or a polite form of it.

        Infinitives lose their last letter before a pronoun: `spegnerglielo`.
        """
        lists = self._language.lists
        ends = {"clitics": ("", "e"), "forms": ("", "a", "e", "i")}
        return any(
            word.endswith(ending)
            and len(verb) >= SHORT
            and any(
                word == verb.removesuffix(end) + ending for end in of_verb if verb.endswith(end)
            )
            for name, of_verb in ends.items()
            for (ending,) in lists[name]
        )

    def _is_other_form(self, word: str, verb: str) -> bool:
        """Return whether the words differ in an ending only, where endings count.

        Spanish `apago`, Polish `wyłączę`.
        """
        if self._language.endings is None:
            return False
        if self._language.declension:
            return word[:-1] == verb and word[-1] in VOWELS
        return word[:-1] in (verb, verb[:-1])

    def asked(self, words: Sequence[str], index: int) -> Sequence[tuple[str, int]]:
        """Return the verb words of a form that is an order only behind words such as `could you`.

        German `anzumachen` and `angemacht` are of `anmachen`, and `turned` is of `turn`, but not
        beside `have`. Empty if a verb has this form elsewhere, too.
        """
        word, lists = words[index], self._language.lists
        beside = {tuple(words[max(0, index - 1) : index]), tuple(words[index + 1 : index + 2])}
        if word in self._words or beside.intersection(lists["perfect"]):
            return ()
        if self._language.has_inversion:
            cuts = (
                (place, infix)
                for infix in INFIXES
                for place in range(PREFIX, len(word))
                if word.startswith(infix, place)
            )
            plain = (word[:place] + word[place + len(infix) :] for place, infix in cuts)
            return next(filter(None, map(self._whole, (*plain, word))), ())
        near = self._stems.get(word[:PREFIX], ())
        ends = ("", "a", "e", "i", *(one[0] for one in lists["infinitives"]))
        stems = {word.removesuffix(one[0]) for one in lists["asked"]} - {word}
        return [
            (one, ENDING)
            for one in near
            if any(
                len(stem) >= SHORT
                and (
                    (self._language.endings is None and self._is_form(stem, one))
                    or any(stem == one.removesuffix(end) for end in ends if one.endswith(end))
                )
                for stem in stems
            )
        ]

    def _whole(self, word: str) -> Sequence[tuple[str, int]]:
        """Return the verb words of a verb that is written as one word: Dutch `uitzet` is `zet uit`.

        Without typos.
        """
        if len(word) < ONE_SLIP:
            return ()
        if found := [one for one in self._of(word) if one[1] > SLIP]:
            return found
        halves = ((word[:place], word[place:]) for place in range(PREFIX, len(word) - PREFIX))
        return next(
            (
                [(first, ENDING), *matches]
                for first, last in halves
                if first in self._words
                and (matches := [one for one in self._of(last) if one[1] > SLIP])
            ),
            (),
        )

    def _is_form(self, one: str, other: str) -> bool:
        """Return whether two words differ in an ending that the language uses in orders."""
        shorter, longer = sorted((one, other), key=len)
        if self._language.endings is not None:
            return len(shorter) >= SHORT and longer.removeprefix(shorter) in self._language.endings
        if len(shorter) < STEM:
            return longer[:-1] == shorter
        return n_common(shorter, longer) >= max(STEM, len(longer) - 2)
