"""The benchmark `assist` with a real Home Assistant: a passed case has really happened."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmarks.lib.assist_set.cases import load_set
from benchmarks.lib.assist_set.play import AssistPlayer, TimeLimits
from benchmarks.lib.assist_set.results import Column
from benchmarks.lib.assist_set.stage import BUILTIN, OVERLAP, AssistStage, integration, name_of
from benchmarks.lib.errors import BenchmarkError
from dev.ha_client import HomeAssistantError

if TYPE_CHECKING:
    from benchmarks.lib.assist_set.cases import AssistHome

HOME = {
    "areas": [{"id": "hall", "name": "Hall"}],
    "entities": [
        {"id": "light.lamp", "name": "Lamp", "area": "hall"},
        {"id": "light.spot", "name": "Spot", "area": "hall"},
    ],
}
BOTH = {"light.lamp": {"state": "on"}, "light.spot": {"state": "on"}}
MODE = {"light.lamp": ["color_mode"], "light.spot": ["color_mode"]}
TESTS: list[dict[str, Any]] = [
    {"sentences": ["Turn on the lights in the hall"], "expect_changes": BOTH},
    # The case before has left both on: each starts from its set-up.
    {"sentences": ["Turn on the lamp"], "expect_changes": {"light.lamp": {"state": "on"}}},
    # Does more than expected.
    {"sentences": ["Turn on the hall lights"], "expect_changes": {"light.lamp": {"state": "on"}}},
    {
        "sentences": ["Turn off the spot"],
        "setup": {"light.spot": {"state": "on"}},
        "expect_changes": {"light.spot": {"state": "off"}},
    },
    {"sentences": ["Why is grass green?"]},
]


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Allow sockets: everything is on the loopback interface."""


def write_set(folder: Path, **changes: Any) -> AssistHome:
    """Write a small set and return its home."""
    folder.mkdir()
    (folder / "_fixtures.yaml").write_text(yaml.safe_dump({**HOME, **changes}))
    tests = [{"ignore_changes": MODE, **test} for test in TESTS]
    (folder / "cases.yaml").write_text(yaml.safe_dump({"category": "light", "tests": tests}))
    (home,) = load_set(folder)
    return home


async def test_cases_are_played_and_judged(tmp_path: Path) -> None:
    """With Home Assistant's own agent; unexpected changes are found, too."""
    home = write_set(tmp_path / "set")
    column = Column(BUILTIN)

    async with AssistStage(tmp_path / "hass", home, Path(sys.executable), "en") as stage:
        asked = await stage.set_up(BUILTIN, None)
        player = AssistPlayer(stage, TimeLimits(20.0, time.monotonic() + 120))
        await player.play(asked, column, home.cases)
        late = Column(BUILTIN)
        await AssistPlayer(stage, TimeLimits(20.0, time.monotonic())).play(
            asked, late, home.cases[:1]
        )

    assert [one.passed for one in column.outcomes] == [True, True, False, True, True]
    assert column.outcomes[2].reasons == ["light.spot: state is 'on', not 'off'"]
    assert column.outcomes[3].moved == ["light.spot"]
    assert column.outcomes[4].moved == []
    assert "Sorry" in column.outcomes[4].reply
    assert stage.names.areas == {"hall"}
    assert {"lamp", "light.spot"} <= stage.names.entities
    assert [(one.asked, one.passed) for one in late.outcomes] == [(False, False)]


@pytest.mark.parametrize("agent", [OVERLAP, 'word_overlap={"field": "there is none"}'])
async def test_calls_are_seen(tmp_path: Path, agent: str) -> None:
    """The agent without a model: its calls have valid names, and its changes are found.

    It can be named as any integration, too.
    """
    home = write_set(tmp_path / "set")
    column = Column(name_of(agent))

    async with AssistStage(tmp_path / "hass", home, Path(sys.executable), "en") as stage:
        asked = await stage.set_up(agent, None)
        await AssistPlayer(stage, TimeLimits(20.0, time.monotonic() + 120)).play(
            asked, column, home.cases[1:]
        )

    lamp, *_, chat = column.outcomes
    (call,) = lamp.calls
    assert (call.tool, call.arguments["name"]) == ("intent__HassTurnOn", "Lamp")
    assert (call.wrong, call.error, call.external) == ([], None, False)
    assert lamp.passed
    assert chat.calls == []
    right, reached = column.calls_right
    assert right == reached >= 2


async def test_an_integration_that_is_not_there(tmp_path: Path) -> None:
    """The error names an integration that cannot be set up."""
    home = write_set(tmp_path / "set")
    async with AssistStage(tmp_path / "hass", home, Path(sys.executable), "en") as stage:
        with pytest.raises((BenchmarkError, HomeAssistantError)):
            await stage.set_up("no_such_integration", None)


@pytest.mark.parametrize("agent", ["two words", "domain={", "domain=[]", "=", ""])
def test_no_agent(agent: str) -> None:
    """A name that is neither an agent of ours nor an integration is rejected."""
    with pytest.raises(BenchmarkError):
        integration(agent)


async def test_home_that_is_refused_is_one_clear_error(tmp_path: Path) -> None:
    """The virtual home's error ends the benchmark."""
    home = write_set(tmp_path / "set", rooms=[])

    with pytest.raises(BenchmarkError, match="unknown key 'rooms'"):
        async with AssistStage(tmp_path / "hass", home, Path(sys.executable), "en"):
            pass
