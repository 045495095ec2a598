"""The benchmark `assist` reads the public data sets unchanged: their other formats."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmarks.lib.assist_set.calls import AgentCall
from benchmarks.lib.assist_set.cases import ExpectedCall, load_set
from benchmarks.lib.assist_set.play import TimeLimits
from benchmarks.lib.assist_set.public import home_content, volume
from benchmarks.lib.assist_set.scoring import judge, judge_calls
from benchmarks.lib.assist_set.without_model import play
from benchmarks.lib.errors import BenchmarkError

from .assist_homes import write_home

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.lib.assist_set.cases import AssistCase

HOME: dict[str, Any] = {
    "areas": [{"name": "Boat House", "floor": "Ground"}, {"name": "Pier", "id": "pier"}],
    "devices": [
        {"name": "Radio", "area": "Boat House", "info": {"model": "R1", "weight": "2 kg"}},
        {"name": "Diary", "id": "diary"},
    ],
    "entities": [
        {
            "id": "media_player.radio",
            "device": "radio",
            "state": "playing",
            "attributes": {"volume_level": 40, "bass": 3},
        },
        {"id": "binary_sensor.leak", "name": "Leak", "area": "pier", "state": {"out": "off"}},
        {"id": "sensor.waterLevel", "name": "Water Level", "state": 3},
        {"id": "todo.jobs", "name": "Jobs", "state": "1", "attributes": {"todo_items": ["Paint"]}},
        {"id": "weather.lake", "name": "Lake", "attributes": {"condition": "sunny"}},
        {"id": "calendar.diary", "device": "diary", "name": "Diary"},
        {"id": "camera.gate", "name": "Gate"},
    ],
}


def case_of(folder: Path, **test: Any) -> AssistCase:
    """Return the only case of a test in this home."""
    write_home(folder, HOME, cases={"tests": [{"sentences": ["Well?"], **test}]})
    (home,) = load_set(folder)
    return home.cases[0]


def test_home_is_brought_into_our_form() -> None:
    """Ids and names are filled in, values translated, and unsupported ones dropped."""
    content = home_content(HOME)

    assert content["areas"][0]["id"] == "boat_house"
    assert content["devices"][0] == {
        "name": "Radio",
        "id": "radio",
        "area": "boat_house",
        "info": {"model": "R1"},
    }
    radio, leak, level, jobs, *_ = content["entities"]
    assert radio["name"] == "Radio"
    assert radio["attributes"] == {"volume_level": 0.4}
    assert leak["state"] == "off"
    assert level["id"] == "sensor.waterlevel"
    assert "state" not in jobs
    assert home_content(content) == content


@pytest.mark.parametrize(
    ("value", "expected"), [(40, 0.4), ("40", 0.4), (0.4, 0.4), (1, 1), (0, 0), (None, None)]
)
def test_volume(value: Any, expected: Any) -> None:
    """It may be a part of 1, or percent."""
    assert volume(value) == expected


def test_setup_and_expected_changes_are_translated(tmp_path: Path) -> None:
    """Like the home; ids may have capitals there, too."""
    case = case_of(
        tmp_path,
        setup={
            "media_player.radio": {"state": "paused", "attributes": {"volume_level": 50}},
            "sensor.waterLevel": {"state": "4"},
        },
        expect_changes={"media_player.radio": {"attributes": {"volume_level": 60}}},
    )

    assert case.setup == {
        "media_player.radio": {"state": "paused", "attributes": {"volume_level": 0.5}},
        "sensor.waterlevel": {"state": "4"},
    }
    assert case.expect["media_player.radio"].attributes == {"volume_level": 0.6}


def test_ignored_changes_may_be_a_list(tmp_path: Path) -> None:
    """Attributes of all entities, and entities that are ignored as a whole."""
    case = case_of(tmp_path, ignore_changes=["volume_level", "todo.jobs"])
    radio: dict[str, Any] = {"state": "on", "volume_level": 1}
    jobs: dict[str, Any] = {"state": "1"}
    before = {"media_player.radio": radio, "todo.jobs": jobs}
    louder = {"media_player.radio": {**radio, "volume_level": 2}, "todo.jobs": {"state": "2"}}
    off = {**louder, "media_player.radio": {"state": "off", "volume_level": 1}}

    assert judge(case, before, louder, "") == []
    assert len(judge(case, before, off, "")) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [("rain", ("rain",)), (["a", 22], ("a", "22")), (True, ("yes", "on", "true")), (None, ())],
)
def test_expected_response(tmp_path: Path, value: Any, expected: tuple[str, ...]) -> None:
    """One or a list, as YAML reads it."""
    assert case_of(tmp_path, expect_response=value).replies == expected


@pytest.mark.parametrize(
    "value", ["2025-03-04T10:30:00+00:00", datetime(2025, 3, 4, 10, 30, tzinfo=UTC)]
)
def test_time_of_a_case(tmp_path: Path, value: Any) -> None:
    """As text, or as YAML reads it."""
    now = case_of(tmp_path, context_now=value).now
    assert now is not None
    assert now.astimezone(UTC) == datetime(2025, 3, 4, 10, 30, tzinfo=UTC)


def test_expected_call(tmp_path: Path) -> None:
    """It makes a command, unless there are expected changes, which say more."""
    call = {"tool_name": "HassTurnOff", "tool_args": {"name": "radio"}}
    case = case_of(tmp_path, expect_tool_call=call)

    assert case.tool == ExpectedCall("HassTurnOff", {"name": "radio"})
    assert case.is_command
    right = AgentCall("intent__HassTurnOff", {"name": ["Radio"], "domain": ["media_player"]})
    assert judge_calls(case, [right]) == []
    assert judge_calls(case, [AgentCall("intent__HassTurnOff", {"name": "Lamp"})]) != []
    assert judge_calls(case, [AgentCall("HassTurnOff", {"name": "Radio"}, error="no")]) != []
    changes = {"media_player.radio": {"state": "off"}}
    assert case_of(tmp_path, expect_tool_call=call, expect_changes=changes).tool is None


def test_language_of_a_card(tmp_path: Path) -> None:
    """It is the default for all homes of the set."""
    tests = {"tests": [{"sentences": ["Och?"]}]}
    write_home(tmp_path / "a", HOME, cases=tests)
    write_home(tmp_path / "b", {**HOME, "language": "it"}, cases=tests)
    (tmp_path / "dataset_card.yaml").write_text(yaml.safe_dump({"name": "x", "language": "sv"}))
    (tmp_path / "a" / "solution.yaml").write_text("- nothing")

    assert [home.language for home in load_set(tmp_path)] == ["sv", "it"]


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"context_now": "soon"}, "`context_now` is not a date with a time: soon"),
        ({"expect_response": [{"a": 1}]}, "`expect_response` is not a list of texts"),
        ({"expect_tool_call": "HassTurnOn"}, "`expect_tool_call` has no `tool_name`"),
        (
            {"expect_tool_call": {"tool_name": "x", "tool_args": "y"}},
            "`expect_tool_call`: `tool_args` is not a mapping",
        ),
        ({"ignore_changes": [1]}, "`ignore_changes` is not a list of texts"),
        ({"expect_changes": ["light.x"]}, "`expect_changes` is not a mapping"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(
    tmp_path: Path, test: dict[str, Any], message: str
) -> None:
    """The error has the file, the test and the key."""
    with pytest.raises(BenchmarkError) as caught:
        case_of(tmp_path, **test)

    assert f"{tmp_path / 'cases.yaml'}, test 1: {message}" in str(caught.value)


def test_a_public_home_is_played(tmp_path: Path) -> None:
    """At the case's time, in the state of its set-up."""
    tests: list[dict[str, Any]] = [
        {
            "sentences": ["What time is it?"],
            "context_now": "2025-03-04T14:37:00",
            "expect_response": ["2:37", "14:37"],
        },
        {
            "sentences": ["What is the weather like?"],
            "setup": {"weather.lake": {"state": "rainy", "attributes": {"temperature": 7}}},
            "expect_response": ["rain"],
        },
        {
            "sentences": ["Set the volume of the radio to 30 percent"],
            "expect_changes": {"media_player.radio": {"attributes": {"volume_level": 30}}},
        },
    ]
    write_home(tmp_path / "set", HOME, cases={"tests": tests})

    _, builtin = play(
        load_set(tmp_path / "set"), tmp_path, TimeLimits(30.0, time.monotonic() + 120)
    )

    assert [(one.passed, one.reply) for one in builtin.outcomes if not one.passed] == []
