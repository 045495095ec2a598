"""Llama.cpp for Home Assistant: a private language model as conversation agent."""

from typing import TYPE_CHECKING

from homeassistant.const import Platform

from .coordinator import LlamaCppCoordinator

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .coordinator import LlamaCppConfigEntry

PLATFORMS = (Platform.AI_TASK, Platform.CONVERSATION)


async def async_setup_entry(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> bool:
    """Set up one server; raises ConfigEntryNotReady as long as it cannot answer."""
    coordinator = LlamaCppCoordinator(hass, entry)
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = coordinator
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> bool:
    """Take one server away again."""
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def _async_reload(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> None:
    await hass.config_entries.async_reload(entry.entry_id)
