"""Voice satellites of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.assist_satellite import (
    AssistSatelliteConfiguration,
    AssistSatelliteEntity,
)
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.const import Platform
from homeassistant.core import callback

from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.components.assist_pipeline import PipelineEvent
    from homeassistant.components.intent import TimerEventType, TimerInfo
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
    """A voice satellite without microphone and wake words; its device gives a sentence its area.

    With `timers` in its attributes it supports timers.
    """

    @override
    async def async_added_to_hass(self) -> None:
        """Register for timers, if the file has `timers`."""
        await super().async_added_to_hass()
        if self.item.settings.get("timers") and self.device_entry is not None:
            self.async_on_remove(
                async_register_timer_handler(self.hass, self.device_entry.id, self._on_timer_event)
            )

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
        """Show the last event of a pipeline as an attribute."""
        self._show_event("last_pipeline_event", event.type)

    @callback
    def _on_timer_event(self, event: TimerEventType, _timer: TimerInfo) -> None:
        self._show_event("last_timer_event", event)

    def _show_event(self, name: str, value: str) -> None:
        shown = getattr(self, "_attr_extra_state_attributes", {})
        self._attr_extra_state_attributes = {**shown, name: value}
        self.async_write_ha_state()
