"""Vacuum cleaners of a virtual home."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.vacuum import StateVacuumEntity
from homeassistant.components.vacuum.const import VacuumActivity
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
    """Make the home's vacuum cleaners."""
    add_entities(entry, async_add_entities, Platform.VACUUM, VirtualVacuum)


class VirtualVacuum(VirtualEntity, StateVacuumEntity):
    """A vacuum cleaner; on its way back it stays `returning`, so that a test can see it."""

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_activity = None if state is None else VacuumActivity(state)

    @override
    async def async_start(self) -> None:
        """Start or resume cleaning."""
        self.change(state="cleaning")

    @override
    async def async_pause(self) -> None:
        """Pause."""
        self.change(state="paused")

    @override
    async def async_stop(self, **kwargs: Any) -> None:
        """Stop where it is."""
        self.change(state="idle")

    @override
    async def async_return_to_base(self, **kwargs: Any) -> None:
        """Return to the dock."""
        self.change(state="returning")

    @override
    async def async_clean_spot(self, **kwargs: Any) -> None:
        """Clean the spot where it is."""
        self.change(state="cleaning")

    @override
    async def async_locate(self, **kwargs: Any) -> None:
        """Do nothing: it has no voice."""

    @override
    async def async_set_fan_speed(self, fan_speed: str, **kwargs: Any) -> None:
        """Set the suction."""
        self.change(fan_speed=fan_speed)
