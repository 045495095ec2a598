"""What all entities of a server share, and how a turn is made."""

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
from .errors import HomeTooLargeError, ToolsTooLargeError, async_spoken
from .issues import async_create_context_issue, async_delete_context_issue
from .model.abilities import Abilities, ModelAbilities
from .prompt.images import AttachmentError, image_url
from .prompt.notes import beginnings_of, set_note
from .prompt.request import TurnSettings
from .prompt.trimming import Large, is_home_too_large, what_is_large
from .state import AnswerStats
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

# Somebody may wait.
ABILITIES_SECONDS = 5.0


class LlamaCppEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity of a server, on the server's device."""

    _attr_has_entity_name = True

    def __init__(self, entry: LlamaCppConfigEntry, key: str) -> None:
        """Make the entity; key: what it is among the entities of one server."""
        super().__init__(entry.runtime_data)
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
    state = entry.runtime_data.data
    return dr.DeviceInfo(
        identifiers={(DOMAIN, subentry.subentry_id)},
        name=subentry.title,
        manufacturer="llama.cpp",
        model=subentry.data.get(CONF_MODEL) or state.model_name,
        sw_version=state.build_info,
        entry_type=dr.DeviceEntryType.SERVICE,
    )


class LlamaCppAgentEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity that has a language model at work, on a device of its own."""

    _attr_has_entity_name = True
    _attr_name = None

    def __init__(self, entry: LlamaCppConfigEntry, subentry: ConfigSubentry) -> None:
        """Make the entity for one subentry of a server."""
        super().__init__(entry.runtime_data)
        self.subentry = subentry
        self._attr_unique_id = subentry.subentry_id
        self._attr_device_info = agent_device(entry, subentry)
        self._abilities = ModelAbilities(self.coordinator.client)

    @property
    def model(self) -> str | None:
        """Return the model that a router is asked for, None if the server has only one."""
        model: str | None = self.subentry.data.get(CONF_MODEL)
        return model or self.coordinator.data.default_model

    async def _async_answer(  # noqa: PLR0913 - each is an independent choice of the caller
        self,
        chat_log: conversation.ChatLog,
        *,
        overrides: Mapping[str, Any] | None = None,
        offer: Strategy | None = None,
        talk: ConversationRef | None = None,
        response_format: Mapping[str, Any] | None = None,
        language: str | None = None,
    ) -> Outcome:
        """Have the model answer the chat log, running the tools that it calls, until it speaks.

        overrides: options for this turn only. offer: how the model is offered tools, by default in
        the requests. talk: the conversation, if it is to have a slot. response_format: of the
        answer. language: of what we say in place of the model, None: that of the home. Raises
        LlamaServerError, and HomeAssistantError for an attachment that the model cannot be shown.
        """
        offer = offer or native_strategy(chat_log)
        abilities = await self._async_abilities()
        settings = TurnSettings(
            options={**self.subentry.data, **(overrides or {})},
            model=self.model,
            images=await self._async_images(chat_log),
            response_format=response_format,
            markers=abilities.markers,
            fitting=abilities.fitting,
        )
        coordinator, agent_id = self.coordinator, self.subentry.subentry_id
        is_own = talk is not None and not talk.is_once
        say = partial(async_spoken, self.hass, language or self.hass.config.language)
        with (
            _telling_what_is_large(chat_log, offer),
            self._telling_if_too_large(chat_log, offer),
            self._noting_failures(),
            coordinator.prefiller.asking(agent_id, is_own=is_own) as note,
        ):
            if talk is not None:
                async with coordinator.client.waiting():
                    slot = await self._async_warm_slot(chat_log, settings, offer, talk)
                settings = replace(settings, slot=slot)
            turn = Turn(coordinator.client, chat_log, self.entity_id, settings, offer, note, say)
            outcome = await turn.run()
        self._note_outcome(outcome)
        keeps_warm = is_own and self.subentry.data.get(CONF_KEEP_WARM, True)
        if keeps_warm and outcome.completion.usage and not outcome.failure:
            # Pictures are shown in the turn that they came with.
            following = [*chat_log.content, conversation.UserContent("")]
            coordinator.cache_monitor.async_follow(
                offer.request(following, replace(settings, images={}))
            )
        return outcome

    def _note_outcome(self, outcome: Outcome) -> None:
        """Have the coordinator take note of an answer, or of what has cut it."""
        if outcome.failure:
            self.coordinator.prefiller.spending.add_unknown()
            self.coordinator.async_note_failure(outcome.failure)
            return
        self.coordinator.async_record_answer(
            AnswerStats(self.entity_id, outcome.completion, outcome.first_text_seconds)
        )

    @contextmanager
    def _noting_failures(self) -> Iterator[None]:
        """Have the coordinator take note of what keeps the agent from an answer."""
        try:
            yield
        except LlamaServerError as err:
            self.coordinator.async_note_failure(err)
            raise

    async def _async_warm_slot(
        self,
        chat_log: conversation.ChatLog,
        settings: TurnSettings,
        offer: Strategy,
        talk: ConversationRef,
    ) -> int | None:
        """Return the slot of the server in which a conversation finds its prompt processed."""
        prefiller, agent_id = self.coordinator.prefiller, self.subentry.subentry_id
        await self.coordinator.cache_monitor.async_notice(self.model, keeps_open=True)
        request = offer.request(chat_log.content, settings)
        return await prefiller.slot_for(agent_id, request, talk)

    async def _async_warm(
        self,
        chat_log: conversation.ChatLog,
        offer: Strategy,
        notes: Iterable[str],
        *,
        autoload: bool,
    ) -> None:
        """Have the server process a chat log ahead, which ends with words that are empty.

        notes: on those who may speak next, the likeliest first. Raises LlamaServerError.
        """
        abilities = await self._async_abilities()
        settings = TurnSettings(
            options=self.subentry.data,
            model=self.model,
            markers=abilities.markers,
            fitting=abilities.fitting,
        )
        request = offer.request(chat_log.content, settings)
        told = {}
        for note in notes:
            said = conversation.UserContent("")
            set_note(said, note)
            with_note = offer.request([*chat_log.content[:-1], said], settings)
            *others, last = with_note["messages"]
            told[note] = [
                {**with_note, "messages": [*others, {**last, "content": beginning}]}
                for beginning in settings.markers.broken_in(beginnings_of(note))
            ]
        with self._telling_if_too_large(chat_log, offer):
            await self.coordinator.prefiller.warm(
                self.subentry.subentry_id, request, autoload=autoload, told=told
            )

    async def _async_abilities(self) -> Abilities:
        """Return what matters of the model; what suits all while the server does not tell."""
        instance = self.coordinator.data.props.instance
        try:
            async with asyncio.timeout(ABILITIES_SECONDS):
                return await self._abilities.of(self.model, instance, autoload=False)
        except LlamaServerError, TimeoutError:
            return Abilities(supports_tools=True, active_params=None)

    @contextmanager
    def _telling_if_too_large(
        self, chat_log: conversation.ChatLog, offer: Strategy
    ) -> Iterator[None]:
        """Have Home Assistant show whether the agent's home fits into the model's context."""
        try:
            yield
        except ContextExceededError as err:
            if is_home_too_large(chat_log.content, offer.tools, err.n_prompt_tokens, err.n_ctx):
                async_create_context_issue(self.hass, self.coordinator.name, self.subentry, err)
            raise
        async_delete_context_issue(self.hass, self.subentry)

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Take back what was told of the agent."""
        async_delete_context_issue(self.hass, self.subentry)
        await super().async_will_remove_from_hass()

    def _shown_with(self, said: Sequence[conversation.UserContent]) -> conversation.UserContent:
        """Return of all that the user has said what the pictures came with.

        The newest: those of earlier turns were temporary files.
        """
        return said[-1]

    async def _async_images(self, chat_log: conversation.ChatLog) -> dict[Path, str]:
        """Return the pictures that belong to what is being answered."""
        said = self._shown_with(
            [one for one in chat_log.content if isinstance(one, conversation.UserContent)]
        )
        if not said.attachments:
            return {}
        props = self.coordinator.data
        if not (props.is_router or props.modalities.vision):
            # Of a router's models it is not known: there the server refuses the request.
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
def _telling_what_is_large(chat_log: conversation.ChatLog, offer: Strategy) -> Iterator[None]:
    """Raise, for a prompt that does not fit, the error that says what to do."""
    try:
        yield
    except ContextExceededError as err:
        n_prompt, n_ctx = err.n_prompt_tokens, err.n_ctx
        match what_is_large(chat_log.content, offer.tools, n_prompt, n_ctx):
            case Large.HOME:
                raise HomeTooLargeError(str(err), n_prompt, n_ctx) from err
            case Large.TOOLS:
                raise ToolsTooLargeError(str(err), n_prompt, n_ctx) from err
            case Large.SAID:
                raise
