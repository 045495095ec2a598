"""Completes a change: a closed cover is at position 0, a red light is in a colour mode.

Each function takes the changed values, the entity's settings and its values before, and returns the
changes with all consequences. It raises ValueError for a contradiction.
"""

from typing import TYPE_CHECKING, Any

from homeassistant.components.cover import CoverEntityFeature
from homeassistant.components.light.const import ColorMode
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.components.sensor.const import NON_NUMERIC_DEVICE_CLASSES

from .checks import ANY_NUMBER, moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

FULL = 100
COLOR_KEYS = {
    "color_temp_kelvin": ColorMode.COLOR_TEMP,
    "hs_color": ColorMode.HS,
    "rgb_color": ColorMode.RGB,
    "rgbw_color": ColorMode.RGBW,
    "rgbww_color": ColorMode.RGBWW,
    "xy_color": ColorMode.XY,
}

type States = Mapping[str, Any]


def nothing(changes: States, settings: States, current: States) -> dict[str, Any]:  # noqa: ARG001 - one signature for all
    """Return the changes alone."""
    return dict(changes)


def light(changes: States, settings: States, current: States) -> dict[str, Any]:
    """Keep one colour, and the colour mode that belongs to it."""
    result = dict(changes)
    modes = settings["supported_color_modes"]
    given = [key for key in COLOR_KEYS if changes.get(key) is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other")
    for key in given:
        result = dict.fromkeys(COLOR_KEYS) | {"color_mode": COLOR_KEYS[key]} | result
    mode = result.get("color_mode")
    if mode is not None and mode not in modes:
        raise ValueError(f"color_mode {mode} is none of {', '.join(sorted(modes))}")
    if mode is None and current.get("color_mode") is None:
        result["color_mode"] = ColorMode.COLOR_TEMP if "color_temp" in modes else min(modes)
    return result


def position(changes: States, settings: States, current: States) -> dict[str, Any]:
    """Bring the state and the position of a cover or valve into line."""
    result = dict(changes)
    where = changes.get("current_position")
    state = changes.get("state")
    if where is not None:
        follows = "open" if where > 0 else "closed"
        if state not in (None, follows):
            raise ValueError(f"state {state} contradicts current_position {where}")
        result["state"] = follows
    elif state is not None and (
        # SET_POSITION has the same number for covers and valves.
        settings["supported_features"] & CoverEntityFeature.SET_POSITION
        or settings.get("reports_position")
        or current.get("current_position") is not None
    ):
        result["current_position"] = FULL if state == "open" else 0
    return result


def fan(changes: States, settings: States, current: States) -> dict[str, Any]:  # noqa: ARG001 - as in nothing()
    """Bring the state and the speed of a fan into line."""
    result = dict(changes)
    speed = changes.get("percentage")
    state = changes.get("state")
    if state is None and speed is not None:
        result["state"] = "on" if speed > 0 else "off"
    elif state == "off":
        if speed:
            raise ValueError(f"state off contradicts percentage {speed}")
        result["percentage"] = 0
    elif state == "on" and not speed:
        if speed == 0:
            raise ValueError("state on contradicts percentage 0")
        result["percentage"] = current.get("percentage") or FULL
    return result


def media_player(changes: States, settings: States, current: States) -> dict[str, Any]:  # noqa: ARG001 - as in nothing()
    """Give a player a volume: without one "louder" means nothing."""
    defaults = {"volume_level": 0.5, "is_volume_muted": False}
    return {key: value for key, value in defaults.items() if key not in current} | dict(changes)


def climate(changes: States, settings: States, current: States) -> dict[str, Any]:  # noqa: ARG001 - as in nothing()
    """Reset the action of a thermostat, so that it follows from its values."""
    return {"hvac_action": None, **changes}


def sensor(changes: States, settings: States, current: States) -> dict[str, Any]:  # noqa: ARG001 - as in nothing()
    """Check that the state fits the device class."""
    try:
        sensor_value(changes.get("state"), settings)
    except ValueError as err:
        raise ValueError(f"state: {err}") from None
    return dict(changes)


def sensor_value(state: str | None, settings: States) -> str | float | date | None:
    """Return a sensor's state in the type of its entity. Raises ValueError."""
    device_class = settings.get("device_class")
    if state is None:
        return None
    if device_class in {SensorDeviceClass.TIMESTAMP, SensorDeviceClass.DATE}:
        return moment(state)
    if device_class is None:
        is_number = "state_class" in settings or "native_unit_of_measurement" in settings
    else:
        is_number = device_class not in NON_NUMERIC_DEVICE_CLASSES
    if not is_number:
        return state
    value: float = ANY_NUMBER(state)
    return int(value) if value.is_integer() else value


def todo(changes: States, settings: States, current: States) -> dict[str, Any]:  # noqa: ARG001 - as in nothing()
    """Give each item an id."""
    if "todo_items" not in changes and "todo_items" in current:
        return dict(changes)
    items = changes.get("todo_items") or []
    return {
        **changes,
        # The ids must be the same at the next start.
        "todo_items": [
            {"uid": f"item-{index}", "status": "needs_action"} | item
            for index, item in enumerate(items, start=1)
        ],
    }
