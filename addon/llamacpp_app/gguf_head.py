"""Reads the head of a GGUF file: its keys, and where its tensors lie; what they hold is not read.

A file may be cut off, damaged or made to do harm: every length is checked before it is believed.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from .errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from io import FileIO
    from pathlib import Path

# Numbers of ggml's types: values in a block, bytes of a block.
TYPE_SIZES: Final[Mapping[int, tuple[int, int]]] = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    9: (32, 36),  # Q8_1
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    15: (256, 292),  # Q8_K
    16: (256, 66),  # IQ2_XXS
    17: (256, 74),  # IQ2_XS
    18: (256, 98),  # IQ3_XXS
    19: (256, 50),  # IQ1_S
    20: (32, 18),  # IQ4_NL
    21: (256, 110),  # IQ3_S
    22: (256, 82),  # IQ2_S
    23: (256, 136),  # IQ4_XS
    24: (1, 1),  # I8
    25: (1, 2),  # I16
    26: (1, 4),  # I32
    27: (1, 8),  # I64
    28: (1, 8),  # F64
    29: (256, 56),  # IQ1_M
    30: (1, 2),  # BF16
    34: (256, 54),  # TQ1_0
    35: (256, 66),  # TQ2_0
    39: (32, 17),  # MXFP4
    40: (64, 36),  # NVFP4
    41: (128, 18),  # Q1_0
    42: (64, 18),  # Q2_0
}

# Far above what any model has; beyond them a file is damaged, or made to do harm.
MAX_HEAD_BYTES: Final = 128 * 1024 * 1024
MAX_KEYS: Final = 2000
MAX_TENSORS: Final = 500_000
MAX_TEXT_BYTES: Final = 1024
MAX_ARRAY: Final = 1024
MAX_DIMENSIONS: Final = 4
MAX_ELEMENTS: Final = 2**63

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
BIG_ENDIAN_VERSIONS: Final = tuple(version << 24 for version in (1, *VERSIONS))
ALIGNMENT: Final = "general.alignment"
DEFAULT_ALIGNMENT: Final = 32
KILO: Final = 1000
WINDOW_BYTES: Final = 1024 * 1024
U32: Final = Struct("<I")
U64: Final = Struct("<Q")
STRING: Final = 8
ARRAY: Final = 9
SCALARS: Final[Mapping[int, Struct]] = {
    **{number: Struct("<" + letter) for number, letter in enumerate("BbHhIif?")},
    10: U64,
    11: Struct("<q"),
    12: Struct("<d"),
}
# The shortest that a key with its value, and a tensor's description, can be.
KEY_BYTES: Final = 8 + 4 + 1
TENSOR_BYTES: Final = 8 + 4 + 4 + 8

type Value = str | int | tuple[int, ...]


class GgufError(AppError):
    """A file is no GGUF file, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file: values of keys, how many numbers its tensors have, and their bytes.

    end: where in the file the last tensor ends.
    """

    values: Mapping[str, Value]
    n_params: int
    tensor_bytes: int
    end: int


def read_head(path: Path, wanted: Callable[[str], bool]) -> Content:
    """Return what the head of a file tells.

    Of the keys that are `wanted`, whole numbers, short arrays of them, and the beginnings of texts
    are kept. Raises GgufError if it is no GGUF file that llama-server could read, or if it is
    shorter than its tensors need; OSError if it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        head = _Head(file, path.name)
        n_tensors, n_keys = _read_start(head)
        values = dict(
            _read_pair(head, lambda key: key == ALIGNMENT or wanted(key)) for _ in range(n_keys)
        )
        content = _read_tensors(head, n_tensors, values)
    if content.end > head.size:
        has, needs = size_text(head.size), size_text(content.end)
        if has == needs:
            has, needs = f"{head.size} bytes", f"{content.end} bytes"
        raise GgufError(f"{path.name} is cut off: it has {has}, its tensors need {needs}.")
    return content


def size_text(size: float) -> str:
    """Return a number of bytes as people read it, such as 98.4 MB."""
    for digits, unit in enumerate(("bytes", "kB", "MB")):
        text = f"{size:.{min(digits, 1)}f}"
        if float(text) < KILO:
            return f"{text} {unit}"
        size /= KILO
    return f"{size:.1f} GB"


class _Head:
    """The start of a file, read through a window; every step is checked before it is made."""

    def __init__(self, file: FileIO, name: str) -> None:
        self.name = name
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._start = 0
        self._window = b""
        self._at = 0

    @property
    def position(self) -> int:
        return self._start + self._at

    def peek(self, count: int) -> bytes:
        """Return up to `count` bytes from here on, fewer only at the end of the file."""
        if self._at + count > len(self._window):
            self._start, self._at = self.position, 0
            self._file.seek(self._start)
            self._window = self._file.read(WINDOW_BYTES)
        return self._window[self._at : self._at + count]

    def check(self, count: int) -> None:
        """Raise GgufError unless `count` bytes can follow here."""
        if self.position + count > MAX_HEAD_BYTES:
            raise self.damaged("it claims to have a longer head than any model")
        if self.position + count > self.size:
            raise self.cut_off()

    def skip(self, count: int) -> None:
        self.check(count)
        self._at += count

    def take(self, count: int) -> bytes:
        taken = self.peek(count)
        if len(taken) < count:
            raise self.cut_off()
        self._at += count
        return taken

    def number(self, form: Struct) -> Any:
        return form.unpack(self.take(form.size))[0]

    def text(self) -> str:
        """Return a string, cut if it is long."""
        length = self.number(U64)
        self.check(length)
        taken = self.take(min(length, MAX_TEXT_BYTES))
        self.skip(length - len(taken))
        return taken.decode(errors="replace")

    def skip_strings(self, count: int) -> None:
        """Skip an array's strings: a tokenizer has hundreds of thousands of them."""
        self.check(count * U64.size)
        while count:
            if len(self.peek(U64.size)) < U64.size:
                raise self.cut_off()
            window, at, last = self._window, self._at, len(self._window) - U64.size
            while count and at <= last:
                at += U64.size + U64.unpack_from(window, at)[0]
                count -= 1
            self._at = at
            self.check(0)

    def damaged(self, what: str) -> GgufError:
        return GgufError(f"{self.name} is damaged: {what}.")

    def cut_off(self) -> GgufError:
        return GgufError(
            f"{self.name} is cut off: it has {size_text(self.size)} and ends before its tensors."
        )


