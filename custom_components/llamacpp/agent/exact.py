"""What Home Assistant understands by itself is done by Home Assistant, without asking a model."""

from typing import TYPE_CHECKING

from homeassistant.components import conversation

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


async def async_answer_exactly(
    hass: HomeAssistant,
    user_input: conversation.ConversationInput,
    chat_log: conversation.ChatLog,
) -> conversation.ConversationResult | None:
    """Return Home Assistant's own answer, None if it has no such sentence.

    It takes its sentences to the letter: what is only like one of them is not its to answer. What
    it has done stands in the chat log as a call of a tool, so later turns know of it. If it does
    nothing, the chat log stays as it is.
    """
    n_contents = len(chat_log.content)
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
