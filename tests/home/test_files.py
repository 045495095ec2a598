"""Homes in files: broken ones, and those of a public data set if available."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from homeassistant.config_entries import ConfigEntryState
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import entity_registry as er

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import Act, LoadHome, WriteHome

DATASET = Path(__file__).parents[2].parent / "shared/datasets/assist-mini"
NO_DATASET = "the homes of the public assist-mini data set are not on this machine"
HOMES = sorted(DATASET.glob("*/_fixtures.yaml"))


def lamp(**changes: Any) -> dict[str, Any]:
    """Return a home of one lamp with these changes."""
    return {"entities": [{"id": "light.lamp", "name": "Lamp", **changes}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("entities: [", "is not valid YAML"),
        ("- a list", "the file is not a mapping"),
        ({"areas": []}, "it has no entities"),
        ({"rooms": [], **lamp()}, "the file: unknown key 'rooms'"),
        ({**lamp(), "areas": "all"}, "the area list is not a list"),
        ({"areas": [{"name": "X"}], **lamp()}, "area number 1 has no id"),
        ({"areas": [{"id": "x"}], **lamp()}, "area x: it has no name"),
        ({"entities": lamp()["entities"] * 2}, "entity light.lamp: there are two of them"),
        (lamp(area="attic"), "entity light.lamp: unknown area 'attic'"),
        (lamp(device="bulb"), "entity light.lamp: unknown device 'bulb'"),
        (
            {"devices": [{"id": "d", "name": "D", "area": "attic"}], **lamp()},
            "device d: unknown area 'attic'",
        ),
        (
            {"devices": [{"id": "d", "name": "D", "info": {"weight": 3}}], **lamp()},
            "device d: info: unknown key 'weight'",
        ),
        (lamp(id="light.Lamp"), "entity light.Lamp: its id is not an entity id"),
        (lamp(id="oven.lamp"), "entity oven.lamp: its domain is none of"),
        (lamp(name=""), "entity light.lamp: it has no name"),
        (lamp(colour="red"), "entity light.lamp: unknown key 'colour'"),
        (lamp(state="dim"), "entity light.lamp: state: 'dim' is none of on, off"),
        (lamp(expose="no"), "entity light.lamp: 'no' is neither true nor false"),
        (lamp(attributes=["a"]), "entity light.lamp: its attributes are not a mapping"),
        (lamp(attributes={"watts": 4}), "entity light.lamp: 'watts' is none of its attributes"),
        (
            lamp(attributes={"supported_color_modes": ["light.ColorMode.PINK"]}),
            "entity light.lamp: supported_color_modes: 'light.ColorMode.PINK' is no ColorMode",
        ),
        (
            lamp(attributes={"supported_features": ["os.system.EFFECT"]}),
            "entity light.lamp: supported_features: 'os.system.EFFECT' is no LightEntityFeature",
        ),
        (lamp(attributes={"brightness": "much"}), "brightness: 'much' is not a number"),
        (
            {"entities": [{"id": "todo.x", "name": "X", "attributes": {"todo_items": [{}]}}]},
            "entity todo.x: todo_items: {} is no item",
        ),
        (
            {"entities": [{"id": "scene.x", "name": "X", "attributes": {"entities": {"a": "on"}}}]},
            "entity scene.x: entities: 'a': 'on' is not an entity with a state",
        ),
        (
            {
                "entities": [
                    {
                        "id": "sensor.x",
                        "name": "X",
                        "state": "hot",
                        "attributes": {"device_class": "temperature"},
                    }
                ]
            },
            "entity sensor.x: state: 'hot' is not a number",
        ),
    ],
)
async def test_bad_file_is_one_clear_error(  # noqa: PLR0913, PLR0917 - fixtures and a case
    hass: HomeAssistant,
    load_home: LoadHome,
    write_home: WriteHome,
    caplog: pytest.LogCaptureFixture,
    content: Any,
    message: str,
) -> None:
    """The error names the file, the place and the problem."""
    path = write_home(content)

    assert await load_home(path)

    (entry,) = hass.config_entries.async_entries("virtual_home")
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.reason is not None
    assert entry.reason.startswith(f"{path}: ")
    assert message in entry.reason
    assert [record.levelname for record in caplog.records if message in record.getMessage()] == [
        "ERROR"
    ]


async def test_missing_file_is_an_error(
    hass: HomeAssistant, load_home: LoadHome, tmp_path: Path
) -> None:
    """The error names a missing file."""
    assert await load_home(tmp_path / "nowhere.yaml")

    (entry,) = hass.config_entries.async_entries("virtual_home")
    assert entry.reason is not None
    assert "nowhere.yaml: cannot be read" in entry.reason


async def test_taken_entity_id_is_an_error(
    hass: HomeAssistant, load_home: LoadHome, write_home: WriteHome
) -> None:
    """The home does not use another entity id instead."""
    registry = er.async_get(hass)
    registry.async_get_or_create("light", "other", "1", suggested_object_id="lamp")

    assert await load_home(write_home(lamp()))

    (entry,) = hass.config_entries.async_entries("virtual_home")
    assert entry.reason is not None
    assert "entity light.lamp: another integration has this entity id" in entry.reason
    assert registry.async_get("light.lamp_2") is None


async def test_area_may_name_its_floor(
    hass: HomeAssistant, load_home: LoadHome, write_home: WriteHome
) -> None:
    """A floor that is described nowhere else is made from its name."""
    areas = [{"id": "room_id", "name": "Room", "floor": "First Floor"}]

    assert await load_home(write_home({"areas": areas, **lamp(area="room_id")}))

    area = ar.async_get(hass).async_get_area_by_name("Room")
    assert area is not None
    assert area.floor_id == "first_floor"


def read_data_set_home(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a home's content and all cases beside it."""
    cases = [
        case
        for case_file in sorted(set(path.parent.glob("*.yaml")) - {path})
        for case in yaml.safe_load(case_file.read_text())["tests"]
    ]
    return yaml.safe_load(path.read_text()), cases


@pytest.mark.skipif(not HOMES, reason=NO_DATASET)
@pytest.mark.parametrize("path", HOMES, ids=[path.parent.name for path in HOMES])
async def test_data_set_home_loads_and_takes_its_cases_states(
    hass: HomeAssistant,
    load_home: LoadHome,
    act: Act,
    caplog: pytest.LogCaptureFixture,
    path: Path,
) -> None:
    """Every entity has the file's id, and every case can be set up."""
    content, cases = await hass.async_add_executor_job(read_data_set_home, path)
    wanted = {entity["id"] for entity in content["entities"]}

    assert await load_home(path)

    made = {entry.entity_id for entry in er.async_get(hass).entities.values()}
    assert made == wanted
    states = [hass.states.get(entity_id) for entity_id in wanted]
    assert all(state is not None and state.state != "unavailable" for state in states)
    assert {area.name for area in ar.async_get(hass).async_list_areas()} == {
        area["name"] for area in content["areas"]
    }
    for case in cases:
        for entity_id, setup in case.get("setup", {}).items():
            await act("virtual_home.set_state", entity_id, **setup)
            state = hass.states.get(entity_id)
            assert state is not None
            # Older homes call an idle vacuum cleaner `off`.
            assert state.state in {setup["state"], "idle"}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