def _read_start(head: _Head) -> tuple[int, int]:
    """Return the counts of tensors and of keys."""
    start = head.peek(16)
    if not start:
        raise GgufError(f"{head.name} is empty.")
    if not start.startswith(MAGIC[: len(start)]):
        word = re.match(rb"\s*([!-~]{2,})", start)
        what = f"'{word[1].decode()}'" if word else f"the bytes {start[:8].hex(' ')}"
        raise GgufError(f"{head.name} is no GGUF file: it begins with {what}.")
    head.take(len(MAGIC))
    version = head.number(U32)
    if version in BIG_ENDIAN_VERSIONS:
        raise GgufError(
            f"{head.name} is made for big-endian machines: get the little-endian file of the model."
        )
    if version not in VERSIONS:
        raise GgufError(
            f"{head.name} has version {version} of the format; llama-server reads 2 and 3."
        )
    n_tensors, n_keys = head.number(U64), head.number(U64)
    if n_tensors > MAX_TENSORS or n_keys > MAX_KEYS:
        raise head.damaged(f"it claims to have {n_tensors} tensors and {n_keys} keys")
    head.check(n_tensors * TENSOR_BYTES + n_keys * KEY_BYTES)
    return n_tensors, n_keys


def _read_pair(head: _Head, wanted: Callable[[str], bool]) -> tuple[str, Value]:
    """Return a key and its value; what is not kept is an empty text."""
    key, kind = head.text(), head.number(U32)
    if kind == STRING:
        text = head.text()
        return key, text if wanted(key) else ""
    if kind == ARRAY:
        return key, _read_array(head, key, keep=wanted(key))
    number = head.number(_form(head, key, kind))
    return key, int(number) if wanted(key) and isinstance(number, int) else ""


def _read_array(head: _Head, key: str, *, keep: bool) -> Value:
    kind, count = head.number(U32), head.number(U64)
    if kind == STRING:
        head.skip_strings(count)
        return ""
    form = _form(head, key, kind)
    if not keep or count > MAX_ARRAY:
        head.skip(count * form.size)
        return ""
    numbers = [head.number(form) for _ in range(count)]
    return tuple(int(number) for number in numbers if isinstance(number, int))


def _form(head: _Head, key: str, kind: int) -> Struct:
    try:
        return SCALARS[kind]
    except KeyError:
        raise head.damaged(f"the key {key[:80]!a} is of the unknown type {kind}") from None


def _read_tensors(head: _Head, count: int, values: Mapping[str, Value]) -> Content:
    """Return what all tensors take; they lie one behind the other, each at an aligned offset.

    One of an unknown type ends where the next one begins.
    """
    alignment = values.get(ALIGNMENT, DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment.bit_count() != 1:
        raise head.damaged("its alignment is no power of two")
    n_params = n_bytes = end = expected = 0
    size: int | None = 0
    for _ in range(count):
        elements, next_size, offset = _read_tensor(head)
        if offset < expected or (size is not None and offset != expected):
            raise head.damaged("its tensors do not lie one behind the other")
        # The bytes of the one before, if its type is unknown.
        n_bytes += offset - end if size is None else 0
        size = next_size
        n_params += elements
        n_bytes += size or 0
        end = offset + (size or 0)
        expected = _aligned(end, alignment)
    start = _aligned(head.position, alignment) if count else head.position
    n_bytes += max(0, head.size - start - end) if size is None else 0
    return Content(values, n_params, n_bytes, start + end)


def _read_tensor(head: _Head) -> tuple[int, int | None, int]:
    """Return how many values a tensor has, its bytes (None: of unknown type), and its offset."""
    name, n_dimensions = head.text(), head.number(U32)
    if n_dimensions > MAX_DIMENSIONS:
        raise head.damaged(f"the tensor {name[:80]!a} has {n_dimensions} dimensions")
    shape = [head.number(U64) for _ in range(n_dimensions)]
    kind, offset = head.number(U32), head.number(U64)
    elements = math.prod(shape)
    if elements >= MAX_ELEMENTS:
        raise head.damaged(f"the tensor {name[:80]!a} has more values than there can be")
    if kind not in TYPE_SIZES:
        return elements, None, offset
    values, size = TYPE_SIZES[kind]
    if (shape[0] if shape else 1) % values:
        raise head.damaged(f"the rows of the tensor {name[:80]!a} do not fit its type")
    return elements, elements // values * size, offset


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
