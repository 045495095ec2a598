"""Llama.cpp for Home Assistant: a private language model as conversation agent."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.const import Platform
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.event import async_track_time_interval

from .card import async_register_card
from .connection import async_client
from .const import DOMAIN
from .coordinator import LlamaCppCoordinator, LlamaCppData
from .first_steps import async_follow_first_steps
from .history import History, HistoryError, Retention
from .home.exposed import async_forget_exposed
from .issues import (
    async_delete_cache_issues,
    async_delete_certificate_issue,
    async_delete_download_issue,
    async_delete_first_steps_issue,
    async_withdraw_cache_issues,
)
from .options_flow import retention_of
from .services import async_register_services
from .serving.owner import Serving
from .websocket_api import async_register_commands

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Coroutine
    from datetime import datetime

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

    from .coordinator import LlamaCppConfigEntry

PLATFORMS = (
    Platform.AI_TASK,
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CONVERSATION,
    Platform.SELECT,
    Platform.SENSOR,
)


PRUNE_INTERVAL = timedelta(hours=1)
CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:  # noqa: ARG001 - Home Assistant calls it with this
    """Register actions, the card and its command, which all servers share."""
    async_register_services(hass)
    async_register_commands(hass)
    await async_register_card(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> bool:
    """Set up one server; raises ConfigEntryNotReady as long as it, or the disk, cannot answer."""
    client = async_client(hass, entry.data)
    history = History(hass, entry.entry_id, retention_of(entry.options))

    def start(work: Coroutine[Any, Any, None]) -> Task[None]:
        return entry.async_create_background_task(hass, work, f"{DOMAIN} prefill of {entry.title}")

    serving = Serving(client, start)
    coordinator = LlamaCppCoordinator(hass, entry, client, serving, history)
    await coordinator.async_config_entry_first_refresh()
    try:
        await history.async_load()
    except HistoryError as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="history_unreadable",
            translation_placeholders={"message": str(err)},
        ) from err

    async def prune(_now: datetime) -> None:
        await history.async_prune()

    entry.runtime_data = LlamaCppData(client, serving, history, coordinator)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    entry.async_on_unload(entry.add_update_listener(_async_reload))
    async_follow_first_steps(hass, entry)
    entry.async_on_unload(async_track_time_interval(hass, prune, PRUNE_INTERVAL))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> bool:
    """Unload one server; its conversations stay stored."""
    is_unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if is_unloaded:
        async_withdraw_cache_issues(hass, entry.entry_id)
        await entry.runtime_data.history.async_unload()
        if hass.config_entries.async_loaded_entries(DOMAIN) in ([], [entry]):
            async_forget_exposed(hass)
    return is_unloaded


async def async_remove_entry(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> None:
    """Remove the conversations and repair issues of a server."""
    async_delete_cache_issues(hass, entry.entry_id)
    async_delete_certificate_issue(hass, entry.entry_id)
    async_delete_download_issue(hass, entry.entry_id)
    async_delete_first_steps_issue(hass, entry.entry_id)
    await History(hass, entry.entry_id, Retention()).async_remove()


async def _async_reload(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> None:
    await hass.config_entries.async_reload(entry.entry_id)
