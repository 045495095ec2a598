"""Home Assistant's actions in calls become its tools."""

from typing import Any

import pytest

from custom_components.llamacpp.tool_calls.actions import (
    each_of,
    is_action,
    may_become_action,
    own_call,
)
from custom_components.llamacpp.tool_calls.invalid_call import InvalidCallError

LAMP = {"name": "light.lamp_1"}
LIGHTS = {"domain": ["light"]}


@pytest.mark.parametrize(
    ("name", "arguments", "tool", "expected"),
    [
        ("light.turn_on", {"entity_id": "light.lamp_1"}, "HassTurnOn", LAMP | LIGHTS),
        ("light.turn_off", {"target_device": "light.lamp_1"}, "HassTurnOff", LAMP | LIGHTS),
        (
            "light.turn_on",
            {"entity_id": "light.lamp_1", "brightness_pct": 40},
            "HassLightSet",
            LAMP | {"brightness": 40},
        ),
        (
            "light.turn_on",
            {"target": {"entity_id": ["light.lamp_1"]}, "data": {"brightness": 128}},
            "HassLightSet",
            LAMP | {"brightness": 50},
        ),
        (
            "light.turn_on",
            {"area_id": "kitchen", "color_name": "red", "kelvin": 2700, "transition": 2},
            "HassLightSet",
            {"area": "kitchen", "color": "red", "temperature": 2700},
        ),
        ("homeassistant.turn_off", {"entity_id": "light.lamp_1"}, "HassTurnOff", LAMP),
        ("switch.turn_on", {"name": "Fan"}, "HassTurnOn", {"name": "Fan", "domain": ["switch"]}),
        ("cover.open_cover", {"name": "Den"}, "HassTurnOn", {"name": "Den", "domain": ["cover"]}),
        ("cover.close_cover", {"name": "Den"}, "HassTurnOff", {"name": "Den", "domain": ["cover"]}),
        (
            "climate.set_temperature",
            {"target": {"entity_id": "climate.a"}, "data": {"temperature": 21}},
            "HassClimateSetTemperature",
            {"name": "climate.a", "temperature": 21},
        ),
        (
            "cover.set_cover_position",
            {"entity_id": "cover.a", "position": 40},
            "HassSetPosition",
            {"name": "cover.a", "position": 40},
        ),
        (
            "fan.set_percentage",
            {"area_id": "den", "percentage": 50},
            "HassFanSetSpeed",
            {"area": "den", "percentage": 50},
        ),
        (
            "media_player.volume_set",
            {"entity_id": ["media_player.a"], "volume_level": 0.3},
            "HassSetVolume",
            {"name": "media_player.a", "volume_level": 0.3},
        ),
    ],
)
def test_calls(name: str, arguments: dict[str, Any], tool: str, expected: dict[str, Any]) -> None:
    """The tool does the same to the same entities."""
    assert own_call(name, arguments) == (tool, expected)


@pytest.mark.parametrize(
    "name", ["lock.unlock", "lock.turn_on", "valve.open_valve", "light.shine", "fly", "turn_on"]
)
def test_others(name: str) -> None:
    """Locks, valves and unknown actions have no tool."""
    assert own_call(name, {"name": "Front Door"}) is None
    assert not is_action(name)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"brightness_pct": 40},
        {"entity_id": "light.lamp_1", "rgb_color": [1, 2, 3]},
        {"entity_id": "light.lamp_1", "effect": "rainbow"},
    ],
)
def test_what_a_tool_cannot_do(arguments: dict[str, Any]) -> None:
    """The model gets an error rather than half an action."""
    with pytest.raises(InvalidCallError):
        own_call("light.turn_on", arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("climate.set_temperature", {"entity_id": "climate.a", "hvac_mode": "heat"}),
        ("climate.set_temperature", {"temperature": 21}),
        ("cover.set_cover_position", {"entity_id": "cover.a", "tilt_position": 3}),
    ],
)
def test_what_a_tool_for_a_value_cannot_do(name: str, arguments: dict[str, Any]) -> None:
    """A value needs a target, and nothing else."""
    with pytest.raises(InvalidCallError):
        own_call(name, arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "names"),
    [
        ("light.turn_on", {"entity_id": ["light.a", "light.b"]}, ["light.a", "light.b"]),
        (
            "light.turn_on",
            {"target": {"entity_id": ["light.a", "light.b"]}},
            ["light.a", "light.b"],
        ),
        ("light.turn_on", {"entity_id": ["light.a"]}, [["light.a"]]),
        ("light.turn_on", {"entity_id": "light.a"}, ["light.a"]),
        ("script.dance", {"entity_id": ["light.a", "light.b"]}, [["light.a", "light.b"]]),
    ],
)
def test_several_things(name: str, arguments: dict[str, Any], names: list[Any]) -> None:
    """A tool takes one target, so there is a call for each."""
    assert [one["entity_id"] for one in each_of(name, arguments)] == names


def test_names_so_far() -> None:
    """A name is recognised by its beginning."""
    assert all(may_become_action("light.turn_off"[:length]) for length in range(1, 15))
    assert not may_become_action("light.turn_over")
    assert not is_action(None)
