"""What is left to do after the set-up, until somebody can talk to the agent."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from homeassistant.components import conversation
from homeassistant.const import MATCH_ALL
from homeassistant.core import Context, callback

from .assistants import (
    assistants_of,
    async_on_assistants_changed,
    async_preferred_assistant,
    has_assistants,
)
from .const import DOMAIN
from .conversation import agents_of
from .home.exposed import async_exposed
from .home.language import help_phrases
from .issues import (
    async_create_first_steps_issue,
    async_delete_first_steps_issue,
    has_first_steps_issue,
)
from .turn.help import async_examples

if TYPE_CHECKING:
    from homeassistant.components.assist_pipeline import Pipeline
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .conversation import LlamaCppConversationEntity
    from .coordinator import LlamaCppConfigEntry


@callback
def async_offer_first_steps(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Create the issue for a server that has just been set up, unless an assistant uses ours."""
    if has_assistants(hass) and not _is_used(hass):
        async_create_first_steps_issue(hass, entry)
        async_follow_first_steps(hass, entry)


@callback
def async_follow_first_steps(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete the issue, if it is there, as soon as an assistant uses one of our agents."""
    if not has_first_steps_issue(hass, entry.entry_id):
        return

    @callback
    def look() -> None:
        if _is_used(hass):
            async_delete_first_steps_issue(hass, entry.entry_id)

    entry.async_on_unload(async_on_assistants_changed(hass, look))
    look()


def _is_used(hass: HomeAssistant) -> bool:
    return any(assistants_of(hass, one) for one in hass.config_entries.async_entries(DOMAIN))


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """How far a user is.

    agent: id of the server's first. name: its name. assistant: the preferred one. engine: name of
    its agent. is_chosen: whether that is the server's. n_exposed: number of exposed entities.
    sentence: one to try.
    """

    agent: str
    name: str
    assistant: Pipeline
    engine: str
    is_chosen: bool
    n_exposed: int
    sentence: str

    @classmethod
    async def async_of(cls, hass: HomeAssistant, entry: LlamaCppConfigEntry) -> Self | None:
        """Return how far a user is with a server, None if the server has no agent."""
        agents = agents_of(hass, entry)
        if not agents:
            return None
        assistant = async_preferred_assistant(hass)
        used = assistants_of(hass, entry)
        exposed = async_exposed(hass, conversation.DOMAIN)
        await exposed.async_read()
        return cls(
            agent=agents[0].entity_id,
            name=_name_of(hass, agents[0].entity_id),
            assistant=assistant,
            engine=_name_of(hass, assistant.conversation_engine),
            is_chosen=assistant.id in {one.id for one in used},
            n_exposed=len(exposed.home(frozenset()).things),
            sentence=await _async_sentence(hass, agents[0], assistant),
        )


def _name_of(hass: HomeAssistant, agent_id: str) -> str:
    if state := hass.states.get(agent_id):
        return state.name
    info = conversation.async_get_agent_info(hass, agent_id)
    return info.name if info else agent_id


async def _async_sentence(
    hass: HomeAssistant, agent: LlamaCppConversationEntity, assistant: Pipeline
) -> str:
    """Return a command that works in this home, else how to ask for help."""
    spoken = assistant.conversation_language
    language = assistant.language if spoken == MATCH_ALL else spoken
    said_by = replace(agent.llm_context(Context()), language=language)
    if examples := await async_examples(hass, said_by, 1):
        return examples[0]
    phrases = await hass.async_add_executor_job(help_phrases, language)
    return min((" ".join(one) for one in phrases), key=len, default="help")
