"""Map Home Assistant actions, which models know by heart, to calls of the equivalent tools."""

import re
from typing import TYPE_CHECKING, Any, Final

from .invalid_call import InvalidCallError
from .names import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

ON, OFF, SET_LIGHT = "HassTurnOn", "HassTurnOff", "HassLightSet"
# Without locks and valves: these must not move on a guess.
_TOOLS: Final = {"turn_on": ON, "turn_off": OFF, "open_cover": ON, "close_cover": OFF}
_ALL, _LIGHT = "homeassistant", "light"
_DOMAINS = (
    *(_ALL, _LIGHT, "switch", "fan", "cover", "media_player", "climate", "humidifier", "scene"),
    *("input_boolean", "script", "vacuum", "siren", "remote", "water_heater", "automation"),
)
_ACTION = re.compile(rf"({'|'.join(_DOMAINS)})\.({'|'.join(_TOOLS)})")
# Actions that set a value, each with its tool; both use the same name for the value.
_SETTING: Final = {
    "climate.set_temperature": ("HassClimateSetTemperature", "temperature"),
    "cover.set_cover_position": ("HassSetPosition", "position"),
    "fan.set_percentage": ("HassFanSetSpeed", "percentage"),
    "humidifier.set_humidity": ("HassHumidifierSetpoint", "humidity"),
    "media_player.volume_set": ("HassSetVolume", "volume_level"),
}
_NAMES = (*(f"{domain}.{action}" for domain in _DOMAINS for action in _TOOLS), *_SETTING)
# Keys that hold further arguments.
_WITHIN = ("data", "service_data", "target")
# Target arguments: the action's name to the tool's name.
_TARGETS = {
    **dict.fromkeys(("name", "entity_id", "entity", "target_device", "device"), "name"),
    **dict.fromkeys(("area", "area_id"), "area"),
    **dict.fromkeys(("floor", "floor_id"), "floor"),
}
_OF_LIGHTS = {
    **dict.fromkeys(("brightness_pct", "brightness"), "brightness"),
    **dict.fromkeys(("color_name", "color"), "color"),
    **dict.fromkeys(("color_temp_kelvin", "kelvin"), "temperature"),
}
# Dropped silently.
_IGNORED = ("domain", "transition")
_MAX_BRIGHTNESS = 255


def is_action(name: object) -> bool:
    """Return whether the name is that of an action with an equivalent tool."""
    return isinstance(name, str) and (name in _SETTING or _ACTION.fullmatch(name) is not None)


def may_become_action(text: str) -> bool:
    """Return whether the text is the beginning of the name of such an action."""
    return any(name.startswith(text) for name in _NAMES)


def own_call(name: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the short name and arguments of the tool that does the same as an action, else None.

    Raises InvalidCallError if the target is missing or the tool does not take an argument.
    """
    if not is_action(name):
        return None
    given = _flat(arguments)
    if name in _SETTING:
        tool, slot = _SETTING[name]
        return tool, _known(tool, given, {slot: slot})
    domain, _, action = name.partition(".")
    tool = _TOOLS[action]
    args = _known(tool, given, _OF_LIGHTS if (domain, tool) == (_LIGHT, ON) else {})
    if args.keys() & set(_OF_LIGHTS.values()):
        return SET_LIGHT, args
    return tool, args if domain == _ALL else {**args, "domain": [domain]}


def each_of(name: str, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an action's arguments once for each of its targets: tools take one target."""
    given = _flat(arguments)
    if is_action(name):
        for key in _TARGETS:
            if isinstance(things := given.get(key), list) and len(things) > 1:
                return [{**given, key: one} for one in things]
    return [dict(arguments)]


def _flat(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with nested ones (`data`, `target`) moved to the top level."""
    given = dict(arguments)
    for key in _WITHIN:
        if isinstance(given.get(key), dict):
            given |= given.pop(key)
    return given


def _known(tool: str, given: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a tool. Raises InvalidCallError as `own_call` does.

    values: from the action's argument names to the tool's.
    """
    known = {**_TARGETS, **values}
    args = {known[key]: _value(key, value) for key, value in given.items() if key in known}
    if surplus := [key for key in given if key not in known and key not in _IGNORED]:
        raise InvalidCallError(f"{tool} does not take {listed(surplus)}. Leave it out.")
    if not args.keys() & set(_TARGETS.values()):
        raise InvalidCallError(f"{tool} needs a name or an area.")
    return args


def _value(key: str, value: Any) -> Any:
    """Unpack a list of one target, convert brightness from 0-255 to percent."""
    if key in _TARGETS and isinstance(value, list) and len(value) == 1:
        return value[0]
    if key == "brightness" and isinstance(value, int | float):
        return round(value * 100 / _MAX_BRIGHTNESS)
    return value
