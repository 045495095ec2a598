"""The agents of a server that automations give tasks to."""

import json
from typing import TYPE_CHECKING, Any, override

import probatio
from homeassistant.components import ai_task, conversation
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm

from .agent.frame import split_clock, system_prompt_of
from .agent.notes import set_note
from .agent.slots import Talk
from .agent.tools import to_response_format
from .const import DOMAIN, SUBENTRY_AI_TASK
from .entity import LlamaCppAgentEntity
from .errors import to_home_assistant_error
from .server import LlamaServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import LlamaCppConfigEntry

PARALLEL_UPDATES = 0
TRIES = 2


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    entry: LlamaCppConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add an agent for each subentry of this kind."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_AI_TASK):
        async_add_entities(
            [LlamaCppAITaskEntity(entry, subentry)], config_subentry_id=subentry.subentry_id
        )


class LlamaCppAITaskEntity(LlamaCppAgentEntity, ai_task.AITaskEntity):
    """An agent for tasks."""

    _attr_supported_features = (
        ai_task.AITaskEntityFeature.GENERATE_DATA | ai_task.AITaskEntityFeature.SUPPORT_ATTACHMENTS
    )

    @override
    def _shown_with(self, said: Sequence[conversation.UserContent]) -> conversation.UserContent:
        """Return the task itself: what is asked after it is about the same pictures."""
        return said[0]

    @override
    async def _async_generate_data(
        self, task: ai_task.GenDataTask, chat_log: conversation.ChatLog
    ) -> ai_task.GenDataTaskResult:
        _put_clock_last(chat_log)
        try:
            await self.coordinator.async_require()
            if task.structure is None:
                data: Any = await self._async_words(chat_log)
            else:
                data = await self._async_structured(chat_log, task.name, task.structure)
        except LlamaServerError as err:
            raise to_home_assistant_error(err) from err
        return ai_task.GenDataTaskResult(conversation_id=chat_log.conversation_id, data=data)

    async def _async_words(
        self, chat_log: conversation.ChatLog, response_format: dict[str, Any] | None = None
    ) -> str:
        """Return the model's answer; raises HomeAssistantError if it has none.

        Raises LlamaServerError if it was cut, unless tools have acted: then it tells what they did.
        """
        talk = Talk(chat_log.conversation_id, is_once=True)
        outcome = await self._async_answer(chat_log, talk=talk, response_format=response_format)
        if outcome.failure and (response_format or not outcome.has_acted):
            # Half a text is no result.
            raise outcome.failure
        if outcome.silent:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key=outcome.silent)
        answer = chat_log.content[-1]
        return (isinstance(answer, conversation.AssistantContent) and answer.content) or ""

    async def _async_structured(
        self, chat_log: conversation.ChatLog, name: str, structure: probatio.Schema
    ) -> Any:
        """Return the model's answer as data that fits; raises HomeAssistantError if none does."""
        serializer: Callable[[Any], Any] = llm.selector_serializer
        if chat_log.llm_api:
            # A grammar and tools exclude each other: first the tools have their say.
            await self._async_words(chat_log)
            self._ask_again(chat_log, "Give the result of the task as JSON.")
            serializer = chat_log.llm_api.custom_serializer or serializer
        response_format = to_response_format(name, structure, serializer)
        for _try in range(TRIES):
            words = await self._async_words(chat_log, response_format)
            try:
                return structure(json.loads(words))
            except (ValueError, probatio.Invalid) as err:
                problem = str(err)
                self._ask_again(chat_log, f"This does not fit: {problem}. Give it again as JSON.")
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="data_does_not_fit",
            translation_placeholders={"message": problem},
        )

    def _ask_again(self, chat_log: conversation.ChatLog, words: str) -> None:
        chat_log.async_add_user_content(conversation.UserContent(words))


def _put_clock_last(chat_log: conversation.ChatLog) -> None:
    """Move the seconds of the clock behind all that stays the same from one task to the next."""
    said = next(one for one in chat_log.content if isinstance(one, conversation.UserContent))
    prompt, clock = split_clock(system_prompt_of(chat_log.content))
    chat_log.content[0] = conversation.SystemContent(content=prompt)
    set_note(said, clock)
