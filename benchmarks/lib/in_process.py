"""A real Home Assistant in the benchmark's own process, with a virtual home and our agent."""

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from homeassistant.bootstrap import async_setup_hass
from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import CONF_URL
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.runner import RuntimeConfig

import custom_components.llamacpp
from custom_components.llamacpp.const import DOMAIN
from dev.hass import DEV_COMPONENTS
from dev.hass import HomeAssistant as HomeAssistantProcess

from .errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

AGENT = "conversation.llama_cpp"


@asynccontextmanager
async def running_home(config_dir: Path, home: Path) -> AsyncGenerator[HomeAssistant]:
    """Run Home Assistant in this process, with the virtual home of a file and two users.

    config_dir: made if it is not there. Raises BenchmarkError if it does not start.
    """
    await asyncio.to_thread(HomeAssistantProcess(config_dir, home=home).write_configuration)
    if str(DEV_COMPONENTS) not in custom_components.__path__:
        custom_components.__path__.append(str(DEV_COMPONENTS))
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


async def set_up_agent(hass: HomeAssistant, url: str) -> ConfigEntry[Any]:
    """Set up the integration for a server; raises BenchmarkError if it does not take it."""
    step = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}, data={CONF_URL: url}
    )
    if step["type"] is not FlowResultType.CREATE_ENTRY:
        raise BenchmarkError(f"the server was not taken: {step.get('errors')}")
    entry: ConfigEntry[Any] = step["result"]
    return entry
