"""Repair flows for issues."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir

from .client import LlamaServerError
from .const import DOMAIN
from .conversation import agents_of
from .errors import translation_key, translation_placeholders
from .history import remove_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.components.repairs import RepairsFlowResult
    from homeassistant.core import HomeAssistant


async def async_create_fix_flow(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    issue_id: str,  # noqa: ARG001 - as above
    data: Mapping[str, Any] | None,
) -> RepairsFlow:
    """Return the repair flow for an issue; the issue's data selects it."""
    match data:
        case {"subentry_id": str(subentry_id)}:
            return ContextRepairFlow(subentry_id)
        case {"path": str(path)}:
            return SetAsideRepairFlow(Path(path))
    return ConfirmRepairFlow()


class _RepairFlow(RepairsFlow):
    """A repair flow with the placeholders of its issue."""

    def _placeholders(self) -> dict[str, str]:
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        return dict((issue and issue.translation_placeholders) or {})


class ContextRepairFlow(_RepairFlow):
    """Repair flow that checks whether a home fits into the context now."""

    def __init__(self, subentry_id: str) -> None:
        """Initialize the flow for an agent."""
        self._subentry_id = subentry_id

    async def async_step_init(self, _input: object = None) -> RepairsFlowResult:
        """Show the problem and its solution."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Check the size; finish if the home fits, else show the new numbers."""
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
        """Prefill the agent's prompt; raises LlamaServerError, or HomeAssistantError."""
        for entry in self.hass.config_entries.async_loaded_entries(DOMAIN):
            for agent in agents_of(self.hass, entry):
                if agent.subentry.subentry_id == self._subentry_id:
                    await agent.async_update_prompt(is_wanted=True, is_forced=True)
                    return
        raise HomeAssistantError(f"The agent {self._subentry_id} is not set up")


class SetAsideRepairFlow(_RepairFlow):
    """Repair flow that keeps or deletes an invalid conversation file."""

    def __init__(self, path: Path) -> None:
        """Initialize the flow for a file that was set aside."""
        self._path = path

    async def async_step_init(self, _input: object = None) -> RepairsFlowResult:
        """Show a menu with both options."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["keep", "delete"],
            description_placeholders=self._placeholders(),
        )

    async def async_step_keep(self, _input: object = None) -> RepairsFlowResult:
        """Keep the file until the retention period ends."""
        return self.async_create_entry(data={})

    async def async_step_delete(self, _input: object = None) -> RepairsFlowResult:
        """Delete the file."""
        await self.hass.async_add_executor_job(remove_file, self._path)
        return self.async_create_entry(data={})
