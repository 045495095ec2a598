"""Receivers of messages of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.notify import NotifyEntity
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
    """Make the home's receivers of messages."""
    add_entities(entry, async_add_entities, Platform.NOTIFY, VirtualNotify)


class VirtualNotify(VirtualEntity, NotifyEntity):
    """A receiver of messages; its state is the time of the last one."""

    @override
    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Do nothing: Home Assistant records the time."""
