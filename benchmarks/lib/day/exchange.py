"""A request for a completion to llama-server, and its answer, as the proxy sees them."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dev.prompts import PREFILL_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """A progress report for a prompt. processed: tokens, cached ones included."""

    at: float
    total: int
    cached: int
    processed: int


@dataclass(slots=True)
class Exchange:
    """A request, and the reports of the server. Times are those of `time.perf_counter`.

    body: of the client, with the messages in the place of a prompt. received: when it reached the
    proxy. first_words: when the first piece of the answer, or of a tool call, came. ended: when
    the answer was complete, or the client hung up. status: of HTTP.
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
    def is_prefill(self) -> bool:
        """Return whether it only prefills a prompt."""
        return any(self.body.get(name) == PREFILL_TOKENS for name in LIMITS)

    @property
    def complete(self) -> bool:
        """Return whether the answer was complete: its end has the counts."""
        return "prompt_n" in self.timings

    @property
    def processed(self) -> int:
        """Return the tokens of the prompt that the server processed, as far as it reported."""
        if self.complete:
            return int(self.timings["prompt_n"])
        return self.processed_until(float("inf"))

    @property
    def n_prompt(self) -> int:
        """Return the tokens of the prompt, 0 if the server did not report them."""
        if self.complete:
            return int(self.timings["prompt_n"]) + int(self.timings["cache_n"])
        return self.progress[-1].total if self.progress else 0

    @property
    def queued(self) -> float:
        """Return the seconds in the server's queue, until it began with the prompt."""
        return self.progress[0].at - self.received if self.progress else 0.0

    def batch_seconds(self, batch: int) -> list[float]:
        """Return the seconds of each full batch of the prompt."""
        return [
            after.at - before.at
            for before, after in pairwise(self.progress)
            if after.processed - before.processed == batch
        ]

    def processed_until(self, moment: float) -> int:
        """Return the tokens that the server had reported as processed at this time."""
        reports = (one for one in self.progress if one.at <= moment)
        return max((one.processed - one.cached for one in reports), default=0)

    def most_processed(self, batch: int) -> int:
        """Return the maximum of tokens that the server has processed.

        After an abort, llama-server finishes the current batch without a report.
        """
        if self.complete or not self.progress:
            return self.processed
        last = self.progress[-1]
        return self.processed + min(batch, last.total - last.processed)

    def overlap(self, since: float, until: float, batch: int) -> int:
        """Return the maximum of tokens that the server processed for it between two times.

        batch: tokens of a batch, after each of which there is a report.
        """
        if self.received >= until or self._freed() <= since:
            return 0
        end = self._freed()
        # The batch in progress at `since` was not yet reported: it counts in full.
        whole = self.most_processed(batch) if end <= until else self.processed_until(until)
        return whole - self.processed_until(since)

    def _freed(self) -> float:
        return self.ended if self.ended is not None else float("inf")
