"""Default names of agents."""

from typing import TYPE_CHECKING

from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


def free_name(hass: HomeAssistant, name: str, server: str) -> str:
    """Return a default name for an agent; append the server's name if it is already taken."""
    taken = {
        agent.title
        for entry in hass.config_entries.async_entries(DOMAIN)
        for agent in entry.subentries.values()
    }
    return f"{name} ({server})" if name in taken else name
