"""Whether a model was sure of what it chose."""

import math

import pytest

from custom_components.llamacpp.client import TextDelta
from custom_components.llamacpp.turn.commands.confidence import is_clear

LOCK, UNLOCK, OPEN = "lock the Door", "unlock the Door", "open the Door"


def token(text: str, probability: float, **others: float) -> TextDelta:
    """Return a piece of the answer, with what else could have been there."""
    rivals = tuple((one, math.log(likely)) for one, likely in others.items())
    own = math.log(probability)
    return TextDelta(text, own, ((text, own), *rivals))


REST = token(" the Door", 1.0)


@pytest.mark.parametrize(
    ("tokens", "is_sure"),
    [
        ((token("lock", 0.8, unlock=0.1), REST), True),
        ((token("lock", 0.5, unlock=0.4), REST), False),
        # Less likely than another, and chosen all the same.
        ((token("lock", 0.2, unlock=0.6), REST), False),
        # A part of the other is enough.
        ((token("lock", 0.5, un=0.4), REST), False),
        # What begins no command does not count: the grammar forbids it.
        ((token("lock", 0.2, Sure=0.7), REST), True),
        # The same beginning in other pieces is the same choice.
        ((token("lo", 0.4, l=0.3, lock=0.3), token("ck", 1.0), REST), True),
        # Only the place where ways part counts.
        ((token("lock", 0.9, unlock=0.05), token(" the Door", 0.5, unlock=0.4)), True),
        ((), True),
    ],
)
def test_margin(tokens: tuple[TextDelta, ...], *, is_sure: bool) -> None:
    """What was chosen must be twice as likely as any other command."""
    assert is_clear(LOCK, (UNLOCK, OPEN), tokens) is is_sure


def test_ways_that_part_late() -> None:
    """Commands with one beginning are compared where they differ."""
    tokens = (token("lock the", 1.0), token(" Door", 0.5, **{" Garage": 0.45}))
    assert not is_clear("lock the Door", ("lock the Garage",), tokens)
    assert is_clear("lock the Door", ("unlock the Garage",), tokens)


def test_no_other() -> None:
    """What has no rival is clear."""
    assert is_clear(LOCK, (), (token("lock", 0.1, unlock=0.9),))
