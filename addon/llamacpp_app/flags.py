"""Which flags of llama-server users may add by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How many values follow each. What is an option of its own is left out, and so is whatever reads or
# writes files, reaches the network, listens, or runs tools.
ALLOWED: Final[Mapping[str, int]] = {
    "--batch-size": 1,
    "--cache-ram": 1,
    "--cache-reuse": 1,
    "--chat-template-kwargs": 1,
    "--cpu-moe": 0,
    "--ctx-checkpoints": 1,
    "--fit": 1,
    "--frequency-penalty": 1,
    "--main-gpu": 1,
    "--min-p": 1,
    "--n-cpu-moe": 1,
    "--no-context-shift": 0,
    "--no-kv-offload": 0,
    "--no-warmup": 0,
    "--numa": 1,
    "--poll": 1,
    "--pooling": 1,
    "--predict": 1,
    "--presence-penalty": 1,
    "--prio": 1,
    "--reasoning-budget": 1,
    "--reasoning-format": 1,
    "--repeat-last-n": 1,
    "--repeat-penalty": 1,
    "--rope-freq-base": 1,
    "--rope-freq-scale": 1,
    "--rope-scale": 1,
    "--rope-scaling": 1,
    "--samplers": 1,
    "--seed": 1,
    "--slot-prompt-similarity": 1,
    "--spec-ngram-simple-min-hits": 1,
    "--spec-ngram-simple-size-m": 1,
    "--spec-ngram-simple-size-n": 1,
    "--spec-type": 1,
    "--split-mode": 1,
    "--swa-full": 0,
    "--temp": 1,
    "--tensor-split": 1,
    "--threads-batch": 1,
    "--threads-http": 1,
    "--top-k": 1,
    "--top-p": 1,
    "--ubatch-size": 1,
    "--yarn-attn-factor": 1,
    "--yarn-beta-fast": 1,
    "--yarn-beta-slow": 1,
    "--yarn-ext-factor": 1,
    "--yarn-orig-ctx": 1,
}


# Known to harm, and why: llama-server has no version without it.
HARMFUL: Final[Mapping[str, str]] = {
    "--sleep-idle-seconds": "llama-server reads memory that it has freed (CVE-2026-43631) when "
    "somebody asks while it falls asleep. Set idle_minutes, by which the app stops it instead.",
}


class FlagError(AppError):
    """An argument that llama-server is not to be given."""


def check_flags(arguments: Sequence[str]) -> None:
    """Look whether all of these are flags that may be added, with their values; else FlagError."""
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        name = flag.partition("=")[0]
        if name in HARMFUL:
            raise FlagError(f"The option extra_arguments must not hold {name}: {HARMFUL[name]}")
        if flag not in ALLOWED:
            raise FlagError(
                f"The option extra_arguments must not hold {flag}: only {', '.join(ALLOWED)}."
            )
        for _ in range(ALLOWED[flag]):
            if not rest or rest[0].startswith("--"):
                raise FlagError(f"The option extra_arguments must hold a value behind {flag}.")
            rest.pop(0)
