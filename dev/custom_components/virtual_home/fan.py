"""Fans of a virtual home."""

from typing import TYPE_CHECKING, Any, ClassVar, override

from homeassistant.components.fan import FanEntity
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
    """Make the home's fans."""
    add_entities(entry, async_add_entities, Platform.FAN, VirtualFan)


class VirtualFan(OnOffEntity, FanEntity):
    """A fan."""

    renamed: ClassVar = {"direction": "current_direction"}

    @property
    @override
    def is_on(self) -> bool | None:
        """Return whether the state is on; a fan can be on without a speed."""
        return self._attr_is_on

    @override
    async def async_turn_on(
        self,
        percentage: int | None = None,
        preset_mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Turn the fan on, at full speed if it had none."""
        if percentage == 0:
            await self.async_turn_off()
            return
        changes: dict[str, Any] = {"state": "on"}
        if percentage is not None:
            changes["percentage"] = percentage
        if preset_mode is not None:
            changes["preset_mode"] = preset_mode
        self.change(**changes)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Turn the fan off."""
        self.change(state="off")

    @override
    async def async_set_percentage(self, percentage: int) -> None:
        """Set the speed; 0 turns the fan off."""
        self.change(percentage=percentage)

    @override
    async def async_set_preset_mode(self, preset_mode: str) -> None:
        """Set the preset mode, which turns the fan on."""
        self.change(state="on", preset_mode=preset_mode)

    @override
    async def async_oscillate(self, oscillating: bool) -> None:
        """Start or stop oscillating."""
        self.change(oscillating=oscillating)

    @override
    async def async_set_direction(self, direction: str) -> None:
        """Set the direction."""
        self.change(direction=direction)
