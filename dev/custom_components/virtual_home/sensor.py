"""Sensors of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.sensor import SensorEntity
from homeassistant.const import Platform

from .complete import sensor_value
from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's sensors."""
    add_entities(entry, async_add_entities, Platform.SENSOR, VirtualSensor)


class VirtualSensor(VirtualEntity, SensorEntity):
    """A sensor; only `virtual_home.set_state` changes it."""

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_native_value = sensor_value(state, self.item.settings)
