"""What Home Assistant's own agent understands of a sentence, without a doubt."""

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
    """What is to be done.

    tool: its name without a namespace. args: by the names of its slots. is_domain_known: a domain
    in them is one that Home Assistant goes by, and not only what the words were about.
    """

    tool: str
    args: Mapping[str, Any]
    is_domain_known: bool = True


class Recognized(NamedTuple):
    """What was said, and how Home Assistant answers.

    response: which of its answers it gives, if it says. texts: what was said for each argument.
    """

    order: Order
    response: str | None
    texts: Mapping[str, Any]


async def async_recognized(
    hass: HomeAssistant, sentence: str, llm_context: llm.LLMContext
) -> Order | None:
    """Return what a sentence of somebody orders, as `async_order_of`."""
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
    """Return what was ordered, None if Home Assistant has no such sentence."""
    found = await async_recognize(hass, said)
    return found.order if found else None


async def async_recognize(
    hass: HomeAssistant, said: conversation.ConversationInput
) -> Recognized | None:
    """Return what Home Assistant understands, None if it has no such sentence.

    It takes its own sentences to the letter here: nothing fuzzy, and no word is passed over.
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
    # Of several entities with one name a sentence is for one kind: who closes a door unlocks no
    # lock.
    own = args if is_known else {**args, "domain": domain}
    return Recognized(
        Order(found.intent.name, own, is_domain_known=is_known),
        found.response,
        {name: entity.text or entity.value for name, entity in found.entities.items()},
    )
