"""The demo's home: its entities, and their actions."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.core import Context
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.setup import async_setup_component

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import Act


def area_of(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return the id of the area of an entity or its device."""
    entry = er.async_get(hass).async_get(entity_id)
    assert entry is not None
    if entry.area_id is not None or entry.device_id is None:
        return entry.area_id
    device = dr.async_get(hass).async_get(entry.device_id)
    assert device is not None
    return device.area_id


async def test_has_rooms_floors_and_entities(demo: HomeAssistant) -> None:
    """All of the home is in the registries and has a state."""
    entries = [
        entry for entry in er.async_get(demo).entities.values() if entry.platform == "virtual_home"
    ]

    assert len(entries) >= 28
    assert all(entry.entity_id == entry.unique_id for entry in entries)
    areas = {area_of(demo, entry.entity_id) for entry in entries}
    assert areas == {"kitchen", "living_room", "bedroom", "bathroom", "garage", "garden"}
    floors = {floor.name: floor.floor_id for floor in fr.async_get(demo).async_list_floors()}
    assert set(floors) == {"Ground Floor", "Upper Floor"}
    bedroom = ar.async_get(demo).async_get_area("bedroom")
    assert bedroom is not None
    assert bedroom.floor_id == floors["Upper Floor"]
    without = [entry for entry in entries if demo.states.get(entry.entity_id) is None]
    assert without == []


async def test_kitchen_light_has_its_name_and_is_off(demo: HomeAssistant) -> None:
    """The demo's first sentence is about this light."""
    state = demo.states.get("light.kitchen_light")

    assert state is not None
    assert state.state == "off"
    assert state.name == "Kitchen Light"
    assert area_of(demo, "light.kitchen_light") == "kitchen"


async def test_exposes_all_but_the_satellites(demo: HomeAssistant) -> None:
    """Assist sees every entity that the file does not hide, and the script."""
    entity_ids = {
        entry.entity_id
        for entry in er.async_get(demo).entities.values()
        if entry.platform in {"virtual_home", "script"}
    }
    hidden = {
        entity_id
        for entity_id in entity_ids
        if not async_should_expose(demo, "conversation", entity_id)
    }

    assert hidden == {"assist_satellite.kitchen", "assist_satellite.living_room"}
    assert "script.good_night" in entity_ids


async def test_satellites_are_in_two_rooms(demo: HomeAssistant) -> None:
    """The device of a satellite puts a sentence in a room."""
    assert area_of(demo, "assist_satellite.kitchen") == "kitchen"
    assert area_of(demo, "assist_satellite.living_room") == "living_room"
    state = demo.states.get("assist_satellite.kitchen")
    assert state is not None
    assert state.state == "idle"


async def test_sentence_at_a_satellite_is_about_its_room(demo: HomeAssistant) -> None:
    """Home Assistant's own agent switches the light of the room that the satellite is in."""
    assert await async_setup_component(demo, "conversation", {})
    satellite = er.async_get(demo).async_get("assist_satellite.kitchen")
    assert satellite is not None

    await conversation.async_converse(
        demo, "turn on the lights", None, Context(), language="en", device_id=satellite.device_id
    )
    await demo.async_block_till_done()

    assert demo.states.is_state("light.kitchen_light", "on")
    assert demo.states.is_state("light.bathroom_light", "off")


