"""What memory a model takes, and what there is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .gguf import GgufInfo

# llama-server's types of the KV cache: values in a block, bytes of a block.
KV_TYPES: Final[Mapping[str, tuple[int, int]]] = {
    "f32": (1, 4),
    "f16": (1, 2),
    "bf16": (1, 2),
    "q8_0": (32, 34),
    "q5_1": (32, 24),
    "q5_0": (32, 22),
    "q4_1": (32, 20),
    "q4_0": (32, 18),
    "iq4_nl": (32, 18),
}
SMALLER_KV_TYPE: Final = "q8_0"
MIN_CONTEXT: Final = 512
# Of a model that does not tell what it was trained for.
MAX_CONTEXT: Final = 32768
# The prompt of a home takes 50 to 700 MB of it; llama-server's own default is the most.
MIN_CACHE_MIB: Final = 256
MAX_CACHE_MIB: Final = 8192
# So many conversations can be gone on with in turns, without anything being read twice.
MAX_SLOTS: Final = 4

# One for each turn that a conversation may be gone back; the most is llama-server's own number.
MIN_CHECKPOINTS: Final = 4
MAX_CHECKPOINTS: Final = 32

# llama-server computes so many tokens of a prompt at once, and keeps contexts in such steps.
_BATCH: Final = 512
_CONTEXT_STEP: Final = 256
# Measured, and rounded up: numbers that are kept of each token in a batch, in times of `n_embd`.
_WIDTHS_AT_ONCE: Final = 24
_VALUE_BYTES: Final = 4
_MASK_VALUE_BYTES: Final = 2
# Measured: the program itself, and what the tokenizer takes in times of its size in the file.
_PROGRAM_BYTES: Final = 24 * 1024 * 1024
_TOKENIZER_TIMES: Final = 8


@dataclass(frozen=True, slots=True)
class Beside:
    """What llama-server loads beside a model.

    file_bytes: of its projector and adapters. draft: the model that proposes tokens to it, of whose
    cache draft_kv_type is the type.
    """

    file_bytes: int = 0
    draft: GgufInfo | None = None
    draft_kv_type: str = "f16"

    @property
    def weight_bytes(self) -> int:
        """What it takes, however many conversations there are."""
        return self.file_bytes + (self.draft.tensor_bytes if self.draft else 0)

    def conversation_bytes(self, context_size: int) -> int:
        """Return what it takes for one conversation: as is measured, a draft holds it, too."""
        if self.draft is None:
            return 0
        return conversation_bytes(self.draft, context_size=context_size, kv_type=self.draft_kv_type)


NOTHING: Final = Beside()

_LINE: Final = re.compile(r"^(\w+):?\s+(\d+)", re.ASCII | re.MULTILINE)
_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/sys/fs/cgroup")


def available_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Return how much memory can be used: what the machine has left, or the container.

    What the kernel keeps of files counts as free. Raises OSError where Linux does not tell.
    """
    kilobytes = _numbers(meminfo.read_text()).get("MemAvailable")
    if kilobytes is None:
        raise OSError(f"{meminfo} does not tell MemAvailable")
    left = _left_of_cgroup(cgroup)
    machine = 1024 * kilobytes
    return machine if left is None else min(machine, left)


