"""What is asked of warm answers, each with what was found: held or missed."""

import json
import re
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .play import Played, Taken, Warming

SHARE_OF_CORE = 0.05
SLACK_TOKENS = 64
DIRECT_RATIO = 1.25
SOONER = 10.0
WARMING_PER_CHANGE = 1.5
# What is left of a batch, and the way to the server and back.
LONGEST_BATCHES = 1.25
AFTER_BOTH = "after both"
SLOT = "id_slot"
_TIME = re.compile(r"\b\d\d:\d\d:\d\d\b")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure. held: None if this run cannot tell, for the reason that `found` gives."""

    name: str
    found: str
    held: bool | None


@dataclass(slots=True)
class DayCase:
    """The day as both agents had it.

    not_warmed: our asks without warming, empty if that was not played. direct: by ask, seconds
    to the first words where llama-server is asked directly and all but the user's words is warm.
    judges_time: whether this model takes so long that times tell of prompts.
    """

    name: str
    ours: Played
    core: Played
    judges_time: bool
    not_warmed: list[Taken] = field(default_factory=list)
    direct: Mapping[str, float] = field(default_factory=dict)

    def measures(self) -> list[Measure]:
        """Return all measures."""
        return [
            self._whole_day(),
            self._every_ask(),
            self._after_both(),
            self._warming(),
            self._delay(),
            *self._the_same(),
            *self._times(),
        ]

    def _whole_day(self) -> Measure:
        ours, core = (total(played.asks) for played in (self.ours, self.core))
        return Measure(
            f"tokens while a user waits: at most {SHARE_OF_CORE:.0%} of core's",
            f"{ours:,} of {core:,} ({ours / core:.1%})",
            ours <= SHARE_OF_CORE * core,
        )

    def _every_ask(self) -> Measure:
        above = [one.name for one in self.ours.asks if not is_warm(one)]
        found = f"{len(above)} above" if above else f"none of {len(self.ours.asks)} above"
        return Measure(
            f"every ask: at most its own new tokens + {SLACK_TOKENS}",
            listed(found, above),
            not above,
        )

    def _after_both(self) -> Measure:
        (ask,) = (one for one in self.ours.asks if one.name == AFTER_BOTH)
        return Measure(
            "the first ask after a restart of both is warm",
            f"{ask.processed:,} tokens, {ask.new} of them new",
            is_warm(ask),
        )

    def _warming(self) -> Measure:
        changes = [one for one in self.ours.warming if one.changes_home]
        prompt = max(one.n_prompt for one in self.ours.asks)
        limit = WARMING_PER_CHANGE * prompt
        return Measure(
            f"warming per change of the home: at most {WARMING_PER_CHANGE} times the prompt",
            f"{max(one.tokens for one in changes):,} at most, the prompt has {prompt:,}",
            all(one.tokens <= limit for one in changes) and any(one.tokens for one in changes),
        )

    def _delay(self) -> Measure:
        name = "a warm-up delays an ask by at most one batch"
        met = [one for one in (*self.ours.asks, *self.ours.rushes) if one.delayed]
        if not met:
            return Measure(name, "no ask met a warm-up", None)
        delay = max(one.delayed for one in met)
        found = f"{delay} tokens at most, a batch has {self.ours.batch}"
        held = delay <= self.ours.batch
        if self.ours.batch_seconds:
            times = max(one.queued for one in met) / self.ours.batch_seconds
            found += f"; {times:.2f} times as long as the longest batch"
            held = held and (times <= LONGEST_BATCHES or not self.judges_time)
        return Measure(name, found, held)

    def _the_same(self) -> list[Measure]:
        names = [f"the same {what} with and without warming" for what in ("requests", "answers")]
        if not self.not_warmed:
            return [Measure(name, "not played", None) for name in names]
        pairs = list(zip(self.ours.asks, self.not_warmed, strict=True))
        requests = [one.name for one, other in pairs if timeless(one) != timeless(other)]
        # A task is told the time: at another one, another answer can be right.
        answers = [
            one.name
            for one, other in pairs
            if one.answer != other.answer and asked(one) == asked(other)
        ]
        # How numbers are rounded depends on how a prompt is split into batches, and a model that
        # was cut has hardly any preference between words.
        same = not answers if self.judges_time else None
        return [
            Measure(names[0], listed(f"{len(requests)} differ", requests), not requests),
            Measure(names[1], listed(f"{len(answers)} differ", answers), same),
        ]

    def _times(self) -> list[Measure]:
        ours = median_seconds(self.ours.asks)
        cold = [one for one in self.core.asks if not is_warm(one) and one.seconds is not None]
        names = (
            f"median time to first words: at most {DIRECT_RATIO} times a direct warm request's",
            f"and {SOONER:g} times sooner than core's where core reads the home again",
        )
        found = [f"{ours * 1000:.0f} ms", f"{ours * 1000:.0f} ms"]
        held: list[bool | None] = [None, None]
        if self.direct:
            direct = median(self.direct.values())
            found[0] += f", directly {direct * 1000:.0f} ms ({ours / direct:.2f} times)"
            held[0] = ours <= DIRECT_RATIO * direct
        if cold:
            slow = median_seconds(cold)
            found[1] += f", core {slow * 1000:.0f} ms ({slow / ours:.1f} times)"
            held[1] = slow >= SOONER * ours
        if not self.judges_time:
            held = [None, None]
        return [Measure(*one) for one in zip(names, found, held, strict=True)]


def is_warm(ask: Taken) -> bool:
    """Tell whether hardly more than what was new had to be processed."""
    return ask.processed <= ask.new + SLACK_TOKENS


def asked(ask: Taken) -> dict[str, Any]:
    """Return what the model is asked first, without what it had said before.

    Which slot of the server it is in makes no difference to the model.
    """
    messages = [one for one in ask.bodies[0]["messages"] if one["role"] != "assistant"]
    rest = {name: value for name, value in ask.bodies[0].items() if name != SLOT}
    return {**rest, "messages": messages}


def timeless(ask: Taken) -> str:
    """Return what the model is asked first, as `asked` does, without the time of day."""
    return _TIME.sub("", json.dumps(asked(ask), sort_keys=True))


def total(asks: Iterable[Taken]) -> int:
    """Return how many tokens were processed while somebody waited."""
    return sum(one.processed for one in asks)


def median_seconds(asks: Iterable[Taken]) -> float:
    """Return the median time to the first words, of those asks whose answers are streamed."""
    return median(one.seconds for one in asks if one.seconds is not None)


def warming_total(warming: Sequence[Warming]) -> int:
    """Return how many tokens were processed ahead."""
    return sum(one.tokens for one in warming)


def listed(found: str, names: Sequence[str]) -> str:
    """Return what was found with the asks that it is about."""
    return f"{found}: {', '.join(names)}" if names else found
