"""Models that are worth a try, by the machine; page and DOCS have them from here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from .gguf import GgufInfo
from .memory import needed_bytes
from .options import DEFAULT_CONTEXT_SIZE

# The integration has models with fewer weights at work choose among commands.
MIN_TOOL_PARAMS: Final = 2_500_000_000
_GB: Final = 1_000_000_000


class Machine(StrEnum):
    """What it takes to have a model answer while a user waits."""

    BOARD = "Raspberry Pi 5 or N100, 4 GB"
    MINI_PC = "mini PC, 8 to 16 GB"
    CARD = "graphics card of 8 or 16 GB"
    LARGE_CARD = "24 GB on a card, or 32 GB of fast memory"


class Control(StrEnum):
    """How the integration has a model control the home."""

    COMMANDS = "commands"
    TOOLS = "tools"


def control_of(n_active: int) -> Control:
    """Return how a model controls the home. n_active: weights that work for each token."""
    return Control.COMMANDS if n_active < MIN_TOOL_PARAMS else Control.TOOLS


class Thinks(StrEnum):
    """Whether a model thinks before it answers."""

    NEVER = "never"
    IF_ASKED = "if asked"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A model.

    info: what its file tells, by the published numbers, its size among them. n_active: weights that
    work for each token. score: per cent of the commands of the public set assist-mini that it does
    right by calling tools (home-assistant-datasets, report of 30 July 2026), None if it is not in
    that report. why: what it is good for, in a few words.
    """

    name: str
    url: str
    machine: Machine
    info: GgufInfo
    thinks: Thinks
    why: str
    n_active: int
    score: int | None = None

    @property
    def control(self) -> Control:
        """How it controls the home."""
        return control_of(self.n_active)

    @property
    def is_hybrid(self) -> bool:
        """Whether some of its layers keep a state, however long a conversation is."""
        return bool(self.info.state_bytes)

    @property
    def memory_gb(self) -> float:
        """What it needs with the default context and one answer at a time, in steps of 0.5 GB."""
        needed = needed_bytes(
            self.info, context_size=DEFAULT_CONTEXT_SIZE, parallel=1, kv_type="f16"
        )
        return math.ceil(2 * needed / _GB) / 2

    def as_json(self) -> dict[str, Any]:
        """Return what the API tells of it."""
        return {
            "name": self.name,
            "url": self.url,
            "machine": self.machine.value,
            "memory_gb": self.memory_gb,
            "bytes": self.info.file_bytes,
            "control": self.control.value,
            "thinks": self.thinks.value,
            "hybrid": self.is_hybrid,
            "score": self.score,
            "why": self.why,
        }


def _info(  # noqa: PLR0913 - all that decides, by name
    *,
    megabytes: int,
    n_embd: int,
    n_layers: int,
    n_kv_heads: int,
    head: int,
    sliding: tuple[int, int, int] = (0, 0, 0),
    state_values: int = 0,
) -> GgufInfo:
    """Return what memory depends on.

    megabytes: of the file. n_layers: those that keep keys and values of all tokens, each for
    n_kv_heads heads of so many values. sliding: the same of layers that slide, and the window:
    heads of all such layers together, values of one, tokens. state_values: of all recurrent layers.
    """
    heads, length, window = sliding
    size = megabytes * 1_000_000
    return GgufInfo(
        architecture=None,
        name=None,
        n_params=None,
        n_layers=n_layers,
        n_ctx_train=None,
        n_embd=n_embd,
        n_heads=None,
        n_kv_heads=n_layers * n_kv_heads + heads,
        key_length=head,
        value_length=head,
        sliding_window=window or None,
        split_no=0,
        split_count=1,
        has_chat_template=True,
        # The tokenizer of most takes about so much of the file.
        tensor_bytes=size - 8_000_000,
        file_bytes=size,
        n_sliding_kv_heads=heads,
        sliding_length=2 * length or None,
        state_bytes=4 * state_values,
    )


def _delta(n_layers: int, inner: int) -> int:
    """Return the values that the recurrent layers of Qwen3.5 keep."""
    size, groups, kernel = 128, 16, 4
    return n_layers * (inner * size + (kernel - 1) * (inner + 2 * groups * size))


