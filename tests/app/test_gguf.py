"""Metadata of GGUF files: a real one, and small ones of many kinds."""

from typing import TYPE_CHECKING, Any

import pytest

from llamacpp_app.gguf import MAX_PARTS, GgufError, GgufInfo, part_names, read_gguf
from tests.app.gguf_files import built, write

if TYPE_CHECKING:
    from pathlib import Path


def test_real_model(model: Path) -> None:
    """All values are llama-server's."""
    assert read_gguf(model) == GgufInfo(
        architecture="llama",
        name="Smollm2 135M 8k Lc100K Mix1 Ep2",
        n_params=134_515_008,
        n_layers=30,
        n_ctx_train=8192,
        n_embd=576,
        n_heads=9,
        n_kv_heads=90,
        key_length=64,
        value_length=64,
        sliding_window=None,
        split_no=0,
        split_count=1,
        has_chat_template=True,
        tensor_bytes=96_576_768,
        file_bytes=98_362_432,
    )


def test_missing_keys(tmp_path: Path) -> None:
    """A missing value is None."""
    info = read_gguf(built(tmp_path / "x.gguf"))
    assert (info.architecture, info.name, info.n_params, info.n_layers) == (None,) * 4
    assert (info.n_ctx_train, info.n_embd, info.n_heads, info.n_kv_heads) == (None,) * 4
    assert (info.key_length, info.value_length, info.sliding_window) == (None,) * 3
    assert (info.split_no, info.split_count, info.has_chat_template) == (0, 1, False)
    assert (info.tensor_bytes, info.file_bytes) == (0, 24)


def test_senseless_keys(tmp_path: Path) -> None:
    """A value of another type or out of range counts as missing."""
    keys = {
        "general.name": 7,
        "tokenizer.chat_template": "",
        ".block_count": 2_000_000,
        ".context_length": 2**32 - 1,
        ".embedding_length": "wide",
        ".attention.head_count": [4, -1],
    }
    info = read_gguf(write(tmp_path / "x.gguf", keys=keys))
    assert (info.name, info.n_layers, info.n_ctx_train, info.n_embd) == (None,) * 4
    assert (info.n_heads, info.n_kv_heads, info.has_chat_template) == (None, None, False)


def test_lengths(tmp_path: Path) -> None:
    """Each layer has its own number of heads, and keys of the file's length."""
    keys = {
        "general.name": "Ä" * 3000,
        ".block_count": 3,
        ".embedding_length": 64,
        ".attention.head_count": [4, 2, 4],
        ".attention.head_count_kv": [2, 0, 1],
        ".attention.value_length": 24,
        "split.no": 1,
        "split.count": 3,
    }
    info = read_gguf(write(tmp_path / "x.gguf", keys=keys))
    assert info.name is not None
    assert info.name.startswith("ÄÄ")
    assert len(info.name) < 3000
    assert (info.n_heads, info.n_kv_heads) == (4, 3)
    assert (info.key_length, info.value_length) == (16, 24)
    assert (info.split_no, info.split_count) == (1, 3)
    assert (info.n_params, info.tensor_bytes) == (8 * 32 + 3, 8 * 32 * 2 + 3 * 4)
    assert info.file_bytes <= (tmp_path / "x.gguf").stat().st_size < info.file_bytes + 32


def test_what_sliding_layers_keep_of_a_token(tmp_path: Path) -> None:
    """The file's number of values; without one, that of the other layers."""
    keys = {".attention.key_length": 512, ".attention.value_length": 512}
    assert read_gguf(write(tmp_path / "x.gguf", keys=keys)).sliding_length is None
    keys |= {".attention.key_length_swa": 256, ".attention.value_length_swa": 128}
    assert read_gguf(write(tmp_path / "y.gguf", keys=keys)).sliding_length == 384


