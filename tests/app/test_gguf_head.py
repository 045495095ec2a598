"""Broken files, files that are no GGUF, and malicious ones."""

import os
import random
import struct
import tracemalloc
from typing import TYPE_CHECKING

import gguf
import pytest

from llamacpp_app.gguf import GgufError, read_gguf
from llamacpp_app.gguf_head import TYPE_SIZES, size_text
from tests.app.gguf_files import (
    ARRAY,
    F16,
    Q4_0,
    STRING,
    U32,
    UNKNOWN_TYPE,
    built,
    key,
    tensor,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

MODEL_BYTES = 98_362_432
MODEL_HEAD_BYTES = 1_785_664
MUTATIONS = 1000
HUGE = 2**63 - 1
# The window that is read, and the maximum kept of keys.
MAX_MEMORY_BYTES = 8 * 1024 * 1024


@pytest.fixture
def model_head(model: Path, tmp_path: Path) -> Path:
    """Return a file with the real model's head and the tensors' sizes, without their data."""
    path = tmp_path / "model.gguf"
    with model.open("rb") as file:
        path.write_bytes(file.read(MODEL_HEAD_BYTES))
    os.truncate(path, MODEL_BYTES)
    return path


def test_cut_off(model_head: Path) -> None:
    """Wherever a download ended, the file is recognised as incomplete."""
    whole = read_gguf(model_head)
    in_tensors = range(MODEL_BYTES - 1, MODEL_HEAD_BYTES - 1, -9_999_999)
    in_head = range(MODEL_HEAD_BYTES - 1, 0, -33_333)
    for size in (*in_tensors, *in_head, 24, 23, 8, 5, 4, 3, 1):
        os.truncate(model_head, size)
        with pytest.raises(GgufError, match=r"^model\.gguf is cut off: it has .* tensors"):
            read_gguf(model_head)
    assert whole.file_bytes == MODEL_BYTES


def test_cut_off_tells_sizes(model_head: Path) -> None:
    """The message has two different sizes."""
    os.truncate(model_head, 1_800_000)
    with pytest.raises(GgufError) as caught:
        read_gguf(model_head)
    assert str(caught.value) == ("model.gguf is cut off: it has 1.8 MB, its tensors need 98.4 MB.")
    os.truncate(model_head, MODEL_BYTES - 1)
    with pytest.raises(GgufError, match="has 98362431 bytes, its tensors need 98362432 bytes"):
        read_gguf(model_head)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "model.gguf is empty."),
        (
            b"<!DOCTYPE html>\n<html><title>Not found</title></html>",
            "model.gguf is no GGUF file: it begins with '<!DOCTYPE'.",
        ),
        (b'\n{"error": 404}', "model.gguf is no GGUF file: it begins with '{\"error\":'."),
        (
            b"\x00\x01\xff" + b"\0" * 90,
            "model.gguf is no GGUF file: it begins with the bytes 00 01 ff 00 00 00 00 00.",
        ),
        (b"PK", "model.gguf is no GGUF file: it begins with 'PK'."),
    ],
)
def test_no_gguf(tmp_path: Path, content: bytes, message: str) -> None:
    """The message says what a web page or another file starts with."""
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(GgufError) as caught:
        read_gguf(path)
    assert str(caught.value) == message


def test_random_bytes(tmp_path: Path) -> None:
    """Random bytes are no GGUF file, not even with its magic."""
    noise = random.Random(1)  # noqa: S311 - any noise will do
    path = tmp_path / "noise.gguf"
    for start in (b"", b"GGUF", b"GGUF\3\0\0\0"):
        path.write_bytes(start + noise.randbytes(4096))
        with pytest.raises(GgufError):
            read_gguf(path)


def test_no_file(tmp_path: Path) -> None:
    """An unreadable file raises the system's error."""
    with pytest.raises(FileNotFoundError):
        read_gguf(tmp_path / "none.gguf")
    with pytest.raises(IsADirectoryError):
        read_gguf(tmp_path)


def test_big_endian(tmp_path: Path) -> None:
    """A file for other machines is rejected, but not as damaged."""
    path = write(tmp_path / "big.gguf", endianess=gguf.GGUFEndian.BIG)
    with pytest.raises(GgufError, match=r"^big\.gguf is made for big-endian machines"):
        read_gguf(path)


def test_versions(tmp_path: Path) -> None:
    """Versions 2 and 3 are read, others are rejected."""
    path = write(tmp_path / "x.gguf")
    content = path.read_bytes()
    third = read_gguf(path)
    path.write_bytes(content[:4] + struct.pack("<I", 2) + content[8:])
    assert read_gguf(path) == third
    for version in (0, 1, 4):
        path.write_bytes(content[:4] + struct.pack("<I", version) + content[8:])
        with pytest.raises(GgufError, match=f"has version {version} of the format"):
            read_gguf(path)


def test_types() -> None:
    """The sizes are ggml's; the library is wrong about one that no file has."""
    theirs = {int(kind): size for kind, size in gguf.constants.GGML_QUANT_SIZES.items()}
    del theirs[gguf.GGMLQuantizationType.Q8_1]
    assert {kind: TYPE_SIZES[kind] for kind in theirs} == theirs


def test_unknown_type(tmp_path: Path) -> None:
    """A tensor of an unknown type ends where the next starts, or with the file."""
    tensors = [tensor((32,), UNKNOWN_TYPE, 0), tensor((32,), F16, 96)]
    info = read_gguf(built(tmp_path / "x.gguf", tensors=tensors, data=160))
    assert (info.n_params, info.tensor_bytes) == (64, 96 + 64)
    tensors = [tensor((32,), F16, 0), tensor((32,), UNKNOWN_TYPE, 64)]
    info = read_gguf(built(tmp_path / "y.gguf", tensors=tensors, data=100))
    assert (info.n_params, info.tensor_bytes) == (64, 100)
    with pytest.raises(GgufError, match="is cut off"):
        read_gguf(built(tmp_path / "z.gguf", tensors=tensors, data=60))


