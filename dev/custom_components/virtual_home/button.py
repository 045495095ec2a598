"""Buttons of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.button import ButtonEntity
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
    """Make the home's buttons."""
    add_entities(entry, async_add_entities, Platform.BUTTON, VirtualButton)


class VirtualButton(VirtualEntity, ButtonEntity):
    """A button; its state is when it was pressed last."""

    @override
    async def async_press(self) -> None:
        """Do nothing: Home Assistant notes the time."""
