"""Cameras of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.camera import Camera
from homeassistant.const import Platform

from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .home import HomeEntity
    from .runtime import VirtualHomeConfigEntry


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's cameras."""
    add_entities(entry, async_add_entities, Platform.CAMERA, VirtualCamera)


class VirtualCamera(VirtualEntity, Camera):
    """A camera without a picture."""

    def __init__(self, item: HomeEntity) -> None:
        """Take everything from the file's description."""
        Camera.__init__(self)
        VirtualEntity.__init__(self, item)

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_is_recording = state == "recording"
        self._attr_is_streaming = state == "streaming"
