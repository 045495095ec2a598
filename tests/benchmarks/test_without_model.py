"""The benchmark `assist` without a model: in process, with the first command."""

import time
from typing import TYPE_CHECKING, Any

from benchmarks.lib.assist_set.cases import AssistCase, Expected, load_set
from benchmarks.lib.assist_set.play import TimeLimits
from benchmarks.lib.assist_set.replies import Fault, is_question
from benchmarks.lib.assist_set.report import summary
from benchmarks.lib.assist_set.results import AfterYes, CaseOutcome, Column
from benchmarks.lib.assist_set.without_model import play
from benchmarks.lib.first_choice import first_choice, first_commands
from custom_components.llamacpp.nlu.gbnf import grammar_for

from .assist_homes import write_home

if TYPE_CHECKING:
    from pathlib import Path

HOME = {
    "areas": [{"id": "hall", "name": "Hall"}],
    "entities": [
        {"id": "light.lamp", "name": "Lamp", "area": "hall"},
        {"id": "switch.pump", "name": "Pump", "area": "hall"},
        {"id": "lock.front_door", "name": "Front Door", "area": "hall"},
    ],
}
PUMP_ON = {"switch.pump": {"state": "on"}}
TESTS: list[dict[str, Any]] = [
    {"sentences": ["Turn on the pump"], "expect_changes": PUMP_ON},
    # Nothing is unlocked without a question.
    {
        "sentences": ["Unlock the front door, my hands are full"],
        "expect_changes": {"lock.front_door": {"state": "unlocked"}},
    },
    {"sentences": ["Please make some coffee"], "expect_changes": PUMP_ON},
    {"sentences": ["Why is grass green?"]},
]


def test_the_first_command_of_each_part_is_chosen() -> None:
    """From our agent's grammars, with quotation marks and backslashes."""
    parts = [['say "a\\b"', "second"], ["off | on", "fourth"]]
    for may_talk in (True, False):
        grammar = grammar_for(parts, may_talk=may_talk)
        assert first_commands(grammar) == 'say "a\\b"\noff | on'
        assert first_choice({"grammar": grammar}) == ['say "a\\b"\noff | on']
    assert first_choice({"messages": []}) == ["..."]


def test_a_set_is_played_without_a_model(tmp_path: Path) -> None:
    """By both agents: right at once, right after a yes, and left alone are separate."""
    write_home(tmp_path / "set", HOME, cases={"category": "switch", "tests": TESTS})

    ours, builtin = play(
        load_set(tmp_path / "set"), tmp_path, TimeLimits(30.0, time.monotonic() + 120)
    )

    assert [one.passed for one in ours.outcomes] == [True, False, False, True]
    assert [one.passed_after_yes for one in ours.outcomes] == [False, True, False, False]
    assert is_question(ours.outcomes[1].reply)
    assert ours.outcomes[1].moved == []
    assert [one.passed for one in builtin.outcomes] == [True, False, False, True]
    assert all(one.after_yes is None for one in builtin.outcomes)
    (call,) = ours.outcomes[0].calls
    assert not call.wrong


def test_summary_has_a_row_for_each_agent_and_set() -> None:
    """And one for all sets."""
    case = AssistCase("home", "switch", "Pump on", expect={"switch.pump": Expected("on")})
    lock = AssistCase(
        "home", "lock", "Lock it", expect={"lock.door": Expected("on")}, is_critical=True
    )
    chat = AssistCase("home", "chat", "Hello")
    yes = AfterYes("Done", (), ["switch.pump"])
    wrong = AfterYes("Done", ["no"], ["light.lamp"])
    outcomes = [
        CaseOutcome(case, reasons=["no"], after_yes=yes),
        CaseOutcome(case, reasons=["no"], after_yes=wrong),
        CaseOutcome(case, reasons=["no"], moved=["lock.door"], by_mistake=["lock.door"]),
        CaseOutcome(case, moved=["switch.pump"]),
        # What is critical is to be asked about.
        CaseOutcome(lock, reasons=["no"], after_yes=yes),
        CaseOutcome(lock, reasons=["no"], after_yes=wrong),
        CaseOutcome(chat, faults=[Fault.LANGUAGE]),
    ]

    lines = summary({"en": [Column("ours", outcomes)], "de": [Column("ours", [CaseOutcome(case)])]})

    rows = [[cell for cell in line.split("  ") if cell] for line in lines.splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert [row[:2] for row in cells[1:]] == [["en", "ours"], ["de", "ours"], ["all", "ours"]]
    assert cells[1][2:6] == ["2 of 6", "1 of 6", "2 of 6", "1 of 6"]
    assert cells[2][2:6] == ["1 of 1", "1 of 1", "0 of 1", "0 of 1"]
    assert cells[3][2:6] == ["3 of 7", "2 of 7", "2 of 7", "1 of 7"]
    assert cells[1][6:] == ["2", "1 of 1", "1", "1"]
    assert cells[2][6:] == ["0", "0 of 0", "0", "0"]
    assert cells[3][6:] == ["2", "1 of 1", "1", "1"]
