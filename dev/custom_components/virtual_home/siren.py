"""Sirens of a virtual home."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.siren import SirenEntity
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
    """Make the home's sirens."""
    add_entities(entry, async_add_entities, Platform.SIREN, VirtualSiren)


class VirtualSiren(OnOffEntity, SirenEntity):
    """A siren."""

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Sound the siren."""
        self.change(state="on")

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Silence the siren."""
        self.change(state="off")
