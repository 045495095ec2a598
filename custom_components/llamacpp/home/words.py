"""Split text into words that can be compared with names."""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_WORD = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+")
# As `_WORD`, but a word keeps the apostrophe that joins it to the next.
_WRITTEN = re.compile(rf"{_WORD.pattern}(?:['\u2019](?=[^\W\d_]))?")
_JOINED = re.compile(r"(['\u2019]) ")
# Minimum number of letters of a word that may have one typo, or two.
ONE_SLIP, TWO_SLIPS = 5, 9
SHORT, LONG = 3, 6
# How `words_of` reads the percent sign.
PERCENT = "percent"
# Letters that have a stroke in the place of an accent: people leave it out, too.
_STROKES = str.maketrans("łđø", "ldo")
# Possible links between the two words of a compound.
LINKS = ("", "n", "s")


@lru_cache(maxsize=4096)
def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text in order, in lower case without accents.

    Numbers are words; a percent sign is the word `percent`.
    """
    plain = unicodedata.normalize("NFKD", text.casefold().replace("%", f" {PERCENT} "))
    letters = "".join(one for one in plain if not unicodedata.combining(one))
    letters = letters.translate(_STROKES)
    return tuple(_WORD.findall(letters.replace("'", " ").replace("\u2019", " ")))


def written(text: str) -> dict[str, str]:
    """Return the spelling of each word of a text: with accents and capitals by the plain word.

    A word that an apostrophe always joins to the next keeps it at its end.
    """
    plain = unicodedata.normalize("NFC", text)
    found = sorted(_WRITTEN.findall(plain), key=lambda word: word[-1].isalnum())
    return {words[0]: word for word in found if len(words := words_of(word)) == 1}


def as_written(words: Iterable[str], how: Mapping[str, str]) -> str:
    """Return words as one text. how: from `written`."""
    return _JOINED.sub(r"\1", " ".join(how.get(word, word) for word in words))


@lru_cache(maxsize=1 << 16)
def is_like(one: str, other: str, *, may_slip: bool = True) -> bool:
    """Return whether two words are equal except for an ending or typos."""
    if one == other:
        return True
    if not (one.isalpha() and other.isalpha()):
        return False
    shorter, longer = sorted((one, other), key=len)
    common = n_common(shorter, longer)
    least = len(longer) - (2 if len(longer) >= LONG else 1)
    # In short words each letter counts: `Bar` is not `Bad`.
    if len(shorter) >= SHORT and common >= max(least, SHORT):
        return True
    if not may_slip or len(shorter) < ONE_SLIP:
        return False
    allowed = 2 if len(shorter) >= TWO_SLIPS else 1
    # Rules out most pairs cheaply, and a home has many pairs of words.
    if len(longer) - len(shorter) > allowed or len({*longer} - {*shorter}) > allowed:
        return False
    return n_slips(shorter, longer) <= allowed


def is_declined(one: str, other: str, declension: Iterable[Collection[str]]) -> bool:
    """Return whether two words are forms of one name: a stem with two endings of one group."""
    common = n_common(one, other)
    # An ending may begin with the letters of another: `lampka`, `lampkami`.
    return any(
        one[cut:] in endings and other[cut:] in endings
        for cut in range(common, SHORT - 1, -1)
        for endings in declension
    )


def is_slip(one: str, other: str) -> bool:
    """Return whether two words are equal, except for one letter of a long word."""
    if one == other or min(len(one), len(other)) < ONE_SLIP or abs(len(one) - len(other)) > 1:
        return one == other
    return len({*one} - {*other}) <= 1 and n_slips(one, other) <= 1


def parts_of(word: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the two known words of a compound such as `Küchenlampe`; else the word itself."""
    if word in known:
        return (word,)
    for end in range(SHORT, len(word) - SHORT + 1):
        first, second = word[:end], word[end:]
        if second in known:
            for link in LINKS:
                if first.endswith(link) and (root := first.removesuffix(link)) in known:
                    return root, second
    return (word,)


def find(
    word: str,
    said: Sequence[str],
    common: frozenset[str] = frozenset(),
    known: frozenset[str] = frozenset(),
) -> int | None:
    """Return the index of a word in an utterance, also if split in two; None if it is missing.

    common: words of the language that match only themselves. known: words that are never typos of
    other words.
    """
    for index, one in enumerate(said):
        if one == word:
            return index
        if one not in common and is_like(word, one, may_slip=one not in known):
            return index
    for index, (one, other) in enumerate(pairwise(said)):
        if len(word) > LONG and one + other == word:
            return index
    return None


def has_phrase(
    phrase: Sequence[str], said: Sequence[str], common: frozenset[str] = frozenset()
) -> bool:
    """Return whether all words of a phrase are in the utterance in order, perhaps with gaps."""
    start = 0
    for word in phrase:
        index = find(word, said[start:], common)
        if index is None:
            return False
        start += index + 1
    return True


def n_common(one: str, other: str) -> int:
    """Return the number of letters in the common prefix of two words."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def n_slips(one: str, other: str) -> int:
    """Return how many letters to insert, delete, replace or swap to turn one word into another."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, previous, row = row, before, [i]
        for j, right in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
    return row[-1]
