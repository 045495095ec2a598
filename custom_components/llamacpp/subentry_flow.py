"""Subentry flow: set up the agents of a server."""

from typing import TYPE_CHECKING, Any, ClassVar

import probatio
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_LLM_HASS_API, CONF_MODEL, CONF_NAME, CONF_PROMPT
from homeassistant.data_entry_flow import section
from homeassistant.helpers import llm
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TemplateSelector,
    TextSelector,
    TextSelectorConfig,
)

from .client import LlamaServerError
from .const import (
    CONF_EXACT_FIRST,
    CONF_KEEP_HISTORY,
    CONF_KEEP_WARM,
    DEFAULT_AGENT_NAME,
    DEFAULT_EXACT_FIRST,
    DEFAULT_TASK_NAME,
)
from .model.abilities import CONF_TOOL_CALLS, ToolCalls
from .model_choice import async_router_selector
from .naming import free_name
from .prompt.options import (
    CONF_HISTORY_TOKENS,
    CONF_MAX_TOKENS,
    CONF_MAX_TOOL_ROUNDS,
    CONF_MIN_P,
    CONF_REPEAT_PENALTY,
    CONF_SEED,
    CONF_STOP,
    CONF_TEMPERATURE,
    CONF_THINKING,
    CONF_THINKING_BUDGET,
    CONF_TOP_K,
    CONF_TOP_P,
    Thinking,
)
from .turn.turn import MAX_TOOL_ROUNDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import (
        SubentryFlowResult,
    )

    from .coordinator import LlamaCppConfigEntry

type Fields = dict[probatio.Marker, Any]

# Collapsed sections for options that most people never need; they are stored without sections.
SECTION_ANSWER = "answer"
SECTION_SAMPLING = "sampling"


def _number(low: float, high: float, step: float = 1) -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(min=low, max=high, step=step, mode=NumberSelectorMode.BOX)
    )


THINKING_SELECTOR = SelectSelector(
    SelectSelectorConfig(options=list(Thinking), translation_key=CONF_THINKING)
)
TOOL_CALLS_SELECTOR = SelectSelector(
    SelectSelectorConfig(options=list(ToolCalls), translation_key=CONF_TOOL_CALLS)
)
SECTIONS: Mapping[str, Mapping[str, Any]] = {
    SECTION_ANSWER: {
        CONF_THINKING: THINKING_SELECTOR,
        CONF_THINKING_BUDGET: _number(0, 32768),
        CONF_MAX_TOKENS: _number(1, 32768),
        CONF_MAX_TOOL_ROUNDS: _number(1, 50),
    },
    SECTION_SAMPLING: {
        CONF_TEMPERATURE: _number(0, 2, 0.05),
        CONF_TOP_P: _number(0, 1, 0.01),
        CONF_TOP_K: _number(0, 1000),
        CONF_MIN_P: _number(0, 1, 0.01),
        CONF_REPEAT_PENALTY: _number(0, 2, 0.01),
        CONF_SEED: _number(0, 2**32 - 1),
        CONF_STOP: TextSelector(TextSelectorConfig(multiple=True)),
    },
}
CONVERSATION_SECTIONS: Mapping[str, Mapping[str, Any]] = {
    **SECTIONS,
    SECTION_ANSWER: {
        **SECTIONS[SECTION_ANSWER],
        CONF_EXACT_FIRST: BooleanSelector(),
        CONF_TOOL_CALLS: TOOL_CALLS_SELECTOR,
        CONF_HISTORY_TOKENS: _number(0, 262_144),
    },
}

_COMMON: dict[str, Any] = {
    CONF_MAX_TOOL_ROUNDS: MAX_TOOL_ROUNDS,
    CONF_THINKING: Thinking.DEFAULT,
}
_AS_IT_COMES: dict[str, Any] = _COMMON | {
    CONF_TOOL_CALLS: ToolCalls.AUTO,
    CONF_EXACT_FIRST: DEFAULT_EXACT_FIRST,
}
_CONVERSATION: dict[str, Any] = _AS_IT_COMES | {
    CONF_PROMPT: llm.DEFAULT_INSTRUCTIONS_PROMPT,
    CONF_KEEP_HISTORY: True,
    CONF_KEEP_WARM: True,
}


