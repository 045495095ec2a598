"""What somebody said: its parts, when it is to be done, and whether it is a question or a chat."""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .durations import lengths
from .words import has_phrase, words_of, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .durations import Length
    from .language import Language, Phrase

# As `words_of` divides a text, but a word keeps an apostrophe behind it.
_WRITTEN = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+['\u2019]?")
_CLAUSE_ENDS = re.compile(r"[,.;:!](?!\d)")


@dataclass(frozen=True, slots=True)
class Said:
    """What was said.

    words: all of it. written: how these were written. parts: of it, between words such as `and`.
    delay: the length of time by units after which it is to be done, empty if that was not said.
    at_once: the same without the words for that, None if it was not said.
    """

    words: tuple[str, ...]
    written: Mapping[str, str]
    parts: tuple[tuple[str, ...], ...]
    is_question: bool
    is_chat: bool
    is_about_time: bool
    is_yes: bool
    delay: Mapping[str, int] = field(default_factory=dict)
    at_once: Said | None = None


def understand(text: str, language: Language) -> Said:
    """Return what somebody said in a language."""
    lists = language.lists
    words = words_of(text)
    times = lengths(words, language)
    joins = _joins(text, words, lists["also"]).difference(*(range(*one.places) for one in times))
    # What comes first can be the reason for it.
    ends_in_order = any(_is_order(words_of(one), language) for one in _CLAUSE_ENDS.split(text)[1:])
    said = Said(
        words=words,
        written=written(text),
        parts=_parts(words, joins),
        is_question=_is_question(
            words, joins, language, has_mark="?" in text, ends_in_order=ends_in_order
        ),
        is_chat=_n_begin(words, lists["chat"]) > 0 and not ends_in_order,
        is_about_time=any(set(one) <= set(words) for one in lists["time"]),
        is_yes=_n_begin(words, lists["yes"]) > 0,
    )
    delay, places = _delay(words, times, language)
    rest = tuple(word for index, word in enumerate(words) if index not in places)
    if not (delay and rest):
        return said
    at_once = replace(said, words=rest, parts=_parts(words, joins, without=places))
    return replace(said, delay=delay, at_once=at_once)


def is_any(phrases: Iterable[Phrase], words: Sequence[str], language: Language) -> bool:
    """Tell whether one of the phrases was said."""
    return any(has_phrase(one, words, language.common) for one in phrases)


def _is_question(
    words: tuple[str, ...],
    joins: frozenset[int],
    language: Language,
    *,
    has_mark: bool,
    ends_in_order: bool,
) -> bool:
    """Tell whether something is asked: by how it begins, or by its question mark.

    `Can you` begins no question, but the longer `can you tell me` does; not so `tell me a`, with
    which a chat begins.
    """
    asking = language.lists["questions"]
    n_other = max(_n_begin(words, language.lists[name]) for name in ("polite", "chat"))
    n_asking = 0 if 0 in joins else _n_begin(words, asking)
    if n_other or n_asking:
        # Several words can also begin a statement, such as that a light is on.
        is_statement = n_asking > 1 and ends_in_order and not has_mark
        return n_asking > n_other and not is_statement
    # An order with a question mark can be a wish, unless words within ask for a state.
    return has_mark and (
        any(_is_within(one, words) for one in asking if len(one) > 1)
        or not _is_order(words, language)
    )


def _is_order(words: Sequence[str], language: Language) -> bool:
    """Tell whether the verb of a command that changes something was said."""
    return any(is_any(one.hear, words, language) for one in language.sentences if not one.reads)


def _delay(
    words: tuple[str, ...], times: Iterable[Length], language: Language
) -> tuple[Mapping[str, int], range]:
    """Return a length of time after which something is to be done, and the places of its words."""
    for one in times:
        start, end = one.places
        for phrase in language.later.hear:
            if words[max(0, start - len(phrase)) : start] == phrase:
                return one.units, range(start - len(phrase), end)
    return {}, range(0)


def _n_begin(words: tuple[str, ...], phrases: Iterable[Phrase]) -> int:
    """Return how many words the longest of the phrases has with which the words begin."""
    return max((len(one) for one in phrases if words[: len(one)] == one), default=0)


def _is_within(phrase: Phrase, words: tuple[str, ...]) -> bool:
    return any(words[i : i + len(phrase)] == phrase for i in range(len(words)))


def _joins(text: str, words: tuple[str, ...], also: Iterable[Phrase]) -> frozenset[int]:
    """Return where the words are that join parts: with their accents, `è` is not the word `e`."""
    plain = unicodedata.normalize("NFC", text.casefold().replace("%", " percent "))
    written = _WRITTEN.findall(plain)
    joining = {one[0] for one in also}
    return frozenset(
        index
        for index, word in enumerate(words)
        # Signs that are taken apart make more words of it: accents are then passed over.
        if word in joining and (len(written) != len(words) or written[index] == word)
    )


def _parts(
    words: tuple[str, ...], joins: frozenset[int], without: range = range(0)
) -> tuple[tuple[str, ...], ...]:
    parts: list[list[str]] = [[]]
    for index, word in enumerate(words):
        if index in joins:
            parts.append([])
        elif index not in without:
            parts[-1].append(word)
    return tuple(tuple(part) for part in parts if part) or ((),)
