"""Let an agent answer the message of an action."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from homeassistant.components import conversation
from homeassistant.const import CONF_PROMPT
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .attachments import attached
from .chat_history import (
    async_append_from,
    async_claim,
    async_load_into,
    async_session,
    forget,
    forgetting_failures,
)
from .client import LlamaServerError
from .const import DOMAIN, LOGGER
from .error_messages import to_home_assistant_error
from .history import HistoryError, Source
from .prompt.options import CONF_MAX_TOKENS, CONF_TEMPERATURE
from .turn.turn import Outcome

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
    from homeassistant.helpers.chat_session import ChatSession

    from .access import Caller
    from .conversation import LlamaCppConversationEntity

ATTR_ATTACHMENTS: Final = "attachments"
ATTR_LLM_HASS_API: Final = "llm_hass_api"
ATTR_MESSAGE: Final = "message"

# About 8,000 tokens: a longer text is a mistake in a template, not a message or instructions.
MAX_CHARACTERS: Final = 32_000


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error, with this translation key, for an invalid call."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )


@dataclass(frozen=True, slots=True)
class ActionTurn:
    """The turn of an action.

    call: of the action. caller: its user. system_prompt: the conversation's instructions, None for
    the agent's. is_one_shot: the conversation ends with this turn.
    """

    hass: HomeAssistant
    call: ServiceCall
    caller: Caller
    agent: LlamaCppConversationEntity
    conversation_id: str
    system_prompt: str | None
    is_one_shot: bool = False

    async def async_run(self) -> ServiceResponse:
        """Answer the call's message, store the turn, and return the action's response.

        A turn that fails leaves the conversation unchanged. An answer that cannot be stored is
        returned all the same, with `stored` false.
        """
        message = self._message()
        failure: HomeAssistantError | None = None
        history = self.agent.history
        async with attached(self.hass, self.call.data[ATTR_ATTACHMENTS]) as attachments:
            said = conversation.UserContent(message, attachments=attachments or None)
            with (
                await async_session(self.hass, history, self.conversation_id) as session,
                conversation.async_get_chat_log(self.hass, session) as chat_log,
            ):
                chat_log.async_add_user_content(said)
                try:
                    with forgetting_failures(chat_log):
                        outcome = await self._async_answer(session, chat_log)
                    is_stored = await self._async_store(chat_log, outcome)
                except HomeAssistantError as err:
                    # If the error left the block, the next action of the same script would inherit
                    # this chat log: remove the message instead, and raise afterwards.
                    forget(chat_log, said)
                    failure = err
                answer = chat_log.content[-1]
        if failure:
            raise failure
        self.agent.coordinator.async_update_listeners()
        return self._response(answer, outcome, is_stored=is_stored)

    def _message(self) -> str:
        message: str = self.call.data[ATTR_MESSAGE]
        if not message.strip():
            raise invalid("message_empty")
        if len(message) > MAX_CHARACTERS:
            raise invalid("message_too_long", limit=str(MAX_CHARACTERS))
        return message

    async def _async_answer(self, session: ChatSession, chat_log: conversation.ChatLog) -> Outcome:
        """Restore earlier turns, then let the agent answer.

        Raises HomeAssistantError for any failure.
        """
        history = self.agent.history
        if not await async_claim(history, session, self.caller):
            raise invalid("conversation_not_yours")
        await async_load_into(history, chat_log)
        return await self._async_converse(chat_log)

    async def _async_store(self, chat_log: conversation.ChatLog, outcome: Outcome) -> bool:
        """Store the turn and return whether it is on disk; a failure keeps the answer."""
        try:
            await async_append_from(
                self.agent.history,
                chat_log,
                self.agent.entity_id,
                outcome,
                source=Source.ACTION,
                user_id=self.caller.user_id,
                closes=self.is_one_shot,
            )
        except HistoryError as err:
            LOGGER.error("A turn is not stored: %s", err)
            return False
        return True

    async def _async_converse(self, chat_log: conversation.ChatLog) -> Outcome:
        """Let the agent answer; it has no tools unless the call names LLM APIs.

        What needs no model is answered as in Assist, unless the conversation has its own
        instructions, or the message an attachment.
        """
        data = self.call.data
        apis = data.get(ATTR_LLM_HASS_API)
        if self.system_prompt is None and not data[ATTR_ATTACHMENTS]:
            said = self.agent.input_of(data[ATTR_MESSAGE], self.call.context)
            if await self.agent.async_answer_without_model(said, chat_log, apis):
                return Outcome.without_model(chat_log)
        language: str | None = self.hass.config.language
        prompt = self.agent.subentry.data.get(CONF_PROMPT)
        if self.system_prompt is not None:
            # Custom instructions also determine the language.
            prompt, language = verbatim(self.system_prompt), None
        try:
            outcome = await self.agent.async_converse(
                chat_log,
                self.agent.llm_context(self.call.context),
                apis=apis,
                prompt=prompt,
                language=language,
                overrides={
                    key: data[key] for key in (CONF_TEMPERATURE, CONF_MAX_TOKENS) if key in data
                },
            )
        except LlamaServerError as err:
            raise to_home_assistant_error(err) from err
        if outcome.silent:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key=outcome.silent)
        return outcome

    def _response(
        self, answer: conversation.Content, outcome: Outcome, *, is_stored: bool
    ) -> ServiceResponse:
        summary = self.agent.history.summary(self.conversation_id)
        usage = outcome.usage
        return {
            "response": (isinstance(answer, conversation.AssistantContent) and answer.content)
            or "",
            "conversation_id": self.conversation_id,
            "stored": is_stored,
            "message_count": summary.message_count if summary else 0,
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
                "cached_tokens": usage.cached_tokens,
            },
            "finish_reason": outcome.finish_reason.value,
        }


def verbatim(text: str) -> str:
    """Return a template that renders to this text, even if the text contains template code."""
    literal = text.encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"{{{{ '{literal}' }}}}"
