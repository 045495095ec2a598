"""The agent without a model."""

from typing import TYPE_CHECKING, Literal, override

from homeassistant.components import conversation
from homeassistant.const import MATCH_ALL
from homeassistant.helpers import llm
from homeassistant.util.ulid import ulid_now

from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.home.language import async_load
from custom_components.llamacpp.home.spoken import bare
from custom_components.llamacpp.tool_calls.tools import to_tools

from .overlap import choose

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

DONE = "Done."
FAILED = "That did not work."
NOTHING = "I do not know what to do."


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: ConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the agent."""
    async_add_entities([WordOverlapEntity(entry)])


class WordOverlapEntity(conversation.ConversationEntity):
    """Carries out the command of this home that shares most words with the sentence."""

    _attr_name = "Word Overlap"
    _attr_supported_features = conversation.ConversationEntityFeature.CONTROL

    def __init__(self, entry: ConfigEntry) -> None:
        """Initialize the agent."""
        self._attr_unique_id = entry.entry_id

    @property
    @override
    def supported_languages(self) -> list[str] | Literal["*"]:
        return MATCH_ALL

    @override
    async def _async_handle_message(
        self, user_input: conversation.ConversationInput, chat_log: conversation.ChatLog
    ) -> conversation.ConversationResult:
        """Call Assist's tool for the command, if there is one."""
        await chat_log.async_provide_llm_data(
            user_input.as_llm_context("word_overlap"), llm.LLM_API_ASSIST
        )
        home = exposed_home(self.hass, conversation.DOMAIN)
        language = await async_load(self.hass, user_input.language)
        command = choose(user_input.text, home, language)
        reply = NOTHING
        functions = to_tools(chat_log.llm_api) if chat_log.llm_api else ()
        tools = {bare(one["function"]["name"]): one["function"] for one in functions}
        if command and command.tool in tools:
            tool = tools[command.tool]
            declared = tool["parameters"].get("properties", {})
            args = {name: value for name, value in command.args.items() if name in declared}
            call = llm.ToolInput(tool["name"], args, id=ulid_now())
            content = conversation.AssistantContent(self.entity_id, tool_calls=[call])
            results = [one async for one in chat_log.async_add_assistant_content(content)]
            reply = FAILED if any(one.result.error for one in results) else DONE
        chat_log.async_add_assistant_content_without_tools(
            conversation.AssistantContent(self.entity_id, reply)
        )
        return conversation.async_get_result_from_chat_log(user_input, chat_log)
