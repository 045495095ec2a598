"""AI task platform: agents for tasks of automations."""

import json
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, override

import probatio
from homeassistant.components import ai_task, conversation
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm

from .client import FinishReason, LlamaServerError
from .const import DOMAIN, SUBENTRY_AI_TASK
from .entity import LlamaCppAgentEntity
from .error_messages import to_home_assistant_error
from .prompt.notes import note_of, set_note
from .prompt.shared_prefix import split_clock, system_prompt_of
from .serving.slot_affinity import ConversationRef
from .tool_calls.structure import (
    SHORT,
    STEPPED,
    Bounds,
    answer_data,
    answer_schema,
    hints,
    problem_of,
    to_response_format,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import LlamaCppConfigEntry
    from .tool_calls.arguments import Schema

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    entry: LlamaCppConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add an agent for each AI task subentry."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_AI_TASK):
        async_add_entities(
            [LlamaCppAITaskEntity(entry, subentry)], config_subentry_id=subentry.subentry_id
        )


class LlamaCppAITaskEntity(LlamaCppAgentEntity, ai_task.AITaskEntity):
    """An agent for AI tasks."""

    _attr_supported_features = (
        ai_task.AITaskEntityFeature.GENERATE_DATA | ai_task.AITaskEntityFeature.SUPPORT_ATTACHMENTS
    )

    @override
    def _shown_with(self, said: Sequence[conversation.UserContent]) -> conversation.UserContent:
        """Return the task itself: later requests of the same task refer to its images."""
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

        Raises LlamaServerError if it is incomplete, unless tools have acted: then it reports their
        actions. Raises _AnswerCutError if it reached the maximum number of tokens.
        """
        ref = ConversationRef(chat_log.conversation_id, is_once=True)
        outcome = await self._async_answer(chat_log, ref=ref, response_format=response_format)
        if outcome.failure and (response_format or not outcome.has_acted):
            # Half a text is no result.
            raise outcome.failure
        answer = chat_log.content[-1]
        words = (isinstance(answer, conversation.AssistantContent) and answer.content) or ""
        is_cut = outcome.finish_reason is FinishReason.LENGTH
        if is_cut and not (response_format and _is_json(words)):
            raise _AnswerCutError(
                translation_domain=DOMAIN,
                translation_key="answer_too_long",
                translation_placeholders={"agent": self.subentry.title},
            )
        if outcome.silent:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key=outcome.silent)
        return words

    async def _async_structured(
        self, chat_log: conversation.ChatLog, name: str, structure: probatio.Schema
    ) -> Any:
        """Return the model's answer as valid data; raises HomeAssistantError if it never fits.

        Retries once: an answer that was cut off with lower limits for each text and list, one out
        of a range that the server's grammar does not enforce with steps, which it enforces.
        """
        serializer: Callable[[Any], Any] = llm.selector_serializer
        _tell(chat_log, hints(structure))
        if chat_log.llm_api:
            # A grammar and tools exclude each other: first let the model use its tools.
            with suppress(_AnswerCutError):
                await self._async_words(chat_log)
            self._ask_again(chat_log, "Give the result of the task as JSON.")
            serializer = chat_log.llm_api.custom_serializer or serializer
        make = partial(answer_schema, structure, serializer)
        make_schema = partial(self.hass.async_add_executor_job, make)
        n_said = len(chat_log.content)
        try:
            return await self._async_data(chat_log, name, structure, await make_schema(Bounds()))
        except _AnswerCutError:
            # Half an answer would only fill the context.
            del chat_log.content[n_said:]
            bounds = SHORT
        except _MisfitError as err:
            self._ask_again(chat_log, f"This does not fit: {err.told}. Give it again as JSON.")
            bounds = STEPPED
        return await self._async_data(chat_log, name, structure, await make_schema(bounds))

    async def _async_data(
        self, chat_log: conversation.ChatLog, name: str, structure: probatio.Schema, schema: Schema
    ) -> Any:
        """Return the model's answer under a schema, validated by a structure.

        Raises _MisfitError if it is invalid, and the errors of `_async_words`.
        """
        words = await self._async_words(chat_log, to_response_format(name, schema))
        try:
            return structure(answer_data(json.loads(words), schema))
        except (ValueError, probatio.Invalid) as err:
            raise _MisfitError(problem_of(words, schema, err)) from err

    def _ask_again(self, chat_log: conversation.ChatLog, words: str) -> None:
        chat_log.async_add_user_content(conversation.UserContent(words))


class _MisfitError(HomeAssistantError):
    """The answer does not fit the structure; `told` has the reason."""

    def __init__(self, told: str) -> None:
        super().__init__(
            translation_domain=DOMAIN,
            translation_key="data_does_not_fit",
            translation_placeholders={"message": told},
        )
        self.told = told


class _AnswerCutError(HomeAssistantError):
    """The answer reached the maximum number of tokens."""


def _is_json(words: str) -> bool:
    try:
        json.loads(words)
    except ValueError:
        return False
    return True


def _tell(chat_log: conversation.ChatLog, hints: str) -> None:
    """Add hints to the task's turn context."""
    said = next(one for one in chat_log.content if isinstance(one, conversation.UserContent))
    set_note(said, "\n".join(filter(None, (note_of(said), hints))))


def _put_clock_last(chat_log: conversation.ChatLog) -> None:
    """Move the seconds of the clock behind the prefix that all tasks share."""
    said = next(one for one in chat_log.content if isinstance(one, conversation.UserContent))
    prompt, clock = split_clock(system_prompt_of(chat_log.content))
    chat_log.content[0] = conversation.SystemContent(content=prompt)
    set_note(said, clock)
