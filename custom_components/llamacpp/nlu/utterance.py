"""Parse an utterance: its parts, its delay, and whether it is a question or a chat."""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from ..home.durations import lengths
from ..home.numbers import HALF, first_phrase
from ..home.words import has_phrase, words_of, written
from .relative import difference
from .verbs import is_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..home.durations import Length
    from ..home.language import Language, Phrase

# Splits like `words_of`, but a word keeps its trailing apostrophe.
_WRITTEN = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+['\u2019]?")
_WORD = re.compile(r"[^\W_]+")
# Without the colon: quoted speech follows it.
_CLAUSE_ENDS = re.compile(r"[,.;!?](?!\d)")
# A longer text is never an order.
MAX_CHARACTERS = 500
MAX_WORDS = 50


@dataclass(frozen=True, slots=True)
class Utterance:
    """A parsed text of the user.

    words: all of it, none if the text is too long for an order. written: their original spelling.
    joins: places of words such as `and`. parts: the words between these. is_yes: it is only an
    agreement. delay: duration by units until it is due, empty if there is none. at_once: the
    utterance without the words of the delay, None without a delay. but: the words before and behind
    such as `except`, None without these. clauses: the pieces between punctuation marks and before
    words such as `because`, each parsed alone, if there are several. is_reason: it is a clause that
    gives a reason. pieces: the words between punctuation marks and joins, if there are marks.
    """

    words: tuple[str, ...]
    written: Mapping[str, str]
    parts: tuple[tuple[str, ...], ...]
    is_question: bool
    is_chat: bool
    is_about_time: bool
    is_yes: bool
    joins: frozenset[int] = frozenset()
    delay: Mapping[str, int] = field(default_factory=dict)
    at_once: Utterance | None = None
    but: tuple[Phrase, Phrase] | None = None
    clauses: tuple[Utterance, ...] = ()
    is_reason: bool = False
    pieces: tuple[Phrase, ...] = ()


NOTHING = Utterance(
    (), {}, ((),), is_question=False, is_chat=True, is_about_time=False, is_yes=False
)


def understand(text: str, language: Language) -> Utterance:
    """Parse a text; one of more than MAX_CHARACTERS or MAX_WORDS counts as a chat."""
    return NOTHING if len(text) > MAX_CHARACTERS else _understand(text, language)


@lru_cache(maxsize=256)
def _understand(text: str, language: Language) -> Utterance:
    lists = language.lists
    words = words_of(text)
    if len(words) > MAX_WORDS:
        return NOTHING
    times = lengths(words, language)
    joins = _joins(text, words, lists["also"]).difference(*(range(*one.places) for one in times))
    joins = frozenset(one for one in joins if not _is_half(words[one + 1 :], language))
    # `Be so kind and` begins one order.
    joins -= {one for start in range(len(words)) for one in _order_at(words, start, language)}
    # The text before may be the reason for the order.
    ends_in_order = any(is_order(words_of(one), language) for one in _CLAUSE_ENDS.split(text)[1:])
    said = Utterance(
        words=words,
        written=written(text),
        parts=_parts(words, joins),
        is_question=_is_question(
            words, joins, language, has_mark="?" in text, ends_in_order=ends_in_order
        ),
        is_chat=n_begin(words, lists["chat"]) > 0 and not ends_in_order,
        is_about_time=any(set(one) <= set(words) for one in lists["time"]),
        is_yes=is_only(words, language, "yes"),
        joins=joins,
        but=_but(words, language) or _but_first(text, language) or _but_kept(text, language),
        clauses=_clauses(text, language),
        pieces=_pieces(text, language),
    )
    delay, places = _delay(words, times, language)
    rest = tuple(word for index, word in enumerate(words) if index not in places)
    if not (delay and rest):
        return said
    kept = [index for index in range(len(words)) if index not in places]
    at_once = replace(
        said,
        words=rest,
        but=_but(rest, language),
        joins=frozenset(place for place, index in enumerate(kept) if index in joins),
        parts=_parts(words, joins, without=places),
    )
    return replace(said, delay=delay, at_once=at_once)


def _order_at(words: tuple[str, ...], start: int, language: Language) -> range:
    """Return the places of a phrase such as `could you` at an index."""
    return range(start, start + n_begin(words[start:], language.lists["orders"]))


def is_only(words: tuple[str, ...], language: Language, name: str) -> bool:
    """Return whether the words are only a `yes` or a `no`, perhaps with a polite word.

    name: of the list.
    """
    known = [*language.lists[name], *language.lists["thanks"]]
    rest = words
    while rest and (n_words := n_begin(rest, known)):
        rest = rest[n_words:]
    return not rest and n_begin(words, language.lists[name]) > 0


def _but(words: tuple[str, ...], language: Language) -> tuple[Phrase, Phrase] | None:
    """Return the words before and behind the first one such as `except`, None without any.

    Italian `due gradi in meno` has the word for it, too.
    """
    phrases = language.lists["except"]
    less = difference(words, language, is_degrees=True)
    units = (*language.lists["degrees"], *language.lists["percents"])
    is_difference = less and any((words[one],) in units for one in less.places)
    no_except = less.places if less and is_difference else frozenset[int]()
    for index in range(1, len(words)):
        if index in no_except:
            continue
        n_words = n_begin(words[index:], phrases)
        if n_words and index + n_words < len(words):
            return words[:index], words[index + n_words :]
        for before, behind in language.lists["except_around"]:
            # `All of them, op de lamp na`.
            if words[index] == before and words[-1] == behind and index + 2 < len(words):
                return words[:index], words[index + 1 : -1]
    return None


def _but_first(text: str, language: Language) -> tuple[Phrase, Phrase] | None:
    """Return the same for a leading exception: `except the attic, lock all doors`.

    The exception ends at a punctuation mark, or before a word such as `all`.
    """
    words, first = words_of(text), words_of(_CLAUSE_ENDS.split(text)[0])
    start = n_begin(words, language.lists["except"])
    if not start:
        return None
    alls = (
        index for index in range(start + 1, len(words)) if n_begin(words[index:], _all(language))
    )
    end = len(first) if start < len(first) < len(words) else next(alls, 0)
    return (words[end:], words[start:end]) if end else None


def _but_kept(text: str, language: Language) -> tuple[Phrase, Phrase] | None:
    """Return the same for a trailing exception: `all lights off, only leave this on`.

    None unless all of something is meant.
    """
    *before, last = _CLAUSE_ENDS.split(text)
    words = tuple(word for one in before for word in words_of(one))
    if found := _kept(words, words_of(last), language):
        return found
    # Speech has no punctuation.
    said, only = words_of(text), language.lists["only"]
    places = (index for index in range(1, len(said)) if n_begin(said[index:], only))
    cut = (_kept(said[:index], said[index:], language) for index in places)
    return next(filter(None, cut), None)


def _kept(words: Phrase, kept: Phrase, language: Language) -> tuple[Phrase, Phrase] | None:
    """Return the words, and the exception behind them; None if there is none."""
    keep = language.lists["keep"]
    only = n_begin(kept, language.lists["only"])
    plurals = (one for kind in language.kinds.values() for one in kind.plurals)
    several = (*_all(language), *plurals)
    is_all = any(n_begin(words[index:], several) for index in range(len(words)))
    is_kept = n_begin(kept, keep) or (only and any(_is_within(one, kept) for one in keep))
    return (words, kept[only:]) if is_all and is_kept else None


def _all(language: Language) -> Sequence[Phrase]:
    return language.lists["all"]


def _pieces(text: str, language: Language) -> tuple[Phrase, ...]:
    """Return the words between punctuation marks and joins, none if there is no mark."""
    clauses = [one for one in _CLAUSE_ENDS.split(text) if words_of(one)]
    if len(clauses) < 2:  # noqa: PLR2004 - no mark between clauses
        return ()
    found = []
    for one in clauses:
        words = words_of(one)
        joins = _joins(one, words, language.lists["also"])
        kept = frozenset(one for one in joins if not _is_half(words[one + 1 :], language))
        found += [part for part in _parts(words, kept) if part]
    return tuple(found)


def _clauses(text: str, language: Language) -> tuple[Utterance, ...]:
    reasons = language.lists["because"]
    behind_mark = (*reasons, *language.lists["because_behind_comma"])
    found = []
    for place, clause in enumerate(_CLAUSE_ENDS.split(text)):
        first, *others = _before_each(clause, reasons)
        found += [(first, place > 0 and n_begin(words_of(first), behind_mark) > 0)]
        found += [(one, True) for one in others]
    pieces = [one for one in found if words_of(one[0])]
    if len(pieces) < 2:  # noqa: PLR2004 - a single clause
        return ()
    return tuple(
        replace(_understand(one, language), is_reason=is_reason) for one, is_reason in pieces
    )


def _before_each(text: str, phrases: Iterable[Phrase]) -> list[str]:
    """Split a text before each of these phrases, except a leading one."""
    words = [*_WORD.finditer(text)]
    plain = tuple(word for one in words for word in words_of(one.group())[:1])
    if len(plain) != len(words):
        return [text]
    cuts = [
        words[index].start() for index in range(1, len(plain)) if n_begin(plain[index:], phrases)
    ]
    return [text[start:end] for start, end in pairwise((0, *cuts, len(text)))]


def joins_in(words: Sequence[str], language: Language) -> frozenset[int]:
    """Return the places of words such as `and`."""
    joining = {one[0] for one in language.lists["also"]}
    return frozenset(index for index, word in enumerate(words) if word in joining)


def is_any(phrases: Iterable[Phrase], words: Sequence[str], language: Language) -> bool:
    """Return whether the words contain one of the phrases."""
    return any(has_phrase(one, words, language.common) for one in phrases)


def _is_question(
    words: tuple[str, ...],
    joins: frozenset[int],
    language: Language,
    *,
    has_mark: bool,
    ends_in_order: bool,
) -> bool:
    """Return whether the utterance is a question: by its beginning or its question mark.

    `Can you` begins no question, but the longer `can you tell me` does; not so `tell me a`, with
    which a chat begins.
    """
    asking = language.lists["questions"]
    n_other = max(n_begin(words, language.lists[name]) for name in ("orders", "chat"))
    n_asking = 0 if 0 in joins else n_begin(words, asking)
    if n_other or n_asking:
        # Several words may also begin a statement, such as that a light is on.
        is_statement = n_asking > 1 and ends_in_order and not has_mark
        return n_asking > n_other and not is_statement
    # An order with a question mark can be a request, unless words in it ask for a state.
    return has_mark and (
        any(_is_within(one, words) for one in asking if len(one) > 1)
        or not is_order(words, language)
    )


def _delay(
    words: tuple[str, ...], times: Iterable[Length], language: Language
) -> tuple[Mapping[str, int], range]:
    """Return the delay of an order by units, and the places of its words; both may be empty."""
    for one in times:
        start, end = one.places
        for phrase in language.later.hear:
            if words[max(0, start - len(phrase)) : start] == phrase:
                return one.units, range(start - len(phrase), end)
    return {}, range(0)


def n_begin(words: tuple[str, ...], phrases: Iterable[Phrase]) -> int:
    """Return the length in words of the longest phrase at the start of the words."""
    return max((len(one) for one in phrases if words[: len(one)] == one), default=0)


def _is_within(phrase: Phrase, words: tuple[str, ...]) -> bool:
    return any(words[i : i + len(phrase)] == phrase for i in range(len(words)))


def _joins(text: str, words: tuple[str, ...], also: Iterable[Phrase]) -> frozenset[int]:
    """Return the places of the joining words, comparing accents: `è` is not the word `e`."""
    plain = unicodedata.normalize("NFC", text.casefold().replace("%", " percent "))
    written = _WRITTEN.findall(plain)
    joining = {one[0] for one in also}
    return frozenset(
        index
        for index, word in enumerate(words)
        # If signs make the word counts differ, ignore accents.
        if word in joining and (len(written) != len(words) or written[index] == word)
    )


def _is_half(words: tuple[str, ...], language: Language) -> bool:
    """Return whether the words continue with half of a number: `sixteen and a half`."""
    phrase = first_phrase(words, language.parts)
    return bool(phrase) and language.parts[phrase] == HALF


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
