"""The attributes that a home's file can have for the entities of each domain."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.alarm_control_panel.const import (
    AlarmControlPanelEntityFeature,
    AlarmControlPanelState,
    CodeFormat,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.button.const import ButtonDeviceClass
from homeassistant.components.calendar.const import CalendarEntityFeature
from homeassistant.components.climate.const import ClimateEntityFeature, HVACAction, HVACMode
from homeassistant.components.cover import CoverDeviceClass, CoverEntityFeature
from homeassistant.components.fan.const import FanEntityFeature
from homeassistant.components.light.const import ColorMode, LightEntityFeature
from homeassistant.components.lock.const import LockEntityFeature
from homeassistant.components.media_player.const import (
    MediaPlayerDeviceClass,
    MediaPlayerEntityFeature,
    RepeatMode,
)
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.siren.const import SirenEntityFeature
from homeassistant.components.switch.const import SwitchDeviceClass
from homeassistant.components.todo.const import TodoItemStatus, TodoListEntityFeature
from homeassistant.components.vacuum.const import VacuumEntityFeature
from homeassistant.components.valve.const import ValveDeviceClass, ValveEntityFeature
from homeassistant.const import UnitOfPressure, UnitOfSpeed, UnitOfTemperature
from homeassistant.core import valid_entity_id

from . import checks, complete, prepare
from .checks import (
    ANY_NUMBER,
    POSITION,
    RGB,
    boolean,
    choice,
    flags,
    member,
    members,
    number,
    numbers,
    one_of,
    text,
    texts,
    whole,
)
from .domain import Domain

if TYPE_CHECKING:
    from collections.abc import Mapping


def _todo_items(value: Any) -> list[dict[str, str | None]]:
    """Accept items as mappings or as plain texts."""
    status = member(TodoItemStatus)
    keys = {"summary", "uid", "status", "due", "description", "completed"}
    items = []
    for part in checks.as_list(value):
        item = part if isinstance(part, dict) else {"summary": text(part)}
        if not item.get("summary") or not keys.issuperset(item):
            raise ValueError(f"{part!r} is no item")
        if item.get("due") is not None:
            checks.moment(item["due"])
        if "status" in item:
            item = item | {"status": status(item["status"])}
        items.append({key: None if one is None else str(one) for key, one in item.items()})
    return items


def _scene_entities(value: Any) -> dict[str, dict[str, Any]]:
    """Accept the states of a scene: by entity id, a state or a mapping with `state`."""
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not a mapping")  # noqa: TRY004 - as in the checks
    words = {True: "on", False: "off"}
    targets = {}
    for entity_id, given in value.items():
        target = dict(given) if isinstance(given, dict) else {"state": given}
        state = target.get("state")
        if not isinstance(entity_id, str) or not valid_entity_id(entity_id) or state is None:
            raise ValueError(f"{entity_id!r}: {given!r} is not an entity with a state")
        target["state"] = words[state] if isinstance(state, bool) else text(state)
        targets[entity_id] = target
    return targets


def _events(value: Any) -> list[dict[str, str]]:
    """Accept events: `summary`, `start` and `end`, each a date or a date with a time."""
    names = {"dtstart": "start", "dtend": "end"}
    keys = {"summary", "description", "location", "start", "end"}
    events = []
    for part in checks.as_list(value):
        if not isinstance(part, dict):
            raise ValueError(f"{part!r} is no event")  # noqa: TRY004 - as in the checks
        event = {str(names.get(key, key)): str(one) for key, one in part.items() if one is not None}
        if not {"summary", "start", "end"} <= event.keys() <= keys:
            raise ValueError(f"{part!r} is no event")
        checks.moment(event["start"])
        checks.moment(event["end"])
        events.append(event)
    return events


# Kinds of weather in the public homes, in degrees Fahrenheit and miles per hour.
WEATHERS: Mapping[str, tuple[str, int, int, int]] = {
    "fair": ("sunny", 72, 60, 5),
    "cloudy": ("cloudy", 60, 70, 10),
    "rainy": ("rainy", 50, 80, 15),
    "snowy": ("snowy", 32, 90, 20),
    "windy": ("windy", 65, 50, 30),
    "hot": ("sunny", 90, 40, 10),
    "cold": ("partlycloudy", 20, 60, 5),
}
FORECAST_KEYS = ("condition", "temperature", "humidity", "wind_speed")


def _forecast(value: Any) -> list[dict[str, Any]]:
    """Accept forecasts as mappings, or the name of a kind of weather."""
    found: list[dict[str, Any]] = []
    for part in checks.as_list(value):
        if isinstance(part, dict):
            given = {str(key).removeprefix("native_"): one for key, one in part.items()}
            if not given.keys() <= {*FORECAST_KEYS, "templow"}:
                raise ValueError(f"{part!r} is no forecast")
            found.append(given)
        elif part in WEATHERS:
            found.append(dict(zip(FORECAST_KEYS, WEATHERS[part], strict=True)))
        else:
            raise ValueError(f"{part!r} is no forecast, and none of {', '.join(WEATHERS)}")
    return found


ON_OFF = choice("on", "off", synonyms={True: "on", False: "off"})
OPEN_CLOSED = choice("open", "closed", synonyms={True: "open", False: "closed"})
KELVIN = whole(1000, 20000)

DOMAINS: Mapping[str, Domain] = {
    "alarm_control_panel": Domain(
        state=choice(*(one.value for one in AlarmControlPanelState)),
        default="disarmed",
        settings={
            "supported_features": flags(AlarmControlPanelEntityFeature),
            "code_format": member(CodeFormat),
        },
    ),
    "assist_satellite": Domain(settings={"timers": boolean}),
    "binary_sensor": Domain(
        state=ON_OFF,
        default="off",
        settings={"device_class": member(BinarySensorDeviceClass)},
    ),
    # Its state is the time of the last press.
    "button": Domain(settings={"device_class": member(ButtonDeviceClass)}),
    # Its state follows from its events.
    "calendar": Domain(
        settings={"supported_features": flags(CalendarEntityFeature)},
        values={"events": _events},
        prepare=prepare.calendar,
    ),
    "climate": Domain(
        state=member(HVACMode),
        default=HVACMode.OFF,
        settings={
            "supported_features": flags(ClimateEntityFeature),
            "hvac_modes": members(HVACMode),
            "fan_modes": texts,
            "preset_modes": texts,
            "swing_modes": texts,
            "min_temp": ANY_NUMBER,
            "max_temp": ANY_NUMBER,
            "target_temp_step": ANY_NUMBER,
            "temperature_unit": member(UnitOfTemperature),
        },
        values={
            "temperature": ANY_NUMBER,
            "target_temp_high": ANY_NUMBER,
            "target_temp_low": ANY_NUMBER,
            "current_temperature": ANY_NUMBER,
            "current_humidity": ANY_NUMBER,
            "fan_mode": text,
            "preset_mode": text,
            "swing_mode": text,
            "hvac_action": member(HVACAction),
        },
        synonyms={
            "hvac_mode": "state",
            "target_temperature": "temperature",
            "unit_of_measurement": "temperature_unit",
        },
        prepare=prepare.climate,
        complete=complete.climate,
    ),
    "cover": Domain(
        state=OPEN_CLOSED,
        default="closed",
        settings={
            "device_class": member(CoverDeviceClass),
            "supported_features": flags(CoverEntityFeature),
        },
        values={"current_position": POSITION},
        prepare=prepare.cover,
        complete=complete.position,
    ),
    "device_tracker": Domain(
        state=text,
        default="home",
        values={
            "latitude": number(-90, 90),
            "longitude": number(-180, 180),
            "location_accuracy": whole(0, 1_000_000),
        },
        synonyms={"location_name": "state"},
    ),
    "fan": Domain(
        state=ON_OFF,
        default="off",
        settings={"supported_features": flags(FanEntityFeature), "preset_modes": texts},
        values={
            "percentage": POSITION,
            "oscillating": boolean,
            "direction": choice("forward", "reverse"),
            "preset_mode": text,
        },
        prepare=prepare.fan,
        complete=complete.fan,
    ),
    "light": Domain(
        state=ON_OFF,
        default="off",
        settings={
            "supported_color_modes": members(ColorMode),
            "supported_features": flags(LightEntityFeature),
            "min_color_temp_kelvin": KELVIN,
            "max_color_temp_kelvin": KELVIN,
            "effect_list": texts,
        },
        values={
            "brightness": whole(0, 255),
            "color_mode": one_of(member(ColorMode)),
            "color_temp_kelvin": KELVIN,
            "effect": text,
            "hs_color": numbers(number(0, 360), number(0, 100)),
            "rgb_color": numbers(*[RGB] * 3),
            "rgbw_color": numbers(*[RGB] * 4),
            "rgbww_color": numbers(*[RGB] * 5),
            "xy_color": numbers(*[number(0, 1)] * 2),
        },
        prepare=prepare.light,
        complete=complete.light,
    ),
    "lock": Domain(
        state=choice(
            "locked", "unlocked", "open", "jammed", synonyms={True: "locked", False: "unlocked"}
        ),
        default="locked",
        settings={"supported_features": flags(LockEntityFeature)},
    ),
    "media_player": Domain(
        state=choice("off", "on", "idle", "playing", "paused", synonyms={True: "on", False: "off"}),
        default="off",
        settings={
            "device_class": member(MediaPlayerDeviceClass),
            "supported_features": flags(MediaPlayerEntityFeature),
            "source_list": texts,
        },
        values={
            "volume_level": number(0, 1),
            "is_volume_muted": boolean,
            "media_track": whole(0, 10_000),
            "media_title": text,
            "media_artist": text,
            "media_album_name": text,
            "media_content_id": text,
            "media_content_type": text,
            "source": text,
            "shuffle": boolean,
            "repeat": member(RepeatMode),
        },
        prepare=prepare.media_player,
        complete=complete.media_player,
    ),
    "notify": Domain(),
    "scene": Domain(settings={"entities": _scene_entities}),
    "select": Domain(state=text, settings={"options": texts}),
    "sensor": Domain(
        state=text,
        settings={
            "device_class": member(SensorDeviceClass),
            "state_class": member(SensorStateClass),
            "native_unit_of_measurement": text,
            "suggested_display_precision": whole(0, 10),
            "options": texts,
        },
        synonyms={
            "native_value": "state",
            "unit_of_measurement": "native_unit_of_measurement",
        },
        complete=complete.sensor,
    ),
    "siren": Domain(
        state=ON_OFF,
        default="off",
        settings={"supported_features": flags(SirenEntityFeature)},
        prepare=prepare.siren,
    ),
    "switch": Domain(
        state=ON_OFF, default="off", settings={"device_class": member(SwitchDeviceClass)}
    ),
    "todo": Domain(
        settings={"supported_features": flags(TodoListEntityFeature)},
        values={"todo_items": _todo_items},
        prepare=prepare.todo,
        complete=complete.todo,
    ),
    "vacuum": Domain(
        # Older homes write `off` for idle.
        state=choice(
            *("cleaning", "docked", "paused", "idle", "returning", "error"),
            synonyms={"off": "idle", False: "idle", "on": "cleaning", True: "cleaning"},
        ),
        default="docked",
        settings={"supported_features": flags(VacuumEntityFeature), "fan_speed_list": texts},
        values={"fan_speed": text},
        prepare=prepare.vacuum,
    ),
    "valve": Domain(
        state=OPEN_CLOSED,
        default="closed",
        settings={
            "device_class": member(ValveDeviceClass),
            "supported_features": flags(ValveEntityFeature),
            "reports_position": boolean,
        },
        values={"current_position": POSITION},
        prepare=prepare.valve,
        complete=complete.position,
    ),
    "weather": Domain(
        state=text,
        settings={
            "temperature_unit": member(UnitOfTemperature),
            "wind_speed_unit": member(UnitOfSpeed),
            "pressure_unit": member(UnitOfPressure),
        },
        values={
            "temperature": ANY_NUMBER,
            "humidity": number(0, 100),
            "pressure": ANY_NUMBER,
            "wind_speed": number(0, 1000),
            "wind_bearing": number(0, 360),
            "daily_forecast": _forecast,
            "hourly_forecast": _forecast,
            "twice_daily_forecast": _forecast,
        },
        synonyms={
            "condition": "state",
            **{
                f"native_{name}": name
                for name in (
                    *("temperature", "temperature_unit", "pressure", "pressure_unit"),
                    *("wind_speed", "wind_speed_unit"),
                )
            },
        },
        prepare=prepare.weather,
    ),
}
