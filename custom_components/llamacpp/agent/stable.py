"""Prompts that begin with the same words for every satellite, user and restart.

Home Assistant writes the satellite's area, whether it has timers, and perhaps the user's name into
the middle of the prompt. A server that has processed the prompt of one satellite would have to
process most of it again for the next. So what differs is found by making the prompt for each of
them, and goes behind everything else, to the words of the user.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm
from homeassistant.helpers.template import Template
from homeassistant.util.ulid import ulid_now

from .assist import RememberedAssist, is_assist
from .commands.api import CommandsApi
from .commands.exposed import exposed_home
from .date import DateApi
from .frame import join_notes, make_frame, split_clock, system_prompt_of
from .notes import note_of, set_note
from .tools import GuardedApi

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .commands.home import Home
    from .commands.language import Language
    from .frame import Frame

# So many satellites and users are looked at; a home with more loses warmth, not answers.
MAX_DEVICES = 16
MAX_USERS = 8
SATELLITES = "assist_satellite"


@dataclass(frozen=True, slots=True)
class Wanted:
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


class StablePrompts:
    """Gives chat logs their system prompts and tools."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin with no prompt known."""
        self._hass = hass
        # What the agent's own prompts have in common, of what that was made, and of which home.
        self._frame: Frame | None = None
        self._wanted: Wanted | None = None
        self._home: Home | None = None

    async def async_provide(
        self,
        chat_log: conversation.ChatLog,
        llm_context: llm.LLMContext,
        wanted: Wanted,
        extra_prompt: str | None = None,
    ) -> str:
        """Give a chat log its system prompt and tools; return what goes with the user's words.

        The prompt is rendered once. Raises ConverseError if an API or the template does not work.
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
        frame = self._fitting(prompt, llm_context, wanted)
        if system_prompt_of([before]) == prompt != frame.prompt:
            # It began before it was known what the prompts share: it goes on with what it has.
            frame = make_frame([prompt], {})
        chat_log.content[0] = conversation.SystemContent(content=frame.prompt)
        chat_log.llm_api = _with_tools(chat_log.llm_api, frame)
        note = join_notes((frame.notes[prompt], clock, extra))
        set_note(chat_log.content[0], note)
        return note

    async def async_draft(
        self, llm_context: llm.LLMContext, wanted: Wanted, *, anew: bool = False
    ) -> conversation.ChatLog:
        """Return a chat log with the agent's own prompt and tools that nobody else hears of.

        anew: look again who there is to ask. Raises HomeAssistantError if an API or the template
        does not work.
        """
        if anew or self.lacks(wanted):
            await self.async_learn(llm_context, wanted)
        prompt, api = await self._async_render(llm_context, wanted)
        frame = self._fitting(prompt, llm_context, wanted)
        chat_log = conversation.ChatLog(self._hass, ulid_now())
        chat_log.content[0] = conversation.SystemContent(content=frame.prompt)
        chat_log.llm_api = _with_tools(api, frame)
        return chat_log

    def lacks(self, wanted: Wanted) -> bool:
        """Tell whether it is not known what the agent's own prompts have in common."""
        return wanted.is_own and (self._frame is None or self._wanted != wanted)

    def is_outdated(self, llm_context: llm.LLMContext, wanted: Wanted) -> bool:
        """Tell whether that is not known, or was learnt from another home than there is now."""
        return self.lacks(wanted) or self._exposed_home(llm_context) is not self._home

    def notes_for_speakers(self, wanted: Wanted) -> dict[str, str]:
        """Return what each satellite and each user is told beside the newest of these prompts."""
        if self._frame is None or self._wanted != wanted:
            return {}
        return {speaker: note for speaker, note in self._frame.speakers.items() if speaker}

    async def async_learn(self, llm_context: llm.LLMContext, wanted: Wanted) -> None:
        """Find what the prompts of the home's satellites and users have in common.

        llm_context: of one who may ask. It renders all of them, so nobody should wait for it.
        Raises HomeAssistantError if an API or the template does not work.
        """
        home = self._exposed_home(llm_context)
        first, others = llm_context, list[llm.LLMContext]()
        if not self._needs_admin(wanted):
            first = replace(llm_context, device_id=None, context=Context())
            others = [*await self._async_variants(first), llm_context]
        prompt, api = await self._async_render(first, wanted)
        prompts, speakers = [prompt], {speaker_of(first) or "": prompt}
        base, tools = {tool.name for tool in api.tools}, dict[str, llm.Tool]()
        for other in others:
            # Each rendering takes a while, and the home has other things to do in between.
            await asyncio.sleep(0)
            with contextlib.suppress(HomeAssistantError):
                prompt, api = await self._async_render(other, wanted)
                prompts.append(prompt)
                speakers.setdefault(speaker_of(other) or "", prompt)
                if other.device_id is not None:
                    tools.update({one.name: one for one in api.tools if one.name not in base})
        self._frame = make_frame(list(dict.fromkeys(prompts)), tools, speakers)
        self._wanted, self._home = wanted, home

    def _fitting(self, prompt: str, llm_context: llm.LLMContext, wanted: Wanted) -> Frame:
        """Return a frame that has a note for this prompt."""
        if self._frame is None or self._wanted != wanted:
            return make_frame([prompt], {})
        is_same_home = self._exposed_home(llm_context) is self._home
        speaker = speaker_of(llm_context) or ""
        self._frame = self._frame.with_prompt(prompt, speaker, is_same_home=is_same_home)
        return self._frame

    def _exposed_home(self, llm_context: llm.LLMContext) -> Home:
        return exposed_home(self._hass, llm_context.assistant)

    def _apis(self, wanted: Wanted) -> list[str] | llm.API:
        """Return the APIs as Home Assistant takes them."""
        if wanted.apis and wanted.commands:
            return CommandsApi(self._hass, wanted.apis, wanted.commands)
        if wanted.apis and is_assist(self._hass, wanted.apis):
            return RememberedAssist(self._hass)
        return list(wanted.apis) if wanted.apis else DateApi(self._hass)

    def _needs_admin(self, wanted: Wanted) -> bool:
        """Tell whether an API is not for everybody: then nobody else's prompt can be made."""
        return any(
            getattr(api, "requires_admin", False)
            for api in llm.async_get_apis(self._hass)
            if api.id in (wanted.apis or ())
        )

    async def _async_variants(self, nobody: llm.LLMContext) -> list[llm.LLMContext]:
        """Return who may ask: each satellite and each user."""
        satellites = {
            entry.device_id
            for entry in er.async_get(self._hass).entities.values()
            if entry.domain == SATELLITES and entry.device_id and not entry.disabled
        }
        users = [
            one.id
            for one in await self._hass.auth.async_get_users()
            if one.is_active and not one.system_generated
        ]
        return [
            *(replace(nobody, device_id=device) for device in sorted(satellites)[:MAX_DEVICES]),
            *(replace(nobody, context=Context(user_id=user)) for user in users[:MAX_USERS]),
        ]

    async def _async_render(
        self, llm_context: llm.LLMContext, wanted: Wanted
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
        instructions = Template(wanted.prompt or llm.DEFAULT_INSTRUCTIONS_PROMPT, self._hass)
        said: str = instructions.async_render(
            {
                "ha_name": self._hass.config.location_name,
                "user_name": user.name if user else None,
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


def _with_tools(api: llm.APIInstance | None, frame: Frame) -> llm.APIInstance | None:
    """Return an API that offers what some devices can do to all: a call elsewhere is refused."""
    if api is None:
        return None
    names = {tool.name for tool in api.tools}
    more = [tool for name, tool in frame.tools.items() if name not in names]
    return GuardedApi(replace(api, tools=[*api.tools, *more]))
