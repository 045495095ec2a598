"""Config flow that turns the YAML configuration into a config entry.

Devices and the area registry need an entry; the user has nothing to enter.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigFlow

from .const import CONF_PATH, DOMAIN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult


class VirtualHomeConfigFlow(ConfigFlow, domain=DOMAIN):
    """Make one entry for each home file."""

    VERSION = 1

    async def async_step_user(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant's signature
    ) -> ConfigFlowResult:
        """Say that YAML is the way."""
        return self.async_abort(reason="yaml_only")

    async def async_step_import(self, import_data: dict[str, Any]) -> ConfigFlowResult:
        """Make the entry of one file, unless there is one."""
        path: str = import_data[CONF_PATH]
        await self.async_set_unique_id(path)
        self._abort_if_unique_id_configured()
        return self.async_create_entry(title=Path(path).name, data={CONF_PATH: path})
