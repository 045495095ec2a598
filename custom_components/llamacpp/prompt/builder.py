"""Build prompts with one prefix for every satellite, user and restart.

Home Assistant writes the speaker's area, whether their device has timers, and perhaps their name
into the middle of the prompt. After the prompt of one speaker, the server would have to prefill
most of it again for the next. So the prefix is the prompt without any speaker; the lines about the
speaker follow behind everything else, with the user's message.

Two more renderings tell which lines are about a speaker: of a named user at a device, which has
timers if any device ever had some, and of a device in an area. They do not depend on the people in
the home.
"""

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.components.intent import (
    async_device_supports_timers,
    async_register_timer_handler,
)
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm
from homeassistant.helpers.template import Template
from homeassistant.util.ulid import ulid_now

from ..home.exposed import async_exposed
from ..tool_calls.tools import GuardedTool
from .assist import RememberedAssist, is_assist
from .commands_api import CommandsApi
from .date import DateApi
from .notes import note_of, set_note
from .shared_prefix import SharedPrefix, join_notes, shared_prefix, split_clock, system_prompt_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from homeassistant.core import HomeAssistant

    from ..home.language import Language

# Maximum number of satellites and users whose notes are made in advance.
MAX_DEVICES = 16
MAX_USERS = 8
# Maximum number of speakers whose prompts lack lines of the prefix: each is one more rendering when
# the home has changed, for which the first speaker after that waits.
MAX_UNUSUAL = 3
SATELLITES = "assist_satellite"
# A name that no user has: lines with it are about the user.
SOMEBODY = "Somebody"


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """The parts of an agent's prompt.

    apis: ids of Home Assistant's APIs for the model, None for none. prompt: template of the
    instructions. is_own: the template is the one in the agent's options, whose prefix is prefilled.
    commands: language of the commands that the model chooses from, None: it gets tools. is_written:
    it writes tool calls as text, as its chat template does not know tools.
    """

    apis: tuple[str, ...] | None
    prompt: str | None
    is_own: bool
    commands: Language | None = field(default=None, compare=False)
    is_written: bool = field(default=False, compare=False)