@pytest.mark.parametrize(
    ("keys", "tensors", "message"),
    [
        ([key(STRING, struct.pack("<Q", HUGE))], [], "longer head"),
        ([key(STRING, struct.pack("<Q", 5000))], [], "is cut off"),
        ([key(ARRAY, struct.pack("<IQ", STRING, HUGE))], [], "longer head"),
        ([key(ARRAY, struct.pack("<IQ", STRING, 1000))], [], "is cut off"),
        ([key(ARRAY, struct.pack("<IQQ", STRING, 1, HUGE))], [], "longer head"),
        ([key(ARRAY, struct.pack("<IQ", U32, HUGE))], [], "longer head"),
        ([key(ARRAY, struct.pack("<IQ", U32, 1000), "a.block_count")], [], "is cut off"),
        ([key(ARRAY, struct.pack("<IQIQ", ARRAY, 1, U32, 0))], [], "key 'x' is of the unknown"),
        ([key(13, b"\0" * 8)], [], "key 'x' is of the unknown type 13"),
        ([key(U32, b"\0" * 4, "general.alignment")], [], "alignment"),
        ([key(U32, b"\3\0\0\0", "general.alignment")], [], "alignment"),
        ([], [tensor((1,) * 5, F16, 0)], "'t' has 5 dimensions"),
        ([], [tensor((2**32, 2**32), F16, 0)], "more values"),
        ([], [tensor((31,), Q4_0, 0)], "rows of the tensor 't'"),
        ([], [tensor((32,), F16, 32)], "one behind the other"),
        ([], [tensor((32,), F16, 0), tensor((32,), F16, 32)], "one behind the other"),
        ([], [tensor((32,), UNKNOWN_TYPE, 64), tensor((32,), F16, 0)], "one behind the other"),
        ([], [tensor((2**40,), F16, 0)], "its tensors need 2199.0 GB"),
    ],
)
def test_harmful(tmp_path: Path, keys: list[bytes], tensors: list[bytes], message: str) -> None:
    """Lengths are checked, and files that llama-server would reject are rejected."""
    path = built(tmp_path / "x.gguf", keys, tensors)
    tracemalloc.start()
    try:
        with pytest.raises(GgufError, match=message):
            read_gguf(path)
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("counts", [(HUGE, 0), (0, HUGE), (500_001, 0), (0, 2001)])
def test_harmful_counts(tmp_path: Path, counts: tuple[int, int]) -> None:
    """An impossible number of tensors or keys is not read."""
    path = tmp_path / "x.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, *counts))
    os.truncate(path, 2**40)
    with pytest.raises(GgufError, match="it claims to have"):
        read_gguf(path)


def test_endless_strings(tmp_path: Path) -> None:
    """Reading a head that never ends is given up."""
    array = key(ARRAY, struct.pack("<IQ", STRING, 2**23))
    strings = struct.pack("<Q", 1024 * 1024 - 8)
    path = tmp_path / "x.gguf"
    with path.open("wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + array)
        start = file.tell()
        for number in range(200):
            file.seek(start + number * 1024 * 1024)
            file.write(strings)
        file.truncate(2**40)
    with pytest.raises(GgufError, match="longer head"):
        read_gguf(path)


def test_mutations(tmp_path: Path) -> None:
    """A changed head is read, or raises a GgufError with the reason."""
    keys = {
        "general.name": "small",
        "general.alignment": 64,
        "tokenizer.ggml.tokens": [f"token {number}" for number in range(500)],
        "tokenizer.ggml.scores": [0.5] * 500,
        "tokenizer.chat_template": "{{ messages }}" * 100,
        ".block_count": 3,
        ".embedding_length": 64,
        ".attention.head_count": 4,
        ".attention.head_count_kv": [2, 0, 1],
        ".attention.sliding_window": 64,
        ".attention.sliding_window_pattern": [True, False, True],
    }
    path = write(tmp_path / "x.gguf", "gemma4", keys)
    whole = path.read_bytes()
    assert read_gguf(path).n_kv_heads == 3
    chance = random.Random(2)  # noqa: S311 - any chance will do
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(MUTATIONS):
            path.write_bytes(mutated(whole, chance))
            try:
                read_gguf(path)
            except GgufError:
                refused += 1
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY_BYTES
    finally:
        tracemalloc.stop()
    assert MUTATIONS // 4 < refused < MUTATIONS


def mutated(whole: bytes, chance: random.Random) -> bytes:
    """Return the file with one to three changed numbers, or with bytes removed or added."""
    content = bytearray(whole)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(4, len(content) - 8)
        number = chance.choice([0, 1, 255, 2**31, 2**32 - 1, 2**40, HUGE, 2**64 - 1])
        match chance.randrange(4):
            case 0:
                content[place] = chance.randrange(256)
            case 1:
                content[place : place + 8] = struct.pack("<Q", number)
            case 2:
                del content[place : place + chance.randint(1, 9)]
            case _:
                content[place:place] = chance.randbytes(chance.randint(1, 9))
    return bytes(content)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (98_362_432, "98.4 MB"),
        (5.2e12, "5200.0 GB"),
    ],
)
def test_size_text(size: float, expected: str) -> None:
    """Sizes use powers of 1000, with one digit."""
    assert size_text(size) == expected
