"""Track changes of the home that may change the prompts."""

from typing import TYPE_CHECKING, Any

from homeassistant.auth import EVENT_USER_ADDED, EVENT_USER_REMOVED, EVENT_USER_UPDATED
from homeassistant.components.conversation import DOMAIN as ASSISTANT
from homeassistant.components.homeassistant.exposed_entities import async_listen_entity_updates
from homeassistant.const import EVENT_COMPONENT_LOADED, EVENT_STATE_CHANGED
from homeassistant.core import callback
from homeassistant.helpers import (
    area_registry as ar,
)
from homeassistant.helpers import (
    device_registry as dr,
)
from homeassistant.helpers import (
    entity_registry as er,
)
from homeassistant.helpers import (
    floor_registry as fr,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant
    from homeassistant.util.event_type import EventType

_EVENTS: tuple[EventType[Any] | str, ...] = (
    ar.EVENT_AREA_REGISTRY_UPDATED,
    dr.EVENT_DEVICE_REGISTRY_UPDATED,
    er.EVENT_ENTITY_REGISTRY_UPDATED,
    fr.EVENT_FLOOR_REGISTRY_UPDATED,
    EVENT_COMPONENT_LOADED,
    EVENT_USER_ADDED,
    EVENT_USER_REMOVED,
    EVENT_USER_UPDATED,
)


@callback
def async_track_home(hass: HomeAssistant, changed: Callable[[], None]) -> CALLBACK_TYPE:
    """Call `changed` whenever entities, names, areas, exposure or users may have changed.

    Ignores changes of mere states. Returns a function that stops tracking.
    """

    @callback
    def tell(_event: Event[Any]) -> None:
        changed()

    ends = [hass.bus.async_listen(event, tell) for event in _EVENTS]
    ends.append(hass.bus.async_listen(EVENT_STATE_CHANGED, tell, event_filter=_changes_the_list))
    ends.append(async_listen_entity_updates(hass, ASSISTANT, changed))

    @callback
    def end() -> None:
        for one in ends:
            one()

    return end


@callback
def _changes_the_list(data: EventStateChangedData) -> bool:
    """Return whether an entity was added, removed or renamed."""
    before, now = data["old_state"], data["new_state"]
    return before is None or now is None or before.name != now.name
