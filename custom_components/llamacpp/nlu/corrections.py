"""Resolve corrections within an utterance: `the lamp, no, I mean the fan`."""

from itertools import takewhile
from typing import TYPE_CHECKING

from ..home.words import as_written
from .explained import cautions_in, phrase_places, small_places
from .utterance import n_begin, understand
from .verbs import is_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..home.language import Language, Phrase
    from .coreference import Coreference
    from .interpret import Interpreter
    from .utterance import Utterance


def after_all(text: str, language: Language, interpreter: Interpreter, before: Coreference) -> str:
    """Return the corrected order of a text that corrects itself, else the text.

    Unchanged unless the first words are a complete order: otherwise it is unclear which of them the
    rest corrects.
    """
    said = understand(text, language)
    if pair := _correction(said, language):
        first, then = pair
        meaning = interpreter.meaning(first)
        refusals = phrase_places(language.lists["not"], understand(then, language).words)
        if refusals or not meaning.is_plain:
            # `Wait, not the lamp` names what the user does not mean.
            return text
        meant = [part[0] for part in meaning.parts if part]
        same = before.same_for(then, meant)
        return same or (then if interpreter.meaning(then).is_plain else text)
    if pair := _other_order(said, language):
        first, then = pair
        return before.with_name(then, [first]) if interpreter.is_refusal(first) else text
    return text


def _correction(said: Utterance, language: Language) -> tuple[str, str] | None:
    """Return the text before and behind words such as `no, I mean`, None without these.

    A lone `no` does not count: in Spanish and Polish it means `not`, as does one behind them.
    """
    words, meant = said.words, language.lists["meant"]
    phrases = (*(one for one in language.lists["no"] if len(one) == 1), *meant)
    for index in range(1, len(words)):
        if n_begin(words[index:], phrases):
            ends = _ends_of(words, index, phrases, language)
            end = max((one for one in ends if _n_end(words[:one], meant)), default=None)
            behind = words[end:]
            behind = behind[: len(behind) - _n_end(behind, meant)]
            return _written(said, words[:index], behind) if end and behind else None
    return None


def _other_order(said: Utterance, language: Language) -> tuple[str, str] | None:
    """Return a refused order and the one instead: `don't turn it off, just pause it`.

    None if there are no such two.
    """
    words, only = said.words, language.lists["only"]
    for index in range(1, len(words)):
        if n_begin(words[index:], only):
            before, behind = words[:index], words[max(_ends_of(words, index, only, language)) :]
            is_refused = cautions_in(before, language) and is_order(before, language)
            is_said = is_order(behind, language) and not cautions_in(behind, language)
            return _written(said, before, behind) if is_refused and is_said else None
    return None


def _ends_of(words: Phrase, start: int, phrases: Sequence[Phrase], language: Language) -> list[int]:
    """Return the end of each of the consecutive phrases, which small words may separate."""
    small = small_places(words, language)
    ends = [start]
    while n_words := n_begin(words[ends[-1] :], phrases):
        ends.append(ends[-1] + n_words)
        after = sum(1 for _ in takewhile(small.__contains__, range(ends[-1], len(words))))
        if n_begin(words[ends[-1] + after :], phrases):
            ends.append(ends[-1] + after)
    return ends[1:]


def _n_end(words: Phrase, phrases: Sequence[Phrase]) -> int:
    """Return the length in words of the longest phrase at the end of the words."""
    return max((len(one) for one in phrases if words[-len(one) :] == one), default=0)


def _written(said: Utterance, *parts: Phrase) -> tuple[str, str]:
    first, second = (as_written(one, said.written) for one in parts)
    return first, second
