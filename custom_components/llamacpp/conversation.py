"""The conversation agents of a server."""

from typing import TYPE_CHECKING, Literal, override

from homeassistant.components import conversation
from homeassistant.const import CONF_LLM_HASS_API, CONF_PROMPT, MATCH_ALL
from homeassistant.helpers import intent

from .const import DOMAIN, SUBENTRY_CONVERSATION
from .entity import LlamaCppAgentEntity
from .errors import async_spoken, translation_key, translation_placeholders
from .server import LlamaServerError

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigSubentry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import LlamaCppConfigEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    entry: LlamaCppConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add an agent for each subentry of this kind."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_CONVERSATION):
        async_add_entities(
            [LlamaCppConversationEntity(entry, subentry)],
            config_subentry_id=subentry.subentry_id,
        )


class LlamaCppConversationEntity(LlamaCppAgentEntity, conversation.ConversationEntity):
    """An agent that people talk to."""

    _attr_supports_streaming = True

    def __init__(self, entry: LlamaCppConfigEntry, subentry: ConfigSubentry) -> None:
        """Make the agent; it controls the home if it has been given an API for that."""
        super().__init__(entry, subentry)
        if subentry.data.get(CONF_LLM_HASS_API):
            self._attr_supported_features = conversation.ConversationEntityFeature.CONTROL

    @property
    @override
    def supported_languages(self) -> list[str] | Literal["*"]:
        return MATCH_ALL

    @override
    async def _async_handle_message(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
    ) -> conversation.ConversationResult:
        options = self.subentry.data
        try:
            await chat_log.async_provide_llm_data(
                user_input.as_llm_context(DOMAIN),
                options.get(CONF_LLM_HASS_API),
                options.get(CONF_PROMPT),
                user_input.extra_system_prompt,
            )
        except conversation.ConverseError as err:
            return err.as_conversation_result()
        turn_start = len(chat_log.content)
        try:
            if reason := await self._async_answer(chat_log):
                await self._async_say(chat_log, user_input.language, reason)
        except LlamaServerError as err:
            # Home Assistant forgets a turn that adds nothing: the next one starts clean.
            del chat_log.content[turn_start:]
            self.coordinator.async_check_soon()
            return await self._async_error_result(user_input, chat_log, err)
        return conversation.async_get_result_from_chat_log(user_input, chat_log)

    async def _async_say(self, chat_log: conversation.ChatLog, language: str, key: str) -> None:
        """Add a sentence of our own, where the model left the user without one."""
        chat_log.async_add_assistant_content_without_tools(
            conversation.AssistantContent(
                agent_id=self.entity_id, content=await async_spoken(self.hass, language, key)
            )
        )

    async def _async_error_result(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
        err: LlamaServerError,
    ) -> conversation.ConversationResult:
        """Say what is wrong in the user's language, rather than fail without a word."""
        response = intent.IntentResponse(language=user_input.language)
        response.async_set_error(
            intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            await async_spoken(
                self.hass, user_input.language, translation_key(err), translation_placeholders(err)
            ),
        )
        return conversation.ConversationResult(
            response=response, conversation_id=chat_log.conversation_id
        )