@pytest.mark.parametrize(
    ("action", "entity_id", "data", "state", "attributes"),
    [
        ("light.turn_on", "light.kitchen_light", {}, "on", {"brightness": 200}),
        ("light.turn_on", "light.kitchen_light", {"brightness_pct": 20}, "on", {"brightness": 51}),
        (
            "light.turn_on",
            "light.floor_lamp",
            {"hs_color": [120, 100]},
            "on",
            {"hs_color": (120, 100), "color_mode": "hs"},
        ),
        (
            "light.turn_on",
            "light.floor_lamp",
            {"color_temp_kelvin": 4000},
            "on",
            {"color_temp_kelvin": 4000, "color_mode": "color_temp"},
        ),
        (
            "light.turn_on",
            "light.tv_light",
            {"color_name": "blue"},
            "on",
            {"rgb_color": (0, 0, 255)},
        ),
        ("light.turn_off", "light.floor_lamp", {}, "off", {"brightness": None}),
        ("light.turn_on", "light.bathroom_light", {}, "on", {"color_mode": "onoff"}),
        ("switch.turn_on", "switch.coffee_maker", {}, "on", {}),
        ("switch.toggle", "switch.towel_warmer", {}, "on", {}),
        ("cover.open_cover", "cover.garage_door", {}, "open", {"device_class": "garage"}),
        ("cover.open_cover", "cover.bedroom_blind", {}, "open", {"current_position": 100}),
        (
            "cover.set_cover_position",
            "cover.living_room_curtain",
            {"position": 30},
            "open",
            {"current_position": 30},
        ),
        (
            "cover.close_cover",
            "cover.living_room_curtain",
            {},
            "closed",
            {"current_position": 0},
        ),
        ("lock.unlock", "lock.side_door", {}, "unlocked", {}),
        (
            "climate.set_temperature",
            "climate.thermostat",
            {"temperature": 19},
            "heat",
            {"temperature": 19, "hvac_action": "idle"},
        ),
        (
            "climate.set_hvac_mode",
            "climate.thermostat",
            {"hvac_mode": "off"},
            "off",
            {"hvac_action": "off"},
        ),
        (
            "climate.set_preset_mode",
            "climate.thermostat",
            {"preset_mode": "away"},
            "heat",
            {"preset_mode": "away", "hvac_action": "heating"},
        ),
        ("fan.turn_on", "fan.bedroom_fan", {}, "on", {"percentage": 100}),
        ("fan.set_percentage", "fan.bedroom_fan", {"percentage": 25}, "on", {"percentage": 25}),
        ("fan.oscillate", "fan.bedroom_fan", {"oscillating": True}, "off", {"oscillating": True}),
        ("media_player.turn_on", "media_player.television", {}, "idle", {"source": "TV"}),
        ("media_player.media_play", "media_player.television", {}, "playing", {}),
        ("vacuum.start", "vacuum.robbie", {}, "cleaning", {}),
        ("vacuum.return_to_base", "vacuum.robbie", {}, "returning", {}),
        ("vacuum.set_fan_speed", "vacuum.robbie", {"fan_speed": "quiet"}, "docked", {}),
        ("valve.open_valve", "valve.irrigation", {}, "open", {"current_position": 100}),
        (
            "valve.set_valve_position",
            "valve.irrigation",
            {"position": 40},
            "open",
            {"current_position": 40},
        ),
    ],
)
async def test_actions_change_the_state(  # noqa: PLR0913, PLR0917 - an action and what it must lead to
    demo: HomeAssistant,
    act: Act,
    action: str,
    entity_id: str,
    data: dict[str, Any],
    state: str,
    attributes: dict[str, Any],
) -> None:
    """Each domain's own actions do what they say."""
    await act(action, entity_id, **data)

    now = demo.states.get(entity_id)
    assert now is not None
    assert now.state == state
    assert {key: now.attributes.get(key) for key in attributes} == attributes


async def test_media_player_volume_and_tracks(demo: HomeAssistant, act: Act) -> None:
    """A player goes through its tracks, and mutes without forgetting its volume."""
    player = "media_player.television"
    await act("media_player.media_play", player)
    await act("media_player.media_next_track", player)
    await act("media_player.media_next_track", player)
    await act("media_player.media_previous_track", player)
    await act("media_player.volume_set", player, volume_level=0.7)
    await act("media_player.volume_mute", player, is_volume_muted=True)
    await act("media_player.select_source", player, source="Films")
    await act("media_player.media_pause", player)

    state = demo.states.get(player)
    assert state is not None
    assert state.state == "paused"
    assert state.attributes["media_track"] == 2
    assert state.attributes["volume_level"] == 0.7
    assert state.attributes["is_volume_muted"] is True
    assert state.attributes["source"] == "Films"


async def test_todo_items_are_kept_changed_and_deleted(demo: HomeAssistant, act: Act) -> None:
    """The shopping list is a real list."""
    shopping = "todo.shopping_list"
    await act("todo.add_item", shopping, item="Coffee", due_date="2026-12-24")
    await act("todo.update_item", shopping, item="Milk", status="completed")
    await act("todo.update_item", shopping, item="Bread", rename="Rye Bread")
    await act("todo.remove_item", shopping, item="Apples")

    answer = await demo.services.async_call(
        "todo",
        "get_items",
        {"entity_id": shopping, "status": ["needs_action", "completed"]},
        blocking=True,
        return_response=True,
    )
    assert answer is not None
    items: Any = answer[shopping]
    assert [(item["summary"], item["status"], item.get("due")) for item in items["items"]] == [
        ("Milk", "completed", None),
        ("Rye Bread", "needs_action", None),
        ("Coffee", "needs_action", "2026-12-24"),
    ]
    state = demo.states.get(shopping)
    assert state is not None
    assert state.state == "2"


async def test_scene_sets_what_it_names(demo: HomeAssistant, act: Act) -> None:
    """A scene calls the actions of its entities."""
    await act("scene.turn_on", "scene.movie_night")

    lamp = demo.states.get("light.floor_lamp")
    assert lamp is not None
    assert lamp.attributes["brightness"] == 40
    assert lamp.attributes["hs_color"] == (30, 80)
    assert demo.states.is_state("light.tv_light", "on")
    assert demo.states.is_state("cover.living_room_curtain", "closed")
    assert demo.states.is_state("media_player.television", "idle")


async def test_script_runs(demo: HomeAssistant, act: Act) -> None:
    """The script is Home Assistant's own and acts on the home."""
    await act("lock.unlock", "lock.side_door")
    await act("cover.open_cover", "cover.garage_door")

    await act("script.good_night")

    assert demo.states.is_state("light.floor_lamp", "off")
    assert demo.states.is_state("cover.garage_door", "closed")
    assert demo.states.is_state("lock.side_door", "locked")


async def test_sensors_have_numbers_and_units(demo: HomeAssistant) -> None:
    """A sensor's state is what the file says, with its unit."""
    state = demo.states.get("sensor.bedroom_temperature")

    assert state is not None
    assert state.state == "18.2"
    assert state.attributes["unit_of_measurement"] == "°C"
    assert state.attributes["device_class"] == "temperature"
