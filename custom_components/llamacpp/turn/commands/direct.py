"""Carry out what is understood whole, without a model."""

from dataclasses import replace
from typing import TYPE_CHECKING

from homeassistant.components import conversation

from ...home.exposed import async_exposed, exposed_home
from ...home.language import async_load, has_own_words
from ...nlu.entity_linking import async_read_names
from ...nlu.utterance import understand
from ...nlu.verbs import Verbs
from ...prompt.assist import RememberedAssist
from ...tool_calls.tools import GuardedTool
from .commands_strategy import CommandsStrategy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import llm

    from ..deltas import ChatLogDelta

# Most characters of a command.
MAX_CHARACTERS = 300


async def async_answer_directly(
    hass: HomeAssistant,
    user_input: conversation.ConversationInput,
    chat_log: conversation.ChatLog,
    llm_context: llm.LLMContext,
) -> conversation.ConversationResult | None:
    """Carry out a command of which every word is explained; None leaves the answer to the model.

    In the languages for which we have the words that reverse an order. What it did stands in the
    chat log as tool calls, so later turns know; otherwise the chat log stays unchanged.
    """
    code = user_input.language
    if len(user_input.text) > MAX_CHARACTERS or not has_own_words(code):
        return None
    language = await async_load(hass, code)
    said = understand(user_input.text, language)
    if said.is_question or said.is_chat or not Verbs(language).heard(said.words):
        # Most of what only the model can answer ends here, before the home is read.
        return None
    await async_exposed(hass, llm_context.assistant or "").async_read()
    await async_read_names(hass, exposed_home(hass, llm_context.assistant or ""), language)
    api = await RememberedAssist(hass).async_get_api_instance(llm_context)
    strategy = CommandsStrategy(api, (language, language), llm_context)
    await strategy.async_check(chat_log.content)
    calls = strategy.direct(chat_log.content)
    if not calls:
        return None
    before, n_contents = chat_log.llm_api, len(chat_log.content)
    chat_log.llm_api = replace(api, tools=[GuardedTool(one) for one in api.tools])
    try:
        await _async_add(chat_log, user_input.agent_id, calls)
    finally:
        chat_log.llm_api = before
    words = strategy.without_model(chat_log.content[n_contents - 1 :])
    done: list[ChatLogDelta] = [{"role": "assistant"}, {"content": str(language.texts["done"])}]
    await _async_add(chat_log, user_input.agent_id, words or done)
    return conversation.async_get_result_from_chat_log(user_input, chat_log)


async def _async_add(
    chat_log: conversation.ChatLog, agent_id: str, deltas: Iterable[ChatLogDelta]
) -> None:
    async def stream() -> AsyncGenerator[ChatLogDelta]:
        for one in deltas:
            yield one

    async for _ in chat_log.async_add_delta_content_stream(agent_id, stream()):
        pass
