"""What the tokens of answers tell of how a server keeps prompts."""

from typing import Any

import pytest

from custom_components.llamacpp.client import Usage
from custom_components.llamacpp.serving.diagnosis import (
    MAX_PROMPTS,
    CacheProblem,
    Keeping,
    Observation,
)

HOME, OTHER = b"home", b"other"
SIZE = 4000


def ask(keeping: Keeping, prefix: bytes, cached: int, *, size: int = SIZE, **how: Any) -> None:
    """Note an answer of which so much was kept; how: as in `Observation`."""
    usage = Usage(
        prompt_tokens=size, completion_tokens=1, total_tokens=size + 1, cached_tokens=cached
    )
    asked = {"n_messages": 2, "is_warm_up": False, "was_read": False} | how
    keeping.note(Observation(prefix, usage, **asked))


def verdict(keeping: Keeping) -> tuple[bool | None, bool | None]:
    """Return what is told of both losses."""
    return keeping.suffers(CacheProblem.NOT_CACHED), keeping.suffers(CacheProblem.PUSHED_OUT)


@pytest.fixture
def keeping() -> Keeping:
    """Return what is known of a server that has processed the home and another prompt, once."""
    keeping = Keeping()
    ask(keeping, OTHER, 0, is_warm_up=True)
    ask(keeping, HOME, 0, is_warm_up=True)
    return keeping


def test_nothing_is_known_at_first(keeping: Keeping) -> None:
    """A prompt that is processed for the first time tells nothing."""
    assert verdict(keeping) == (None, None)


def test_nothing_is_cached(keeping: Keeping) -> None:
    """Three times in a row; the first token that is kept tells that it is not so."""
    for _ in range(2):
        ask(keeping, HOME, 0, n_messages=4)
        assert verdict(keeping) == (None, None)
    ask(keeping, HOME, 0)
    assert verdict(keeping) == (True, False)
    assert keeping.n_tokens == SIZE
    ask(keeping, HOME, 1)
    assert verdict(keeping) == (False, None)
    ask(keeping, HOME, 0)
    assert verdict(keeping) == (None, None)


def test_prompts_push_each_other_out(keeping: Keeping) -> None:
    """Three times in a row; the first one that is kept tells that it is not so."""
    for prefix in (OTHER, HOME, OTHER):
        assert verdict(keeping)[1] is None
        ask(keeping, prefix, 3)
    assert verdict(keeping) == (False, True)
    assert keeping.n_tokens == SIZE - 3
    ask(keeping, HOME, SIZE - 10)
    assert verdict(keeping) == (False, False)


def test_what_is_alike_or_small_is_not_lost(keeping: Keeping) -> None:
    """A server may go on from a prompt that shares half of the tokens."""
    for prefix in (OTHER, HOME) * 3:
        ask(keeping, prefix, SIZE // 2)
        assert verdict(keeping) == (False, False)
    for prefix in (OTHER, HOME) * 3:
        ask(keeping, b"third", 3, size=100)
        ask(keeping, prefix, 50)
        assert verdict(keeping) == (False, False)
    small = Keeping()
    for prefix in (OTHER, HOME) * 5:
        ask(small, prefix, 3, size=100, is_warm_up=True)
    assert verdict(small) == (False, None)


def test_what_is_not_comparable(keeping: Keeping) -> None:
    """Later turns, and what was read from the server's disk, tell nothing of what it keeps."""
    ask(keeping, HOME, 10)
    for prefix in (OTHER, HOME) * 3:
        ask(keeping, prefix, 3, n_messages=4)
        ask(keeping, b"third", 3)
        ask(keeping, prefix, SIZE - 3, was_read=True)
    assert verdict(keeping) == (False, None)


def test_a_model_that_was_out_of_memory(keeping: Keeping) -> None:
    """What it has lost with its memory is no fault of its flags."""
    for _ in range(4):
        ask(keeping, HOME, 3)
        keeping.interrupt()
        ask(keeping, HOME, 0)
        ask(keeping, OTHER, 0)
        keeping.interrupt()
        assert verdict(keeping) == (None, None)


def test_old_prompts_go() -> None:
    """What a home was like long ago is forgotten."""
    keeping = Keeping()
    for number in range(MAX_PROMPTS + 1):
        ask(keeping, b"%d" % number, 3, is_warm_up=True)
    for _ in range(4):
        ask(keeping, b"0", 3)
        ask(keeping, b"1", SIZE)
    assert verdict(keeping) == (False, False)
