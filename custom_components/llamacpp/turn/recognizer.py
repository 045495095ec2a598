"""Recognize sentences with Home Assistant's own agent, strictly."""

from typing import TYPE_CHECKING, Any, NamedTuple

from homeassistant.components import conversation
from homeassistant.components.conversation.agent_manager import async_get_agent
from homeassistant.components.conversation.default_agent import DefaultAgent
from homeassistant.core import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import llm


class Order(NamedTuple):
    """An order of the user.

    tool: short name. args: by slot. is_domain_known: Home Assistant acts by the domain in them,
    which is otherwise only that of the sentence.
    """

    tool: str
    args: Mapping[str, Any]
    is_domain_known: bool = True


class Recognized(NamedTuple):
    """A recognized sentence.

    response: key of Home Assistant's response, if there is one. texts: the words of each argument.
    """

    order: Order
    response: str | None
    texts: Mapping[str, Any]


async def async_recognized(
    hass: HomeAssistant, sentence: str, llm_context: llm.LLMContext
) -> Order | None:
    """Return the order in a speaker's sentence, as `async_order_of`."""
    said = conversation.ConversationInput(
        text=sentence,
        context=llm_context.context or Context(),
        conversation_id=None,
        device_id=llm_context.device_id,
        satellite_id=None,
        language=llm_context.language or hass.config.language,
        agent_id=conversation.HOME_ASSISTANT_AGENT,
    )
    return await async_order_of(hass, said)


async def async_order_of(hass: HomeAssistant, said: conversation.ConversationInput) -> Order | None:
    """Return the order, None if Home Assistant has no such sentence."""
    found = await async_recognize(hass, said)
    return found.order if found else None


async def async_recognize(
    hass: HomeAssistant, said: conversation.ConversationInput
) -> Recognized | None:
    """Return the match of Home Assistant's agent, None if it has no such sentence.

    Strict: no fuzzy matching, and no word is skipped.
    """
    agent = async_get_agent(hass, conversation.HOME_ASSISTANT_AGENT)
    if not isinstance(agent, DefaultAgent):
        return None
    found = await agent.async_recognize_intent(said, strict_intents_only=True)
    if found is None or found.unmatched_entities:
        return None
    args = {name: entity.value for name, entity in found.entities.items()}
    domain = (found.context or {}).get("domain")
    is_known = domain is None or "domain" in args
    # Among entities with one name, a sentence is for one kind: closing a door unlocks no lock.
    own = args if is_known else {**args, "domain": domain}
    return Recognized(
        Order(found.intent.name, own, is_domain_known=is_known),
        found.response,
        {name: entity.text or entity.value for name, entity in found.entities.items()},
    )
