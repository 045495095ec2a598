"""Repair flows for issues."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir

from .assistants import async_use_agent
from .client import LlamaServerError
from .const import DOCS_URL, DOMAIN
from .conversation import agents_of
from .error_messages import translation_key, translation_placeholders
from .first_steps import FirstSteps
from .history import remove_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.components.repairs import RepairsFlowResult
    from homeassistant.core import HomeAssistant

# A box of a list in Markdown, ticked or not.
DONE, LEFT = "x", " "


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
        case {"entry_id": str(entry_id)}:
            return FirstStepsRepairFlow(entry_id)
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


class FirstStepsRepairFlow(RepairsFlow):
    """Repair flow that leads from a new server to the first sentence."""

    def __init__(self, entry_id: str) -> None:
        """Initialize the flow for a server."""
        self._entry_id = entry_id

    async def async_step_init(self, _input: object = None) -> RepairsFlowResult:
        """Show what is done and what is left; offer to do what a click can do."""
        steps = await self._async_steps()
        if steps is None:
            return self.async_abort(reason="agent_unavailable")
        return self.async_show_menu(
            step_id="init",
            menu_options=["finish"] if steps.is_chosen else ["use_agent", "dismiss"],
            description_placeholders={
                "agent": steps.name,
                "assistant": steps.assistant.name,
                "engine": steps.engine,
                "is_chosen": DONE if steps.is_chosen else LEFT,
                "assistants_url": "/config/voice-assistants/assistants",
                "exposed": str(steps.n_exposed),
                "is_exposed": DONE if steps.n_exposed else LEFT,
                "expose_url": "/config/voice-assistants/expose",
                "sentence": steps.sentence,
                "voice_url": f"{DOCS_URL}/voice.md",
            },
        )

    async def async_step_use_agent(self, _input: object = None) -> RepairsFlowResult:
        """Have the preferred assistant use the agent, then show what is left."""
        if steps := await self._async_steps():
            await async_use_agent(self.hass, [steps.assistant], steps.agent)
        return await self.async_step_init()

    async def async_step_finish(self, _input: object = None) -> RepairsFlowResult:
        """End the flow, and the issue with it."""
        return self.async_create_entry(data={})

    async def async_step_dismiss(self, _input: object = None) -> RepairsFlowResult:
        """End the flow, and the issue with it, though nothing was done."""
        return self.async_create_entry(data={})

    async def _async_steps(self) -> FirstSteps | None:
        """Return how far the user is, None if the server is not set up."""
        for entry in self.hass.config_entries.async_loaded_entries(DOMAIN):
            if entry.entry_id == self._entry_id:
                return await FirstSteps.async_of(self.hass, entry)
        return None
