"""The outcomes of all cases as a table and as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .replies import Fault
from .results import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .results import CaseOutcome

TALK = "nothing to be done"
WIDTH = 16


def table(columns: Sequence[Column]) -> str:
    """Return the counts by category, with a column for each agent."""
    first = columns[0].outcomes
    categories = sorted({one.case.category for one in first if one.case.is_command})
    rows = [("", [one.agent for one in columns])]
    rows += [(name, _counts(columns, _in_category(name))) for name in categories]
    rows.append(("commands", _counts(columns, _is_command)))
    rows.append(("commands, right after a yes", [_after_yes(one) for one in columns]))
    rows.append(("commands, right", [_right(one) for one in columns]))
    if any(not one.case.is_command for one in first):
        rows.append((f"{TALK}: no action", [_calm(one) for one in columns]))
    rows.append(("all", _counts(columns, lambda _: True)))
    rows.append(("", [""] * len(columns)))
    rows.append(
        (
            "commands lost (nothing done)",
            [_of_commands(one, lambda case: case.is_lost) for one in columns],
        )
    )
    rows.append(("moved something wrong", [_wrong(one) for one in columns]))
    rows.append(("moved by mistake: lock, door, valve", [_by_mistake(one) for one in columns]))
    rows += [(f"replies: {fault}", [_faults(one, fault) for one in columns]) for fault in Fault]
    rows.append(("calls that name what is there", [_calls(one) for one in columns]))
    rows.append(("prompt, tokens (median, longest)", [_prompt(one) for one in columns]))
    rows.append(("prompt, tokens per entity", [_per_entity(one) for one in columns]))
    rows.append(("seconds per case (median)", [_seconds(one) for one in columns]))
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        f"{name:{width}}{''.join(f'{cell:>{WIDTH}}' for cell in cells)}".rstrip()
        for name, cells in rows
    )


def summary(sets: Mapping[str, Sequence[Column]]) -> str:
    """Return a row for each agent in each set, and for each agent in all of them."""
    every = [
        Column(parts[0].agent, [one for part in parts for one in part.outcomes])
        for parts in zip(*sets.values(), strict=True)
    ]
    sums = {"all": every} if len(sets) > 1 else {}
    rows = [("set", "agent", *(name for name, _ in SUMMARY))]
    rows += [
        (title, column.agent, *(cell(column) for _, cell in SUMMARY))
        for title, columns in {**sets, **sums}.items()
        for column in columns
    ]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _with_fault(column: Column) -> str:
    return str(sum(bool(one.faults) for one in column.outcomes))


def _wrong_after_yes(column: Column) -> str:
    return str(sum(one.is_wrong_after_yes for one in column.outcomes))


def _counts(columns: Sequence[Column], chosen: Callable[[CaseOutcome], bool]) -> list[str]:
    cells = []
    for column in columns:
        outcomes = [one for one in column.outcomes if chosen(one)]
        cells.append(_of(sum(one.passed for one in outcomes), len(outcomes)))
    return cells


def _of_commands(column: Column, fits: Callable[[CaseOutcome], bool]) -> str:
    commands = [one for one in column.outcomes if one.case.is_command]
    return _of(sum(map(fits, commands)), len(commands))


def _after_yes(column: Column) -> str:
    return _of_commands(column, lambda one: one.passed_after_yes)


def _right(column: Column) -> str:
    return _of_commands(column, lambda one: one.is_right)


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"


def _in_category(name: str) -> Callable[[CaseOutcome], bool]:
    return lambda one: one.case.is_command and one.case.category == name


def _is_command(one: CaseOutcome) -> bool:
    return one.case.is_command


def _calm(column: Column) -> str:
    talk = [one for one in column.outcomes if not one.case.is_command]
    return _of(sum(one.is_calm for one in talk), len(talk))


def _wrong(column: Column) -> str:
    return _of(sum(one.is_wrong for one in column.outcomes), len(column.outcomes))


def _faults(column: Column, fault: Fault) -> str:
    return str(sum(fault in one.faults for one in column.outcomes))


def _by_mistake(column: Column) -> str:
    return str(sum(bool(one.by_mistake) for one in column.outcomes))


def _calls(column: Column) -> str:
    right, reached = column.calls_right
    return f"{right} of {reached} ({right / reached:.0%})" if reached else "no calls"


def _prompt(column: Column) -> str:
    prompts = [max(one.prompt_tokens) for one in column.outcomes if one.prompt_tokens]
    return f"{_middle(prompts):g}, {max(prompts)}" if prompts else "-"


def _per_entity(column: Column) -> str:
    tokens = column.tokens_per_entity
    return "-" if tokens is None else f"{tokens:.1f}"


def _seconds(column: Column) -> str:
    return f"{_middle([one.seconds for one in column.outcomes if one.asked]):.2f}"


def _middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


SUMMARY: Sequence[tuple[str, Callable[[Column], str]]] = (
    ("right", _right),
    ("right at once", lambda one: _of_commands(one, lambda case: case.passed)),
    ("right after a yes", _after_yes),
    ("moved something wrong", lambda one: _of_commands(one, lambda case: case.is_wrong)),
    ("after a yes", _wrong_after_yes),
    ("nothing to be done: no action", _calm),
    ("moved by mistake", _by_mistake),
    ("replies with a fault", _with_fault),
)


def document(title: str, columns: Sequence[Column], **conditions: Any) -> dict[str, Any]:
    """Return the counts and every case for JSON.

    conditions: of the run, such as the model.
    """
    return {
        "set": title,
        **conditions,
        "agents": {column.agent: _agent(column) for column in columns},
    }


def _agent(column: Column) -> dict[str, Any]:
    outcomes = column.outcomes
    right, reached = column.calls_right
    return {
        "passed": sum(one.passed for one in outcomes),
        "cases": len(outcomes),
        "commands_passed": sum(one.passed for one in outcomes if one.case.is_command),
        "commands_passed_after_yes": sum(one.passed_after_yes for one in outcomes),
        "commands_right": sum(one.is_right for one in outcomes if one.case.is_command),
        "commands": sum(one.case.is_command for one in outcomes),
        "talk_passed": sum(one.passed for one in outcomes if not one.case.is_command),
        "talk_without_action": sum(one.is_calm for one in outcomes),
        "talk": sum(not one.case.is_command for one in outcomes),
        "commands_lost": sum(one.is_lost for one in outcomes),
        "moved_something_wrong": sum(one.is_wrong for one in outcomes),
        "moved_something_wrong_after_yes": sum(one.is_wrong_after_yes for one in outcomes),
        "moved_by_mistake": sum(bool(one.by_mistake) for one in outcomes),
        "faults": {fault.name: sum(fault in one.faults for one in outcomes) for fault in Fault},
        "calls": reached,
        "calls_that_name_what_is_there": right,
        "prompt_tokens_per_entity": column.tokens_per_entity,
        "prompt_size": None if column.size is None else asdict(column.size),
        "cases_in_detail": [_case(one) for one in outcomes],
    }


def _case(one: CaseOutcome) -> dict[str, Any]:
    return {
        "home": one.case.home,
        "category": one.case.category,
        "before": list(one.case.before),
        "sentence": one.case.sentence,
        "is_command": one.case.is_command,
        "is_critical": one.case.is_critical,
        "passed": one.passed,
        "why_not": list(one.reasons),
        "reply": one.reply,
        "faults": list(one.faults),
        "asked": one.asked,
        "after_yes": one.after_yes and {**asdict(one.after_yes), "passed": one.passed_after_yes},
        "moved": list(one.moved),
        "moved_by_mistake": list(one.by_mistake),
        "calls": [asdict(call) for call in one.calls],
        "prompt_tokens": list(one.prompt_tokens),
        "seconds": one.seconds,
    }
