"""Weather services of a virtual home."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, override

from homeassistant.components.weather import Forecast, WeatherEntity
from homeassistant.const import Platform
from homeassistant.util import dt as dt_util

from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry

# The first forecast of each kind is for this hour of today.
DAILY_HOUR, TWICE_DAILY_HOUR = 16, 11
DAY_BEGINS, DAY_ENDS = 6, 20


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's weather services."""
    add_entities(entry, async_add_entities, Platform.WEATHER, VirtualWeather)


class VirtualWeather(VirtualEntity, WeatherEntity):
    """A weather service, with the forecasts that the file gives, from today on."""

    renamed: ClassVar[Mapping[str, str]] = {
        "temperature_unit": "native_temperature_unit",
        "wind_speed_unit": "native_wind_speed_unit",
        "pressure_unit": "native_pressure_unit",
        "temperature": "native_temperature",
        "wind_speed": "native_wind_speed",
        "pressure": "native_pressure",
    }

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_condition = state

    @override
    async def async_forecast_daily(self) -> list[Forecast]:
        """Return a forecast for each day."""
        return self._forecast("daily_forecast", DAILY_HOUR, 24)

    @override
    async def async_forecast_hourly(self) -> list[Forecast]:
        """Return a forecast for each hour."""
        return self._forecast("hourly_forecast", dt_util.now().hour, 1)

    @override
    async def async_forecast_twice_daily(self) -> list[Forecast]:
        """Return a forecast for each day and each night."""
        return self._forecast("twice_daily_forecast", TWICE_DAILY_HOUR, 12)

    def _forecast(self, name: str, hour: int, hours: int) -> list[Forecast]:
        first = dt_util.now().replace(hour=hour, minute=0, second=0, microsecond=0)
        found: list[Forecast] = []
        for number, one in enumerate(self.values.get(name) or []):
            when = first + timedelta(hours=hours * number)
            forecast = Forecast(
                datetime=when.isoformat(),
                condition=one.get("condition"),
                native_temperature=one.get("temperature"),
                native_templow=one.get("templow"),
                humidity=one.get("humidity"),
                native_wind_speed=one.get("wind_speed"),
            )
            if name == "twice_daily_forecast":
                forecast["is_daytime"] = DAY_BEGINS <= when.hour <= DAY_ENDS
            found.append(forecast)
        return found

    @override
    def _show(self, name: str, value: Any) -> None:
        if not name.endswith("_forecast"):
            super()._show(name, value)
