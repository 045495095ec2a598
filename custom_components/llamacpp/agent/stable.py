"""Prompts that begin with the same words for every satellite, user and restart.

Home Assistant writes the satellite's area, whether it has timers, and perhaps the user's name into
the middle of the prompt. A server that has processed the prompt of one satellite would have to
process most of it again for the next. So what differs is found by making the prompt for each of
them, and goes behind everything else, to the words of the user.
"""

import asyncio
import contextlib
from collections import OrderedDict
from contextvars import Context as Variables
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm
from homeassistant.util.ulid import ulid_now

from .commands.api import CommandsApi
from .date import DateApi
from .frame import join_notes, make_frame, split_clock, system_prompt_of
from .notes import note_of, set_note
from .tools import GuardedApi

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

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
    language in which a model that knows no tools chooses among commands, None: it is offered tools.
    """

    apis: tuple[str, ...] | None
    prompt: str | None
    is_own: bool
    commands: Language | None = field(default=None, compare=False)


class StablePrompts:
    """Gives chat logs their system prompts and tools."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin with no prompt known."""
        self._hass = hass
        # By what is wanted: the newest of the agent, and of other ways to use it.
        self._frames: OrderedDict[Wanted, Frame] = OrderedDict()

    async def async_provide(
        self,
        chat_log: conversation.ChatLog,
        llm_context: llm.LLMContext,
        wanted: Wanted,
        extra_prompt: str | None = None,
        *,
        anew: bool = False,
    ) -> str:
        """Give a chat log its system prompt and tools; return what goes with the user's words.

        anew: look again who there is to ask. Raises ConverseError if an API or the template does
        not work.
        """
        before = chat_log.content[0]
        await _async_provide(chat_log, llm_context, wanted, extra_prompt)
        if chat_log.content[0] is before:
            # Home Assistant lets a conversation go on with the prompt and tools that it has.
            return note_of(before)
        whole = system_prompt_of(chat_log.content)
        extra = chat_log.extra_system_prompt
        if extra:
            whole = whole.removesuffix(extra)
        prompt, clock = split_clock(whole)
        frame = self._frames.get(wanted)
        if anew or frame is None or prompt not in frame.notes:
            frame = await self._async_frame(prompt, llm_context, wanted)
            self._frames[wanted] = frame
            if len(self._frames) > 2:  # noqa: PLR2004 - its own, and one other
                self._frames.popitem(last=False)
        chat_log.content[0] = conversation.SystemContent(content=frame.prompt)
        chat_log.llm_api = _with_tools(chat_log.llm_api, frame)
        note = join_notes((frame.notes[prompt], clock, extra))
        set_note(chat_log.content[0], note)
        return note

    def notes_for_speakers(self, wanted: Wanted) -> dict[str, str]:
        """Return what each satellite and each user is told beside the newest of these prompts."""
        frame = self._frames.get(wanted)
        if frame is None:
            return {}
        return {speaker: frame.notes[prompt] for speaker, prompt in frame.speakers.items()}

    async def _async_frame(self, prompt: str, llm_context: llm.LLMContext, wanted: Wanted) -> Frame:
        """Return what this prompt has in common with those of the home's satellites and users."""
        if not wanted.is_own or self._needs_admin(wanted):
            return make_frame([prompt], {})
        nobody = replace(llm_context, device_id=None, context=Context())
        prompts, tools = [prompt], {}
        speakers: dict[str, str] = {}
        base: set[str] | None = None
        for variant in (nobody, *await self._async_variants(nobody, llm_context)):
            # Apart from the turn that may be under way, which must not see these prompts.
            rendering = asyncio.create_task(
                self._async_render(variant, wanted), context=Variables()
            )
            with contextlib.suppress(HomeAssistantError, conversation.ConverseError):
                text, offered = await rendering
                prompts.append(text)
                if speaker := speaker_of(variant):
                    speakers[speaker] = text
                base = set(offered) if base is None else base
                if variant.device_id is not None:
                    tools.update({name: one for name, one in offered.items() if name not in base})
        return make_frame(list(dict.fromkeys(prompts)), tools, speakers)

    def _needs_admin(self, wanted: Wanted) -> bool:
        """Tell whether an API is not for everybody: then nobody else's prompt can be made."""
        return any(
            getattr(api, "requires_admin", False)
            for api in llm.async_get_apis(self._hass)
            if api.id in (wanted.apis or ())
        )

    async def _async_variants(
        self, nobody: llm.LLMContext, asking: llm.LLMContext
    ) -> list[llm.LLMContext]:
        """Return who may ask: each satellite, each user, and the device that asks just now."""
        satellites = (
            entry.device_id
            for entry in er.async_get(self._hass).entities.values()
            if entry.domain == SATELLITES and entry.device_id and not entry.disabled
        )
        devices = sorted({*satellites} - {asking.device_id or ""})[:MAX_DEVICES]
        if asking.device_id:
            devices.append(asking.device_id)
        users = [
            one.id
            for one in await self._hass.auth.async_get_users()
            if one.is_active and not one.system_generated
        ]
        return [
            *(replace(nobody, device_id=device) for device in devices),
            *(replace(nobody, context=Context(user_id=user)) for user in users[:MAX_USERS]),
        ]

    async def _async_render(
        self, llm_context: llm.LLMContext, wanted: Wanted
    ) -> tuple[str, dict[str, llm.Tool]]:
        """Return the prompt and the tools that somebody would be given."""
        chat_log = conversation.ChatLog(self._hass, ulid_now())
        await _async_provide(chat_log, llm_context, wanted)
        tools = chat_log.llm_api.tools if chat_log.llm_api else []
        prompt, _ = split_clock(system_prompt_of(chat_log.content))
        return prompt, {tool.name: tool for tool in tools}


def speaker_of(llm_context: llm.LLMContext) -> str | None:
    """Return an id of who speaks: somebody at a device, else a user; None if neither is known."""
    context = llm_context.context
    return llm_context.device_id or (context.user_id if context else None)


async def _async_provide(
    chat_log: conversation.ChatLog,
    llm_context: llm.LLMContext,
    wanted: Wanted,
    extra_prompt: str | None = None,
) -> None:
    apis: list[str] | llm.API = DateApi(chat_log.hass)
    if wanted.apis and wanted.commands:
        apis = CommandsApi(chat_log.hass, wanted.apis, wanted.commands)
    elif wanted.apis:
        apis = list(wanted.apis)
    await chat_log.async_provide_llm_data(llm_context, apis, wanted.prompt, extra_prompt)


def _with_tools(api: llm.APIInstance | None, frame: Frame) -> llm.APIInstance | None:
    """Return an API that offers what some devices can do to all: a call elsewhere is refused."""
    if api is None:
        return None
    names = {tool.name for tool in api.tools}
    more = [tool for name, tool in frame.tools.items() if name not in names]
    return GuardedApi(replace(api, tools=[*api.tools, *more]))
