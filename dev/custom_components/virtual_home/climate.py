"""Thermostats of a virtual home."""

from typing import TYPE_CHECKING, Any, ClassVar, override

from homeassistant.components.climate import ClimateEntity
from homeassistant.components.climate.const import (
    ATTR_HVAC_MODE,
    ATTR_TARGET_TEMP_HIGH,
    ATTR_TARGET_TEMP_LOW,
    HVACAction,
    HVACMode,
)
from homeassistant.const import ATTR_TEMPERATURE, Platform

from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .home import HomeEntity
    from .runtime import VirtualHomeConfigEntry

# Home Assistant 2026.11 renamed the attributes in the entity's own unit.
NATIVE = "native_" if hasattr(ClimateEntity, "native_temperature_unit") else ""
MODES = ("fan_mode", "preset_mode", "swing_mode")


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's thermostats."""
    add_entities(entry, async_add_entities, Platform.CLIMATE, VirtualClimate)


class VirtualClimate(VirtualEntity, ClimateEntity):
    """A thermostat; the temperature of its room never changes by itself."""

    renamed: ClassVar = {
        "current_temperature": f"{NATIVE}current_temperature",
        "temperature": f"{NATIVE}target_temperature",
        "target_temp_high": f"{NATIVE}target_temperature_high",
        "target_temp_low": f"{NATIVE}target_temperature_low",
        "target_temp_step": "target_temperature_step",
        "temperature_unit": f"{NATIVE}temperature_unit",
    }

    def __init__(self, item: HomeEntity) -> None:
        """Initialize from the file; the entity class has few defaults."""
        for name in ("target_temp_high", "target_temp_low", *MODES):
            self._show(name, None)
        super().__init__(item)

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_hvac_mode = None if state is None else HVACMode(state)
        self._attr_hvac_action = self.values.get("hvac_action") or self._action()

    def _action(self) -> HVACAction | None:
        """Return the current action of a thermostat in this mode."""
        now = self.values.get("current_temperature")
        mode = self._attr_hvac_mode
        if mode is HVACMode.OFF:
            return HVACAction.OFF
        if now is None or mode is None:
            return None
        target = self.values.get("temperature")
        low = self.values.get("target_temp_low") or target
        high = self.values.get("target_temp_high") or target
        both = mode in (HVACMode.AUTO, HVACMode.HEAT_COOL)
        if low is not None and now < low and (both or mode is HVACMode.HEAT):
            return HVACAction.HEATING
        if high is not None and now > high and (both or mode is HVACMode.COOL):
            return HVACAction.COOLING
        return HVACAction.IDLE

    @override
    async def async_set_temperature(self, **kwargs: Any) -> None:
        """Set the target temperature or range, and the mode if one is given."""
        changes = {
            key: kwargs[key]
            for key in (ATTR_TEMPERATURE, ATTR_TARGET_TEMP_HIGH, ATTR_TARGET_TEMP_LOW)
            if kwargs.get(key) is not None
        }
        if kwargs.get(ATTR_HVAC_MODE) is not None:
            changes["state"] = kwargs[ATTR_HVAC_MODE]
        self.change(**changes)

    @override
    async def async_set_hvac_mode(self, hvac_mode: HVACMode) -> None:
        """Set the mode."""
        self.change(state=hvac_mode)

    @override
    async def async_set_fan_mode(self, fan_mode: str) -> None:
        """Set the fan mode."""
        self.change(fan_mode=fan_mode)

    @override
    async def async_set_preset_mode(self, preset_mode: str) -> None:
        """Set the preset mode."""
        self.change(preset_mode=preset_mode)

    @override
    async def async_set_swing_mode(self, swing_mode: str) -> None:
        """Set the swing mode."""
        self.change(swing_mode=swing_mode)
