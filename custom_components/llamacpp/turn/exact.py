"""What Home Assistant understands by itself is done by Home Assistant, without asking a model."""

from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.helpers import intent

from .critical import CriticalCalls
from .openings import Openings, async_tell
from .recognizer import async_recognize

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import llm


# What is put on a list has no more words: the slot takes any, also those of a whole sentence.
MAX_ITEM_WORDS = 6


async def async_answer_exactly(
    hass: HomeAssistant,
    user_input: conversation.ConversationInput,
    chat_log: conversation.ChatLog,
    llm_context: llm.LLMContext,
) -> conversation.ConversationResult | None:
    """Return Home Assistant's own answer, None if it has no such sentence.

    It takes its sentences to the letter: what is only like one of them is not its to answer. Nor is
    what would move a lock or a door that was not named as one: Home Assistant finds things by their
    name alone, whatever they are. Nor is a whole sentence an item of a list. What it has done
    stands in the chat log as a call of a tool, so later turns know of it. If it does nothing, the
    chat log stays as it is.

    Where a pipeline has asked Home Assistant before, nothing is recognised twice: it remembers what
    its sentences said to the newest texts, also that they said nothing.
    """
    found = await async_recognize(hass, user_input)
    critical = CriticalCalls(hass, (), (), llm_context)
    known = {one.intent_type for one in intent.async_get(hass)}
    if not found or found.order.tool not in known or not await critical.async_is_exact(found.order):
        return None
    if len(str(found.order.args.get("item", "")).split()) > MAX_ITEM_WORDS:
        return None
    n_contents = len(chat_log.content)
    openings = Openings.asked_about(hass, found.order)
    if openings and not openings.are_covers:
        response = await async_tell(hass, user_input, found, openings)
    else:
        response = await conversation.async_handle_intents(hass, user_input, chat_log)
    if response is None:
        # Until 2026.11 a call that finds no target is left behind.
        del chat_log.content[n_contents:]
        return None
    speech = str(response.speech.get("plain", {}).get("speech", ""))
    chat_log.async_add_assistant_content_without_tools(
        conversation.AssistantContent(agent_id=user_input.agent_id, content=speech)
    )
    return conversation.ConversationResult(
        response=response,
        conversation_id=chat_log.conversation_id,
        continue_conversation=chat_log.continue_conversation,
    )
