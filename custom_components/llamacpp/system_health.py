"""System health: the status of each server."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import callback

from .client import LlamaServerError
from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.components.system_health import SystemHealthRegistration
    from homeassistant.core import HomeAssistant

    from .coordinator import LlamaCppConfigEntry


@callback
def async_register(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    register: SystemHealthRegistration,
) -> None:
    """Register the system health callback."""
    register.async_register_info(async_system_health_info)


async def async_system_health_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return the status and build of each server."""
    return {
        entry.title: await _async_server(entry)
        for entry in hass.config_entries.async_entries(DOMAIN)
    }


async def _async_server(entry: LlamaCppConfigEntry) -> str:
    if entry.state is not ConfigEntryState.LOADED:
        return "not set up"
    try:
        props = await entry.runtime_data.client.identify()
    except LlamaServerError as err:
        return str(err)
    return f"ok ({props.build_info})"
