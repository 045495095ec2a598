"""Which models this machine can run, and how fast they write on it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from .memory import available_bytes, needed_bytes
from .suggestions import SUGGESTIONS, control_of
from .upstream import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .catalog import Catalog
    from .gguf import GgufInfo
    from .runner import Runner
    from .startup import Setup
    from .upstream import Upstream

_LOGGER = logging.getLogger(__name__)

PROBE_SECONDS: Final = 10.0
# So many tokens tell how many more there is time for.
FIRST_TOKENS: Final = 8
MOST_TOKENS: Final = 256
# Fewer in half a minute tell little of the speed.
ENOUGH_TOKENS: Final = 16
# Of a weight in the usual quantisation.
WEIGHT_BYTES: Final = 0.6
# Mixtures of experts have the weights that work for each token in their names.
_ACTIVE: Final = re.compile(r"[-_]A(\d+(?:\.\d+)?)B(?![A-Za-z])", re.IGNORECASE)
_BILLION: Final = 1_000_000_000
_ACTIVE_OF_SUGGESTIONS: Final = {one.name: one.n_active for one in SUGGESTIONS}


@dataclass(frozen=True, slots=True)
class Measured:
    """How fast a model wrote. active_bytes: of the weights that work for each token.

    computes: the graphics cards that did, empty for the processor.
    """

    active_bytes: int
    tokens_per_second: float
    computes: str


class Choice:
    """Tells of models whether they fit, and how fast they are: measured, or told by their sizes."""

    def __init__(self, setup: Setup, runner: Runner, catalog: Catalog, upstream: Upstream) -> None:
        """Read what was measured before."""
        self._options = setup.options
        self._path = setup.paths.speeds
        self._runner = runner
        self._catalog = catalog
        self._upstream = upstream
        self._measured = _read(self._path)

    async def usable_bytes(self) -> int:
        """Return the memory for a model: what is free, and what the model in use would give back.

        Of a graphics card with more than that, it is the card's.
        """
        free = await asyncio.to_thread(available_bytes)
        own = await asyncio.to_thread(self._runner.private_bytes)
        return max(free + own, self._card_bytes)

    def describe(self, name: str, info: GgufInfo | None, usable: int) -> dict[str, Any]:
        """Return what the API tells of a model: whether it fits, its speed, what it is good for.

        info: of its file, None if nothing is known. usable: bytes of memory.
        """
        told: dict[str, Any] = {
            "fits": None,
            "tokens_per_second": None,
            "is_measured": False,
            "control": None,
        }
        if info is None:
            return told
        needed = self._needed_bytes(info)
        n_active = _active_params(name, info.n_params)
        told["control"] = None if n_active is None else control_of(n_active)
        if self._runner.workers:
            # Of the memory of other machines nothing is known.
            return told
        told["fits"] = needed <= usable
        measured = self._measured.get(name)
        if measured and measured.computes == self._computes:
            told |= {"tokens_per_second": _rounded(measured.tokens_per_second), "is_measured": True}
        elif told["fits"] and not (self._card_bytes and needed > self._card_bytes):
            told["tokens_per_second"] = self._by_size(_active_bytes(name, info))
        return told

    def learn(self, sample: Mapping[str, Any]) -> None:
        """Take what the model in use wrote in the last half minute. sample: of the statistics."""
        if sample["generated_tokens"] >= ENOUGH_TOKENS and sample["generation_speed"]:
            self._note(sample["generation_speed"])

    async def measure(self) -> float:
        """Let the model in use write for some seconds; return its tokens per second.

        Raises AppError if it cannot.
        """
        async with self._runner.needed():
            self._runner.require_ready()
            began = time.monotonic()
            speed = await self._written(FIRST_TOKENS)
            left = PROBE_SECONDS - (time.monotonic() - began)
            more = min(MOST_TOKENS, round(speed * left))
            if more > FIRST_TOKENS:
                speed = await self._written(more)
        self._note(speed)
        return _rounded(speed)

    async def _written(self, n_tokens: int) -> float:
        """Have so many tokens written; return how many it were in a second. Raises AppError."""
        body = self._runner.settings({"max_tokens": n_tokens, "temperature": 0}) | {
            "messages": [{"role": "user", "content": "Count on: one, two, three, four"}],
            "ignore_eos": True,
            "cache_prompt": False,
        }
        speed: float | None = None
        async for piece in self._upstream.chat(body, is_live=False):
            speed = (piece.timings or {}).get("predicted_per_second", speed)
        if not speed:
            raise UpstreamError("broken_answer", "llama-server does not tell how fast it wrote.")
        return speed

    def _note(self, speed: float) -> None:
        name = self._runner.model or ""
        entry = self._catalog.entries.get(name)
        # One of several could be meant, or other machines compute, too.
        if entry is None or entry.info is None or self._runner.is_router or self._runner.workers:
            return
        self._measured.pop(name, None)
        self._measured[name] = Measured(_active_bytes(name, entry.info), speed, self._computes)
        try:
            self._path.write_text(json.dumps({key: asdict(one) for key, one in self._all()}))
        except OSError as err:
            _LOGGER.debug("What was measured cannot be written: %s", err)

    def _all(self) -> list[tuple[str, Measured]]:
        return list(self._measured.items())

    def _by_size(self, active_bytes: int) -> float | None:
        """Return the speed of a model from that of another one, the newest that was measured.

        Writing a token takes as long as reading the weights that work for it.
        """
        for _, one in reversed(self._all()):
            if one.computes == self._computes:
                return _rounded(one.tokens_per_second * one.active_bytes / active_bytes)
        return None

    def _needed_bytes(self, info: GgufInfo) -> int:
        options = self._options
        return needed_bytes(
            info,
            context_size=options.context_size,
            parallel=options.parallel_requests,
            kv_type=options.cache_type,
        )

    @property
    def _card_bytes(self) -> int:
        return sum(one.memory_bytes for one in self._runner.cards.used)

    @property
    def _computes(self) -> str:
        return ", ".join(one.description for one in self._runner.cards.used)


def _read(path: Path) -> dict[str, Measured]:
    """Return what was measured; a file that makes no sense counts as none."""
    try:
        found = json.loads(path.read_text())
        return {name: Measured(**one) for name, one in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _active_params(name: str, n_params: int | None) -> int | None:
    """Return how many weights work for each token."""
    if name in _ACTIVE_OF_SUGGESTIONS:
        return _ACTIVE_OF_SUGGESTIONS[name]
    if match := _ACTIVE.search(name):
        return round(float(match[1]) * _BILLION)
    return n_params


def _active_bytes(name: str, info: GgufInfo) -> int:
    """Return how many bytes of a model are read for each token, at least 1."""
    n_active = _active_params(name, info.n_params)
    whole = max(1, info.tensor_bytes)
    if n_active is None:
        return whole
    if info.n_params:
        return max(1, round(whole * min(1.0, n_active / info.n_params)))
    return min(whole, round(n_active * WEIGHT_BYTES))


def _rounded(speed: float) -> float:
    """Return a speed with as many digits as it is worth."""
    return float(f"{speed:.2g}")
