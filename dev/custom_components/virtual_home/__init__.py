"""A virtual home for development: real entities, described by a YAML file, without hardware.

virtual_home:
  home: /path/to/home.yaml
"""

from pathlib import Path
from typing import TYPE_CHECKING

import probatio
from homeassistant.config_entries import SOURCE_IMPORT
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv

from .const import CONF_HOME, CONF_PATH, DOMAIN
from .home import HomeFileError, load_home
from .registries import apply_home
from .runtime import HomeData
from .services import async_register_services

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

    from .runtime import VirtualHomeConfigEntry

CONFIG_SCHEMA = probatio.Schema(
    {
        DOMAIN: probatio.Schema(
            {probatio.Required(CONF_HOME): probatio.All(cv.ensure_list, [cv.string])}
        )
    },
    extra=probatio.ALLOW_EXTRA,
)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Import the homes of the YAML configuration, and remove those that it no longer has."""
    async_register_services(hass)
    if DOMAIN not in config:
        return True
    paths = [_absolute(hass, name) for name in config[DOMAIN][CONF_HOME]]
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.data[CONF_PATH] not in paths:
            await hass.config_entries.async_remove(entry.entry_id)
    for path in paths:
        hass.async_create_task(
            hass.config_entries.flow.async_init(
                DOMAIN, context={"source": SOURCE_IMPORT}, data={CONF_PATH: path}
            )
        )
    return True


def _absolute(hass: HomeAssistant, name: str) -> str:
    """Return the path of a file that may be given relative to the configuration folder."""
    return str(Path(hass.config.path(name)).absolute())


async def async_setup_entry(hass: HomeAssistant, entry: VirtualHomeConfigEntry) -> bool:
    """Load one home from its file."""
    path = Path(entry.data[CONF_PATH])
    try:
        home = await hass.async_add_executor_job(load_home, path)
    except HomeFileError as err:
        raise ConfigEntryError(str(err)) from None
    try:
        apply_home(hass, entry, home)
    except HomeFileError as err:
        raise ConfigEntryError(f"{path}: {err}") from None
    entry.runtime_data = HomeData(home)
    await hass.config_entries.async_forward_entry_setups(entry, entry.runtime_data.platforms)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: VirtualHomeConfigEntry) -> bool:
    """Unload one home."""
    return await hass.config_entries.async_unload_platforms(entry, entry.runtime_data.platforms)
