"""Sends our requests to a real llama-server with each chat template."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from homeassistant.core import Context
from homeassistant.helpers import llm

from custom_components.llamacpp.client import (
    LlamaServerClient,
    LlamaServerError,
    TextDelta,
    stream_constrained,
)
from custom_components.llamacpp.home.language import async_load
from custom_components.llamacpp.model.abilities import ModelAbilities, ToolCalls, ToolStrategy
from custom_components.llamacpp.prompt.request import TurnSettings
from custom_components.llamacpp.tool_calls.tools import to_tools
from custom_components.llamacpp.tool_calls.validator import ToolCallValidator
from custom_components.llamacpp.turn.commands.commands_strategy import CommandsStrategy
from custom_components.llamacpp.turn.strategy import NativeStrategy
from custom_components.llamacpp.turn.written_strategy import WrittenStrategy
from dev.llama import LlamaServer

from .sequences import ORDER, sequences

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.client import ChatRequest, ToolParam
    from custom_components.llamacpp.model.abilities import Abilities
    from custom_components.llamacpp.turn.strategy import Strategy

    from .sequences import Log

FLAGS = ("--ctx-size", "8192", "--parallel", "1", "--no-warmup")
ASSISTANT = "conversation"
# One starts while another answers.
N_AT_A_TIME = 2
# Of the home's tools: with an array, with numbers, without arguments.
TOOLS = ("HassTurnOn", "HassLightSet", "GetDateTime")
LAST = "What now?"
COMMAND = f"turn{ORDER.removeprefix('Turn')}"


@dataclass(slots=True)
class TemplateResult:
    """The result of a template.

    strategy: how a large model with it gets tools. faults: reasons of failure, by conversation.
    """

    name: str
    abilities: Abilities
    strategy: ToolStrategy
    faults: dict[str, str] = field(default_factory=dict)


class TemplateStage:
    """A home, with its tools and commands."""

    def __init__(self, hass: HomeAssistant, api: llm.APIInstance) -> None:
        """Begin. api: of the home."""
        self._hass = hass
        self._api = api
        self.all_tools = to_tools(api)
        self.tools: Sequence[ToolParam] = [
            one for one in self.all_tools if one["function"]["name"].endswith(TOOLS)
        ]

    @classmethod
    async def of(cls, hass: HomeAssistant) -> Self:
        """Return the stage of a running home."""
        context = llm.LLMContext("llamacpp", Context(), "en", ASSISTANT, None)
        return cls(hass, await llm.async_get_api(hass, llm.LLM_API_ASSIST, context))

    def with_tools(self, strategy: ToolStrategy, tools: Sequence[ToolParam]) -> Strategy:
        """Return a strategy with these tools, for one turn."""
        kind = WrittenStrategy if strategy is ToolStrategy.WRITTEN else NativeStrategy
        return kind(tools, ToolCallValidator(tools))

    async def commands(self, log: Log) -> Strategy:
        """Return the strategy with commands, for one turn."""
        language = await async_load(self._hass)
        strategy = CommandsStrategy(self._api, (language, language), self._api.llm_context)
        await strategy.async_check(log.contents)
        return strategy


class Template:
    """Tries our requests on a server with one template."""

    def __init__(
        self, stage: TemplateStage, client: LlamaServerClient, found: TemplateResult
    ) -> None:
        """Initialize. found: gets the faults."""
        self._stage = stage
        self._client = client
        self._found = found
        abilities = found.abilities
        self._settings = TurnSettings(
            options={"max_tokens": 40, "temperature": 0},
            markers=abilities.markers,
            fitting=abilities.fitting,
        )

    async def try_all(self) -> None:
        """Try all conversations with tools and with commands, and record the faults."""
        strategy = self._found.strategy
        one = self._stage.with_tools(strategy, self._stage.all_tools)
        await self._note("tools: all of a home", self._ask(one, sequences(LAST)["first words"]))
        for name, log in sequences(LAST).items():
            one = self._stage.with_tools(strategy, self._stage.tools)
            await self._note(f"tools: {name}", self._try(one, log))
        for name, log in sequences(ORDER).items():
            await self._note(f"commands: {name}", self._choose(log))

    async def _note(self, name: str, trying: Coroutine[Any, Any, str]) -> None:
        try:
            fault = await trying
        except LlamaServerError as err:
            fault = str(err).strip().splitlines()[-1]
        if fault:
            self._found.faults[name] = fault

    async def _try(self, strategy: Strategy, log: Log) -> str:
        """Return the fault of a prompt with tools, "" if it has none."""
        request = strategy.request(log.contents, self._settings).body
        prompt = await self._prompt(request)
        missing = [one for one in log.marks if one not in prompt]
        return f"not in the prompt: {', '.join(missing)}" if missing else ""

    async def _ask(self, strategy: Strategy, log: Log) -> str:
        """Have the model begin an answer, and return the fault. Its words do not matter."""
        request = strategy.request(log.contents, self._settings).body
        if "grammar" in request:
            await self._answer(request)
        else:
            async for _ in self._client.stream_chat({**request, "max_tokens": 1}):
                pass
        return await self._try(strategy, log)

    async def _choose(self, log: Log) -> str:
        """Return the fault of an answer among commands, "" if it has none."""
        strategy = await self._stage.commands(log)
        if strategy.without_model(log.contents):
            # The command needs no request.
            return ""
        request = strategy.request(log.contents, self._settings).body
        if "grammar" not in request:
            await self._prompt(request)
            return ""
        words = await self._answer(request)
        return "" if words == COMMAND else f"answered: {words!r}"

    async def _prompt(self, request: ChatRequest) -> str:
        fields = {
            name: request[name]
            for name in ("messages", "tools", "chat_template_kwargs")
            if name in request
        }
        return await self._client.apply_template(**fields)

    async def _answer(self, request: ChatRequest) -> str:
        events = stream_constrained(self._client, request)
        return "".join([one.text async for one in events if isinstance(one, TextDelta)])


async def sweep(
    stage: TemplateStage,
    session: aiohttp.ClientSession,
    paths: Iterable[Path],
    model: Path,
    folder: Path,
) -> list[TemplateResult]:
    """Return the results of these templates, in their order.

    paths: of the templates. model: for all of them. folder: for logs. Raises ProcessError if a
    server does not start with one, and LlamaServerError if it exits.
    """
    limit = asyncio.Semaphore(N_AT_A_TIME)

    async def found(path: Path) -> TemplateResult:
        async with limit:
            flags = (*FLAGS, "--chat-template-file", path)
            server = LlamaServer(folder / f"{path.stem}.log", *flags, model=model)
            server.start()
            try:
                await asyncio.to_thread(server.wait_ready)
                return await _found(stage, LlamaServerClient(session, server.base_url), path.stem)
            finally:
                await asyncio.to_thread(server.stop)

    return await asyncio.gather(*map(found, paths))


async def _found(stage: TemplateStage, client: LlamaServerClient, name: str) -> TemplateResult:
    abilities = await ModelAbilities(client).of(None, "1", autoload=False)
    found = TemplateResult(name, abilities, abilities.strategy(ToolCalls.NATIVE))
    await Template(stage, client, found).try_all()
    return found