def cache_mib(free_bytes: int) -> int:
    """Return how much memory, in MiB, llama-server may use for prompts that are not in use.

    free_bytes: what is left beside the model. Half of that is left to others.
    """
    return max(MIN_CACHE_MIB, min(MAX_CACHE_MIB, free_bytes // 2 // (1024 * 1024)))


def slot_count(parallel: int, *, conversation: int, free_bytes: int) -> int:
    """Return how many conversations llama-server is to hold: those at the same time, and more.

    One that has a slot of its own is gone on with behind what was said in it; all in one slot push
    each other out. conversation: bytes of one more. free_bytes: what is left beside the model with
    `parallel` of them; a quarter of that may be taken, which is half of what `cache_mib` gives.
    """
    more = max(0, free_bytes) // 4 // conversation if conversation else 0
    return max(parallel, min(MAX_SLOTS, parallel + more))


def checkpoint_count(free_bytes: int, *, checkpoint: int, slots: int) -> int:
    """Return how many checkpoints each of so many conversations may have.

    checkpoint: bytes of one. free_bytes: what is left beside the model with the fewest of them; an
    eighth of that may be taken.
    """
    more = max(0, free_bytes) // 8 // (checkpoint * slots) if checkpoint else MAX_CHECKPOINTS
    return min(MAX_CHECKPOINTS, MIN_CHECKPOINTS + more)


def checkpoint_bytes(info: GgufInfo, *, context_size: int, kv_type: str) -> int:
    """Return how much memory a checkpoint of a conversation takes.

    llama-server keeps what cannot be rewound: the state of recurrent layers and, as is measured,
    half of what sliding ones hold. context_size, kv_type: as of `conversation_bytes`.
    """
    sliding = _sliding_values(info, context_size) // 2
    return _bytes_of(sliding, kv_type) + info.state_bytes


def conversation_bytes(
    info: GgufInfo, *, context_size: int, kv_type: str, beside: Beside = NOTHING
) -> int:
    """Return how much memory llama-server takes for what one conversation holds.

    That is without its checkpoints. context_size: its tokens. kv_type: one of KV_TYPES.
    """
    n_full_heads = (info.n_kv_heads or 0) - info.n_sliding_kv_heads
    values = n_full_heads * _steps(context_size) * _length(info)
    values += _sliding_values(info, context_size)
    own = _bytes_of(values, kv_type) + info.state_bytes
    return own + beside.conversation_bytes(context_size)


def needed_bytes(  # noqa: PLR0913 - all that decides, by name
    info: GgufInfo,
    *,
    context_size: int,
    parallel: int,
    kv_type: str,
    checkpoints: int = MIN_CHECKPOINTS,
    beside: Beside = NOTHING,
) -> int:
    """Return about how much memory llama-server takes with this model.

    context_size: tokens of one conversation. parallel: conversations at the same time. kv_type: one
    of KV_TYPES. checkpoints: of each conversation (`--ctx-checkpoints`). beside: what is loaded
    with it. The prompt cache (`--cache-ram`) comes on top: it has a limit of its own.
    """
    conversation = conversation_bytes(
        info, context_size=context_size, kv_type=kv_type, beside=beside
    )
    conversation += checkpoints * checkpoint_bytes(info, context_size=context_size, kv_type=kv_type)
    widths = _WIDTHS_AT_ONCE * (info.n_embd or 0) * _VALUE_BYTES
    batch = _BATCH * (widths + _steps(context_size) * _MASK_VALUE_BYTES)
    tokenizer = _TOKENIZER_TIMES * max(0, info.file_bytes - info.tensor_bytes)
    weights = info.tensor_bytes + beside.weight_bytes
    return weights + parallel * conversation + batch + tokenizer + _PROGRAM_BYTES


def fitting_context(
    info: GgufInfo, *, available: int, parallel: int, kv_type: str, beside: Beside = NOTHING
) -> int | None:
    """Return the largest context of a conversation for which `available` bytes are enough.

    It is a power of two from MIN_CONTEXT up to what the model was trained for; None if not even
    the smallest fits.
    """
    largest = max(MIN_CONTEXT, info.n_ctx_train or MAX_CONTEXT)
    context = 1 << (largest.bit_length() - 1)
    while context >= MIN_CONTEXT:
        needed = needed_bytes(
            info, context_size=context, parallel=parallel, kv_type=kv_type, beside=beside
        )
        if needed <= available:
            return context
        context //= 2
    return None


def explain(  # noqa: PLR0913 - all that decides, by name
    info: GgufInfo,
    *,
    name: str,
    context_size: int,
    parallel: int,
    kv_type: str,
    available: int,
    beside: Beside = NOTHING,
) -> str | None:
    """Return what to tell the user if `available` bytes are not enough, None if they are."""
    settings = _Settings(context_size, parallel, kv_type, beside)
    needed = settings.needed(info)
    if needed <= available:
        return None
    with_it = ", with what is loaded beside it," if beside.weight_bytes else ""
    return (
        f"{name}{with_it} needs {math.ceil(needed / 1e8) / 10:.1f} GB of memory with context_size "
        f"{context_size} and parallel_requests {parallel}, but only "
        f"{math.floor(available / 1e8) / 10:.1f} GB are free. {_advice(info, settings, available)}"
    )


@dataclass(frozen=True, slots=True)
class _Settings:
    """The options that decide, beside the model."""

    context_size: int
    parallel: int
    kv_type: str
    beside: Beside

    def needed(self, info: GgufInfo) -> int:
        return needed_bytes(
            info,
            context_size=self.context_size,
            parallel=self.parallel,
            kv_type=self.kv_type,
            beside=self.beside,
        )

    def changes(self, now: _Settings) -> list[str]:
        """Return what to change in the options to get here from those of now."""
        changes = []
        if self.context_size != now.context_size:
            changes.append(f"context_size to {self.context_size}")
        if self.parallel != now.parallel:
            changes.append(f"parallel_requests to {self.parallel}")
        if self.kv_type != now.kv_type:
            changes.append(f"cache_type to {self.kv_type}")
        return changes


def _advice(info: GgufInfo, now: _Settings, available: int) -> str:
    """Return which changes help, each alone or else all together."""

    def fits(settings: _Settings) -> bool:
        return settings.needed(info) <= available

    kv_type = min(now.kv_type, SMALLER_KV_TYPE, key=bytes_per_value)
    context = fitting_context(
        info,
        available=available,
        parallel=now.parallel,
        kv_type=now.kv_type,
        beside=now.beside,
    )
    fewer = (replace(now, parallel=number) for number in range(now.parallel - 1, 0, -1))
    alone = (
        replace(now, context_size=context or now.context_size),
        next(filter(fits, fewer), now),
        replace(now, kv_type=kv_type),
    )
    ways = [change for settings in alone if fits(settings) for change in settings.changes(now)]
    if ways:
        return f"Set {_listed(ways, 'or')}."
    context = fitting_context(
        info, available=available, parallel=1, kv_type=kv_type, beside=now.beside
    )
    if context is None:
        return "Choose a smaller model."
    together = _Settings(min(context, now.context_size), 1, kv_type, now.beside)
    return f"Set {_listed(together.changes(now), 'and')}."


def _listed(parts: Sequence[str], word: str) -> str:
    *first, last = parts
    return f"{', '.join(first)} {word} {last}" if first else last


def bytes_per_value(kv_type: str) -> float:
    """Return how many bytes a value takes in a cache of a type, one of KV_TYPES."""
    values, size = KV_TYPES[kv_type]
    return size / values


def _length(info: GgufInfo) -> int:
    return (info.key_length or 0) + (info.value_length or 0)


def _sliding_values(info: GgufInfo, context_size: int) -> int:
    """Return what the sliding layers hold of a conversation."""
    length = _length(info) if info.sliding_length is None else info.sliding_length
    context = _steps(context_size)
    if info.sliding_window:
        context = min(context, _steps(info.sliding_window + _BATCH))
    return info.n_sliding_kv_heads * context * length


def _bytes_of(values: int, kv_type: str) -> int:
    block_values, block_bytes = KV_TYPES[kv_type]
    return values * block_bytes // block_values


def _steps(context: int) -> int:
    return -(-context // _CONTEXT_STEP) * _CONTEXT_STEP


def _left_of_cgroup(cgroup: Path) -> int | None:
    """Return how many bytes are left to the container, None without a limit.

    What the kernel keeps of files is counted as used there, but given back when it is needed.
    """
    for folder, limit_name, usage_name, prefix in (
        (cgroup, "memory.max", "memory.current", ""),
        (cgroup / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ):
        try:
            limit = (folder / limit_name).read_text().strip()
            used = int((folder / usage_name).read_text())
            stat = _numbers((folder / "memory.stat").read_text())
        except FileNotFoundError:
            continue
        if limit == "max":
            return None
        of_files = stat.get(f"{prefix}inactive_file", 0) + stat.get(f"{prefix}active_file", 0)
        return max(0, int(limit) - used + of_files)
    return None


def _numbers(text: str) -> dict[str, int]:
    """Return the numbers of lines such as `name: 12 kB` or `name 12`."""
    return {name: int(number) for name, number in _LINE.findall(text)}
