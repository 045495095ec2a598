"""Set-up of a conversation agent in the user interface."""

from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_LLM_HASS_API, CONF_MODEL, CONF_NAME, CONF_PROMPT
from homeassistant.helpers import llm
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TemplateSelector,
)

from .const import DEFAULT_AGENT_NAME
from .server import LlamaServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import (
        SubentryFlowResult,
    )

    from .coordinator import LlamaCppConfigEntry


class ConversationSubentryFlow(ConfigSubentryFlow):
    """Adds an agent to a server, or changes one."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for a new agent's name and options."""
        defaults = {
            CONF_NAME: DEFAULT_AGENT_NAME,
            CONF_PROMPT: llm.DEFAULT_INSTRUCTIONS_PROMPT,
            CONF_LLM_HASS_API: [llm.LLM_API_ASSIST],
        }
        return await self._async_step_options("user", defaults, user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for an agent's options again."""
        defaults = {
            CONF_PROMPT: llm.DEFAULT_INSTRUCTIONS_PROMPT,
            **self._get_reconfigure_subentry().data,
        }
        return await self._async_step_options("reconfigure", defaults, user_input)

    async def _async_step_options(
        self, step_id: str, defaults: Mapping[str, Any], user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        entry: LlamaCppConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        if user_input is None:
            try:
                schema = await self._async_schema(entry)
            except LlamaServerError:
                return self.async_abort(reason="cannot_connect")
            return self.async_show_form(
                step_id=step_id, data_schema=self.add_suggested_values_to_schema(schema, defaults)
            )
        # What is left as it comes is not stored, so that better defaults reach everybody.
        if user_input.get(CONF_PROMPT, "").strip() == llm.DEFAULT_INSTRUCTIONS_PROMPT.strip():
            user_input.pop(CONF_PROMPT)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=user_input.pop(CONF_NAME), data=user_input)
        return self.async_update_and_abort(entry, self._get_reconfigure_subentry(), data=user_input)

    async def _async_schema(self, entry: LlamaCppConfigEntry) -> probatio.Schema:
        """Return the form: a name only for a new agent, a model only where there is a choice."""
        fields: dict[probatio.Marker, Any] = {}
        if self.source == SOURCE_USER:
            fields[probatio.Required(CONF_NAME)] = str
        if entry.runtime_data.data.is_router:
            models = await entry.runtime_data.client.models()
            fields[probatio.Required(CONF_MODEL)] = SelectSelector(
                SelectSelectorConfig(options=[model.id for model in models])
            )
        apis = [
            SelectOptionDict(label=api.name, value=api.id) for api in llm.async_get_apis(self.hass)
        ]
        fields[probatio.Optional(CONF_PROMPT)] = TemplateSelector()
        fields[probatio.Optional(CONF_LLM_HASS_API)] = SelectSelector(
            SelectSelectorConfig(options=apis, multiple=True)
        )
        return probatio.Schema(fields)
