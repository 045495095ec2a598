"""States that are set from outside, restored after a restart, and reset; files that change."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components.homeassistant.exposed_entities import (
    async_expose_entity,
    async_should_expose,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import CoreState, State
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import restore_state
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .conftest import Act, LoadHome, WriteHome

LAMP = {"id": "light.lamp", "name": "Lamp", "attributes": {"brightness": 100}}
ROOM_HOME = {
    "areas": [{"id": "room", "name": "Room"}, {"id": "hall", "name": "Hall"}],
    "devices": [{"id": "lamp", "name": "Lamp", "area": "room"}],
    "entities": [{**LAMP, "device": "lamp"}, {"id": "switch.plug", "name": "Plug", "area": "hall"}],
}


def entry_of(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the one entry of the component."""
    (entry,) = hass.config_entries.async_entries("virtual_home")
    return entry


async def set_state(act: Act, entity_id: str, state: Any = None, **attributes: Any) -> None:
    """Call `virtual_home.set_state`."""
    data = {} if state is None else {"state": state}
    await act("virtual_home.set_state", entity_id, attributes=attributes, **data)


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "expected"),
    [
        ("light.kitchen_light", "on", {"brightness": 7}, {"brightness": 7}),
        ("light.kitchen_light", True, {"brightness": 0}, {"brightness": 0}),
        ("cover.bedroom_blind", "open", {}, {"current_position": 100}),
        ("cover.bedroom_blind", None, {"current_position": 20}, {"current_position": 20}),
        ("valve.irrigation", "open", {}, {"current_position": 100}),
        ("fan.bedroom_fan", "on", {}, {"percentage": 100}),
        (
            "media_player.television",
            "playing",
            {"media_track": 1, "volume_level": 0.9},
            {"media_track": 1, "volume_level": 0.9},
        ),
        ("vacuum.robbie", "off", {}, {}),
        ("lock.side_door", "unlocked", {}, {}),
        ("climate.thermostat", "cool", {"temperature": 17}, {"hvac_action": "cooling"}),
        ("sensor.bedroom_temperature", "21.5", {}, {}),
        ("binary_sensor.garden_motion", "on", {}, {}),
        ("todo.shopping_list", None, {"todo_items": ["One"]}, {}),
    ],
)
async def test_set_state_and_reset(  # noqa: PLR0913, PLR0917 - fixtures and a case
    demo: HomeAssistant,
    act: Act,
    entity_id: str,
    state: Any,
    attributes: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """The state is set, and gone after a reset."""
    before = demo.states.get(entity_id)
    assert before is not None

    await set_state(act, entity_id, state, **attributes)

    now = demo.states.get(entity_id)
    assert now is not None
    assert (now.state, now.attributes) != (before.state, before.attributes)
    assert {key: now.attributes.get(key) for key in expected} == expected

    await act("virtual_home.reset")

    after = demo.states.get(entity_id)
    assert after is not None
    assert (after.state, after.attributes) == (before.state, before.attributes)


async def test_reset_of_one_entity_leaves_the_others(demo: HomeAssistant, act: Act) -> None:
    """A reset may name its entities."""
    await act("switch.turn_on", "switch.coffee_maker")
    await act("switch.turn_on", "switch.towel_warmer")

    await act("virtual_home.reset", "switch.coffee_maker")

    assert demo.states.is_state("switch.coffee_maker", "off")
    assert demo.states.is_state("switch.towel_warmer", "on")


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "message"),
    [
        ("light.kitchen_light", "dim", {}, "state: 'dim' is none of on, off"),
        ("light.kitchen_light", "on", {"brightness": 300}, "brightness: 300 is not between 0 and"),
        ("light.kitchen_light", None, {"speed": 3}, "'speed' is none of its attributes"),
        ("light.kitchen_light", None, {"hs_color": [1, 2]}, "color_mode hs is none of brightness"),
        (
            "light.floor_lamp",
            None,
            {"hs_color": [1, 2], "color_temp_kelvin": 3000},
            "color_temp_kelvin and hs_color exclude each other",
        ),
        (
            "cover.bedroom_blind",
            "closed",
            {"current_position": 5},
            "contradicts current_position 5",
        ),
        ("fan.bedroom_fan", "off", {"percentage": 5}, "contradicts percentage 5"),
        ("scene.movie_night", "on", {}, "'state' is none of its attributes"),
        ("light.unknown", "on", {}, "light.unknown is no entity of a virtual home"),
    ],
)
@pytest.mark.usefixtures("demo")
async def test_set_state_refuses(
    act: Act, entity_id: str, state: Any, attributes: dict[str, Any], message: str
) -> None:
    """The error says why the entity cannot have the state."""
    with pytest.raises(ServiceValidationError, match=message) as caught:
        await set_state(act, entity_id, state, **attributes)
    assert entity_id in str(caught.value)


async def test_states_survive_a_reload(demo: HomeAssistant, act: Act) -> None:
    """A switched state is kept when the entities are made again."""
    await act("light.turn_on", "light.floor_lamp", brightness=9, hs_color=[10, 20])
    await act("media_player.media_play", "media_player.television")
    await act("todo.add_item", "todo.shopping_list", item="Coffee", due_date="2026-12-24")
    await act("lock.unlock", "lock.side_door")
    await act("climate.set_temperature", "climate.thermostat", temperature=23.5)

    assert await demo.config_entries.async_reload(entry_of(demo).entry_id)
    await demo.async_block_till_done()

    lamp = demo.states.get("light.floor_lamp")
    assert lamp is not None
    assert (lamp.state, lamp.attributes["brightness"]) == ("on", 9)
    assert lamp.attributes["hs_color"] == (10, 20)
    assert demo.states.is_state("media_player.television", "playing")
    assert demo.states.is_state("todo.shopping_list", "3")
    assert demo.states.is_state("lock.side_door", "unlocked")
    thermostat = demo.states.get("climate.thermostat")
    assert thermostat is not None
    assert thermostat.attributes["temperature"] == 23.5


