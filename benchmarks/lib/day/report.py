"""The day as a table and as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .measures import median_seconds, prefilled_total, total

if TYPE_CHECKING:
    from .measures import DayCase, Measure
    from .play import Played, Taken

VERDICTS = {True: "held", False: "missed", None: "not judged"}
NOT_IN_DOCUMENT = ("bodies", "words")


def table(case: DayCase) -> str:
    """Return a case as text: asks, totals, prefills and measures."""
    lines = [
        case.name,
        "",
        *_asks("ask", case.core.asks, case.ours.asks),
        _totals(case),
        "",
        *_asks("not counted: too soon after a change", case.core.rushes, case.ours.rushes),
        "",
        *_prefills(case.ours),
        "",
        "measures",
        *(_verdict(one) for one in case.measures()),
    ]
    return "\n".join(lines)


def document(case: DayCase) -> dict[str, Any]:
    """Return a case for JSON."""
    return {
        "case": case.name,
        "measures": [asdict(one) for one in case.measures()],
        "direct_seconds": dict(case.direct),
        "ours": _played(case.ours),
        "core": _played(case.core),
    }


def _asks(title: str, core: list[Taken], ours: list[Taken]) -> list[str]:
    head = f"{title:38}{'core':>8}{'ours':>8}{'new':>6}{'core ms':>10}{'ours ms':>10}"
    return [
        head,
        *(
            f"{its.name:38}{its.processed:8,}{our.processed:8,}{our.new:6,}"
            f"{_ms(its.seconds)}{_ms(our.seconds)}"
            for its, our in zip(core, ours, strict=True)
        ),
    ]


def _totals(case: DayCase) -> str:
    core, ours = case.core.asks, case.ours.asks
    new = sum(one.new for one in ours)
    return (
        f"{f'all {len(ours)} (times: median)':38}{total(core):8,}{total(ours):8,}{new:6,}"
        f"{_ms(median_seconds(core))}{_ms(median_seconds(ours))}"
    )


def _prefills(played: Played) -> list[str]:
    lines = [f"{'prefilled by ours':38}{'tokens':>8}{'requests':>10}"]
    lines += [
        f"{f'after {one.after}':38}{one.tokens:8,}{one.requests:10}" for one in played.prefills
    ]
    return [*lines, f"{'all':38}{prefilled_total(played.prefills):8,}"]


def _verdict(measure: Measure) -> str:
    return f"  {VERDICTS[measure.held]:10}  {measure.name}: {measure.found}"


def _ms(seconds: float | None) -> str:
    return f"{'-':>10}" if seconds is None else f"{seconds * 1000:10,.0f}"


def _played(played: Played) -> dict[str, Any]:
    return {
        "home_assistant": played.version,
        "tokens_while_waiting": total(played.asks),
        "tokens_ahead": prefilled_total(played.prefills),
        "asks": [_taken(one) for one in played.asks],
        "too_soon": [_taken(one) for one in played.rushes],
        "prefills": [asdict(one) for one in played.prefills],
    }


def _taken(taken: Taken) -> dict[str, Any]:
    return {key: value for key, value in asdict(taken).items() if key not in NOT_IN_DOCUMENT}
