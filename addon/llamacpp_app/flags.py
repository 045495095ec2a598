"""Which flags of llama-server users may add by themselves."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from .errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How many values follow each. What is an option of its own is left out, and so is whatever reads or
# writes other files than models, reaches the network, listens, or runs tools.
ALLOWED: Final[Mapping[str, int]] = {
    "--batch-size": 1,
    "--cache-ram": 1,
    "--cache-reuse": 1,
    "--chat-template-kwargs": 1,
    "--cpu-moe": 0,
    "--ctx-checkpoints": 1,
    "--fit": 1,
    "--frequency-penalty": 1,
    "--image-max-tokens": 1,
    "--image-min-tokens": 1,
    "--load-mode": 1,
    "--lora": 1,
    "--lora-scaled": 1,
    "--main-gpu": 1,
    "--min-p": 1,
    "--mmproj": 1,
    "--n-cpu-moe": 1,
    "--no-context-shift": 0,
    "--no-kv-offload": 0,
    "--no-warmup": 0,
    "--no-reasoning-preserve": 0,
    "--numa": 1,
    "--override-tensor": 1,
    "--poll": 1,
    "--pooling": 1,
    "--predict": 1,
    "--presence-penalty": 1,
    "--prio": 1,
    "--reasoning-budget": 1,
    "--reasoning-budget-message": 1,
    "--reasoning-effort": 1,
    "--reasoning-format": 1,
    "--reasoning-preserve": 0,
    "--repeat-last-n": 1,
    "--repeat-penalty": 1,
    "--rope-freq-base": 1,
    "--rope-freq-scale": 1,
    "--rope-scale": 1,
    "--rope-scaling": 1,
    "--samplers": 1,
    "--seed": 1,
    "--slot-prompt-similarity": 1,
    "--spec-draft-cpu-moe": 0,
    "--spec-draft-model": 1,
    "--spec-draft-n-cpu-moe": 1,
    "--spec-draft-n-max": 1,
    "--spec-draft-n-min": 1,
    "--spec-draft-ngl": 1,
    "--spec-draft-override-tensor": 1,
    "--spec-draft-p-min": 1,
    "--spec-draft-p-split": 1,
    "--spec-draft-threads": 1,
    "--spec-draft-type-k": 1,
    "--spec-draft-type-v": 1,
    "--spec-ngram-map-k-min-hits": 1,
    "--spec-ngram-map-k-size-m": 1,
    "--spec-ngram-map-k-size-n": 1,
    "--spec-ngram-map-k4v-min-hits": 1,
    "--spec-ngram-map-k4v-size-m": 1,
    "--spec-ngram-map-k4v-size-n": 1,
    "--spec-ngram-mod-n-match": 1,
    "--spec-ngram-mod-n-max": 1,
    "--spec-ngram-mod-n-min": 1,
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

# Other names by which people know them, some of which llama-server has given up.
RENAMED: Final[Mapping[str, Sequence[str]]] = {
    "--mlock": ("--load-mode", "mlock"),
    "--no-mmap": ("--load-mode", "none"),
    "--model-draft": ("--spec-draft-model",),
}
# Their values name files in the folder of models, several parted by commas.
DRAFT: Final = "--spec-draft-model"
OF_MODEL_FILES: Final = ("--lora", "--lora-scaled", "--mmproj", DRAFT)
# The types of a draft's cache.
DRAFT_TYPES: Final = ("--spec-draft-type-k", "--spec-draft-type-v")

# Known to harm, and why: llama-server has no version without it.
HARMFUL: Final[Mapping[str, str]] = {
    "--sleep-idle-seconds": "llama-server reads memory that it has freed (CVE-2026-43631) when "
    "a request comes while it falls asleep. Set idle_minutes, by which the app stops it instead.",
}


class FlagError(AppError):
    """An argument that llama-server is not to be given."""


def parse_flags(entries: Sequence[str]) -> tuple[str, ...]:
    """Return flags and values, each for itself, as llama-server takes them.

    entries: a flag and its value are two of them, or one with a blank or `=` between. Raises
    FlagError if a flag may not be added, or has not as many values as it needs.
    """
    rest = list(entries)
    found: list[str] = []
    while rest:
        entry = rest.pop(0)
        flag, mark, value = _parted(entry)
        if flag in HARMFUL:
            raise FlagError(f"The option extra_arguments must not hold {flag}: {HARMFUL[flag]}")
        flag, *given = RENAMED.get(flag, (flag,))
        if flag not in ALLOWED:
            raise FlagError(
                f"The option extra_arguments must not hold {entry}: only {', '.join(ALLOWED)}."
            )
        if mark and value:
            given.append(value)
        if len(given) > ALLOWED[flag]:
            raise FlagError(f"The option extra_arguments must hold no value behind {flag}.")
        if len(given) < ALLOWED[flag]:
            if not rest or rest[0].startswith("--"):
                raise FlagError(f"The option extra_arguments must hold a value behind {flag}.")
            given.append(rest.pop(0))
        if flag in OF_MODEL_FILES:
            for one in given:
                _check_files(flag, one)
        found += [flag, *given]
    return tuple(found)


def by_flag(arguments: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    """Return each flag with its values. arguments: as `parse_flags` returns them."""
    found: list[tuple[str, Sequence[str]]] = []
    at = 0
    while at < len(arguments):
        flag = arguments[at]
        end = at + 1 + ALLOWED[flag]
        found.append((flag, arguments[at + 1 : end]))
        at = end
    return found


def files_of(flag: str, value: str) -> list[tuple[str, str]]:
    """Return the names of the files in a value, each with what stands behind it, such as `:0.5`."""
    parts = value.split(",") if flag.startswith("--lora") else [value]
    if flag != "--lora-scaled":
        return [(one, "") for one in parts]
    split = [one.rpartition(":") for one in parts]
    return [(name, f"{colon}{scale}") for name, colon, scale in split]


def _parted(entry: str) -> tuple[str, str, str]:
    """Return a flag, what parts it from its value, and that; only a flag if there is no value."""
    marks = [entry.index(mark) for mark in " =" if mark in entry]
    if not marks or not entry.startswith("--"):
        return entry, "", ""
    at = min(marks)
    return entry[:at], entry[at], entry[at + 1 :].strip()


def _check_files(flag: str, value: str) -> None:
    for name, _ in files_of(flag, value):
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts:
            raise FlagError(
                f"The option extra_arguments must hold behind {flag} the name of a file in the "
                f"app's folder of models, not {value}."
            )
