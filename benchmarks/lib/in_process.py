"""A real Home Assistant in the benchmark's own process, with a virtual home and our agent."""

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from homeassistant import loader
from homeassistant.auth import auth_manager_from_config
from homeassistant.bootstrap import (
    CORE_INTEGRATIONS,
    async_load_base_functionality,
    async_setup_hass,
)
from homeassistant.config_entries import SOURCE_USER, ConfigEntries, ConfigEntryState
from homeassistant.const import CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.runner import RuntimeConfig
from homeassistant.setup import async_setup_component

import custom_components.llamacpp
from custom_components.llamacpp.const import DOMAIN
from dev.hass import DEV_COMPONENTS
from dev.hass import HomeAssistant as HomeAssistantProcess

from .errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry

AGENT = "conversation.house_llama"
# The location of the homes.
TIME_ZONE, LATITUDE, LONGITUDE = "Europe/Rome", 45.46, 9.19


@asynccontextmanager
async def running_home(config_dir: Path, home: Path) -> AsyncGenerator[HomeAssistant]:
    """Run Home Assistant in this process, with the virtual home of a file and two users.

    config_dir: created if missing. Raises BenchmarkError if Home Assistant does not start.
    """
    await asyncio.to_thread(HomeAssistantProcess(config_dir, home=home).write_configuration)
    _add_dev_components()
    logging.disable(logging.WARNING)
    hass = await async_setup_hass(RuntimeConfig(str(config_dir), skip_pip=True))
    if hass is None:
        raise BenchmarkError("Home Assistant did not start")
    await hass.async_start()
    for name in ("Ann", "Bob"):
        await hass.auth.async_create_user(name)
    await hass.async_block_till_done()
    try:
        yield hass
    finally:
        await hass.async_stop(force=True)


@asynccontextmanager
async def small_home(
    config_dir: Path, home: Path, scripts: Mapping[str, Any]
) -> AsyncGenerator[HomeAssistant]:
    """Run Home Assistant with a virtual home and only the components that a conversation needs.

    It starts many times faster than a whole one, and any number of times in one process.
    config_dir: created if missing. home: an absolute path. scripts: those of the home, by
    name. Raises BenchmarkError if the home is refused.
    """
    # Its web server gets a free port.
    await asyncio.to_thread(HomeAssistantProcess(config_dir, home=home).write_configuration)
    _add_dev_components()
    logging.disable(logging.ERROR)
    hass = HomeAssistant(str(config_dir))
    loader.async_setup(hass)
    hass.config.skip_pip = True
    hass.config_entries = ConfigEntries(hass, {})
    await loader.async_get_custom_components(hass)
    await async_load_base_functionality(hass)
    hass.auth = await auth_manager_from_config(hass, [], [])
    await hass.config.async_update(time_zone=TIME_ZONE, latitude=LATITUDE, longitude=LONGITUDE)
    # The home exposes scripts, so they are set up first.
    config = {"script": scripts, "virtual_home": {"home": str(home)}}
    for domain in (*CORE_INTEGRATIONS, "assist_pipeline", *config):
        if not await async_setup_component(hass, domain, config):
            raise BenchmarkError(f"Home Assistant did not set up {domain}")
    await hass.async_start()
    await hass.async_block_till_done()
    try:
        for entry in hass.config_entries.async_entries("virtual_home"):
            if entry.state is not ConfigEntryState.LOADED:
                raise BenchmarkError(str(entry.reason))
        yield hass
    finally:
        await hass.async_stop(force=True)


def _add_dev_components() -> None:
    if str(DEV_COMPONENTS) not in custom_components.__path__:
        custom_components.__path__.append(str(DEV_COMPONENTS))


async def set_up_agent(hass: HomeAssistant, url: str) -> ConfigEntry[Any]:
    """Set up the integration for a server; raises BenchmarkError if it is refused."""
    step = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}, data={CONF_URL: url}
    )
    if step["type"] is not FlowResultType.CREATE_ENTRY:
        raise BenchmarkError(f"the server was not taken: {step.get('errors')}")
    entry: ConfigEntry[Any] = step["result"]
    return entry
