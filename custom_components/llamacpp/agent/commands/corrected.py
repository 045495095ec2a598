"""What somebody means who corrects themselves in one breath: `the lamp, no, I mean the fan`."""

from itertools import takewhile
from typing import TYPE_CHECKING

from .explained import cautions_in, small_places
from .said import n_begin
from .verbs import is_order
from .words import as_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .language import Language, Phrase
    from .said import Said


def correction(said: Said, language: Language) -> tuple[str, str] | None:
    """Return what was said before and behind words such as `no, I mean`, None without these."""
    words = said.words
    # `Not that one` may go on with the name of what is not meant.
    phrases = (*(one for one in language.lists["no"] if len(one) == 1), *language.lists["meant"])
    for index in range(1, len(words)):
        if n_begin(words[index:], phrases):
            end = _end_of(words, index, phrases, language)
            behind = _without_end(words[end:], phrases)
            return _written(said, words[:index], behind) if behind else None
    return None


def other_order(said: Said, language: Language) -> tuple[str, str] | None:
    """Return what is not to be done, and what is instead: `don't turn it off, just pause it`.

    None if nothing of that kind was said.
    """
    words, only = said.words, language.lists["only"]
    for index in range(1, len(words)):
        if n_begin(words[index:], only):
            before, behind = words[:index], words[_end_of(words, index, only, language) :]
            is_refused = cautions_in(before, language) and is_order(before, language)
            is_said = is_order(behind, language) and not cautions_in(behind, language)
            return _written(said, before, behind) if is_refused and is_said else None
    return None


def _end_of(words: Phrase, start: int, phrases: Sequence[Phrase], language: Language) -> int:
    """Return the place behind all of these phrases that follow each other, and small words."""
    small = small_places(words, language)
    end = start
    while end < len(words) and (n_words := n_begin(words[end:], phrases)):
        end += n_words
        after = sum(1 for _ in takewhile(small.__contains__, range(end, len(words))))
        end += after if n_begin(words[end + after :], phrases) else 0
    return end


def _without_end(words: Phrase, phrases: Sequence[Phrase]) -> Phrase:
    ends = (len(words) - len(one) for one in phrases if words[-len(one) :] == one)
    return words[: min(ends, default=len(words))]


def _written(said: Said, *parts: Phrase) -> tuple[str, str]:
    first, second = (as_written(one, said.written) for one in parts)
    return first, second
