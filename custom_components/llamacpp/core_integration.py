"""Home Assistant's own integration for llama-server, where it has the same server as ours."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from homeassistant.const import CONF_URL

from .assistants import agents_of_entry, assistants_of, async_use_agent
from .client import LlamaServerError, parse_address
from .connection import async_client

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

_DOMAIN: Final = "llama_cpp"
_CONF_BASE_URL: Final = "base_url"
_SECONDS: Final = 2.0


async def async_core_entry(hass: HomeAssistant, url: str, instance: str) -> ConfigEntry | None:
    """Return the entry of Home Assistant's own integration that has a server, if there is one.

    url, instance: address of the server, and what is unique for it, empty if unknown.
    """
    for entry in hass.config_entries.async_entries(_DOMAIN, include_ignore=False):
        if await _async_has(hass, entry, url, instance):
            return entry
    return None


async def _async_has(hass: HomeAssistant, entry: ConfigEntry, url: str, instance: str) -> bool:
    try:
        other = parse_address(entry.data.get(_CONF_BASE_URL, ""))
    except ValueError:
        return False
    if other == url:
        return True
    # The same server may have another address there.
    client = async_client(hass, {**entry.data, CONF_URL: other})
    with contextlib.suppress(LlamaServerError, TimeoutError):
        async with asyncio.timeout(_SECONDS):
            return bool(instance) and (await client.props()).instance == instance
    return False


async def async_change_over(hass: HomeAssistant, old: ConfigEntry, new: ConfigEntry) -> None:
    """Have all voice assistants that use an agent of the old entry use the new one's first.

    Does nothing if the new entry has no agent, as its server was away when it was set up.
    """
    agents = agents_of_entry(hass, new)
    if agents:
        await async_use_agent(hass, assistants_of(hass, old), agents[0])
