"""Base classes of the entities, and how an agent answers."""

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, override

from homeassistant.components import conversation
from homeassistant.const import CONF_MODEL
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .client import ContextExceededError, LlamaServerError
from .const import CONF_KEEP_WARM, DOMAIN
from .coordinator import LlamaCppCoordinator
from .error_messages import HomeTooLargeError, ToolsTooLargeError
from .issues import async_create_context_issue, async_delete_context_issue
from .model.abilities import Abilities, ModelAbilities
from .own_sentences import async_spoken
from .prompt.images import AttachmentError, image_url
from .prompt.marks import Marks
from .prompt.notes import beginnings_of, set_note
from .prompt.request import TurnSettings
from .prompt.trimming import Large, is_home_too_large, what_is_large
from .server_state import AnswerStats
from .serving.state import AgentPrompt
from .turn.strategy import native_strategy
from .turn.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from homeassistant.config_entries import ConfigSubentry

    from .coordinator import LlamaCppConfigEntry
    from .serving.slot_affinity import ConversationRef
    from .turn.strategy import Strategy
    from .turn.turn import Outcome

# Timeout for the abilities of a model: a user may wait.
ABILITIES_SECONDS = 5.0

# By the last message of an answer.
ANSWER_STATS = Marks[AnswerStats]()


class LlamaCppEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity of a server, on the server's device."""

    _attr_has_entity_name = True

    def __init__(self, entry: LlamaCppConfigEntry, key: str) -> None:
        """Initialize the entity. key: of its translations and unique id."""
        super().__init__(entry.runtime_data.coordinator)
        self.history = entry.runtime_data.history
        self._attr_unique_id = f"{entry.entry_id}_{key}"
        self._attr_translation_key = key
        self._attr_device_info = dr.DeviceInfo(
            identifiers={(DOMAIN, entry.entry_id)},
            name=entry.title,
            manufacturer="llama.cpp",
            model="llama-server",
            sw_version=self.coordinator.data.build_info,
            configuration_url=self.coordinator.client.base_url,
            entry_type=dr.DeviceEntryType.SERVICE,
        )


def agent_device(entry: LlamaCppConfigEntry, subentry: ConfigSubentry) -> dr.DeviceInfo:
    """Return the device of an agent."""
    state = entry.runtime_data.coordinator.data
    return dr.DeviceInfo(
        identifiers={(DOMAIN, subentry.subentry_id)},
        name=subentry.title,
        manufacturer="llama.cpp",
        model=subentry.data.get(CONF_MODEL) or state.model_name,
        sw_version=state.build_info,
        entry_type=dr.DeviceEntryType.SERVICE,
    )


class LlamaCppAgentEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity that uses a language model, on a device of its own."""

    _attr_has_entity_name = True
    _attr_name = None

    def __init__(self, entry: LlamaCppConfigEntry, subentry: ConfigSubentry) -> None:
        """Initialize the entity of a subentry."""
        super().__init__(entry.runtime_data.coordinator)
        self.client = entry.runtime_data.client
        self.serving = entry.runtime_data.serving
        self.history = entry.runtime_data.history
        self.subentry = subentry
        self._attr_unique_id = subentry.subentry_id
        self._attr_device_info = agent_device(entry, subentry)
        self._abilities = ModelAbilities(self.client)

    @property
    def model(self) -> str | None:
        """Return the model for requests to a router, None if the server has only one."""
        model: str | None = self.subentry.data.get(CONF_MODEL)
        return model or self.coordinator.data.default_model

    async def _async_answer(  # noqa: PLR0913 - each is an independent choice of the caller
        self,
        chat_log: conversation.ChatLog,
        *,
        overrides: Mapping[str, Any] | None = None,
        strategy: Strategy | None = None,
        ref: ConversationRef | None = None,
        response_format: Mapping[str, Any] | None = None,
        language: str | None = None,
    ) -> Outcome:
        """Let the model answer the chat log, running the tools that it calls, until it speaks.

        overrides: options for this turn only. strategy: by default with native tools.
        ref: the conversation, if it needs a slot. response_format: of the answer. language: of our
        own sentences, None: that of the home. Raises LlamaServerError, and HomeAssistantError for
        an attachment that the model cannot see.
        """
        strategy = strategy or native_strategy(chat_log)
        abilities = await self._async_abilities()
        settings = TurnSettings(
            options={**self.subentry.data, **(overrides or {})},
            model=self.model,
            images=await self._async_images(chat_log),
            response_format=response_format,
            markers=abilities.markers,
            fitting=abilities.fitting,
        )
        is_own = ref is not None and not ref.is_once
        say = partial(async_spoken, self.hass, language or self.hass.config.language)
        with (
            _explaining_what_is_large(chat_log, strategy),
            self._updating_context_issue(chat_log, strategy),
            self._noting_failures(),
            self.serving.ask(self.subentry.subentry_id, ref, is_own=is_own) as asked,
        ):
            turn = Turn(self.client, chat_log, self.entity_id, settings, strategy, asked, say)
            outcome = await turn.run()
            if outcome.failure:
                asked.cut()
        self._note_outcome(chat_log, outcome)
        keeps_warm = is_own and self.subentry.data.get(CONF_KEEP_WARM, True)
        if keeps_warm and outcome.completion.usage and not outcome.failure:
            # Images are only part of the turn that they came with.
            following = [*chat_log.content, conversation.UserContent("")]
            settings = replace(settings, images={}, slot=asked.slot)
            self.serving.turn_ended(strategy.request(following, settings).body)
        return outcome

    def _note_outcome(self, chat_log: conversation.ChatLog, outcome: Outcome) -> None:
        """Record the statistics of an answer, or the failure that cut it."""
        if outcome.failure:
            self.coordinator.async_note_failure(outcome.failure)
            return
        stats = AnswerStats(self.entity_id, outcome.completion, outcome.first_text_seconds)
        ANSWER_STATS.set(chat_log.content[-1], stats)
        self.coordinator.async_record_answer(stats)

    @contextmanager
    def _noting_failures(self) -> Iterator[None]:
        """Let the coordinator check the server after an error."""
        try:
            yield
        except LlamaServerError as err:
            self.coordinator.async_note_failure(err)
            raise

    async def _async_prefill(
        self,
        chat_log: conversation.ChatLog,
        strategy: Strategy,
        notes: Iterable[str],
        *,
        is_wanted: bool,
        is_forced: bool,
    ) -> None:
        """Have the server prefill a chat log that ends with an empty user message.

        notes: on those who may speak next, the likeliest first. is_wanted, is_forced: as in
        `Serving.prefill`. Raises LlamaServerError.
        """
        abilities = await self._async_abilities()
        settings = TurnSettings(
            options=self.subentry.data,
            model=self.model,
            markers=abilities.markers,
            fitting=abilities.fitting,
        )
        request = strategy.request(chat_log.content, settings).body
        requests = {}
        for note in notes:
            said = conversation.UserContent("")
            set_note(said, note)
            with_note = strategy.request([*chat_log.content[:-1], said], settings).body
            *others, last = with_note["messages"]
            requests[note] = [
                {**with_note, "messages": [*others, {**last, "content": beginning}]}
                for beginning in settings.markers.broken_in(beginnings_of(note))
            ]
        prompt = AgentPrompt.of(self.subentry.subentry_id, request, requests)
        with self._updating_context_issue(chat_log, strategy):
            await self.serving.prefill(prompt, is_wanted=is_wanted, is_forced=is_forced)

    async def _async_abilities(self) -> Abilities:
        """Return the model's abilities; safe defaults if the server does not report them."""
        instance = self.coordinator.data.props.instance
        try:
            async with asyncio.timeout(ABILITIES_SECONDS):
                return await self._abilities.of(self.model, instance, autoload=False)
        except LlamaServerError, TimeoutError:
            return Abilities(supports_tools=True, active_params=None)

    @contextmanager
    def _updating_context_issue(
        self, chat_log: conversation.ChatLog, strategy: Strategy
    ) -> Iterator[None]:
        """Create or delete the repair issue that the home does not fit into the context."""
        try:
            yield
        except ContextExceededError as err:
            if is_home_too_large(chat_log.content, strategy.tools, err.n_prompt_tokens, err.n_ctx):
                async_create_context_issue(self.hass, self.coordinator.name, self.subentry, err)
            raise
        async_delete_context_issue(self.hass, self.subentry)

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Delete the agent's repair issue."""
        async_delete_context_issue(self.hass, self.subentry)
        await super().async_will_remove_from_hass()

    def _shown_with(self, said: Sequence[conversation.UserContent]) -> conversation.UserContent:
        """Return the user message whose attachments are sent.

        The newest: attachments of earlier turns were temporary files.
        """
        return said[-1]

    async def _async_images(self, chat_log: conversation.ChatLog) -> dict[Path, str]:
        """Return the images of the message that is answered, as `data:` URLs."""
        said = self._shown_with(
            [one for one in chat_log.content if isinstance(one, conversation.UserContent)]
        )
        if not said.attachments:
            return {}
        props = self.coordinator.data
        if not (props.is_router or props.modalities.vision):
            # It is unknown for a router's models: there the server refuses the request.
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="model_is_blind")
        try:
            return {
                one.path: await self.hass.async_add_executor_job(image_url, one.path)
                for one in said.attachments
            }
        except AttachmentError as err:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key=err.key,
                translation_placeholders=err.placeholders,
            ) from err


@contextmanager
def _explaining_what_is_large(chat_log: conversation.ChatLog, strategy: Strategy) -> Iterator[None]:
    """For a prompt that does not fit, raise the error that says what to do."""
    try:
        yield
    except ContextExceededError as err:
        n_prompt, n_ctx = err.n_prompt_tokens, err.n_ctx
        match what_is_large(chat_log.content, strategy.tools, n_prompt, n_ctx):
            case Large.HOME:
                raise HomeTooLargeError(str(err), n_prompt, n_ctx) from err
            case Large.TOOLS:
                raise ToolsTooLargeError(str(err), n_prompt, n_ctx) from err
            case Large.SAID:
                raise
