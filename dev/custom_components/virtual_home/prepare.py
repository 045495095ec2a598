"""Settings that a home's file leaves out: they follow from the other attributes, or are defaults.

Each function takes the settings of an entity, which it completes, and its given values.
"""

from typing import TYPE_CHECKING

from homeassistant.components.calendar.const import CalendarEntityFeature
from homeassistant.components.climate.const import ClimateEntityFeature, HVACMode
from homeassistant.components.cover import CoverEntityFeature
from homeassistant.components.fan.const import FanEntityFeature
from homeassistant.components.light.const import ColorMode, LightEntityFeature
from homeassistant.components.media_player.const import MediaPlayerEntityFeature
from homeassistant.components.siren.const import SirenEntityFeature
from homeassistant.components.todo.const import TodoListEntityFeature
from homeassistant.components.vacuum.const import VacuumEntityFeature
from homeassistant.components.valve.const import ValveEntityFeature
from homeassistant.components.weather.const import WeatherEntityFeature
from homeassistant.const import UnitOfPressure, UnitOfSpeed, UnitOfTemperature

if TYPE_CHECKING:
    from .domain import Settings


def light(settings: Settings, given: Settings) -> None:
    """Derive the colour modes from the given attributes."""
    mode = given.get("color_mode")
    dimmable = ColorMode.ONOFF if given.get("brightness") is None else ColorMode.BRIGHTNESS
    settings.setdefault("supported_color_modes", [mode or dimmable])
    if settings.get("effect_list"):
        settings["supported_features"] = (
            settings.get("supported_features", LightEntityFeature(0)) | LightEntityFeature.EFFECT
        )
    settings["supported_color_modes"] = set(settings["supported_color_modes"])


def cover(settings: Settings, given: Settings) -> None:
    """Derive the features from the given attributes."""
    features = CoverEntityFeature.OPEN | CoverEntityFeature.CLOSE
    if given.get("current_position") is not None:
        features |= CoverEntityFeature.SET_POSITION
    settings.setdefault("supported_features", features)


def valve(settings: Settings, given: Settings) -> None:
    """Derive the features from the given attributes."""
    features = ValveEntityFeature.OPEN | ValveEntityFeature.CLOSE
    if given.get("current_position") is not None:
        features |= ValveEntityFeature.SET_POSITION
    features = settings.setdefault("supported_features", features)
    settings.setdefault("reports_position", bool(features & ValveEntityFeature.SET_POSITION))


def fan(settings: Settings, given: Settings) -> None:
    """Add the features that follow from the given attributes."""
    features = settings.get("supported_features", FanEntityFeature.SET_SPEED)
    if settings.get("preset_modes"):
        features |= FanEntityFeature.PRESET_MODE
    if given.get("oscillating") is not None:
        features |= FanEntityFeature.OSCILLATE
    # Older homes leave these two out, but Home Assistant does not switch a fan without them.
    settings["supported_features"] = features | FanEntityFeature.TURN_ON | FanEntityFeature.TURN_OFF


def climate(settings: Settings, given: Settings) -> None:
    """Offer heating, and the features that follow from the given attributes."""
    settings.setdefault("hvac_modes", [HVACMode.OFF, HVACMode.HEAT])
    settings.setdefault("temperature_unit", UnitOfTemperature.CELSIUS)
    features = ClimateEntityFeature.TURN_ON | ClimateEntityFeature.TURN_OFF
    for key, feature in {
        "fan_modes": ClimateEntityFeature.FAN_MODE,
        "preset_modes": ClimateEntityFeature.PRESET_MODE,
        "swing_modes": ClimateEntityFeature.SWING_MODE,
        "temperature": ClimateEntityFeature.TARGET_TEMPERATURE,
        "target_temp_high": ClimateEntityFeature.TARGET_TEMPERATURE_RANGE,
    }.items():
        if key in settings or key in given:
            features |= feature
    features = settings.setdefault("supported_features", features)
    # An entity that claims a feature must have something to offer for it.
    if features & ClimateEntityFeature.FAN_MODE:
        settings.setdefault("fan_modes", ["auto", "low", "high"])


def media_player(settings: Settings, given: Settings) -> None:  # noqa: ARG001 - as the others
    """Offer all features of a media player."""
    features = MediaPlayerEntityFeature
    settings.setdefault(
        "supported_features",
        features.PLAY
        | features.PAUSE
        | features.STOP
        | features.VOLUME_SET
        | features.VOLUME_STEP
        | features.VOLUME_MUTE
        | features.NEXT_TRACK
        | features.PREVIOUS_TRACK
        | features.TURN_ON
        | features.TURN_OFF
        | features.SHUFFLE_SET
        | features.REPEAT_SET
        | (features.SELECT_SOURCE if settings.get("source_list") else features(0)),
    )


def vacuum(settings: Settings, given: Settings) -> None:  # noqa: ARG001 - as the others
    """Offer the features of a vacuum cleaner."""
    features = VacuumEntityFeature
    settings.setdefault(
        "supported_features",
        features.START | features.STOP | features.PAUSE | features.RETURN_HOME,
    )
    # Home Assistant asks every vacuum for STATE.
    settings["supported_features"] |= features.STATE
    if settings.get("fan_speed_list"):
        settings["supported_features"] |= features.FAN_SPEED


def todo(settings: Settings, given: Settings) -> None:  # noqa: ARG001 - as the others
    """Offer all features of a to-do list."""
    features = TodoListEntityFeature
    settings.setdefault(
        "supported_features",
        features.CREATE_TODO_ITEM
        | features.DELETE_TODO_ITEM
        | features.UPDATE_TODO_ITEM
        | features.MOVE_TODO_ITEM
        | features.SET_DUE_DATE_ON_ITEM
        | features.SET_DUE_DATETIME_ON_ITEM
        | features.SET_DESCRIPTION_ON_ITEM,
    )


def calendar(settings: Settings, given: Settings) -> None:  # noqa: ARG001 - as the others
    """Allow new events."""
    settings.setdefault("supported_features", CalendarEntityFeature.CREATE_EVENT)


def weather(settings: Settings, given: Settings) -> None:
    """Offer the given forecasts, in degrees Celsius."""
    features = WeatherEntityFeature(0)
    for name, feature in {
        "daily_forecast": WeatherEntityFeature.FORECAST_DAILY,
        "hourly_forecast": WeatherEntityFeature.FORECAST_HOURLY,
        "twice_daily_forecast": WeatherEntityFeature.FORECAST_TWICE_DAILY,
    }.items():
        if given.get(name):
            features |= feature
    settings["supported_features"] = features
    settings.setdefault("temperature_unit", UnitOfTemperature.CELSIUS)
    settings.setdefault("wind_speed_unit", UnitOfSpeed.KILOMETERS_PER_HOUR)
    settings.setdefault("pressure_unit", UnitOfPressure.HPA)


def siren(settings: Settings, given: Settings) -> None:  # noqa: ARG001 - as the others
    """Allow turning the siren on and off, which older homes leave out."""
    settings["supported_features"] = (
        settings.get("supported_features", SirenEntityFeature(0))
        | SirenEntityFeature.TURN_ON
        | SirenEntityFeature.TURN_OFF
    )
