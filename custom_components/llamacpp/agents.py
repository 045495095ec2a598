"""Which agent answers an action or the card, and whether the caller may use it."""

from contextlib import suppress
from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er

from .access import Caller
from .action_turn import invalid
from .assistants import async_preferred_agent
from .client import CannotConnectError
from .const import DOMAIN
from .conversation import LlamaCppConversationEntity

if TYPE_CHECKING:
    from homeassistant.core import Context, HomeAssistant


async def async_allowed_agent(
    hass: HomeAssistant, context: Context, entity_id: str | None
) -> tuple[Caller, LlamaCppConversationEntity]:
    """Return the caller and an agent that the caller may control.

    entity_id: the agent's, None: the preferred voice assistant's, or the only one. Raises
    ServiceValidationError if there is no agent, if none of several is preferred, if a new check
    finds its server away, or if the caller may not control it.
    """
    caller = await Caller.async_of(hass, context)
    agent = await _async_agent(hass, entity_id or async_preferred_agent(hass))
    check_control(caller, agent.entity_id)
    return caller, agent


def check_control(caller: Caller, agent_id: str | None) -> None:
    """Raise ServiceValidationError if the caller may not control the agent."""
    if not caller.may_control(agent_id):
        raise invalid("control_not_allowed", agent=agent_id or conversation.DOMAIN)


async def _async_agent(hass: HomeAssistant, entity_id: str | None) -> LlamaCppConversationEntity:
    """Return the agent, None: the only one. Raises ServiceValidationError."""
    agents = [
        entity
        for entity in hass.data[conversation.const.DATA_COMPONENT].entities
        if isinstance(entity, LlamaCppConversationEntity)
    ]
    found = [agent for agent in agents if entity_id in (None, agent.entity_id)]
    if not found:
        if away := _agents_away(hass, entity_id):
            raise invalid("agent_unavailable", agent=", ".join(away))
        raise invalid("agent_unknown", agent=entity_id or "")
    if len(found) > 1:
        names = ", ".join(sorted(agent.entity_id for agent in found))
        raise invalid("agent_required", agents=names)
    with suppress(CannotConnectError):
        await found[0].coordinator.async_require()
    if not found[0].available:
        raise invalid("agent_unavailable", agent=found[0].entity_id)
    return found[0]


@callback
def _agents_away(hass: HomeAssistant, entity_id: str | None) -> list[str]:
    """Return the agent with this id, or all, of servers that are not set up.

    This happens if a server is away when Home Assistant starts.
    """
    return sorted(
        one.entity_id
        for one in er.async_get(hass).entities.values()
        if (one.platform, one.domain) == (DOMAIN, conversation.DOMAIN)
        and one.disabled_by is None
        and entity_id in (None, one.entity_id)
    )
