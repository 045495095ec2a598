"""Find numbers in an utterance, in digits or in words."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .language import Language, Phrase

# Maximum number of words of a number or of a fraction of a unit of time.
MAX_WORDS = 4
HALF = 0.5
# Add ones to tens: `twenty`, `five` are 25.
_FIRST_TENS, _TEN = 20, 10


def numbers_in(
    words: Sequence[str],
    language: Language,
    levels: Mapping[Phrase, int] | None = None,
) -> list[float]:
    """Return the numbers of an utterance in order. levels: further words with a value."""
    known: dict[Phrase, float | None] = {**language.numbers, **(levels or {})}
    found: list[float] = []
    rest = tuple(words)
    while rest:
        value, n_words = _number(rest, known)
        if value is not None:
            n_half = _half(rest[n_words:], language)
            found.append(value + HALF if n_half else value)
            n_words += n_half
        elif rest and (value := with_half(rest[0], language)) is not None:
            found.append(value)
        rest = rest[n_words or 1 :]
    return found


def half_degrees(words: Phrase, language: Language) -> tuple[float, int, int] | None:
    """Return 0.5 or 1.5 for half degrees, and start and end of the words; None if not found."""
    halves = {phrase for phrase, value in language.parts.items() if value == HALF}
    also = {one[0] for one in language.lists["also"]}
    for start in range(len(words)):
        unit = first_phrase(words[start:], language.lists["degrees"])
        if not unit:
            continue
        end = start + len(unit)
        if words[end : end + 1] and words[end] in also:
            phrase = first_phrase(words[end + 1 :], halves)
            if phrase:
                return 1 + HALF, start, end + 1 + len(phrase)
        for phrase in halves:
            for n_between in (0, 1):
                first = start - n_between - len(phrase)
                if first >= 0 and words[first : first + len(phrase)] == phrase:
                    return HALF, first, end
    return None


def one_degree(words: Phrase, language: Language) -> tuple[float, int, int] | None:
    """Return 1 for an article before a unit of degrees, as `half_degrees`: Italian `un grado`."""
    for start, word in enumerate(words):
        if word in language.ones and (
            unit := first_phrase(words[start + 1 :], language.lists["degrees"])
        ):
            return 1, start, start + 1 + len(unit)
    return None


@lru_cache(maxsize=1024)
def with_half(word: str, language: Language) -> float | None:
    """Return the value of a word that ends in a half, such as `einundzwanzigeinhalb`."""
    for (part, *more), value in language.parts.items():
        number = language.numbers.get((word.removesuffix(part),))
        if not more and value == HALF and word.endswith(part) and number is not None:
            return number + HALF
    return None


def _half(words: Phrase, language: Language) -> int:
    """Return how many words after a number mean `and a half`, 0 if none.

    The unit may stand between: `a degree and a half`.
    """
    unit = first_phrase(words, language.lists["degrees"])
    rest = words[len(unit) :]
    if (rest[:1] or ("",))[0] in {one[0] for one in language.lists["also"]}:
        phrase = first_phrase(rest[1:], language.parts)
        if phrase and language.parts[phrase] == HALF:
            return len(unit) + 1 + len(phrase)
    return 0


def number_at(words: Sequence[str], start: int, language: Language) -> tuple[float | None, int]:
    """Return the number at an index, None if there is none, and the index behind it."""
    value, n_words = _number(tuple(words[start : start + 2 * MAX_WORDS]), language.numbers)
    return value, start + (n_words if value is not None else 0)


def _number(words: Phrase, known: Mapping[Phrase, float | None]) -> tuple[float | None, int]:
    """Return the number at the start of words, and its number of words.

    The number can be None with a word count above 0: `per cent` contains the word for a hundred.
    """
    value, n_words = _simple(words, known)
    if n_words and is_article(words[:n_words], words[n_words:], known):
        return None, n_words
    is_tens = value is not None and value >= _FIRST_TENS and value % _TEN == 0
    if value is not None and is_tens and not words[0][0].isdigit():
        ones, n_more = _simple(words[n_words:], known)
        if ones is not None and 0 < ones < _TEN:
            return value + ones, n_words + n_more
    return value, n_words


def is_article(one: Phrase, behind: Phrase, known: Mapping[Phrase, float | None]) -> bool:
    """Return whether the word for one is an article, as in Spanish `un 20 %`: by 20 %."""
    is_one = known.get(one) == 1 and not one[0][0].isdigit()
    return is_one and (_simple(behind, known)[0] or 0) > 1


def _simple(words: Phrase, known: Mapping[Phrase, float | None]) -> tuple[float | None, int]:
    if not words:
        return None, 0
    if words[0][0].isdigit():
        return float(words[0].replace(",", ".")), 1
    phrase = first_phrase(words, known)
    return (known[phrase], len(phrase)) if phrase else (None, 0)


def first_phrase(words: Sequence[str], known: Collection[Phrase]) -> Phrase:
    """Return the longest known phrase at the start of words, empty if there is none."""
    words = tuple(words[:MAX_WORDS])
    found = (words[:n] for n in range(len(words), 0, -1) if words[:n] in known)
    return next(found, ())
