"""What a GGUF file tells of its model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from .gguf_head import GgufError, read_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .gguf_head import Value

__all__ = [
    "MAX_PARTS",
    "GgufError",
    "GgufInfo",
    "Use",
    "is_later_part",
    "part_names",
    "read_gguf",
    "read_parts",
    "stem_of",
]

MAX_PARTS: Final = 1000
# Far above what any model has: what is larger counts as not told.
MAX_LAYERS: Final = 1024
MAX_NUMBER: Final = 2**31

_ARCHITECTURE: Final = "general.architecture"
_NAME: Final = "general.name"
_CHAT_TEMPLATE: Final = "tokenizer.chat_template"
_SPLIT_NO: Final = "split.no"
_SPLIT_COUNT: Final = "split.count"
_TYPE: Final = "general.type"
_KEYS: Final = {_ARCHITECTURE, _NAME, _TYPE, _CHAT_TEMPLATE, _SPLIT_NO, _SPLIT_COUNT}
# These stand behind the name of the architecture.
_KEYS_OF_ARCHITECTURE: Final = {
    "block_count",
    "context_length",
    "embedding_length",
    "full_attention_interval",
    "pooling_type",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.key_length_swa",
    "attention.recurrent_layers",
    "attention.shared_kv_layers",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "attention.value_length_swa",
    "shortconv.l_cache",
    "ssm.conv_kernel",
    "ssm.group_count",
    "ssm.inner_size",
    "ssm.state_size",
}
# Which layers slide, where llama-server knows it although the file does not tell: all but every
# n-th one.
_SLIDING_PERIODS: Final[Mapping[str, int]] = {
    "cohere2": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "olmo2": 4,
}
_STATE_VALUE_BYTES: Final = 4
_PART: Final = re.compile(
    r"(?P<stem>.+)-(\d{5})-of-(\d{5})(?P<suffix>\.gguf)", re.ASCII | re.DOTALL | re.IGNORECASE
)
# Of encoders, which say nothing.
_ENCODERS: Final = {
    "bert",
    "eurobert",
    "gemma-embedding",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "t5encoder",
}


class Use(StrEnum):
    """What a file is made for."""

    CHAT = "chat"
    PROJECTOR = "projector"
    ADAPTER = "adapter"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufInfo:
    """What a GGUF file tells of its model; None is what it does not tell.

    Counts and bytes are those of this one file, also if it is part `split_no` (from 0) of a model.

    n_kv_heads: of all layers together. n_sliding_kv_heads: those of them in layers that keep only
    the last `sliding_window` tokens, sliding_length: the values that such a head keeps of a token,
    if it is not as many as others keep. state_bytes: what recurrent layers keep of a conversation,
    however long. tensor_bytes: the weights. file_bytes: what the file must have at least.
    """

    architecture: str | None
    name: str | None
    n_params: int | None
    n_layers: int | None
    n_ctx_train: int | None
    n_embd: int | None
    n_heads: int | None
    n_kv_heads: int | None
    key_length: int | None
    value_length: int | None
    sliding_window: int | None
    split_no: int
    split_count: int
    has_chat_template: bool
    tensor_bytes: int
    file_bytes: int
    n_sliding_kv_heads: int = 0
    sliding_length: int | None = None
    state_bytes: int = 0
    use: Use = Use.CHAT


def read_gguf(path: Path) -> GgufInfo:
    """Return what the head of a file tells; what its tensors hold is not looked at.

    Raises GgufError if it is no GGUF file that
    llama-server could read, or if it is shorter than its tensors need; OSError if it cannot be
    read.
    """
    content = read_head(path, _is_wanted)
    keys = _Keys(content.values)
    n_embd = keys.of_model("embedding_length")
    n_heads = max(keys.of_layers("attention.head_count"), default=0) or None
    head_length = n_embd // n_heads if n_embd and n_heads else None
    kv_heads, sliding_kv_heads = _kv_heads(keys)
    return GgufInfo(
        architecture=keys.text(_ARCHITECTURE),
        name=keys.text(_NAME),
        n_params=content.n_params or None,
        n_layers=keys.n_layers,
        n_ctx_train=keys.of_model("context_length"),
        n_embd=n_embd,
        n_heads=n_heads,
        n_kv_heads=sum(kv_heads) if kv_heads else None,
        key_length=keys.of_model("attention.key_length") or head_length,
        value_length=keys.of_model("attention.value_length") or head_length,
        sliding_window=keys.of_model("attention.sliding_window") or None,
        split_no=keys.number(_SPLIT_NO) or 0,
        split_count=keys.number(_SPLIT_COUNT) or 1,
        has_chat_template=keys.text(_CHAT_TEMPLATE) is not None,
        tensor_bytes=content.tensor_bytes,
        file_bytes=content.end,
        n_sliding_kv_heads=sum(sliding_kv_heads),
        sliding_length=_sliding_length(keys),
        state_bytes=_state_bytes(keys, kv_heads),
        use=_use(keys),
    )


def _sliding_length(keys: _Keys) -> int | None:
    key, value = (keys.of_model(f"attention.{one}_length_swa") for one in ("key", "value"))
    return key + value if key and value else None


def _use(keys: _Keys) -> Use:
    """Return what a file is made for."""
    if keys.architecture == "clip" or keys.text(_TYPE) == "mmproj":
        return Use.PROJECTOR
    if keys.text(_TYPE) == "adapter":
        return Use.ADAPTER
    if keys.architecture in _ENCODERS or keys.of_model("pooling_type"):
        return Use.EMBEDDING
    return Use.CHAT


def read_parts(paths: Sequence[Path]) -> GgufInfo:
    """Return what the files of one model tell together. Raises GgufError, OSError."""
    infos = [read_gguf(path) for path in paths]
    return replace(
        infos[0],
        n_params=sum(one.n_params or 0 for one in infos) or None,
        tensor_bytes=sum(one.tensor_bytes for one in infos),
        file_bytes=sum(one.file_bytes for one in infos),
    )


def part_names(file_name: str) -> tuple[str, ...]:
    """Return the names of all files of a model, of which this is the first or the only one.

    Raises GgufError if it is another part than the first, or if there are too many.
    """
    match = _PART.fullmatch(file_name)
    if match is None:
        return (file_name,)
    stem, number, count, suffix = match["stem"], int(match[2]), int(match[3]), match["suffix"]
    if not 0 < count <= MAX_PARTS:
        raise GgufError(f"{file_name} is one of {count} parts; a model may have 1 to {MAX_PARTS}.")
    names = tuple(f"{stem}-{part:05}-of-{count:05}{suffix}" for part in range(1, count + 1))
    if number != 1:
        raise GgufError(
            f"{file_name} is not the first part of its model: give {names[0]}, by whose name the "
            "others are found."
        )
    return names


def is_later_part(file_name: str) -> bool:
    """Return whether a file is a part of a model, and not the first."""
    match = _PART.fullmatch(file_name)
    return match is not None and int(match[2]) > 1


def stem_of(file_name: str) -> str:
    """Return a file's name without its suffix and, of several parts, without their numbers."""
    if match := _PART.fullmatch(file_name):
        return match["stem"]
    stem, dot, suffix = file_name.rpartition(".")
    return stem if dot and suffix.lower() == "gguf" else file_name


