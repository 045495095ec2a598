"""The home of the benchmark `day`, and satellites with timers."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.components.intent import async_device_supports_timers
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import intent
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict

from benchmarks.lib.day.script import DAY, EXPOSE, NEW_AREA, RENAME, DayAction, Where

from .conftest import HOMES

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import LoadHome, WriteHome


@pytest.fixture
async def home(hass: HomeAssistant, load_home: LoadHome) -> er.EntityRegistry:
    """Return the entities of the benchmark's home."""
    scripts = await hass.async_add_executor_job(load_yaml_dict, str(HOMES / "day_scripts.yaml"))
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "script", {"script": scripts})
    assert await load_home(HOMES / "day.yaml")
    return er.async_get(hass)


async def test_assist_sees_60_entities(hass: HomeAssistant, home: er.EntityRegistry) -> None:
    """The day's home is as large as it says."""
    ours = [one for one in home.entities.values() if one.platform in {"virtual_home", "script"}]
    exposed = [one for one in ours if async_should_expose(hass, "conversation", one.entity_id)]
    assert len(exposed) == 60


async def test_three_satellites_one_with_timers(
    hass: HomeAssistant, home: er.EntityRegistry
) -> None:
    """Each of the day's satellites is in its own area."""
    timers = {}
    for entry in home.entities.values():
        if entry.domain == "assist_satellite":
            assert entry.device_id is not None
            timers[entry.original_name] = async_device_supports_timers(hass, entry.device_id)
    assert timers == {where: where is Where.KITCHEN for where in Where if where}


async def test_what_the_day_changes_is_there(hass: HomeAssistant, home: er.EntityRegistry) -> None:
    """Every entity that the day switches, renames or exposes exists."""
    names = {call.data["entity_id"] for call in DAY if isinstance(call, DayAction)}
    names.add(RENAME.commands[0][1]["entity_id"])
    names.update(EXPOSE.commands[0][1]["entity_ids"])
    assert {name for name in names if home.async_get(name) is None} == set()
    assert not async_should_expose(hass, "conversation", "light.christmas_tree")
    lamp = home.async_get("light.desk_lamp")
    assert lamp is not None
    assert lamp.original_name == NEW_AREA.device


async def test_a_timer_at_a_satellite(
    hass: HomeAssistant, load_home: LoadHome, write_home: WriteHome
) -> None:
    """A satellite with timers takes one and shows it; another takes none."""
    devices = [{"id": "one", "name": "One"}, {"id": "two", "name": "Two"}]
    entities = [
        {
            "id": "assist_satellite.one",
            "name": "One",
            "device": "one",
            "attributes": {"timers": True},
        },
        {"id": "assist_satellite.two", "name": "Two", "device": "two"},
    ]
    assert await load_home(write_home({"devices": devices, "entities": entities}))
    registry = er.async_get(hass)
    one, two = (registry.async_get(f"assist_satellite.{name}") for name in ("one", "two"))
    assert one is not None
    assert two is not None

    minutes = {"minutes": {"value": 5}}
    await intent.async_handle(
        hass, "test", intent.INTENT_START_TIMER, minutes, device_id=one.device_id
    )
    state = hass.states.get("assist_satellite.one")
    assert state is not None
    assert state.attributes["last_timer_event"] == "started"
    with pytest.raises(intent.IntentHandleError):
        await intent.async_handle(
            hass, "test", intent.INTENT_START_TIMER, minutes, device_id=two.device_id
        )
    await intent.async_handle(
        hass, "test", intent.INTENT_CANCEL_ALL_TIMERS, device_id=one.device_id
    )