class SharedPrefixBuilder:
    """Gives chat logs their system prompts and tools."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize without a prefix."""
        self._hass = hass
        self._lock = asyncio.Lock()
        # Whether a device has timers, or had some: satellites connect long after a restart. Without
        # any, the tools of timers only make the prompt longer.
        self.has_timers = False
        # A device without an area; it may have timers while its prompt is rendered.
        self._timer_device = f"llamacpp_{ulid_now()}"
        self._prefix: SharedPrefix | None = None
        # The spec and the version of the home that the prefix was built from.
        self._key: tuple[Any, ...] | None = None
        self._version = -1
        # By id: speakers whose prompts lack lines of the prefix.
        self._unusual: dict[str, llm.LLMContext] = {}
        # By id: the note on each speaker; "" is the id without a speaker.
        self._notes: dict[str, str] = {}

    async def async_provide(
        self,
        chat_log: conversation.ChatLog,
        llm_context: llm.LLMContext,
        spec: PromptSpec,
        extra_prompt: str | None = None,
    ) -> str:
        """Set a chat log's system prompt and tools; return the note for the user's message.

        Raises ConverseError if an API or the template fails.
        """
        before = chat_log.content[0]
        await chat_log.async_provide_llm_data(
            llm_context, self._apis(spec), spec.prompt, extra_prompt
        )
        if chat_log.content[0] is before:
            # Home Assistant keeps the prompt and tools of a continued conversation.
            return note_of(before)
        whole = system_prompt_of(chat_log.content)
        extra = chat_log.extra_system_prompt
        if extra:
            whole = whole.removesuffix(extra)
        prompt, clock = split_clock(whole)
        api = chat_log.llm_api
        prefix, own = await self._async_fitting(prompt, api, llm_context, spec)
        chat_log.content[0] = conversation.SystemContent(content=prefix.prompt)
        chat_log.llm_api = _with_tools(api, prefix)
        note = join_notes((own, clock, extra))
        set_note(chat_log.content[0], note)
        return note

    async def async_draft(
        self, llm_context: llm.LLMContext, spec: PromptSpec, *, is_renewed: bool = False
    ) -> conversation.ChatLog:
        """Return a private chat log with the agent's own prompt and tools.

        is_renewed: rebuild the prefix first, as changes outside the home may affect it. Raises
        HomeAssistantError if an API or the template fails.
        """
        if is_renewed:
            await self.async_renew(llm_context, spec)
        prompt, api = await self._async_render(llm_context, spec)
        prefix, _ = await self._async_fitting(prompt, api, llm_context, spec)
        chat_log = conversation.ChatLog(self._hass, ulid_now())
        chat_log.content[0] = conversation.SystemContent(content=prefix.prompt)
        chat_log.llm_api = _with_tools(api, prefix)
        return chat_log

    async def async_renew(self, llm_context: llm.LLMContext, spec: PromptSpec) -> SharedPrefix:
        """Rebuild the prefix of the agent's own prompt.

        llm_context: of any speaker. Raises HomeAssistantError if an API or the template fails.
        """
        async with self._lock:
            if self._key != (key := _key_of(spec)):
                self._unusual.clear()
                self._prefix = None
            known, version = self._prefix, self._version_of(llm_context)
            prefix = await self._async_make(llm_context, spec)
            if known and self._version == version:
                prefix = shared_prefix(
                    [known.prompt, prefix.prompt], {**known.tools, **prefix.tools}
                )
            if known and known.is_like(prefix):
                prefix = known
            if prefix is not known:
                self._notes = {}
            self._prefix, self._key, self._version = prefix, key, version
            return prefix

    async def async_notes(
        self, speakers: Iterable[str], llm_context: llm.LLMContext, spec: PromptSpec
    ) -> dict[str, str]:
        """Return the notes on satellites, users and these speakers for the agent's own prefix.

        speakers: ids of devices and users. llm_context: of any speaker. Returns the notes by id,
        without the empty ones.
        """
        prefix = self._prefix
        if prefix is None or self._key != _key_of(spec) or self._needs_admin(spec):
            return {}
        notes, found = self._notes, dict[str, str]()
        for one in await self._async_speakers(speakers, self._nobody(llm_context)):
            speaker = speaker_of(one) or ""
            if speaker not in notes:
                # Each rendering takes a while: yield to the event loop in between.
                await asyncio.sleep(0)
                with suppress(HomeAssistantError):
                    prompt, _ = await self._async_render(one, spec)
                    notes[speaker] = prefix.note_on(prompt) or ""
            if notes.get(speaker):
                found[speaker] = notes[speaker]
        return found

    async def _async_fitting(
        self,
        prompt: str,
        api: llm.APIInstance | None,
        llm_context: llm.LLMContext,
        spec: PromptSpec,
    ) -> tuple[SharedPrefix, str]:
        """Return a prefix for a speaker's prompt and tools, and the note on the speaker."""
        if not spec.is_own or self._needs_admin(spec):
            # We do not render the prompts of other speakers, or cannot.
            return SharedPrefix(prompt), ""
        speaker, names = speaker_of(llm_context) or "", set[str]()
        if api and llm_context.device_id:
            names = {tool.name for tool in api.tools}
        prefix = self._prefix if self._key == _key_of(spec) else None
        note = prefix.note_on(prompt) if prefix else None
        is_same_home = self._version == self._version_of(llm_context)
        # A speaker with the same note as before lives in the same home.
        if prefix is None or not (is_same_home or note == self._notes.get(speaker, False)):
            try:
                prefix = await self.async_renew(llm_context, spec)
            except HomeAssistantError:
                return SharedPrefix(prompt), ""
            note = prefix.note_on(prompt)
        if note is None or not prefix.tools.keys() >= names:
            # Remove lines that this speaker's prompt lacks, or that change without the home, such
            # as the state of an entity.
            tools = {one.name: one for one in api.tools} if api and names else {}
            prefix = shared_prefix([prefix.prompt, prompt], {**tools, **prefix.tools})
            self._prefix, self._notes = prefix, {}
            self._note_unusual(speaker, llm_context)
            note = prefix.note_on(prompt) or ""
        self._notes[speaker] = note
        return prefix, note

    def _note_unusual(self, speaker: str, llm_context: llm.LLMContext) -> None:
        """Remember a speaker whose prompt must be rendered for the prefix."""
        self._unusual.pop(speaker, None)
        self._unusual[speaker] = llm_context
        if len(self._unusual) > MAX_UNUSUAL:
            del self._unusual[next(iter(self._unusual))]

    async def _async_make(self, llm_context: llm.LLMContext, spec: PromptSpec) -> SharedPrefix:
        """Build the prefix: the lines that the prompts of all kinds of speakers share."""
        nobody = self._nobody(llm_context)
        self.has_timers = self.has_timers or any(
            async_device_supports_timers(self._hass, one.id)
            for one in dr.async_get(self._hass).devices
        )
        prompts, tools = list[str](), dict[str, llm.Tool]()
        failure: HomeAssistantError | None = None
        for one in (nobody, *self._other_kinds(nobody)):
            # Each rendering takes a while: yield to the event loop in between.
            await asyncio.sleep(0)
            try:
                with self._timers_at(one.device_id):
                    prompt, api = await self._async_render(one, spec)
            except HomeAssistantError as err:
                # A template may need a user's name, which this speaker does not have.
                failure = failure or err
                continue
            prompts.append(prompt)
            if one is nobody or one.device_id is not None:
                tools = {**{tool.name: tool for tool in api.tools}, **tools}
        if failure and not prompts:
            raise failure
        return shared_prefix(prompts, tools)

    @contextmanager
    def _timers_at(self, device_id: str | None) -> Iterator[None]:
        """Register timers for our own device while its prompt is rendered."""
        if device_id != self._timer_device or not self.has_timers:
            yield
            return
        end = async_register_timer_handler(self._hass, device_id, lambda _event, _timer: None)
        try:
            yield
        finally:
            end()

    def _other_kinds(self, nobody: llm.LLMContext) -> Iterable[llm.LLMContext]:
        """Return speakers that differ in everything that Home Assistant's prompt says of them."""
        yield replace(nobody, device_id=self._timer_device)
        for device in dr.async_get(self._hass).devices:
            if dr.async_get_effective_area_id(self._hass, device):
                yield replace(nobody, device_id=device.id)
                break
        yield from list(self._unusual.values())

    def _nobody(self, llm_context: llm.LLMContext) -> llm.LLMContext:
        """Return a context without user and device, in the home's language."""
        language = self._hass.config.language
        return replace(llm_context, device_id=None, context=Context(), language=language)

    def _version_of(self, llm_context: llm.LLMContext) -> int:
        return async_exposed(self._hass, llm_context.assistant).version

    def _apis(self, spec: PromptSpec) -> list[str] | llm.API:
        """Return the APIs as Home Assistant expects them."""
        if spec.apis and spec.commands:
            return CommandsApi(self._hass, spec.apis, spec.commands)
        if spec.apis and is_assist(self._hass, spec.apis):
            return RememberedAssist(self._hass)
        return list(spec.apis) if spec.apis else DateApi(self._hass)

    def _needs_admin(self, spec: PromptSpec) -> bool:
        """Return whether an API requires an admin: then we cannot render it for others."""
        return any(
            getattr(api, "requires_admin", False)
            for api in llm.async_get_apis(self._hass)
            if api.id in (spec.apis or ())
        )

    async def _async_speakers(
        self, speakers: Iterable[str], nobody: llm.LLMContext
    ) -> list[llm.LLMContext]:
        """Return the known speakers, then each satellite and each user."""
        registry, known = dr.async_get(self._hass), [*speakers]
        satellites = {
            entry.device_id
            for entry in er.async_get(self._hass).entities.values()
            if entry.domain == SATELLITES and entry.device_id and not entry.disabled
        }
        devices = [one for one in known if registry.async_get(one)]
        all_users = [
            one.id
            for one in await self._hass.auth.async_get_users()
            if one.is_active and not one.system_generated
        ]
        users = [one for one in known if one in all_users]
        return [
            *(
                replace(nobody, device_id=device)
                for device in [*dict.fromkeys((*devices, *sorted(satellites)))][:MAX_DEVICES]
            ),
            *(
                replace(nobody, context=Context(user_id=user))
                for user in [*dict.fromkeys((*users, *all_users))][:MAX_USERS]
            ),
        ]

    async def _async_render(
        self, llm_context: llm.LLMContext, spec: PromptSpec
    ) -> tuple[str, llm.APIInstance]:
        """Render the prompt and the API of a speaker.

        The result is that of a chat log, whose creation Home Assistant would announce to all
        listeners for conversations.
        """
        apis = self._apis(spec)
        if isinstance(apis, llm.API):
            api = await apis.async_get_api_instance(llm_context)
        else:
            api = await llm.async_get_api(self._hass, apis, llm_context)
        user_id = llm_context.context.user_id if llm_context.context else None
        user = await self._hass.auth.async_get_user(user_id) if user_id else None
        user_name = user.name if user else None
        if llm_context.device_id == self._timer_device:
            user_name = SOMEBODY
        instructions = Template(spec.prompt or llm.DEFAULT_INSTRUCTIONS_PROMPT, self._hass)
        said: str = instructions.async_render(
            {
                "ha_name": self._hass.config.location_name,
                "user_name": user_name,
                "llm_context": llm_context,
            },
            parse_result=False,
        )
        prompt, _ = split_clock(f"{said}\n{api.api_prompt}")
        return prompt, api


def speaker_of(llm_context: llm.LLMContext) -> str | None:
    """Return the id of the speaker's device, else of the user, None if neither is known."""
    context = llm_context.context
    return llm_context.device_id or (context.user_id if context else None)


def _key_of(spec: PromptSpec) -> tuple[Any, ...]:
    """Return the key of an agent's own prompt."""
    return spec, spec.commands and spec.commands.code, spec.is_written


def _with_tools(api: llm.APIInstance | None, prefix: SharedPrefix) -> llm.APIInstance | None:
    """Guard the tools, and add those of some devices: Home Assistant rejects calls from others."""
    if api is None:
        return None
    names = {tool.name for tool in api.tools}
    more = [tool for name, tool in prefix.tools.items() if name not in names]
    return replace(api, tools=[GuardedTool(one) for one in (*api.tools, *more)])
