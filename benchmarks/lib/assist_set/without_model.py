"""The sets without a model: Home Assistant in this process, and a server that never chooses.

This measures the code without a model: the first one of the commands that a model would choose
among counts.
"""

import asyncio
import json
from concurrent.futures import ProcessPoolExecutor
from itertools import count, repeat
from multiprocessing import get_context
from os import process_cpu_count
from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.components.conversation.chat_log import DATA_CHAT_LOGS
from homeassistant.components.homeassistant.exposed_entities import async_should_expose
from homeassistant.const import __version__ as ha_version
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError as HomeAssistantFailed
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers.json import json_dumps

from custom_components.llamacpp.const import (
    CONF_KEEP_HISTORY,
    CONF_KEEP_WARM,
    SUBENTRY_CONVERSATION,
)
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from dev.ha_client import AssistAnswer, HomeAssistantError

from ..command import say
from ..errors import BenchmarkError
from ..first_choice import first_choice
from ..in_process import AGENT, set_up_agent, small_home
from ..scripted_server import ScriptedServer
from .calls import calls_of, names_of
from .play import AssistPlayer
from .replies import speech_of
from .results import Column
from .scoring import flat
from .stage import ASSISTANT, BUILTIN, BUILTIN_ENTITY, Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.area_registry import AreaEntry
    from homeassistant.helpers.floor_registry import FloorEntry

    from .calls import AgentCall
    from .cases import AssistHome
    from .play import TimeLimits
    from .results import CaseOutcome
    from .scoring import Snapshot

OURS = "ours"
AGENTS = {OURS: AGENT, BUILTIN: BUILTIN_ENTITY}
# Only commands, without history and prefill.
OPTIONS = {
    CONF_TOOL_CALLS: ToolCalls.COMMANDS,
    CONF_KEEP_HISTORY: False,
    CONF_KEEP_WARM: False,
}
VERSION = ha_version
# Each process runs one home at a time.
MAX_PROCESSES = 4


class InProcessStage:
    """A home in a running Home Assistant of this process."""

    def __init__(self, hass: HomeAssistant, home: AssistHome, language: str) -> None:
        """Use a Home Assistant that has this home. language: the spoken one."""
        self._hass = hass
        self._home = home
        self._language = language
        self._devices = {
            identifier: device.id
            for device in list(dr.async_get(hass).devices)
            for domain, identifier in device.identifiers
            if domain == "virtual_home"
        }
        self._names = names_of(
            _exposed(hass), _things(ar.async_get(hass).areas), _things(fr.async_get(hass).floors)
        )

    async def bring(
        self, setup: Mapping[str, Mapping[str, Any]], now: datetime | None = None
    ) -> None:
        """Reset the home to the state of its file, then set these states.

        now: the time to set, None: the real one. Raises BenchmarkError if an entity refuses its
        state.
        """
        await self._virtual_home("reset", {})
        if now is not None:
            await self._virtual_home("set_time", {"now": now})
        for entity_id, fields in setup.items():
            given = {name: value for name, value in fields.items() if value is not None}
            try:
                await self._virtual_home("set_state", {"entity_id": entity_id, **given})
            except HomeAssistantFailed as err:
                raise BenchmarkError(
                    f"{self._home.path}: {entity_id} cannot be brought into a case's state: {err}"
                ) from None

    async def _virtual_home(self, action: str, fields: Mapping[str, Any]) -> None:
        await self._hass.services.async_call("virtual_home", action, dict(fields), blocking=True)

    def device(self, device: str | None) -> str | None:
        """Return Home Assistant's id of a device of the home's file; raises BenchmarkError."""
        if device is None:
            return None
        if device not in self._devices:
            raise BenchmarkError(f"{self._home.path}: there is no device {device}")
        return self._devices[device]

    async def settled(self) -> Snapshot:
        """Return the states of all entities of the home as soon as no work is left."""
        await self._hass.async_block_till_done()
        states = (self._hass.states.get(one) for one in self._home.entities)
        return {one.entity_id: flat(json.loads(one.as_dict_json)) for one in states if one}

    async def ask(
        self, asked: Asked, sentence: str, device: str | None, conversation_id: str | None
    ) -> AssistAnswer:
        """Say a sentence to an agent; raises HomeAssistantError of the client."""
        try:
            result = await conversation.async_converse(
                self._hass,
                sentence,
                conversation_id,
                Context(),
                language=self._language,
                agent_id=asked.target,
                device_id=device,
            )
        except HomeAssistantFailed as err:
            raise HomeAssistantError(str(err)) from err
        response = result.response
        return AssistAnswer(
            str(response.speech.get("plain", {}).get("speech", "")),
            response.response_type.value == "error",
            result.conversation_id,
        )

    async def calls(self, conversation_id: str | None) -> Sequence[AgentCall]:
        """Return the tool calls in a conversation, none if it is unknown."""
        log = self._hass.data.get(DATA_CHAT_LOGS, {}).get(conversation_id or "")
        return (
            calls_of(json.loads(json_dumps(log.as_dict()))["content"], self._names) if log else []
        )


