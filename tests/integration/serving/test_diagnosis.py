"""What the token counts of answers say about a server's cache."""

from typing import Any

import pytest

from custom_components.llamacpp.client import Usage
from custom_components.llamacpp.serving.diagnosis import (
    MAX_PROMPTS,
    CacheProblem,
    ModelDiagnosis,
    Observation,
)

HOME, OTHER = b"home", b"other"
SIZE = 4000


def ask(
    diagnosis: ModelDiagnosis, prefix: bytes, cached: int, *, size: int = SIZE, **how: Any
) -> None:
    """Note an answer with this many cached tokens; how: as in `Observation`."""
    usage = Usage(
        prompt_tokens=size, completion_tokens=1, total_tokens=size + 1, cached_tokens=cached
    )
    asked = {"n_messages": 2, "is_prefill": False, "was_restored": False} | how
    diagnosis.note(Observation(prefix, usage, **asked))


def verdict(diagnosis: ModelDiagnosis) -> tuple[bool | None, bool | None]:
    """Return what is reported: not cached, evicted."""
    return diagnosis.suffers(CacheProblem.NOT_CACHED), diagnosis.suffers(CacheProblem.PUSHED_OUT)


@pytest.fixture
def diagnosis() -> ModelDiagnosis:
    """Return the diagnosis of a server that has prefilled the home and another prompt, once."""
    diagnosis = ModelDiagnosis()
    ask(diagnosis, OTHER, 0, is_prefill=True)
    ask(diagnosis, HOME, 0, is_prefill=True)
    return diagnosis


def test_nothing_is_known_at_first(diagnosis: ModelDiagnosis) -> None:
    """The first prefill of a prompt says nothing."""
    assert verdict(diagnosis) == (None, None)


def test_nothing_is_cached(diagnosis: ModelDiagnosis) -> None:
    """Reported after three in a row; one cached token ends it."""
    for _ in range(2):
        ask(diagnosis, HOME, 0, n_messages=4)
        assert verdict(diagnosis) == (None, None)
    ask(diagnosis, HOME, 0)
    assert verdict(diagnosis) == (True, False)
    assert diagnosis.n_tokens == SIZE
    ask(diagnosis, HOME, 1)
    assert verdict(diagnosis) == (False, None)
    ask(diagnosis, HOME, 0)
    assert verdict(diagnosis) == (None, None)


def test_prompts_push_each_other_out(diagnosis: ModelDiagnosis) -> None:
    """Reported after three in a row; one cached prompt ends it."""
    for prefix in (OTHER, HOME, OTHER):
        assert verdict(diagnosis)[1] is None
        ask(diagnosis, prefix, 3)
    assert verdict(diagnosis) == (False, True)
    assert diagnosis.n_tokens == SIZE - 3
    ask(diagnosis, HOME, SIZE - 10)
    assert verdict(diagnosis) == (False, False)


def test_what_is_alike_or_small_is_not_lost(diagnosis: ModelDiagnosis) -> None:
    """A server may reuse a prompt that shares half of the tokens."""
    for prefix in (OTHER, HOME) * 3:
        ask(diagnosis, prefix, SIZE // 2)
        assert verdict(diagnosis) == (False, False)
    for prefix in (OTHER, HOME) * 3:
        ask(diagnosis, b"third", 3, size=100)
        ask(diagnosis, prefix, 50)
        assert verdict(diagnosis) == (False, False)
    small = ModelDiagnosis()
    for prefix in (OTHER, HOME) * 5:
        ask(small, prefix, 3, size=100, is_prefill=True)
    assert verdict(small) == (False, None)


def test_what_is_not_comparable(diagnosis: ModelDiagnosis) -> None:
    """Later turns and restored slot files say nothing about the cache."""
    ask(diagnosis, HOME, 10)
    for prefix in (OTHER, HOME) * 3:
        ask(diagnosis, prefix, 3, n_messages=4)
        ask(diagnosis, b"third", 3)
        ask(diagnosis, prefix, SIZE - 3, was_restored=True)
    assert verdict(diagnosis) == (False, None)


def test_a_model_that_was_out_of_memory(diagnosis: ModelDiagnosis) -> None:
    """A model that was unloaded has lost its cache, whatever the flags."""
    for _ in range(4):
        ask(diagnosis, HOME, 3)
        diagnosis.interrupt()
        ask(diagnosis, HOME, 0)
        ask(diagnosis, OTHER, 0)
        diagnosis.interrupt()
        assert verdict(diagnosis) == (None, None)


def test_old_prompts_go() -> None:
    """Old prompts of the home are forgotten."""
    diagnosis = ModelDiagnosis()
    for number in range(MAX_PROMPTS + 1):
        ask(diagnosis, b"%d" % number, 3, is_prefill=True)
    for _ in range(4):
        ask(diagnosis, b"0", 3)
        ask(diagnosis, b"1", SIZE)
    assert verdict(diagnosis) == (False, False)