def kept(initial: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return what Home Assistant has on disk after a light was switched on."""
    state = State("light.lamp", "on").as_dict()
    extra = {"initial": initial, "values": values}
    stored = {"state": state, "extra_data": extra, "last_seen": dt_util.utcnow().isoformat()}
    return {"version": restore_state.STORAGE_VERSION, "data": [stored]}


INITIAL = {"brightness": 100, "color_mode": "brightness", "state": "off"}


@pytest.mark.parametrize(
    ("initial", "values", "expected"),
    [
        pytest.param(INITIAL, {**INITIAL, "state": "on"}, "on", id="kept"),
        pytest.param({**INITIAL, "brightness": 5}, {**INITIAL, "state": "on"}, "off", id="edited"),
        pytest.param(INITIAL, {"state": "glowing"}, "off", id="unreadable"),
    ],
)
async def test_state_after_a_restart(  # noqa: PLR0913, PLR0917 - fixtures and a case
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    load_home: LoadHome,
    write_home: WriteHome,
    initial: dict[str, Any],
    values: dict[str, Any],
    expected: str,
) -> None:
    """A stored state counts unless the file has changed since."""
    hass.set_state(CoreState.not_running)
    hass_storage[restore_state.STORAGE_KEY] = kept(initial, values)
    await restore_state.async_load(hass)

    assert await load_home(write_home({"entities": [LAMP]}))

    assert hass.states.is_state("light.lamp", expected)


async def test_second_start_makes_no_second_entry(
    hass: HomeAssistant, load_home: LoadHome, write_home: WriteHome
) -> None:
    """Importing the same file again changes nothing."""
    path = write_home(ROOM_HOME)
    assert await load_home(path)
    first = entry_of(hass).entry_id

    result = await hass.config_entries.flow.async_init(
        "virtual_home", context={"source": "import"}, data={"path": str(path)}
    )

    assert result["reason"] == "already_configured"
    assert entry_of(hass).entry_id == first


async def test_user_cannot_add_a_home(hass: HomeAssistant) -> None:
    """The user interface says that YAML is needed."""
    result = await hass.config_entries.flow.async_init("virtual_home", context={"source": "user"})
    assert result["reason"] == "yaml_only"


async def test_edited_file_takes_effect(
    hass: HomeAssistant, load_home: LoadHome, write_home: WriteHome
) -> None:
    """Removed entities and devices leave the registries; others move."""
    assert await load_home(write_home(ROOM_HOME))
    edited = {
        **ROOM_HOME,
        "devices": [],
        "entities": [
            {"id": "switch.plug", "name": "Plug", "area": "room", "expose": False},
            {"id": "switch.new", "name": "New", "aliases": ["Newcomer"]},
        ],
    }
    write_home(edited)

    assert await hass.config_entries.async_reload(entry_of(hass).entry_id)
    await hass.async_block_till_done()

    registry = er.async_get(hass)
    assert registry.async_get("light.lamp") is None
    entry_id = entry_of(hass).entry_id
    assert dr.async_entries_for_config_entry(dr.async_get(hass), entry_id) == []
    plug = registry.async_get("switch.plug")
    assert plug is not None
    assert plug.area_id == "room"
    assert not async_should_expose(hass, "conversation", "switch.plug")
    new = registry.async_get("switch.new")
    assert new is not None
    assert er.async_get_entity_aliases(hass, new) == ["New", "Newcomer"]


async def test_what_the_user_changed_stays(
    hass: HomeAssistant, load_home: LoadHome, write_home: WriteHome
) -> None:
    """A later start keeps the user's changes in the registries."""
    assert await load_home(write_home(ROOM_HOME))
    registry = er.async_get(hass)
    async_expose_entity(hass, "conversation", "switch.plug", should_expose=False)
    registry.async_update_entity("switch.plug", area_id="room", name="Mine")
    lamp = registry.async_get("light.lamp")
    assert lamp is not None
    assert lamp.device_id is not None
    dr.async_get(hass).async_update_device(lamp.device_id, area_id="hall")

    assert await hass.config_entries.async_reload(entry_of(hass).entry_id)
    await hass.async_block_till_done()

    assert not async_should_expose(hass, "conversation", "switch.plug")
    plug = registry.async_get("switch.plug")
    assert plug is not None
    assert (plug.area_id, plug.name) == ("room", "Mine")
    device = dr.async_get(hass).async_get(lamp.device_id)
    assert device is not None
    assert device.area_id == "hall"


async def test_other_file_replaces_the_home(
    hass: HomeAssistant, load_home: LoadHome, write_home: WriteHome
) -> None:
    """With another file in the configuration, a restart removes the old home."""
    path = write_home(ROOM_HOME)
    assert await load_home(path)
    hass.config.components.remove("virtual_home")
    other = path.with_name("other.yaml")
    other.write_text(path.read_text().replace("light.lamp", "light.other"))

    await async_setup_component(hass, "virtual_home", {"virtual_home": {"home": str(other)}})
    await hass.async_block_till_done()

    assert entry_of(hass).state is ConfigEntryState.LOADED
    assert hass.states.get("light.lamp") is None
    assert hass.states.is_state("light.other", "off")
    assert ar.async_get(hass).async_get_area_by_name("Room") is not None
