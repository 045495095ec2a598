"""Calendars of a virtual home."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.const import Platform
from homeassistant.util import dt as dt_util

from .checks import moment
from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's calendars."""
    add_entities(entry, async_add_entities, Platform.CALENDAR, VirtualCalendar)


class VirtualCalendar(VirtualEntity, CalendarEntity):
    """A calendar; its state is on during an event."""

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """Return the current event, or the next one."""
        now = dt_util.now()
        return next((one for one in self._all() if one.end_datetime_local > now), None)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the events within this time, in their order."""
        return [
            one
            for one in self._all()
            if one.end_datetime_local > start_date and one.start_datetime_local < end_date
        ]

    @override
    async def async_create_event(self, **kwargs: Any) -> None:
        """Add an event."""
        event = {
            name: value if isinstance(value, str) else value.isoformat()
            for name, value in kwargs.items()
            if name in ("summary", "description", "location", "dtstart", "dtend")
        }
        self.change(events=[*(self.values.get("events") or []), event_of(event)])

    def _all(self) -> list[CalendarEvent]:
        events = [_event(one) for one in self.values.get("events") or []]
        return sorted(events, key=lambda one: one.start_datetime_local)

    @override
    def _show(self, name: str, value: Any) -> None:
        if name != "events":
            super()._show(name, value)


def event_of(given: Mapping[str, str]) -> dict[str, str]:
    """Return an event as it is stored, with `start` and `end` for `dtstart` and `dtend`."""
    names = {"dtstart": "start", "dtend": "end"}
    return {names.get(name, name): value for name, value in given.items()}


def _event(kept: Mapping[str, str]) -> CalendarEvent:
    return CalendarEvent(
        start=moment(kept["start"]),
        end=moment(kept["end"]),
        summary=kept["summary"],
        description=kept.get("description"),
        location=kept.get("location"),
    )
