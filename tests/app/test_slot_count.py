"""How many conversations in turns are kept, by the memory that is free."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from llamacpp_app.memory import conversation_bytes, needed_bytes, slot_count

from .models import GEMMA, LLAMA

if TYPE_CHECKING:
    from llamacpp_app.gguf import GgufInfo

GB = 1_000_000_000


@pytest.mark.parametrize("info", [GEMMA, LLAMA])
def test_one_conversation_more(info: GgufInfo) -> None:
    """It takes what llama-server needs more with it than without."""
    two, one = (
        needed_bytes(info, context_size=8192, parallel=parallel, kv_type="q8_0")
        for parallel in (2, 1)
    )
    assert conversation_bytes(info, context_size=8192, kv_type="q8_0") == two - one


@pytest.mark.parametrize(
    ("info", "parallel", "free", "expected"),
    [
        # The default model's take 57 MB each, four of them in a quarter of what is free.
        (GEMMA, 1, 0.2 * GB, 1),
        (GEMMA, 1, 0.3 * GB, 2),
        (GEMMA, 1, 1 * GB, 4),
        (GEMMA, 1, 100 * GB, 4),
        (GEMMA, 3, 1 * GB, 4),
        (GEMMA, 6, 100 * GB, 6),
        # Those of a model of eight thousand million parameters take a gigabyte.
        (LLAMA, 1, 4 * GB, 1),
        (LLAMA, 1, 5 * GB, 2),
        (LLAMA, 2, -1 * GB, 2),
        (replace(LLAMA, key_length=None, value_length=None), 1, 100 * GB, 1),
    ],
)
def test_conversations_in_turns(info: GgufInfo, parallel: int, free: float, expected: int) -> None:
    """There are slots for up to four, as far as there is memory for them that nobody needs."""
    one = conversation_bytes(info, context_size=8192, kv_type="f16")
    assert slot_count(parallel, conversation=one, free_bytes=int(free)) == expected
