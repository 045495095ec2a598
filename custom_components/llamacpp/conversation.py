"""Conversation platform: the agents of a server."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, override

from homeassistant.components import conversation
from homeassistant.const import CONF_LLM_HASS_API, CONF_PROMPT, MATCH_ALL
from homeassistant.core import Context, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import intent, llm
from homeassistant.helpers.chat_session import current_session
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.restore_state import RestoredExtraData
from homeassistant.helpers.start import async_at_started

from .access import Caller
from .chat_history import (
    async_append_from,
    async_claim,
    async_load_into,
    async_session,
    forget,
    forgetting_failures,
)
from .client import CannotConnectError, LlamaServerError
from .const import (
    CONF_EXACT_FIRST,
    CONF_KEEP_HISTORY,
    CONF_KEEP_WARM,
    DEFAULT_EXACT_FIRST,
    DOMAIN,
    HOME_CHANGE_SECONDS,
    LOGGER,
    SUBENTRY_CONVERSATION,
)
from .entity import LlamaCppAgentEntity
from .error_messages import translation_key, translation_placeholders
from .history import HistoryError, Source
from .home.changes import async_track_home
from .home.exposed import exposed_home
from .home.language import async_load
from .model.abilities import CONF_TOOL_CALLS, ToolCalls, ToolStrategy
from .nlu.entity_linking import async_read_names
from .own_sentences import async_answer_language, async_spoken
from .prompt.builder import PromptSpec, SharedPrefixBuilder, speaker_of
from .prompt.notes import set_note
from .prompt.shared_prefix import join_notes
from .server_state import ServerStatus
from .serving.slot_affinity import ConversationRef
from .turn.commands.commands_strategy import CommandsStrategy
from .turn.commands.direct import async_answer_directly
from .turn.exact import async_answer_exactly
from .turn.help import async_answer_help
from .turn.noise import is_noise
from .turn.strategy import NativeStrategy, native_strategy
from .turn.turn import Outcome
from .turn.written_strategy import WrittenStrategy
from .turn_lock import ConversationBusyError, async_turn_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigSubentry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .coordinator import LlamaCppConfigEntry
    from .turn.strategy import Strategy

PARALLEL_UPDATES = 0
# Maximum number of speakers that are remembered.
MAX_SPEAKERS = 24
SPEAKERS, TIMERS = "speakers", "timers"


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    entry: LlamaCppConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add an agent for each subentry."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_CONVERSATION):
        async_add_entities(
            [LlamaCppConversationEntity(entry, subentry)],
            config_subentry_id=subentry.subentry_id,
        )


class LlamaCppConversationEntity(LlamaCppAgentEntity, conversation.ConversationEntity):
    """A conversation agent."""

    _attr_supports_streaming = True

    def __init__(self, entry: LlamaCppConfigEntry, subentry: ConfigSubentry) -> None:
        """Initialize the agent; it controls the home if it has an LLM API for that."""
        super().__init__(entry, subentry)
        if subentry.data.get(CONF_LLM_HASS_API):
            self._attr_supported_features = conversation.ConversationEntityFeature.CONTROL
        self._prompts = SharedPrefixBuilder(self.coordinator.hass)
        # By id of a device or user, the language spoken last; the newest comes last.
        self._languages: dict[str, str] = {}
        # Makes the prompt after a change.
        self._update: asyncio.Task[None] | None = None
        self._is_outdated = False
        # What it was made for last, as in `_served`.
        self._made_for: tuple[str | None, str | None] | None = None

    @property
    @override
    def extra_restore_state_data(self) -> RestoredExtraData:
        # Home Assistant restores it after a restart.
        return RestoredExtraData({SPEAKERS: self._languages, TIMERS: self._prompts.has_timers})

    @property
    @override
    def supported_languages(self) -> list[str] | Literal["*"]:
        return MATCH_ALL

    async def async_converse(  # noqa: PLR0913 - each is an independent choice of the caller
        self,
        chat_log: conversation.ChatLog,
        llm_context: llm.LLMContext,
        *,
        apis: list[str] | None,
        prompt: str | None,
        language: str | None,
        extra_prompt: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        speaker: str | None = None,
    ) -> Outcome:
        """Let the model answer the last message of a chat log, from Assist or an action.

        apis: ids of Home Assistant's LLM APIs that the model may use. prompt: template of the
        instructions. language: of the answer, None: the model decides. overrides: options for this
        turn only. speaker: has one conversation at a time. Raises ConverseError if an API or the
        template fails, LlamaServerError (at once if the server is known to be away), and
        HomeAssistantError.
        """
        await self.coordinator.async_require()
        with self._noting_failures():
            spec = await self._async_spec(apis, prompt)
        said = chat_log.content[-1]
        note = await self._prompts.async_provide(chat_log, llm_context, spec, extra_prompt)
        strategy = await self._async_strategy(chat_log, spec, llm_context, language)
        answer_in = await async_answer_language(self.hass, language)
        if isinstance(said, conversation.UserContent):
            await strategy.async_check(chat_log.content)
            set_note(said, join_notes((note, answer_in, strategy.context_for(said.content))))
        ref = ConversationRef(chat_log.conversation_id, speaker, join_notes((note, answer_in)))
        return await self._async_answer(
            chat_log,
            overrides=overrides,
            strategy=strategy,
            ref=ref if spec.is_own else None,
            language=language,
        )

    async def _async_spec(
        self, apis: list[str] | None, prompt: str | None, *, autoload: bool = True
    ) -> PromptSpec:
        """Return the parts of a prompt.

        autoload: whether a router may load the model to find out its abilities. Raises
        LlamaServerError.
        """
        options = self.subentry.data
        own = (options.get(CONF_LLM_HASS_API) or None, options.get(CONF_PROMPT))
        strategy = (
            await self._async_tool_strategy(autoload=autoload) if apis else ToolStrategy.NATIVE
        )
        has_commands = strategy is ToolStrategy.COMMANDS
        return PromptSpec(
            tuple(apis) if apis else None,
            prompt,
            is_own=(apis or None, prompt) == own,
            commands=await async_load(self.hass) if has_commands else None,
            is_written=strategy is ToolStrategy.WRITTEN,
        )

    async def _async_tool_strategy(self, *, autoload: bool) -> ToolStrategy:
        """Return how the model is offered the tools."""
        chosen = ToolCalls(self.subentry.data.get(CONF_TOOL_CALLS, ToolCalls.AUTO))
        if chosen is ToolCalls.COMMANDS:
            return ToolStrategy.COMMANDS
        instance = self.coordinator.data.props.instance
        try:
            abilities = await self._abilities.of(self.model, instance, autoload=autoload)
        except LlamaServerError as err:
            if not autoload or isinstance(err, CannotConnectError):
                raise
            # The request fails in the same way, and explains it.
            return ToolStrategy.NATIVE
        return abilities.strategy(chosen)

    async def _async_strategy(
        self,
        chat_log: conversation.ChatLog,
        spec: PromptSpec,
        llm_context: llm.LLMContext,
        language: str | None = None,
    ) -> Strategy:
        """Return the strategy for a chat log that has its prompt and tools."""
        if spec.commands is None or chat_log.llm_api is None:
            spoken_in = language or self.hass.config.language
            say = partial(async_spoken, self.hass, spoken_in)
            kind = WrittenStrategy if spec.is_written else NativeStrategy
            return native_strategy(chat_log, say, language, kind)
        spoken = await async_load(self.hass, language)
        await async_read_names(self.hass, exposed_home(self.hass, llm_context.assistant), spoken)
        return CommandsStrategy(chat_log.llm_api, (spec.commands, spoken), llm_context)

    def input_of(self, text: str, context: Context) -> conversation.ConversationInput:
        """Return what an automation says, without a device."""
        return conversation.ConversationInput(
            text=text,
            context=context,
            conversation_id=None,
            device_id=None,
            satellite_id=None,
            language=self.hass.config.language,
            agent_id=self.entity_id,
        )

    def llm_context(self, context: Context) -> llm.LLMContext:
        """Return the context of an automation, or of nobody."""
        return self.input_of("", context).as_llm_context(DOMAIN)

    @override
    async def async_added_to_hass(self) -> None:
        """Prefill the prompt once Home Assistant knows all of the home, and after each change."""
        await super().async_added_to_hass()
        if stored := await self.async_get_last_extra_data():
            known = stored.as_dict()
            self._languages = {**known.get(SPEAKERS, {}), **self._languages}
            self._prompts.has_timers |= known.get(TIMERS) is True
        self.async_on_remove(self.serving.add_agent(self.subentry.subentry_id))
        # A change seldom comes alone.
        changes = Debouncer(
            self.hass,
            LOGGER,
            cooldown=HOME_CHANGE_SECONDS,
            immediate=False,
            function=self._async_update_prompt_soon,
        )
        self.async_on_remove(changes.async_shutdown)
        self.async_on_remove(async_track_home(self.hass, changes.async_schedule_call))

        @callback
        def started(_hass: HomeAssistant) -> None:
            self._async_update_prompt_soon()

        self.async_on_remove(async_at_started(self.hass, started))

    @override
    @callback
    def _handle_coordinator_update(self) -> None:
        super()._handle_coordinator_update()
        if self._made_for != self._served and self.available:
            self._async_update_prompt_soon()

    @property
    def _served(self) -> tuple[str | None, str | None]:
        """Return what the prompt depends on of the server: the model, and this start of it."""
        return self.model, self.serving.instance_of(self.model)

    @callback
    def _async_update_prompt_soon(self) -> None:
        """Make the prompt in the background, and again if more changes meanwhile."""
        self._is_outdated = True
        self._made_for = self._served
        if not self.hass.is_running or (self._update and not self._update.done()):
            return
        self._update = self.coordinator.config_entry.async_create_background_task(
            self.hass, self._async_update_prompts(), f"{DOMAIN} prompt of {self.entity_id}"
        )

    async def _async_update_prompts(self) -> None:
        if self._is_exact_first:
            # The words of a language take a while at first.
            await async_load(self.hass)
        while self._is_outdated:
            self._is_outdated = False
            try:
                await self.async_update_prompt()
            except (LlamaServerError, HomeAssistantError) as err:
                LOGGER.debug("The prompt of %s is not prefilled: %s", self.entity_id, err)

    @override
    async def async_prepare(self, language: str | None = None) -> None:
        """Prefill the prompt while the user still speaks; wakes a sleeping server.

        Loads Home Assistant's own sentences, too, and the words of commands: those of a language
        take a while at first.
        """
        if self._is_exact_first:
            await conversation.async_prepare_agent(
                self.hass, conversation.HOME_ASSISTANT_AGENT, language or self.hass.config.language
            )
            await async_load(self.hass, language)
        if not (self.available and self.subentry.data.get(CONF_KEEP_WARM, True)):
            return
        await self.serving.notice(self.model)
        try:
            await self.async_update_prompt(is_wanted=True)
        except (LlamaServerError, HomeAssistantError) as err:
            LOGGER.debug("The prompt of %s is not prefilled: %s", self.entity_id, err)

    async def async_update_prompt(
        self, *, is_wanted: bool = False, is_forced: bool = False
    ) -> None:
        """Make the agent's prompt, and have the server prefill it.

        is_wanted: a user is about to ask, so the model may be loaded or woken; otherwise the
        agent's options decide. is_forced: prefill it even if it counts as prefilled. Raises
        LlamaServerError, and HomeAssistantError if the prompt cannot be made.
        """
        options = self.subentry.data
        is_asleep = self.coordinator.data.status is ServerStatus.SLEEPING
        if not is_wanted and (is_asleep or not self.available):
            return
        spec = await self._async_spec(
            options.get(CONF_LLM_HASS_API), options.get(CONF_PROMPT), autoload=is_wanted
        )
        nobody = self.llm_context(Context())
        if not is_wanted and not (
            options.get(CONF_KEEP_WARM, True) and self.serving.instance_of(self.model) is not None
        ):
            # Only the prefix, which the first one who asks need not wait for.
            await self._prompts.async_renew(nobody, spec)
            return
        chat_log = await self._prompts.async_draft(nobody, spec, is_renewed=not is_wanted)
        chat_log.content.append(conversation.UserContent(""))
        strategy = await self._async_strategy(chat_log, spec, nobody)
        notes = await self._async_notes(nobody, spec)
        await self._async_prefill(
            chat_log, strategy, notes, is_wanted=is_wanted, is_forced=is_forced
        )

    async def _async_notes(self, nobody: llm.LLMContext, spec: PromptSpec) -> list[str]:
        """Return the notes on those who may speak next, the likeliest first."""
        notes = await self._prompts.async_notes(reversed(self._languages), nobody, spec)
        found: dict[str, None] = {}
        for speaker in (*reversed(self._languages), *notes):
            if speaker in notes:
                language = self._languages.get(speaker, self.hass.config.language)
                answer_in = await async_answer_language(self.hass, language)
                found[join_notes((notes[speaker], answer_in))] = None
        return [note for note in found if note]

    @override
    async def async_process(
        self, user_input: conversation.ConversationInput
    ) -> conversation.ConversationResult:
        """Answer a message, after earlier messages of the same conversation.

        A stored conversation continues under its own id. A conversation of another user is refused
        with a spoken error.
        """
        history, conversation_id = self.history, user_input.conversation_id
        try:
            async with async_turn_of(self.hass, conversation_id):
                with (
                    await async_session(self.hass, history, conversation_id) as session,
                    conversation.async_get_chat_log(self.hass, session, user_input) as chat_log,
                ):
                    return await self._async_handle_message(user_input, chat_log)
        except ConversationBusyError as err:
            return await self._async_error_result(user_input, err)

    @override
    async def _async_handle_message(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
    ) -> conversation.ConversationResult:
        options = self.subentry.data
        said = chat_log.content[-1]
        llm_context = user_input.as_llm_context(DOMAIN)
        if speaker := speaker_of(llm_context):
            self._languages.pop(speaker, None)
            self._languages[speaker] = user_input.language
            if len(self._languages) > MAX_SPEAKERS:
                del self._languages[next(iter(self._languages))]
        try:
            with forgetting_failures(chat_log):
                if not await self._async_claim(user_input):
                    forget(chat_log, said)
                    return await self._async_refusal(user_input)
                if is_noise(user_input.text):
                    forget(chat_log, said)
                    return await self._async_on_noise(user_input, chat_log.conversation_id)
                await async_load_into(self.history, chat_log)
                apis = options.get(CONF_LLM_HASS_API)
                if result := await self.async_answer_without_model(user_input, chat_log, apis):
                    await self._async_keep(user_input, chat_log, Outcome.without_model(chat_log))
                    return result
                outcome = await self.async_converse(
                    chat_log,
                    llm_context,
                    apis=apis,
                    prompt=options.get(CONF_PROMPT),
                    language=user_input.language,
                    extra_prompt=user_input.extra_system_prompt,
                    speaker=speaker,
                )
        except conversation.ConverseError as err:
            return err.as_conversation_result()
        except (LlamaServerError, HistoryError) as err:
            return await self._async_error_result(user_input, err, chat_log.conversation_id)
        if outcome.silent:
            await self._async_say(chat_log, user_input.language, outcome.silent)
        await self._async_keep(user_input, chat_log, outcome)
        return conversation.async_get_result_from_chat_log(user_input, chat_log)

    @property
    def _is_exact_first(self) -> bool:
        return self._answers_exactly(self.subentry.data.get(CONF_LLM_HASS_API))

    def _answers_exactly(self, apis: list[str] | None) -> bool:
        wants_exact = bool(self.subentry.data.get(CONF_EXACT_FIRST, DEFAULT_EXACT_FIRST))
        return wants_exact and llm.LLM_API_ASSIST in (apis or ())

    async def async_answer_without_model(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
        apis: list[str] | None,
    ) -> conversation.ConversationResult | None:
        """Return what needs no model: Home Assistant's own answer, a plain command, or help.

        apis: ids of the LLM APIs of this turn. None, and nothing is added to the chat log, if it
        needs the model, if Assist is not among the APIs, or if the agent's option is off.
        """
        if not self._answers_exactly(apis):
            return None
        turn = (self.hass, user_input, chat_log, user_input.as_llm_context(DOMAIN))
        return (
            await async_answer_exactly(*turn)
            or await async_answer_help(*turn)
            or await async_answer_directly(*turn)
        )

    async def _async_claim(self, user_input: conversation.ConversationInput) -> bool:
        """Return whether the speaker may continue the conversation."""
        session = current_session.get()
        caller = await Caller.async_of(self.hass, user_input.context)
        return session is None or await async_claim(self.history, session, caller)

    async def _async_refusal(
        self, user_input: conversation.ConversationInput
    ) -> conversation.ConversationResult:
        """Say that the conversation belongs to another user; the next message starts a new one."""
        response = intent.IntentResponse(language=user_input.language)
        response.async_set_error(
            intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            await async_spoken(self.hass, user_input.language, "conversation_not_yours"),
        )
        return conversation.ConversationResult(response=response)

    async def _async_on_noise(
        self, user_input: conversation.ConversationInput, conversation_id: str
    ) -> conversation.ConversationResult:
        """Say that nothing was understood, without the model or the history."""
        response = intent.IntentResponse(language=user_input.language)
        response.async_set_speech(await async_spoken(self.hass, user_input.language, "noise"))
        return conversation.ConversationResult(response=response, conversation_id=conversation_id)

    async def _async_keep(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
        outcome: Outcome,
    ) -> None:
        """Store the turn, if the options say so; if that fails, the user still gets the answer."""
        if not self.subentry.data.get(CONF_KEEP_HISTORY, True):
            return
        try:
            await async_append_from(
                self.history,
                chat_log,
                self.entity_id,
                outcome,
                source=Source.ASSIST,
                user_id=user_input.context.user_id,
                device_id=user_input.device_id,
            )
        except HistoryError as err:
            LOGGER.error("A turn is not stored: %s", err)
        self.coordinator.async_update_listeners()

    async def _async_say(self, chat_log: conversation.ChatLog, language: str, key: str) -> None:
        """Add a sentence of our own if the model has said nothing."""
        chat_log.async_add_assistant_content_without_tools(
            conversation.AssistantContent(
                agent_id=self.entity_id, content=await async_spoken(self.hass, language, key)
            )
        )

    async def _async_error_result(
        self,
        user_input: conversation.ConversationInput,
        err: LlamaServerError | HistoryError | ConversationBusyError,
        conversation_id: str | None = None,
    ) -> conversation.ConversationResult:
        """Say what is wrong in the user's language; the log has the details."""
        LOGGER.warning("%s has not answered: %s", self.entity_id, err)
        key, placeholders = explanation(err)
        response = intent.IntentResponse(language=user_input.language)
        response.async_set_error(
            intent.IntentResponseErrorCode.FAILED_TO_HANDLE,
            await async_spoken(self.hass, user_input.language, key, placeholders),
        )
        return conversation.ConversationResult(
            response=response, conversation_id=conversation_id or user_input.conversation_id
        )


def agents_of(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> list[LlamaCppConversationEntity]:
    """Return the conversation agents of a server."""
    return [
        entity
        for entity in hass.data[conversation.const.DATA_COMPONENT].entities
        if isinstance(entity, LlamaCppConversationEntity)
        and entity.coordinator.config_entry is entry
    ]


async def async_prefill_all(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> None:
    """Prefill the prompts of all agents of a server, also those that count as prefilled.

    Raises LlamaServerError, or HomeAssistantError, once all were tried.
    """
    results = await asyncio.gather(
        *(
            agent.async_update_prompt(is_wanted=True, is_forced=True)
            for agent in agents_of(hass, entry)
        ),
        return_exceptions=True,
    )
    for error in filter(None, results):
        raise error


def explanation(
    err: LlamaServerError | HistoryError | ConversationBusyError,
) -> tuple[str, dict[str, str]]:
    """Return the translation key and placeholders of an error."""
    if isinstance(err, HistoryError):
        return "history_unreadable", {"message": str(err)}
    if isinstance(err, ConversationBusyError):
        return "conversation_busy", {}
    return translation_key(err), translation_placeholders(err)
