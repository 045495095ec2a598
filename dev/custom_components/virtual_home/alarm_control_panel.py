"""Alarm systems of a virtual home."""

from typing import TYPE_CHECKING, override

from homeassistant.components.alarm_control_panel import AlarmControlPanelEntity
from homeassistant.components.alarm_control_panel.const import AlarmControlPanelState
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
    """Make the home's alarm systems."""
    add_entities(entry, async_add_entities, Platform.ALARM_CONTROL_PANEL, VirtualAlarm)


class VirtualAlarm(VirtualEntity, AlarmControlPanelEntity):
    """An alarm system, which takes any code or none."""

    _attr_code_arm_required = False

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_alarm_state = None if state is None else AlarmControlPanelState(state)

    @override
    async def async_alarm_disarm(self, code: str | None = None) -> None:
        """Disarm."""
        self.change(state="disarmed")

    @override
    async def async_alarm_arm_home(self, code: str | None = None) -> None:
        """Arm for home."""
        self.change(state="armed_home")

    @override
    async def async_alarm_arm_away(self, code: str | None = None) -> None:
        """Arm for away."""
        self.change(state="armed_away")

    @override
    async def async_alarm_arm_night(self, code: str | None = None) -> None:
        """Arm for the night."""
        self.change(state="armed_night")

    @override
    async def async_alarm_arm_vacation(self, code: str | None = None) -> None:
        """Arm for a vacation."""
        self.change(state="armed_vacation")

    @override
    async def async_alarm_trigger(self, code: str | None = None) -> None:
        """Trigger the alarm."""
        self.change(state="triggered")