def flattened(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form's values without its sections, empty values and defaults.

    Defaults are not stored, so that better ones also apply to existing agents.
    """
    values = {key: value for key, value in user_input.items() if key not in SECTIONS}
    for name in SECTIONS:
        values |= user_input.get(name, {})
    if values.get(CONF_PROMPT, "").strip() == llm.DEFAULT_INSTRUCTIONS_PROMPT.strip():
        values.pop(CONF_PROMPT)
    return {
        key: value
        for key, value in values.items()
        if value not in (None, [], "", _AS_IT_COMES.get(key))
    }


def sectioned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored values in the structure of the form."""
    return dict(values) | {
        name: {field: values[field] for field in fields if field in values}
        for name, fields in CONVERSATION_SECTIONS.items()
    }


class AgentSubentryFlow(ConfigSubentryFlow):
    """Flow that adds or changes an agent."""

    _default_name: ClassVar[str]
    # Shown in the form for options that are not set.
    _defaults: ClassVar[Mapping[str, Any]]
    _sections: ClassVar[Mapping[str, Mapping[str, Any]]] = SECTIONS
    # Further suggestions for a new agent.
    _suggestions: ClassVar[Mapping[str, Any]] = {}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Show the form for a new agent's name and options."""
        name = free_name(self.hass, self._default_name, self._get_entry().title)
        defaults = {CONF_NAME: name, **self._defaults, **self._suggestions}
        return await self._async_step_options("user", defaults, user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show the form for an agent's options."""
        defaults = {**self._defaults, **self._get_reconfigure_subentry().data}
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
                step_id=step_id,
                data_schema=self.add_suggested_values_to_schema(schema, sectioned(defaults)),
            )
        values = flattened(user_input)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=values.pop(CONF_NAME), data=values)
        return self.async_update_and_abort(entry, self._get_reconfigure_subentry(), data=values)

    async def _async_schema(self, entry: LlamaCppConfigEntry) -> probatio.Schema:
        """Return the form: with a name for a new agent, and with a model on a router."""
        fields: Fields = {}
        if self.source == SOURCE_USER:
            fields[probatio.Required(CONF_NAME)] = str
        if entry.runtime_data.coordinator.data.is_router:
            models = await entry.runtime_data.client.models()
            selector = await async_router_selector(self.hass, models)
            fields[probatio.Required(CONF_MODEL)] = selector
        fields |= self._own_fields()
        for name, options in self._sections.items():
            inner = probatio.Schema({probatio.Optional(key): one for key, one in options.items()})
            fields[probatio.Optional(name)] = section(inner, {"collapsed": True})
        return probatio.Schema(fields)

    def _own_fields(self) -> Fields:
        """Return the fields of this kind of agent."""
        return {}


class ConversationSubentryFlow(AgentSubentryFlow):
    """Flow for conversation agents."""

    _default_name = DEFAULT_AGENT_NAME
    _defaults = _CONVERSATION
    _sections = CONVERSATION_SECTIONS
    _suggestions: ClassVar[Mapping[str, Any]] = {CONF_LLM_HASS_API: [llm.LLM_API_ASSIST]}

    def _own_fields(self) -> Fields:
        apis = [
            SelectOptionDict(label=api.name, value=api.id) for api in llm.async_get_apis(self.hass)
        ]
        return {
            probatio.Optional(CONF_PROMPT): TemplateSelector(),
            probatio.Optional(CONF_LLM_HASS_API): SelectSelector(
                SelectSelectorConfig(options=apis, multiple=True)
            ),
            probatio.Optional(CONF_KEEP_WARM): BooleanSelector(),
            probatio.Optional(CONF_KEEP_HISTORY): BooleanSelector(),
        }


class AITaskSubentryFlow(AgentSubentryFlow):
    """Flow for AI task agents."""

    _default_name = DEFAULT_TASK_NAME
    _defaults = _COMMON