def _is_wanted(key: str) -> bool:
    return key in _KEYS or key.partition(".")[2] in _KEYS_OF_ARCHITECTURE


class _Keys:
    """Values of the file's keys; those that are missing or make no sense are None or empty."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self.architecture = self.text(_ARCHITECTURE)
        n_layers = self.of_model("block_count")
        self.n_layers = None if n_layers is None or n_layers > MAX_LAYERS else n_layers

    def text(self, key: str) -> str | None:
        value = self._values.get(key)
        return value if isinstance(value, str) and value else None

    def number(self, key: str) -> int | None:
        value = self._values.get(key)
        return value if isinstance(value, int) and 0 <= value < MAX_NUMBER else None

    def of_model(self, key: str) -> int | None:
        return self.number(f"{self.architecture}.{key}")

    def of_layers(self, key: str) -> list[int]:
        """Return a number for each layer: the file has an array of them, or one for all."""
        n_layers = self.n_layers or 0
        value = self._values.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            numbers = [number if 0 <= number < MAX_NUMBER else 0 for number in value[:n_layers]]
            return numbers + [0] * (n_layers - len(numbers))
        number = self.of_model(key)
        return [] if number is None else [number] * n_layers


def _kv_heads(keys: _Keys) -> tuple[list[int], list[int]]:
    """Return each layer's heads whose keys and values are kept, and those of sliding layers."""
    heads = keys.of_layers("attention.head_count_kv") or keys.of_layers("attention.head_count")
    # The last layers of some models use what others keep.
    n_own = len(heads) - (keys.of_model("attention.shared_kv_layers") or 0)
    interval = keys.of_model("full_attention_interval") or None
    recurrent = _flags(keys, "attention.recurrent_layers", interval)
    heads = [
        0 if layer >= n_own or recurrent[layer] else n_heads for layer, n_heads in enumerate(heads)
    ]
    if not keys.of_model("attention.sliding_window"):
        return heads, []
    period = _SLIDING_PERIODS.get(keys.architecture or "")
    sliding = _flags(keys, "attention.sliding_window_pattern", period)
    return heads, [n_heads for layer, n_heads in enumerate(heads) if sliding[layer]]


def _flags(keys: _Keys, key: str, period: int | None) -> list[bool]:
    """Return which layers are of a kind: the file has an array of that, or a period.

    A period n, also the default one given here, means all layers but every n-th.
    """
    if numbers := keys.of_layers(key):
        if (period_of_file := keys.of_model(key)) is None:
            return [bool(number) for number in numbers]
        period = period_of_file
    layers = range(keys.n_layers or 0)
    if period is None:
        return [False for _ in layers]
    return [period == 0 or layer % period < period - 1 for layer in layers]


def _state_bytes(keys: _Keys, kv_heads: Sequence[int]) -> int:
    """Return what recurrent layers keep of one conversation."""
    inner, size = keys.of_model("ssm.inner_size") or 0, keys.of_model("ssm.state_size") or 0
    groups, kernel = keys.of_model("ssm.group_count") or 0, keys.of_model("ssm.conv_kernel") or 1
    values = inner * size + (kernel - 1) * (inner + 2 * groups * size)
    short = keys.of_model("shortconv.l_cache") or 1
    values += (short - 1) * (keys.of_model("embedding_length") or 0)
    # In some models every layer is recurrent and has attention too.
    n_recurrent = kv_heads.count(0) or keys.n_layers or 0
    return n_recurrent * values * _STATE_VALUE_BYTES
