"""Trackers of devices of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.device_tracker.entity import TrackerEntity
from homeassistant.const import Platform

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
    """Make the home's trackers of devices."""
    add_entities(entry, async_add_entities, Platform.DEVICE_TRACKER, VirtualTracker)


class VirtualTracker(VirtualEntity, TrackerEntity):
    """A device that is at home, away, or at a place with a name."""

    @property
    @override
    def state(self) -> str | None:
        """Return the name of its location."""
        state: str | None = self.values["state"]
        return state
