"""The actions that set the state of a virtual home."""

from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.const import ATTR_ENTITY_ID, ATTR_STATE, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from . import clock
from .const import DOMAIN, SERVICE_RESET, SERVICE_SET_STATE, SERVICE_SET_TIME

if TYPE_CHECKING:
    from homeassistant.core import Event, HomeAssistant, ServiceCall

    from .entity import VirtualEntity
    from .runtime import VirtualHomeConfigEntry

ATTR_ATTRIBUTES = "attributes"
ATTR_NOW = "now"


def _state(value: Any) -> str | bool:
    """Accept text, and what YAML makes of `on` and `off`."""
    return value if isinstance(value, bool) else cv.string(value)


SET_STATE_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_ENTITY_ID): cv.entity_id,
        probatio.Optional(ATTR_STATE): _state,
        probatio.Optional(ATTR_ATTRIBUTES, default={}): dict,
    }
)
SET_TIME_SCHEMA = probatio.Schema({probatio.Required(ATTR_NOW): cv.datetime})
RESET_SCHEMA = probatio.Schema({probatio.Optional(ATTR_ENTITY_ID): cv.entity_ids})


@callback
def async_register_services(hass: HomeAssistant) -> None:
    """Register the actions."""

    @callback
    def set_state(call: ServiceCall) -> None:
        entity_id = call.data[ATTR_ENTITY_ID]
        entity = _find(hass, entity_id)
        entity.async_set_context(call.context)
        try:
            entity.set_state(call.data.get(ATTR_STATE), call.data[ATTR_ATTRIBUTES])
        except ValueError as err:
            raise ServiceValidationError(f"{entity_id}: {err}") from err

    @callback
    def reset(call: ServiceCall) -> None:
        clock.reset_time()
        entities = (
            [_find(hass, entity_id) for entity_id in call.data[ATTR_ENTITY_ID]]
            if ATTR_ENTITY_ID in call.data
            else _entities(hass)
        )
        for entity in entities:
            entity.async_set_context(call.context)
            entity.reset()

    @callback
    def set_time(call: ServiceCall) -> None:
        clock.set_time(call.data[ATTR_NOW])
        # A calendar's state depends on the time.
        for entity in _entities(hass):
            entity.async_write_ha_state()

    @callback
    def stopped(_event: Event) -> None:
        clock.reset_time()

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stopped)
    hass.services.async_register(DOMAIN, SERVICE_SET_TIME, set_time, schema=SET_TIME_SCHEMA)
    hass.services.async_register(DOMAIN, SERVICE_SET_STATE, set_state, schema=SET_STATE_SCHEMA)
    hass.services.async_register(DOMAIN, SERVICE_RESET, reset, schema=RESET_SCHEMA)


def _entities(hass: HomeAssistant) -> list[VirtualEntity]:
    """Return all entities of all loaded homes, without those that the user disabled."""
    entries: list[VirtualHomeConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return [entity for entry in entries for entity in entry.runtime_data.entities if entity.enabled]


def _find(hass: HomeAssistant, entity_id: str) -> VirtualEntity:
    for entity in _entities(hass):
        if entity.entity_id == entity_id:
            return entity
    raise ServiceValidationError(f"{entity_id} is no entity of a virtual home")
