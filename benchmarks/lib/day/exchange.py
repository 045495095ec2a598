"""What passed between a client and llama-server: one request for words, and its answer."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Who asks for so few only has a prompt processed before somebody asks.
WARM_UP_TOKENS = 1
LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """How far the server is with a prompt. processed: tokens, those from its memory included."""

    at: float
    total: int
    cached: int
    processed: int


@dataclass(slots=True)
class Exchange:
    """A request, and what the server tells of it. Times are those of `time.perf_counter`.

    body: as the client sent it; in place of a prompt there is what it was made of. received: when
    it was at the proxy. first_words: when the first piece of the answer, or of a tool call, was.
    ended: when the answer was whole, or the client had gone. status: of HTTP.
    """

    path: str
    body: Mapping[str, Any]
    received: float
    status: int = 0
    first_words: float | None = None
    ended: float | None = None
    progress: list[PrefillProgress] = field(default_factory=list)
    timings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_warm_up(self) -> bool:
        """Tell whether no answer was wanted."""
        return any(self.body.get(name) == WARM_UP_TOKENS for name in LIMITS)

    @property
    def complete(self) -> bool:
        """Tell whether the answer was whole: its end tells the counts."""
        return "prompt_n" in self.timings

    @property
    def processed(self) -> int:
        """Return how many tokens of the prompt the server had to process, as far as it told."""
        if self.complete:
            return int(self.timings["prompt_n"])
        return self.processed_until(float("inf"))

    @property
    def n_prompt(self) -> int:
        """Return how many tokens the prompt has, 0 if the server did not tell."""
        if self.complete:
            return int(self.timings["prompt_n"]) + int(self.timings["cache_n"])
        return self.progress[-1].total if self.progress else 0

    @property
    def queued(self) -> float:
        """Return how many seconds the server let it wait before it began with the prompt."""
        return self.progress[0].at - self.received if self.progress else 0.0

    def batch_seconds(self, batch: int) -> list[float]:
        """Return how long each whole batch of the prompt took."""
        return [
            after.at - before.at
            for before, after in pairwise(self.progress)
            if after.processed - before.processed == batch
        ]

    def processed_until(self, moment: float) -> int:
        """Return how many tokens the server had reported as processed at this moment."""
        reports = (one for one in self.progress if one.at <= moment)
        return max((one.processed - one.cached for one in reports), default=0)

    def most_processed(self, batch: int) -> int:
        """Return how many tokens it can have processed at most.

        A server that is told to stop finishes the batch that it is at, and does not tell.
        """
        if self.complete or not self.progress:
            return self.processed
        last = self.progress[-1]
        return self.processed + min(batch, last.total - last.processed)

    def overlap(self, since: float, until: float, batch: int) -> int:
        """Return how many tokens the server processed at most for it between two moments.

        batch: so many tokens at most are processed in one go, between two reports.
        """
        if self.received >= until or self._freed() <= since:
            return 0
        end = self._freed()
        # What was under way at `since` was not yet reported: it counts in full.
        whole = self.most_processed(batch) if end <= until else self.processed_until(until)
        return whole - self.processed_until(since)

    def _freed(self) -> float:
        return self.ended if self.ended is not None else float("inf")
