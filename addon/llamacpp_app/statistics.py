"""Speeds and tokens of the last hour, from llama-server's own counters."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE_SECONDS: Final = 30.0
SAMPLES: Final = 120
PROMPT: Final = "prompt_tokens_total"
CACHED: Final = "prompt_tokens_cached_total"
PROMPT_TIME: Final = "prompt_seconds_total"
GENERATED: Final = "tokens_predicted_total"
GENERATED_TIME: Final = "tokens_predicted_seconds_total"


class Statistics:
    """Keeps what happened between each two readings of the counters."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._samples: deque[dict[str, Any]] = deque(maxlen=SAMPLES)
        self._last: Mapping[str, float] = {}

    def add(self, counters: Mapping[str, float]) -> None:
        """Take a reading; after a restart of the server its counters begin at 0 again."""

        def grown(name: str) -> float:
            now, before = counters.get(name, 0.0), self._last.get(name, 0.0)
            return now - before if now >= before else now

        prompt, cached, generated = grown(PROMPT), grown(CACHED), grown(GENERATED)
        prompt_time, generated_time = grown(PROMPT_TIME), grown(GENERATED_TIME)
        is_first = not self._last
        self._last = dict(counters)
        if is_first:
            return
        self._samples.append(
            {
                "time": round(time.time()),
                "prompt_tokens": round(prompt),
                "cached_tokens": round(cached),
                "generated_tokens": round(generated),
                # Tokens per second, and the part of the prompts that was there already.
                "prompt_speed": round(prompt / prompt_time, 1) if prompt_time else None,
                "generation_speed": round(generated / generated_time, 1)
                if generated_time
                else None,
                "cached_share": round(cached / (cached + prompt), 3) if cached + prompt else None,
            }
        )

    def samples(self) -> list[dict[str, Any]]:
        """Return the samples of the last hour, the oldest first."""
        return list(self._samples)
