"""Selections of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.select import SelectEntity
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
    """Make the home's selections."""
    add_entities(entry, async_add_entities, Platform.SELECT, VirtualSelect)


class VirtualSelect(VirtualEntity, SelectEntity):
    """One of several options."""

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_current_option = state

    @override
    async def async_select_option(self, option: str) -> None:
        """Select an option."""
        self.change(state=option)
