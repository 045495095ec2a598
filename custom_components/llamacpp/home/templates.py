"""Templates of sentences in Home Assistant's format: `[please] turn (on|off) {name}`."""

import re
from functools import lru_cache
from itertools import islice, permutations, product
from typing import TYPE_CHECKING

from hassil import parse_sentence
from hassil.expression import (
    Alternative,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    TextChunk,
)

from .words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hassil.expression import Expression

    from .language import Phrase

# Limits of the texts of one template, of the choices of one part, and of the nesting.
MAX_TEXTS, MAX_CHOICES, MAX_DEPTH = 256, 16, 8
_SLOT = re.compile(r"\{([^}:]*:)?([^}]*)\}")


def expand(  # noqa: C901 - one case for each kind of expression
    expression: Expression,
    rules: Mapping[str, Expression],
    *,
    is_whole: bool = False,
    depth: int = 0,
) -> Iterator[str]:
    """Yield the texts of a template, with `{slot}` for each slot.

    is_whole: include optional parts; otherwise only optional parts of words, as in `light[s]`.
    """
    match expression:
        case TextChunk():
            yield expression.original_text
        case ListReference():
            yield f"{{{expression.slot_name}}}"
        case RuleReference():
            if depth < MAX_DEPTH and expression.rule_name in rules:
                rule = rules[expression.rule_name]
                yield from expand(rule, rules, is_whole=is_whole, depth=depth + 1)
            else:
                yield ""
        case Alternative():
            if expression.is_optional and not is_whole:
                yield ""
                return
            for item in expression.items:
                yield from expand(item, rules, is_whole=is_whole, depth=depth)
        case Permutation():
            for items in permutations(expression.items):
                parts = [_choices(one, rules, depth, is_whole=is_whole) for one in items]
                yield from (" ".join(one) for one in product(*parts))
        case Sequence():
            parts = _parts_of(expression, rules, depth, is_whole=is_whole)
            yield from ("".join(one) for one in product(*parts))


def _parts_of(
    sequence: Sequence, rules: Mapping[str, Expression], depth: int, *, is_whole: bool
) -> list[list[str]]:
    """Return the texts of each part of a sequence."""
    items = sequence.items
    return [
        _choices(one, rules, depth, is_whole=is_whole or _is_within_word(items, index))
        for index, one in enumerate(items)
    ]


def _choices(
    expression: Expression, rules: Mapping[str, Expression], depth: int, *, is_whole: bool
) -> list[str]:
    texts = expand(expression, rules, is_whole=is_whole, depth=depth)
    return list(dict.fromkeys(islice(texts, MAX_CHOICES))) or [""]


def _is_within_word(items: list[Expression], index: int) -> bool:
    """Return whether an optional part belongs to a word, as the end of `light[s]`."""
    one = items[index]
    if not (isinstance(one, Alternative) and one.is_optional):
        return False
    before = items[index - 1] if index else None
    behind = items[index + 1] if index + 1 < len(items) else None
    return (isinstance(before, TextChunk) and before.original_text[-1:].isalpha()) or (
        isinstance(behind, TextChunk) and behind.original_text[:1].isalpha()
    )


def literal(text: str) -> Phrase:
    """Return the words of a text without its slots; cached by piece, as few pieces recur often."""
    return tuple(word for one in _SLOT.sub(" ", text).split() for word in _words_of_piece(one))


@lru_cache(maxsize=8192)
def _words_of_piece(piece: str) -> Phrase:
    return words_of(piece)


def slots_in(text: str) -> list[str]:
    """Return the names of the slots in a text."""
    return [slot for _, slot in _SLOT.findall(text)]


def texts_of(template: str) -> list[str]:
    """Return the texts of a template without rules, with and without its optional parts."""
    found = expand(parse_sentence(template).expression, {}, is_whole=True)
    return [*dict.fromkeys(" ".join(text.split()) for text in found)]
