"""Which sentences' verbs were said."""

from typing import TYPE_CHECKING

from .durations import lengths
from .words import find, heard_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .language import Language, Sentence

# The kind of value that is a length of time, and what sentences call it.
DURATION = "duration"
# Lists of words that name nothing.
SMALL = ("fillers", "prepositions", "all", "home", "also", "polite")


class Verbs:
    """Finds the verbs of one language."""

    def __init__(self, language: Language) -> None:
        """Begin with a language."""
        self._language = language

    def heard(self, words: Sequence[str]) -> list[Sentence]:
        """Return the sentences whose verb was said; `carry on` is not the verb `on`.

        Nor is `pause the timer` about music.
        """
        found = self._phrases(words)
        return [
            sentence
            for sentence, own in found
            if not any(
                own < other and (sentence.kinds & one.kinds or one.target == "none")
                for one, other in found
            )
        ]

    def implied(self, words: Sequence[str]) -> frozenset[str]:
        """Return the kind of things that a verb is only used for, such as `lock`; empty if none."""
        found = self._phrases(words)
        kinds = {
            sentence.kinds for sentence, own in found if not any(own < other for _, other in found)
        }
        only = next(iter(kinds), frozenset[str]())
        return only if len(kinds) == len(only) == 1 else frozenset()

    def named_besides(self, words: Sequence[str]) -> list[str]:
        """Return the words that are neither a verb nor small ones."""
        verbs = [*frozenset[str]().union(*(own for _, own in self._phrases(words)))]
        return [one for one in self.without_first(words) if find(one, verbs) is None]

    def without_first(self, words: Sequence[str]) -> list[str]:
        """Return words without small ones, and without a verb that comes first.

        Further behind, the same word can name something: `switch on the switch`.
        """
        small = {word for name in SMALL for one in self._language.lists[name] for word in one}
        rest = [word for word in words if word not in small]
        verbs = [*frozenset[str]().union(*(own for _, own in self._phrases(words)))]
        return rest[1:] if rest and find(rest[0], verbs) is not None else rest

    def _phrases(self, words: Sequence[str]) -> list[tuple[Sentence, frozenset[str]]]:
        """Return the sentences whose verb was said, each with the words of its verb."""
        common = self._language.common
        has_length = bool(lengths(words, self._language))
        found = (
            (one, heard_words(one.hear, words, common))
            for one in self._language.sentences
            if has_length or DURATION not in one.slots.values()
        )
        return [(sentence, own) for sentence, own in found if own]
