"""Prompts that begin with the same words for every satellite, user and restart.

Home Assistant writes the speaker's area, whether their device has timers, and perhaps their name
into the middle of the prompt. A server that has processed the prompt of one speaker would have to
process most of it again for the next. So the prefix is what nobody in particular is told, without
the lines that are about a speaker; these go behind everything else, to the words of the user.

Which lines are about a speaker is found with two prompts of others: of somebody with a name at a
device that has timers, and of a device that is in an area. It does not matter who is in the home.
"""

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm
from homeassistant.helpers.template import Template
from homeassistant.util.ulid import ulid_now

from ..home.exposed import async_exposed
from ..tool_calls.tools import GuardedApi
from .assist import RememberedAssist, is_assist
from .commands_api import CommandsApi
from .date import DateApi
from .notes import note_of, set_note
from .shared_prefix import SharedPrefix, join_notes, shared_prefix, split_clock, system_prompt_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from homeassistant.core import HomeAssistant

    from ..home.language import Language

# Of so many satellites and users the notes are made before they speak for the first time.
MAX_DEVICES = 16
MAX_USERS = 8
# So many speakers are remembered whose prompts differ in more lines than those of others.
MAX_UNUSUAL = 8
SATELLITES = "assist_satellite"
# A name that no user has: lines with it are about the user.
SOMEBODY = "Somebody"


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """What an agent's prompt is made of.

    apis: Home Assistant's APIs that the model may use, None for none. prompt: a template with the
    instructions. is_own: it is that of the agent's options, which is kept warm. commands: the
    language in which the model chooses among commands, None: it is offered tools. is_written: it
    writes calls, as its chat template knows no tools.
    """

    apis: tuple[str, ...] | None
    prompt: str | None
    is_own: bool
    commands: Language | None = field(default=None, compare=False)
    is_written: bool = field(default=False, compare=False)


