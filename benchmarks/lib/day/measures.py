"""The measures of the day, each with a verdict: held or missed."""

import json
import re
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .play import Played, Prefilled, Taken

SHARE_OF_CORE = 0.05
SLACK_TOKENS = 64
DIRECT_RATIO = 1.25
SOONER = 10.0
PREFILL_PER_CHANGE = 1.5
# The rest of a batch, and the request itself.
LONGEST_BATCHES = 1.25
AFTER_BOTH = "after both"
SLOT = "id_slot"
_TIME = re.compile(r"\b\d\d:\d\d:\d\d\b")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure. held: None if this run cannot judge it; `found` has the reason."""

    name: str
    found: str
    held: bool | None


@dataclass(slots=True)
class DayCase:
    """The day of both agents.

    without_prefill: our asks without prefills, empty if not played. direct: by ask, seconds to the
    first words of llama-server itself, with everything but the user's words prefilled.
    judges_time: whether times depend on prompts, as with a whole model.
    """

    name: str
    ours: Played
    core: Played
    judges_time: bool
    without_prefill: list[Taken] = field(default_factory=list)
    direct: Mapping[str, float] = field(default_factory=dict)

    def measures(self) -> list[Measure]:
        """Return all measures."""
        return [
            self._whole_day(),
            self._every_ask(),
            self._after_both(),
            self._prefills(),
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
        above = [one.name for one in self.ours.asks if not is_prefilled(one)]
        found = f"{len(above)} above" if above else f"none of {len(self.ours.asks)} above"
        return Measure(
            f"every ask: at most its own new tokens + {SLACK_TOKENS}",
            listed(found, above),
            not above,
        )

    def _after_both(self) -> Measure:
        (ask,) = (one for one in self.ours.asks if one.name == AFTER_BOTH)
        return Measure(
            "the first ask after a restart of both is prefilled",
            f"{ask.processed:,} tokens, {ask.new} of them new",
            is_prefilled(ask),
        )

    def _prefills(self) -> Measure:
        changes = [one for one in self.ours.prefills if one.changes_home]
        prompt = max(one.n_prompt for one in self.ours.asks)
        limit = PREFILL_PER_CHANGE * prompt
        return Measure(
            f"prefill per change of the home: at most {PREFILL_PER_CHANGE} times the prompt",
            f"{max(one.tokens for one in changes):,} at most, the prompt has {prompt:,}",
            all(one.tokens <= limit for one in changes) and any(one.tokens for one in changes),
        )

    def _delay(self) -> Measure:
        name = "a prefill delays an ask by at most one batch"
        met = [one for one in (*self.ours.asks, *self.ours.rushes) if one.delayed]
        if not met:
            return Measure(name, "no ask met a prefill", None)
        delay = max(one.delayed for one in met)
        found = f"{delay} tokens at most, a batch has {self.ours.batch}"
        held = delay <= self.ours.batch
        if self.ours.batch_seconds:
            times = max(one.queued for one in met) / self.ours.batch_seconds
            found += f"; {times:.2f} times as long as the longest batch"
            held = held and (times <= LONGEST_BATCHES or not self.judges_time)
        return Measure(name, found, held)

    def _the_same(self) -> list[Measure]:
        names = [f"the same {what} with and without prefill" for what in ("requests", "answers")]
        if not self.without_prefill:
            return [Measure(name, "not played", None) for name in names]
        pairs = list(zip(self.ours.asks, self.without_prefill, strict=True))
        requests = [one.name for one, other in pairs if timeless(one) != timeless(other)]
        # The prompt of a task has the time, so another answer can be right at another time.
        answers = [
            one.name
            for one, other in pairs
            if one.answer != other.answer and asked(one) == asked(other)
        ]
        # Rounding depends on how a prompt is split into batches, and a cut model has hardly any
        # preference between words.
        same = not answers if self.judges_time else None
        return [
            Measure(names[0], listed(f"{len(requests)} differ", requests), not requests),
            Measure(names[1], listed(f"{len(answers)} differ", answers), same),
        ]

    def _times(self) -> list[Measure]:
        ours = median_seconds(self.ours.asks)
        cold = [one for one in self.core.asks if not is_prefilled(one) and one.seconds is not None]
        names = (
            f"median time to first words: at most {DIRECT_RATIO} times llama-server's own",
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


def is_prefilled(ask: Taken) -> bool:
    """Return whether hardly more than the new tokens had to be processed."""
    return ask.processed <= ask.new + SLACK_TOKENS


def asked(ask: Taken) -> dict[str, Any]:
    """Return the first request of an ask without earlier answers of the model, and without slot.

    The slot makes no difference to the model.
    """
    messages = [one for one in ask.bodies[0]["messages"] if one["role"] != "assistant"]
    rest = {name: value for name, value in ask.bodies[0].items() if name != SLOT}
    return {**rest, "messages": messages}


def timeless(ask: Taken) -> str:
    """Return `asked` as text, without the time of day."""
    return _TIME.sub("", json.dumps(asked(ask), sort_keys=True))


def total(asks: Iterable[Taken]) -> int:
    """Return the tokens processed while a user waited."""
    return sum(one.processed for one in asks)


def median_seconds(asks: Iterable[Taken]) -> float:
    """Return the median time to the first words of asks with streamed answers."""
    return median(one.seconds for one in asks if one.seconds is not None)


def prefilled_total(prefills: Sequence[Prefilled]) -> int:
    """Return the tokens of all prefills."""
    return sum(one.tokens for one in prefills)


def listed(found: str, names: Sequence[str]) -> str:
    """Return a finding with the names of its asks."""
    return f"{found}: {', '.join(names)}" if names else found
