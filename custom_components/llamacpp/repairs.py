"""What can be done about the issues that Home Assistant shows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir

from .client import LlamaServerError
from .const import DOMAIN
from .errors import translation_key, translation_placeholders
from .history import remove_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.components.repairs import RepairsFlowResult
    from homeassistant.core import HomeAssistant

    from .coordinator import LlamaCppConfigEntry


async def async_create_fix_flow(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    issue_id: str,  # noqa: ARG001 - as above
    data: Mapping[str, Any] | None,
) -> RepairsFlow:
    """Return the dialogue for an issue; what the issue is about tells which."""
    match data:
        case {"subentry_id": str(subentry_id)}:
            return ContextRepairFlow(subentry_id)
        case {"path": str(path)}:
            return SetAsideRepairFlow(Path(path))
    return ConfirmRepairFlow()


class _RepairFlow(RepairsFlow):
    """A dialogue that is filled in as its issue is."""

    def _placeholders(self) -> dict[str, str]:
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        return dict((issue and issue.translation_placeholders) or {})


class ContextRepairFlow(_RepairFlow):
    """Has the server look whether a home fits by now."""

    def __init__(self, subentry_id: str) -> None:
        """Make the dialogue for an agent."""
        self._subentry_id = subentry_id

    async def async_step_init(self, _input: object = None) -> RepairsFlowResult:
        """Begin with what is wrong and what to do."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Look; the issue goes if the home fits, else its numbers are new ones."""
        errors: dict[str, str] = {}
        placeholders = self._placeholders()
        if user_input is not None:
            try:
                await self._async_look()
            except LlamaServerError as err:
                errors["base"] = translation_key(err)
                placeholders |= translation_placeholders(err)
            except HomeAssistantError:
                return self.async_abort(reason="agent_unavailable")
            else:
                return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="confirm",
            data_schema=probatio.Schema({}),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def _async_look(self) -> None:
        """Have the agent's prompt processed; raises LlamaServerError, or HomeAssistantError."""
        for entry in self._entries():
            if self._subentry_id in entry.subentries:
                await entry.runtime_data.warmer.warm_up(self._subentry_id)
                return
        raise HomeAssistantError(f"The agent {self._subentry_id} is not set up")

    def _entries(self) -> list[LlamaCppConfigEntry]:
        entries = self.hass.config_entries.async_entries(DOMAIN)
        return [entry for entry in entries if entry.state is ConfigEntryState.LOADED]


class SetAsideRepairFlow(_RepairFlow):
    """Asks what is to become of a file that holds no conversation."""

    def __init__(self, path: Path) -> None:
        """Make the dialogue for a file that was set aside."""
        self._path = path

    async def async_step_init(self, _input: object = None) -> RepairsFlowResult:
        """Offer both."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["keep", "delete"],
            description_placeholders=self._placeholders(),
        )

    async def async_step_keep(self, _input: object = None) -> RepairsFlowResult:
        """Leave the file; it goes when the time is over for which conversations are kept."""
        return self.async_create_entry(data={})

    async def async_step_delete(self, _input: object = None) -> RepairsFlowResult:
        """Remove the file."""
        await self.hass.async_add_executor_job(remove_file, self._path)
        return self.async_create_entry(data={})
