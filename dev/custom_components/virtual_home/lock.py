"""Locks of a virtual home."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.lock import LockEntity
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
    """Make the home's locks."""
    add_entities(entry, async_add_entities, Platform.LOCK, VirtualLock)


class VirtualLock(VirtualEntity, LockEntity):
    """A lock."""

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_is_locked = state == "locked"
        self._attr_is_open = state == "open"
        self._attr_is_jammed = state == "jammed"

    @override
    async def async_lock(self, **kwargs: Any) -> None:
        """Lock the lock."""
        self.change(state="locked")

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        """Unlock the lock."""
        self.change(state="unlocked")

    @override
    async def async_open(self, **kwargs: Any) -> None:
        """Open the latch."""
        self.change(state="open")
