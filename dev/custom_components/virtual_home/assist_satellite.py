"""Voice satellites of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.assist_satellite import (
    AssistSatelliteConfiguration,
    AssistSatelliteEntity,
)
from homeassistant.const import Platform
from homeassistant.core import callback

from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.components.assist_pipeline import PipelineEvent
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's voice satellites."""
    add_entities(entry, async_add_entities, Platform.ASSIST_SATELLITE, VirtualSatellite)


class VirtualSatellite(VirtualEntity, AssistSatelliteEntity):
    """A voice satellite without microphone and wake words: its device puts a sentence in a room."""

    @callback
    @override
    def async_get_configuration(self) -> AssistSatelliteConfiguration:
        """Say that there are no wake words."""
        return AssistSatelliteConfiguration(
            available_wake_words=[], active_wake_words=[], max_active_wake_words=0
        )

    @override
    async def async_set_configuration(self, config: AssistSatelliteConfiguration) -> None:
        """Do nothing: there is nothing to configure."""

    @override
    def on_pipeline_event(self, event: PipelineEvent) -> None:
        """Show the last event as an attribute."""
        self._attr_extra_state_attributes = {"last_pipeline_event": event.type}
        self.async_write_ha_state()