class SharedPrefixBuilder:
    """Gives chat logs their system prompts and tools."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin with no prompt known."""
        self._hass = hass
        self._lock = asyncio.Lock()
        # A device that is nowhere, and has timers while the prefix is made.
        self._timer_device = f"llamacpp_{ulid_now()}"
        self._prefix: SharedPrefix | None = None
        # Of what the prefix was made, and of which version of the home.
        self._key: tuple[Any, ...] | None = None
        self._version = -1
        # By id, speakers whose prompts lack lines that the prompts of the others have.
        self._unusual: dict[str, llm.LLMContext] = {}
        # By id, what speakers are told beside the prefix; nobody's id is empty.
        self._notes: dict[str, str] = {}

    async def async_provide(
        self,
        chat_log: conversation.ChatLog,
        llm_context: llm.LLMContext,
        wanted: PromptSpec,
        extra_prompt: str | None = None,
    ) -> str:
        """Give a chat log its system prompt and tools; return what goes with the user's words.

        Raises ConverseError if an API or the template does not work.
        """
        before = chat_log.content[0]
        await chat_log.async_provide_llm_data(
            llm_context, self._apis(wanted), wanted.prompt, extra_prompt
        )
        if chat_log.content[0] is before:
            # Home Assistant lets a conversation go on with the prompt and tools that it has.
            return note_of(before)
        whole = system_prompt_of(chat_log.content)
        extra = chat_log.extra_system_prompt
        if extra:
            whole = whole.removesuffix(extra)
        prompt, clock = split_clock(whole)
        api = chat_log.llm_api
        prefix, own = await self._async_fitting(prompt, api, llm_context, wanted)
        chat_log.content[0] = conversation.SystemContent(content=prefix.prompt)
        chat_log.llm_api = _with_tools(api, prefix)
        note = join_notes((own, clock, extra))
        set_note(chat_log.content[0], note)
        return note

    async def async_draft(
        self, llm_context: llm.LLMContext, wanted: PromptSpec, *, anew: bool = False
    ) -> conversation.ChatLog:
        """Return a chat log with the agent's own prompt and tools that nobody else hears of.

        anew: make the prefix again, as more than the home may have changed. Raises
        HomeAssistantError if an API or the template does not work.
        """
        if anew:
            await self.async_renew(llm_context, wanted)
        prompt, api = await self._async_render(llm_context, wanted)
        prefix, _ = await self._async_fitting(prompt, api, llm_context, wanted)
        chat_log = conversation.ChatLog(self._hass, ulid_now())
        chat_log.content[0] = conversation.SystemContent(content=prefix.prompt)
        chat_log.llm_api = _with_tools(api, prefix)
        return chat_log

    async def async_renew(self, llm_context: llm.LLMContext, wanted: PromptSpec) -> SharedPrefix:
        """Make the prefix of an agent's own prompt again.

        llm_context: of one who may ask. Raises HomeAssistantError if an API or the template does
        not work.
        """
        async with self._lock:
            if self._key != (key := _key_of(wanted)):
                self._unusual.clear()
                self._prefix = None
            known, version = self._prefix, self._version_of(llm_context)
            prefix = await self._async_make(llm_context, wanted)
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
        self, speakers: Iterable[str], llm_context: llm.LLMContext, wanted: PromptSpec
    ) -> dict[str, str]:
        """Return what satellites, users and these speakers are told beside the agent's own prefix.

        speakers: ids of devices and users. llm_context: of one who may ask. The result is by id;
        who is told nothing is left out.
        """
        prefix = self._prefix
        if prefix is None or self._key != _key_of(wanted) or self._needs_admin(wanted):
            return {}
        notes, found = self._notes, dict[str, str]()
        for one in await self._async_speakers(speakers, self._nobody(llm_context)):
            speaker = speaker_of(one) or ""
            if speaker not in notes:
                # Each rendering takes a while, and the home has other things to do in between.
                await asyncio.sleep(0)
                with suppress(HomeAssistantError):
                    prompt, _ = await self._async_render(one, wanted)
                    notes[speaker] = prefix.note_on(prompt) or ""
            if notes.get(speaker):
                found[speaker] = notes[speaker]
        return found

    async def _async_fitting(
        self,
        prompt: str,
        api: llm.APIInstance | None,
        llm_context: llm.LLMContext,
        wanted: PromptSpec,
    ) -> tuple[SharedPrefix, str]:
        """Return a prefix that fits a speaker's prompt and tools, and the note on the speaker."""
        if not wanted.is_own or self._needs_admin(wanted):
            # Others' prompts are not made, or cannot be.
            return SharedPrefix(prompt), ""
        speaker, names = speaker_of(llm_context) or "", set[str]()
        if api and llm_context.device_id:
            names = {tool.name for tool in api.tools}
        prefix = self._prefix if self._key == _key_of(wanted) else None
        note = prefix.note_on(prompt) if prefix else None
        is_same_home = self._version == self._version_of(llm_context)
        # Who is told what they were told before lives in the same home, too.
        if prefix is None or not (is_same_home or note == self._notes.get(speaker, False)):
            try:
                prefix = await self.async_renew(llm_context, wanted)
            except HomeAssistantError:
                return SharedPrefix(prompt), ""
            note = prefix.note_on(prompt)
        if note is None or not prefix.tools.keys() >= names:
            # A line that a speaker is not told, or that has changed while the home has not, as one
            # with the state of an entity, is not for the prefix.
            tools = {one.name: one for one in api.tools} if api and names else {}
            prefix = shared_prefix([prefix.prompt, prompt], {**tools, **prefix.tools})
            self._prefix, self._notes = prefix, {}
            self._note_unusual(speaker, llm_context)
            note = prefix.note_on(prompt) or ""
        self._notes[speaker] = note
        return prefix, note

    def _note_unusual(self, speaker: str, llm_context: llm.LLMContext) -> None:
        """Take note of a speaker whose prompt is to be made, too, when the prefix is."""
        self._unusual.pop(speaker, None)
        self._unusual[speaker] = llm_context
        if len(self._unusual) > MAX_UNUSUAL:
            del self._unusual[next(iter(self._unusual))]

    async def _async_make(self, llm_context: llm.LLMContext, wanted: PromptSpec) -> SharedPrefix:
        """Return what the prompts of nobody in particular and of all kinds of speakers share."""
        nobody = self._nobody(llm_context)
        prompts, tools = list[str](), dict[str, llm.Tool]()
        failure: HomeAssistantError | None = None
        for one in (nobody, *self._other_kinds(nobody)):
            # Each rendering takes a while, and the home has other things to do in between.
            await asyncio.sleep(0)
            try:
                with self._timers_at(one.device_id):
                    prompt, api = await self._async_render(one, wanted)
            except HomeAssistantError as err:
                # A template may want a user, of whom nobody has a name.
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
        """Let our own device have timers, for as long as its prompt is made."""
        if device_id != self._timer_device:
            yield
            return
        end = async_register_timer_handler(self._hass, device_id, lambda _event, _timer: None)
        try:
            yield
        finally:
            end()

    def _other_kinds(self, nobody: llm.LLMContext) -> Iterable[llm.LLMContext]:
        """Return speakers that differ from nobody in all that Home Assistant tells of speakers."""
        yield replace(nobody, device_id=self._timer_device)
        for device in dr.async_get(self._hass).devices:
            if dr.async_get_effective_area_id(self._hass, device):
                yield replace(nobody, device_id=device.id)
                break
        yield from list(self._unusual.values())

    def _nobody(self, llm_context: llm.LLMContext) -> llm.LLMContext:
        """Return nobody in particular, who speaks the home's language."""
        language = self._hass.config.language
        return replace(llm_context, device_id=None, context=Context(), language=language)

    def _version_of(self, llm_context: llm.LLMContext) -> int:
        return async_exposed(self._hass, llm_context.assistant).version

    def _apis(self, wanted: PromptSpec) -> list[str] | llm.API:
        """Return the APIs as Home Assistant takes them."""
        if wanted.apis and wanted.commands:
            return CommandsApi(self._hass, wanted.apis, wanted.commands)
        if wanted.apis and is_assist(self._hass, wanted.apis):
            return RememberedAssist(self._hass)
        return list(wanted.apis) if wanted.apis else DateApi(self._hass)

    def _needs_admin(self, wanted: PromptSpec) -> bool:
        """Tell whether an API is not for everybody: then nobody else's prompt can be made."""
        return any(
            getattr(api, "requires_admin", False)
            for api in llm.async_get_apis(self._hass)
            if api.id in (wanted.apis or ())
        )

    async def _async_speakers(
        self, speakers: Iterable[str], nobody: llm.LLMContext
    ) -> list[llm.LLMContext]:
        """Return those who may ask: those that are known to, each satellite and each user."""
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
        self, llm_context: llm.LLMContext, wanted: PromptSpec
    ) -> tuple[str, llm.APIInstance]:
        """Return the prompt and the API that somebody would be given.

        It is what a chat log of Home Assistant is given, of which it would tell all that follow the
        conversations of the home.
        """
        apis = self._apis(wanted)
        if isinstance(apis, llm.API):
            api = await apis.async_get_api_instance(llm_context)
        else:
            api = await llm.async_get_api(self._hass, apis, llm_context)
        user_id = llm_context.context.user_id if llm_context.context else None
        user = await self._hass.auth.async_get_user(user_id) if user_id else None
        user_name = user.name if user else None
        if llm_context.device_id == self._timer_device:
            user_name = SOMEBODY
        instructions = Template(wanted.prompt or llm.DEFAULT_INSTRUCTIONS_PROMPT, self._hass)
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
    """Return an id of who speaks: somebody at a device, else a user; None if neither is known."""
    context = llm_context.context
    return llm_context.device_id or (context.user_id if context else None)


def _key_of(wanted: PromptSpec) -> tuple[Any, ...]:
    """Return a word for what an agent's own prompt is made of."""
    return wanted, wanted.commands and wanted.commands.code, wanted.is_written


def _with_tools(api: llm.APIInstance | None, prefix: SharedPrefix) -> llm.APIInstance | None:
    """Return an API that offers what some devices can do to all: a call elsewhere is refused."""
    if api is None:
        return None
    names = {tool.name for tool in api.tools}
    more = [tool for name, tool in prefix.tools.items() if name not in names]
    return GuardedApi(replace(api, tools=[*api.tools, *more]))