def test_all_heads_are_kept_by_default(tmp_path: Path) -> None:
    """Without a number for keys, there are as many heads for keys as for queries."""
    keys = {".block_count": 5, ".attention.head_count": 4}
    assert read_gguf(write(tmp_path / "x.gguf", keys=keys)).n_kv_heads == 20


@pytest.mark.parametrize(
    ("architecture", "keys", "expected"),
    [
        ("gemma3", {".attention.sliding_window": 512}, (26, 22)),
        ("gemma3", {}, (26, 0)),
        ("unheard-of", {".attention.sliding_window": 512}, (26, 0)),
        (
            "unheard-of",
            {".attention.sliding_window": 512, ".attention.sliding_window_pattern": 2},
            (26, 13),
        ),
        (
            "gemma4",
            {
                ".attention.sliding_window": 512,
                ".attention.sliding_window_pattern": [True, True, False] * 8 + [False, False],
                ".attention.shared_kv_layers": 14,
            },
            (12, 8),
        ),
        ("qwen35", {".full_attention_interval": 4}, (6, 0)),
        ("qwen35", {".attention.recurrent_layers": [False, True] * 13}, (13, 0)),
    ],
)
def test_kinds_of_layers(
    tmp_path: Path, architecture: str, keys: dict[str, Any], expected: tuple[int, int]
) -> None:
    """Sliding, recurrent and shared layers are distinguished."""
    keys = {".block_count": 26, ".attention.head_count": 4, ".attention.head_count_kv": 1} | keys
    info = read_gguf(write(tmp_path / "x.gguf", architecture, keys))
    assert (info.n_kv_heads, info.n_sliding_kv_heads) == expected


@pytest.mark.parametrize(
    ("heads", "n_recurrent"),
    [([0, 0, 2, 0], 3), ([2, 2, 2, 2], 4)],
    ids=["some layers", "all layers beside attention"],
)
def test_recurrent_state(tmp_path: Path, heads: list[int], n_recurrent: int) -> None:
    """The state of recurrent layers is per conversation, in floating point numbers."""
    keys = {
        ".block_count": 4,
        ".attention.head_count": 4,
        ".attention.head_count_kv": heads,
        ".ssm.conv_kernel": 4,
        ".ssm.group_count": 1,
        ".ssm.inner_size": 256,
        ".ssm.state_size": 16,
    }
    info = read_gguf(write(tmp_path / "x.gguf", "granitehybrid", keys))
    assert info.state_bytes == n_recurrent * 4 * (256 * 16 + 3 * (256 + 2 * 16))


def test_projector(tmp_path: Path) -> None:
    """A vision projector has none of a language model's keys."""
    path = write(tmp_path / "mmproj.gguf", "clip", {".vision.block_count": 12})
    info = read_gguf(path)
    assert (info.architecture, info.n_layers, info.n_kv_heads) == ("clip", None, None)
    assert info.tensor_bytes == 8 * 32 * 2 + 3 * 4


def test_part_names() -> None:
    """The first part gives the names of all; any other file is alone."""
    assert part_names("x.gguf") == ("x.gguf",)
    assert part_names("x-1-of-3.gguf") == ("x-1-of-3.gguf",)
    assert part_names("x-00001-of-00003.gguf") == (
        "x-00001-of-00003.gguf",
        "x-00002-of-00003.gguf",
        "x-00003-of-00003.gguf",
    )
    assert len(part_names(f"x-00001-of-{MAX_PARTS:05}.gguf")) == MAX_PARTS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x-00002-of-00003.gguf", "give x-00001-of-00003.gguf"),
        ("x-00000-of-00003.gguf", "give x-00001-of-00003.gguf"),
        ("x-00001-of-01001.gguf", "1001 parts"),
        ("x-00001-of-00000.gguf", "0 parts"),
    ],
)
def test_part_names_that_make_no_sense(name: str, message: str) -> None:
    """Only the first part, and not of too many."""
    with pytest.raises(GgufError, match=message):
        part_names(name)