SUGGESTIONS: Final = (
    Suggestion(
        name="gemma-3-1b-it-Q4_K_M",
        url="ggml-org/gemma-3-1b-it-GGUF:gemma-3-1b-it-Q4_K_M.gguf",
        machine=Machine.BOARD,
        info=_info(
            megabytes=806, n_embd=1152, n_layers=4, n_kv_heads=1, head=256, sliding=(22, 256, 512)
        ),
        thinks=Thinks.NEVER,
        n_active=1_000_000_000,
        why="the default: many languages, prompts stay warm on every server",
    ),
    Suggestion(
        name="LFM2.5-1.2B-Instruct-Q4_K_M",
        url="LiquidAI/LFM2.5-1.2B-Instruct-GGUF:LFM2.5-1.2B-Instruct-Q4_K_M.gguf",
        machine=Machine.BOARD,
        info=_info(
            megabytes=731,
            n_embd=2048,
            n_layers=6,
            n_kv_heads=8,
            head=64,
            state_values=10 * 2 * 2048,
        ),
        thinks=Thinks.NEVER,
        n_active=1_200_000_000,
        why="quick, and leaves alone what it is not asked to do; few languages",
    ),
    Suggestion(
        name="Qwen3.5-2B-Q4_K_M",
        url="unsloth/Qwen3.5-2B-GGUF:Qwen3.5-2B-Q4_K_M.gguf",
        machine=Machine.BOARD,
        info=_info(
            megabytes=1281,
            n_embd=2048,
            n_layers=6,
            n_kv_heads=2,
            head=256,
            state_values=_delta(18, 2048),
        ),
        thinks=Thinks.IF_ASKED,
        n_active=2_000_000_000,
        why="more talk, and a context that takes little memory",
    ),
    Suggestion(
        name="Ministral-3-3B-Instruct-2512-Q4_K_M",
        url="unsloth/Ministral-3-3B-Instruct-2512-GGUF:Ministral-3-3B-Instruct-2512-Q4_K_M.gguf",
        machine=Machine.MINI_PC,
        info=_info(megabytes=2146, n_embd=3072, n_layers=26, n_kv_heads=8, head=128),
        thinks=Thinks.NEVER,
        n_active=3_400_000_000,
        score=82,
        why="prompts stay warm on every server",
    ),
    Suggestion(
        name="Qwen3.5-4B-Q4_K_M",
        url="unsloth/Qwen3.5-4B-GGUF:Qwen3.5-4B-Q4_K_M.gguf",
        machine=Machine.MINI_PC,
        info=_info(
            megabytes=2741,
            n_embd=2560,
            n_layers=8,
            n_kv_heads=4,
            head=256,
            state_values=_delta(24, 4096),
        ),
        thinks=Thinks.IF_ASKED,
        n_active=4_000_000_000,
        score=88,
        why="the best score of its size; sees with a projector",
    ),
    Suggestion(
        name="Qwen3-8B-Q4_K_M",
        url="unsloth/Qwen3-8B-GGUF:Qwen3-8B-Q4_K_M.gguf",
        machine=Machine.CARD,
        info=_info(megabytes=5028, n_embd=4096, n_layers=36, n_kv_heads=8, head=128),
        thinks=Thinks.IF_ASKED,
        n_active=8_000_000_000,
        score=93,
        why="no surprises: every llama.cpp of the last year runs it",
    ),
    Suggestion(
        name="Ministral-3-8B-Instruct-2512-Q4_K_M",
        url="unsloth/Ministral-3-8B-Instruct-2512-GGUF:Ministral-3-8B-Instruct-2512-Q4_K_M.gguf",
        machine=Machine.CARD,
        info=_info(megabytes=5197, n_embd=4096, n_layers=34, n_kv_heads=8, head=128),
        thinks=Thinks.NEVER,
        n_active=8_400_000_000,
        score=94,
        why="answers well, too, and never thinks",
    ),
    Suggestion(
        name="gpt-oss-20b-Q4_K_M",
        url="unsloth/gpt-oss-20b-GGUF:gpt-oss-20b-Q4_K_M.gguf",
        machine=Machine.CARD,
        info=_info(
            megabytes=11625,
            n_embd=2880,
            n_layers=12,
            n_kv_heads=8,
            head=64,
            sliding=(96, 64, 128),
        ),
        thinks=Thinks.ALWAYS,
        n_active=3_600_000_000,
        score=95,
        why="for 16 GB; faster than its size, for some of its weights work for each token",
    ),
    Suggestion(
        name="Qwen3-30B-A3B-Instruct-2507-Q4_K_M",
        url="unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:Qwen3-30B-A3B-Instruct-2507-Q4_K_M.gguf",
        machine=Machine.LARGE_CARD,
        info=_info(megabytes=18557, n_embd=2048, n_layers=48, n_kv_heads=4, head=128),
        thinks=Thinks.NEVER,
        n_active=3_300_000_000,
        score=97,
        why="as fast as a small model, as clever as a large one",
    ),
    Suggestion(
        name="gemma-4-26B-A4B-it-Q4_K_M",
        url="ggml-org/gemma-4-26B-A4B-it-GGUF:gemma-4-26B-A4B-it-Q4_K_M.gguf",
        machine=Machine.LARGE_CARD,
        info=_info(
            megabytes=16800,
            n_embd=2816,
            n_layers=5,
            n_kv_heads=2,
            head=512,
            sliding=(200, 256, 1024),
        ),
        thinks=Thinks.IF_ASKED,
        n_active=4_000_000_000,
        score=98,
        why="the best score, in many languages; sees with a projector",
    ),
)