def _exposed(hass: HomeAssistant) -> list[Mapping[str, Any]]:
    entities = er.async_get(hass)
    found: list[Mapping[str, Any]] = []
    for state in hass.states.async_all():
        if async_should_expose(hass, ASSISTANT, state.entity_id):
            entry = entities.async_get(state.entity_id)
            # One of the aliases stands for the name.
            own = [one for one in (entry.aliases if entry else ()) if isinstance(one, str)]
            found.append({"name": state.name, "aliases": [state.entity_id, *own]})
    return found


def _things(registry: Mapping[str, AreaEntry | FloorEntry]) -> list[Mapping[str, Any]]:
    return [{"name": one.name, "aliases": one.aliases} for one in registry.values()]


def play(
    homes: Sequence[AssistHome], folder: Path, limits: TimeLimits, language: str | None = None
) -> list[Column]:
    """Return the outcomes of our agent and of Home Assistant's own in these homes.

    folder: for the configurations of Home Assistant. language: the spoken one, None: that of each
    home. Raises BenchmarkError.
    """
    columns = [Column(name) for name in AGENTS]
    n_processes = min(MAX_PROCESSES, process_cpu_count() or 1, len(homes))
    with ProcessPoolExecutor(n_processes, get_context("spawn")) as pool:
        found = pool.map(
            _play_alone,
            (home for home in homes if home.cases),
            (folder / str(number) for number in count()),
            repeat(limits),
            repeat(language),
        )
        for of_home in found:
            for column, outcomes in zip(columns, of_home, strict=True):
                column.outcomes += outcomes
    return columns


def _play_alone(
    home: AssistHome, folder: Path, limits: TimeLimits, language: str | None
) -> list[list[CaseOutcome]]:
    """Return the outcomes of each agent in a home; to be run in a process of its own."""
    columns = asyncio.run(_play_home(home, folder, limits, language))
    return [column.outcomes for column in columns]


async def _play_home(
    home: AssistHome, folder: Path, limits: TimeLimits, language: str | None
) -> list[Column]:
    spoken = language or home.language
    columns = [Column(name) for name in AGENTS]
    say(f"{home.name} ({spoken}), {len(home.cases)} sentences ...")
    path = await asyncio.to_thread(lambda: home.written(folder / "home").absolute())
    speech = await asyncio.to_thread(speech_of, spoken)
    async with (
        ScriptedServer(answer=first_choice) as server,
        small_home(folder, path, home.scripts) as hass,
    ):
        await hass.config.async_update(language=spoken)
        entry = await set_up_agent(hass, server.base_url)
        agent = next(iter(entry.get_subentries_of_type(SUBENTRY_CONVERSATION)))
        hass.config_entries.async_update_subentry(entry, agent, data={**agent.data, **OPTIONS})
        await hass.async_block_till_done()
        player = AssistPlayer(InProcessStage(hass, home, spoken), limits, speech, home.names)
        for column in columns:
            await player.play(Asked(column.agent, AGENTS[column.agent]), column, home.cases)
    return columns
