"""The number of slots, by free memory."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llamacpp_app.memory import (
    MIN_CHECKPOINTS,
    checkpoint_bytes,
    conversation_bytes,
    needed_bytes,
    slot_count,
)
from llamacpp_app.suggestions import SUGGESTIONS

from .models import GEMMA, LLAMA

if TYPE_CHECKING:
    from llamacpp_app.gguf import GgufInfo

GB = 1_000_000_000


@pytest.mark.parametrize("info", [GEMMA, LLAMA])
def test_one_conversation_more(info: GgufInfo) -> None:
    """It takes the memory that llama-server needs in addition."""
    two, one = (
        needed_bytes(info, context_size=8192, parallel=parallel, kv_type="q8_0")
        for parallel in (2, 1)
    )
    checkpoint = checkpoint_bytes(info, context_size=8192, kv_type="q8_0")
    conversation = conversation_bytes(info, context_size=8192, kv_type="q8_0")
    assert conversation + MIN_CHECKPOINTS * checkpoint == two - one


@pytest.mark.parametrize(
    ("info", "parallel", "free", "expected"),
    [
        # The default model's take 57 MB each: four in a quarter of the free memory.
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
    """There are up to four slots, if there is enough free memory."""
    one = conversation_bytes(info, context_size=8192, kv_type="f16")
    assert slot_count(parallel, conversation=one, free_bytes=int(free)) == expected


def test_figures_of_the_docs() -> None:
    """DOCS has the memory of a slot and a checkpoint."""
    docs = (Path(__file__).parents[2] / "addon" / "DOCS.md").read_text()
    qwen = next(one.info for one in SUGGESTIONS if one.name.startswith("Qwen3.5-4B"))
    gemma, hybrid = (
        checkpoint_bytes(info, context_size=8192, kv_type="f16") for info in (GEMMA, qwen)
    )
    place = conversation_bytes(GEMMA, context_size=8192, kv_type="f16") + MIN_CHECKPOINTS * gemma
    assert f"one takes\n{place / 1e6:.0f} MB for the default model" in docs
    assert f"Qwen3.5 4B or 9B takes {hybrid / 1e6:.0f} MB, of the default model\n" in docs
    assert f"\n{gemma / 1e6:.0f} MB. Four for each place" in docs
    for name in ("Ministral-3-3B", "Qwen3-8B"):
        info = next(one.info for one in SUGGESTIONS if one.name.startswith(name))
        assert 0.85 < conversation_bytes(info, context_size=8192, kv_type="f16") / GB < 1.25
