"""The ranges and units of entities, which the tools' schemas do not contain."""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from homeassistant.const import UnitOfTemperature
from homeassistant.util.unit_conversion import TemperatureConverter

from .places import AREA, FLOOR
from .tool_names import short_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from homeassistant.core import HomeAssistant

    from ..home.things import ExposedEntity, Home
    from .arguments import Schema

NAME = "name"


class _Setting(NamedTuple):
    """An argument with a range per entity, and the attributes with its minimum and maximum."""

    argument: str
    domain: str
    least: str
    most: str


# By the tools' short names.
_SETTINGS = {
    "HassClimateSetTemperature": _Setting("temperature", "climate", "min_temp", "max_temp"),
    "HassHumidifierSetpoint": _Setting("humidity", "humidifier", "min_humidity", "max_humidity"),
}
_TEMPERATURE = re.compile(
    r"\s*([+-]?\d+(?:[.,]\d{1,2})?)\s*(?:[°º]\s*|degrees?\s+)?([cf]|celsius|fahrenheit)\s*",
    re.IGNORECASE,
)
_UNITS = {"c": UnitOfTemperature.CELSIUS, "f": UnitOfTemperature.FAHRENHEIT}


class Limits:
    """Converts to the home's units and reads the ranges of entities from their states."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize for this Home Assistant."""
        self._hass = hass

    def in_own_unit(
        self, tool: str, arguments: Mapping[str, Any], properties: Mapping[str, Schema]
    ) -> dict[str, Any]:
        """Return the arguments with a temperature of another unit converted to the home's unit.

        tool: full name. properties: schemas of its arguments.
        """
        given = dict(arguments)
        setting = _SETTINGS.get(short_name(tool))
        written = given.get("temperature")
        if not (setting and isinstance(written, str) and "temperature" in properties):
            return given
        unit = self._hass.config.units.temperature_unit
        match = _TEMPERATURE.fullmatch(written)
        if match and (other := _UNITS[match[2][0].lower()]) != unit:
            degrees = float(match[1].replace(",", "."))
            given["temperature"] = round(TemperatureConverter.convert(degrees, other, unit), 1)
        return given

    def narrowed(
        self,
        tool: str,
        given: Mapping[str, Any],
        properties: Mapping[str, Schema],
        home: Home,
    ) -> Mapping[str, Schema]:
        """Return the argument schemas with the range of the entities that a call targets.

        given: arguments with Home Assistant's names. Several entities: the widest range.
        """
        setting = _SETTINGS.get(short_name(tool))
        if not (setting and setting.argument in properties):
            return properties
        things = [
            one
            for one in home.things
            if one.domain == setting.domain and _is_meant(one, given, home)
        ]
        least, most = self._ends(things, setting.least), self._ends(things, setting.most)
        schema = {"minimum": min(least, default=None), "maximum": max(most, default=None)}
        bounds = {name: one for name, one in schema.items() if one is not None}
        return {**properties, setting.argument: {**properties[setting.argument], **bounds}}

    def _ends(self, things: Sequence[ExposedEntity], attribute: str) -> list[float]:
        states = (self._hass.states.get(one.entity_id) for one in things)
        found = (state.attributes.get(attribute) for state in states if state)
        return [one for one in found if isinstance(one, int | float)]


def _is_meant(thing: ExposedEntity, given: Mapping[str, Any], home: Home) -> bool:
    """Return whether a call can target an entity."""
    area = home.areas.get(thing.area) if thing.area else None
    floor = home.floors.get(area.floor) if area and area.floor else None
    return (
        given.get(NAME, thing.name) in (*thing.names, thing.entity_id)
        and given.get(AREA) in (None, area and area.name)
        and given.get(FLOOR) in (None, floor and floor.name)
    )
