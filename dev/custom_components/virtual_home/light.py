"""Lights of a virtual home."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.light import LightEntity
from homeassistant.components.light.const import ATTR_BRIGHTNESS, ATTR_EFFECT, ColorMode
from homeassistant.const import Platform

from .complete import COLOR_KEYS
from .entity import OnOffEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry
FULL = 255


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's lights."""
    add_entities(entry, async_add_entities, Platform.LIGHT, VirtualLight)


class VirtualLight(OnOffEntity, LightEntity):
    """A light with brightness and the colour modes that the file gives it."""

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Turn the light on, or change it."""
        changes = {
            key: kwargs[key] for key in (ATTR_BRIGHTNESS, ATTR_EFFECT, *COLOR_KEYS) if key in kwargs
        }
        dimmable = self.item.settings["supported_color_modes"] != {ColorMode.ONOFF}
        if dimmable and self.values.get(ATTR_BRIGHTNESS) is None:
            changes.setdefault(ATTR_BRIGHTNESS, FULL)
        self.change(state="on", **changes)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Turn the light off."""
        self.change(state="off")
