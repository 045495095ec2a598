"""Valves of a virtual home."""

from typing import TYPE_CHECKING, ClassVar, override

from homeassistant.components.valve.entity import ValveEntity
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
    """Make the home's valves."""
    add_entities(entry, async_add_entities, Platform.VALVE, VirtualValve)


class VirtualValve(VirtualEntity, ValveEntity):
    """A valve that moves at once."""

    renamed: ClassVar = {"current_position": "current_valve_position"}

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_is_closed = state == "closed"

    @override
    async def async_open_valve(self) -> None:
        """Open the valve."""
        self.change(state="open")

    @override
    async def async_close_valve(self) -> None:
        """Close the valve."""
        self.change(state="closed")

    @override
    async def async_set_valve_position(self, position: int) -> None:
        """Move the valve to a position."""
        self.change(current_position=position)

    @override
    async def async_stop_valve(self) -> None:
        """Do nothing: the valve never moves for long."""
