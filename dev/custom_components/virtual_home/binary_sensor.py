"""Binary sensors of a virtual home."""

from typing import TYPE_CHECKING

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.const import Platform

from .entity import OnOffEntity
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
    """Make the home's binary sensors."""
    add_entities(entry, async_add_entities, Platform.BINARY_SENSOR, VirtualBinarySensor)


class VirtualBinarySensor(OnOffEntity, BinarySensorEntity):
    """A binary sensor; only `virtual_home.set_state` changes it."""
