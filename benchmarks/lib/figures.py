"""Comparison of the samples of two agents."""

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class TimeSummary:
    """Median, 90th percentile and maximum of a figure, in milliseconds."""

    median: float
    p90: float
    max: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> TimeSummary:
        """Summarize samples in seconds, at least one."""
        ordered = sorted(seconds)
        p90 = ordered[math.ceil(0.9 * len(ordered)) - 1]
        return cls(*(round(value * 1000, 3) for value in (median(ordered), p90, ordered[-1])))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of both agents. ratio: median over the pairs of asks of ours by core's."""

    ours: TimeSummary
    core: TimeSummary
    ratio: float

    @classmethod
    def of(cls, ours: Sequence[Sequence[float]], core: Sequence[Sequence[float]]) -> Comparison:
        """Compare samples in seconds: one sequence for each ask, in pairs of ours and core's."""
        ratios = [median(one) / median(other) for one, other in zip(ours, core, strict=True)]
        return cls(
            TimeSummary.of(sample for ask in ours for sample in ask),
            TimeSummary.of(sample for ask in core for sample in ask),
            round(median(ratios), 3),
        )

    def misses(self, limit_ms: float) -> list[str]:
        """Return the missed aims: our median within the limit, and not slower than core's."""
        misses = []
        if self.ours.median > limit_ms:
            misses.append(f"median {self.ours.median:.2f} ms, the limit is {limit_ms:g} ms")
        if self.ratio > 1:
            misses.append(f"{self.ratio:.2f} times core's")
        return misses


def table(figures: Mapping[str, Comparison]) -> str:
    """Return the figures as text."""
    width = max(map(len, figures))
    columns = f"{'median':>9}{'p90':>9}{'max':>9}"
    lines = [
        f"{'':{width}}  {'ours (ms)':>27}  {'core (ms)':>27}  {'ours/core':>10}",
        f"{'':{width}}  {columns}  {columns}  {'median':>10}",
    ]
    for name, figure in figures.items():
        cells = "  ".join(
            f"{one.median:9.2f}{one.p90:9.2f}{one.max:9.2f}" for one in (figure.ours, figure.core)
        )
        lines.append(f"{name:{width}}  {cells}  {figure.ratio:10.2f}")
    return "\n".join(lines)
