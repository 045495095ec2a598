"""Covers of a virtual home."""

from typing import TYPE_CHECKING, Any, ClassVar, override

from homeassistant.components.cover import ATTR_POSITION, CoverEntity
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
    """Make the home's covers."""
    add_entities(entry, async_add_entities, Platform.COVER, VirtualCover)


class VirtualCover(VirtualEntity, CoverEntity):
    """A curtain, blind or garage door that moves at once."""

    renamed: ClassVar = {"current_position": "current_cover_position"}

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_is_closed = state == "closed"

    @override
    async def async_open_cover(self, **kwargs: Any) -> None:
        """Open the cover."""
        self.change(state="open")

    @override
    async def async_close_cover(self, **kwargs: Any) -> None:
        """Close the cover."""
        self.change(state="closed")

    @override
    async def async_set_cover_position(self, **kwargs: Any) -> None:
        """Move the cover to a position."""
        self.change(current_position=kwargs[ATTR_POSITION])

    @override
    async def async_stop_cover(self, **kwargs: Any) -> None:
        """Do nothing: the cover never moves for long."""
