"""Let Home Assistant answer the sentences that it understands, without a model."""

from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.helpers import intent

from ..home.language import async_load
from ..home.words import words_of
from ..nlu.items import each_item
from .critical import CriticalCalls
from .openings import Openings, async_tell
from .recognizer import async_recognize

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import llm


# Most words of a list item: the slot takes any text, also a whole sentence.
MAX_ITEM_WORDS = 6


async def async_answer_exactly(
    hass: HomeAssistant,
    user_input: conversation.ConversationInput,
    chat_log: conversation.ChatLog,
    llm_context: llm.LLMContext,
) -> conversation.ConversationResult | None:
    """Return Home Assistant's own answer, None to leave the answer to the model.

    Matches Home Assistant's sentences strictly. The model gets what is only similar, what would
    move a lock or a door that the utterance does not name as one (Home Assistant matches names of
    any kind), and a whole sentence as the item of a list. Home Assistant's actions go to the chat
    log as tool calls, so that later turns see them; without any, the chat log stays unchanged.

    After a pipeline that prefers local handling, nothing is recognized twice: Home Assistant caches
    its results for the newest texts, also misses.
    """
    found = await async_recognize(hass, user_input)
    critical = CriticalCalls(hass, (), (), llm_context)
    known = {one.intent_type for one in intent.async_get(hass)}
    if not found or found.order.tool not in known or not await critical.async_is_exact(found.order):
        return None
    item = str(found.order.args.get("item", ""))
    if len(item.split()) > MAX_ITEM_WORDS:
        return None
    if item and each_item(words_of(item), await async_load(hass, user_input.language)):
        # Home Assistant would put `bread and cheese` on the list as one item.
        return None
    n_contents = len(chat_log.content)
    openings = Openings.asked_about(hass, found.order)
    if openings and not openings.are_covers:
        response = await async_tell(hass, user_input, found, openings)
    else:
        response = await conversation.async_handle_intents(hass, user_input, chat_log)
    if response is None:
        # Until 2026.11 Home Assistant leaves a call without a target behind.
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
