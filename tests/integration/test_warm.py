"""Prompts that the server has processed before somebody speaks."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.components import conversation
from homeassistant.const import ATTR_ENTITY_ID, CONF_LLM_HASS_API
from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.const import HOME_CHANGE_SECONDS
from custom_components.llamacpp.conversation import async_prefill_all
from custom_components.llamacpp.serving import budget as spending
from tests.conftest import serving

from .conftest import AGENT, TASK_AGENT, agent_of
from .entities import entity_id_of, routing
from .peers import stream_events
from .talk import PROPS, ask, is_warm_up, no_slots, piece, speech, sse

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.coordinator import LlamaCppCoordinator
    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

# A question, and the marks of the template around it; the home takes thousands.
FEW_TOKENS = 100
WAIT_SECONDS = 60.0


async def warmed(hass: HomeAssistant) -> None:
    """Wait until nothing is being warmed up."""
    await hass.async_block_till_done(wait_background_tasks=True)


async def processed(coordinator: LlamaCppCoordinator) -> float:
    """Return how many tokens of prompts the server has processed since its start."""
    return (await coordinator.client.metrics())["prompt_tokens_total"]


async def generated(coordinator: LlamaCppCoordinator) -> float:
    """Return how many tokens the server has generated: each request makes it one at least."""
    return (await coordinator.client.metrics())["tokens_predicted_total"]


async def waited_for(hass: HomeAssistant, entry: ConfigEntry[Any]) -> int:
    """Ask something; return how many tokens of the prompt were processed while a user waits."""
    await ask(hass, "Hello")
    usage = entry.runtime_data.coordinator.last_answer.completion.usage
    return int(usage.prompt_tokens - usage.cached_tokens)


async def set_options(hass: HomeAssistant, entry: ConfigEntry[Any], **options: Any) -> None:
    """Change options of the agent."""
    agent = agent_of(entry)
    hass.config_entries.async_update_subentry(entry, agent, data={**agent.data, **options})
    await warmed(hass)


async def test_the_first_question_finds_the_home_processed(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """Nobody waits for the prompt: not after the set-up, nor after a restart of the server."""
    entry = await add_server(own_server.base_url)
    await warmed(home)
    assert await processed(entry.runtime_data.coordinator) > 1000
    assert await waited_for(home, entry) < FEW_TOKENS

    await warmed(home)
    own_server.kill()
    await entry.runtime_data.coordinator.async_refresh()
    own_server.start()
    own_server.wait_ready()
    await entry.runtime_data.coordinator.async_refresh()
    await warmed(home)
    assert await waited_for(home, entry) < FEW_TOKENS


async def test_it_can_be_switched_off(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """Then the server does nothing ahead, unless the button asks for it."""
    entry = await add_server(own_server.base_url)
    await set_options(home, entry, keep_warm=False)
    own_server.kill()
    own_server.start()
    own_server.wait_ready()
    await entry.runtime_data.coordinator.async_refresh()
    await conversation.async_prepare_agent(home, AGENT, "en")
    await warmed(home)
    assert await processed(entry.runtime_data.coordinator) == 0

    button = {ATTR_ENTITY_ID: entity_id_of(home, entry, "button", "warm_up")}
    await home.services.async_call("button", "press", button, blocking=True)
    assert await waited_for(home, entry) < FEW_TOKENS


async def test_nothing_is_processed_twice(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """A prompt that has not changed is not sent again when somebody begins to speak."""
    entry = await add_server(own_server.base_url)
    await warmed(home)
    before = await generated(entry.runtime_data.coordinator)
    await conversation.async_prepare_agent(home, AGENT, "en")
    assert await generated(entry.runtime_data.coordinator) == before
    # The satellite that spoke last counts, and its prompt was processed with its question.
    await ask(home, "Hello")
    await warmed(home)
    before = await generated(entry.runtime_data.coordinator)
    await conversation.async_prepare_agent(home, AGENT, "en")
    assert await generated(entry.runtime_data.coordinator) == before


async def test_a_sleeping_server_wakes_up_while_somebody_speaks(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """It sleeps until then: warming up does not keep it awake."""
    flags = ("--ctx-size", "16384", "--parallel", "1", "--sleep-idle-seconds", "1")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        async with asyncio.timeout(WAIT_SECONDS):
            while coordinator.status != "sleeping":
                await asyncio.sleep(0.2)
                await coordinator.async_refresh()
                await warmed(home)
        await conversation.async_prepare_agent(home, AGENT, "en")
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_a_router_loads_no_model_for_it(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Only when somebody begins to speak, or presses the button."""
    with routing(tmp_path, scripted_model, "--ctx-size", "16384") as router:
        entry = await add_server(router.base_url)
        await warmed(home)
        client = entry.runtime_data.client
        assert {one.status.value for one in await client.models()} == {"unloaded"}
        await conversation.async_prepare_agent(home, AGENT, "en")
        loaded = {one.id for one in await client.models() if one.status.value == "loaded"}
        assert loaded == {agent_of(entry).data["model"]}
        assert await waited_for(home, entry) < FEW_TOKENS


class SlowServer:
    """A llama-server that never gets to the end of a prompt that is processed ahead."""

    def __init__(self, n_slots: int = 1) -> None:
        """Begin without any request. n_slots: that it says it has."""
        self.n_slots = n_slots
        self.bodies: list[dict[str, Any]] = []
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.n_warm_ups = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response({**PROPS, "total_slots": self.n_slots})
        if request.path == "/slots":
            # The first one does not notice at once that nobody waits any more.
            busy = 0 if len(self.bodies) == 1 else None
            slots = [{"id": slot, "is_processing": slot == busy} for slot in range(self.n_slots)]
            return web.json_response(slots)
        if request.path.startswith("/slots/"):
            return no_slots()
        self.bodies.append(await request.json())
        if is_warm_up(self.bodies[-1]):
            self.n_warm_ups += 1
            self.begun.set()
            try:
                await asyncio.sleep(WAIT_SECONDS)
            finally:
                self.ended.set()
        await self.may_answer.wait()
        return await stream_events(request, sse(piece(content="Here."), piece("stop")))


async def test_a_question_goes_before(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Who waits for an answer breaks a warm-up off, and while they wait there is none."""
    server = SlowServer()
    entry = await add_server(await peers.http(server.handle))
    async with asyncio.timeout(WAIT_SECONDS):
        await server.begun.wait()
        server.may_answer.clear()
        question = home.async_create_task(ask(home, "Are you there?"))
        await server.ended.wait()
        await conversation.async_prepare_agent(home, AGENT, "en")
        await async_prefill_all(home, entry)
        assert server.n_warm_ups == 1
        server.may_answer.set()
        assert speech(await question) == "Here."


async def test_a_prompt_that_cannot_be_made_is_told_when_somebody_asks(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not before, and not by us in the log."""
    entry = await add_server(scripted_server.base_url)
    caplog.clear()
    await set_options(home, entry, **{CONF_LLM_HASS_API: ["gone"]})
    await conversation.async_prepare_agent(home, AGENT, "en")
    ours = [one for one in caplog.records if one.name.startswith("custom_components.llamacpp")]
    assert [one for one in ours if one.levelname not in ("DEBUG", "INFO")] == []
    result = await ask(home, "Hello")
    assert "Error preparing LLM API" in speech(result)


async def task(hass: HomeAssistant) -> None:
    """Give the server another prompt than that of the home."""
    data = {"task_name": "t", "instructions": "Count. " * 100, "entity_id": TASK_AGENT}
    await hass.services.async_call(
        "ai_task", "generate_data", data, blocking=True, return_response=True
    )


@pytest.mark.parametrize("flags", [(), ("--cache-ram", "0")])
async def test_what_other_prompts_push_out_is_processed_again(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    flags: tuple[str, ...],
) -> None:
    """Whether it is for one of our own prompts or for those of others."""
    always = ("--ctx-size", "16384", "--parallel", "1")
    with serving(tmp_path / "log.txt", *always, *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        await warmed(home)
        await task(home)
        await warmed(home)
        assert await waited_for(home, entry) < FEW_TOKENS
        # Somebody else, of whom only the server's counters tell.
        await coordinator.async_refresh()
        request = {"messages": [{"role": "user", "content": "Count. " * 100}], "max_tokens": 1}
        async for _event in coordinator.client.stream_chat(request):
            pass
        await coordinator.async_refresh()
        await warmed(home)
        assert await waited_for(home, entry) < FEW_TOKENS


@contextlib.contextmanager
def keeping_slots(folder: Path, model: Path, *, n_slots: int) -> Generator[LlamaServer]:
    """Run a server that may write its slots to `folder / "slots"`."""
    slots = folder / "slots"
    slots.mkdir()
    sizes = ("--ctx-size", str(16384 * n_slots), "--parallel", str(n_slots))
    flags = (*sizes, "--slot-save-path", f"{slots}/")
    with serving(folder / "log.txt", *flags, model=model) as server:
        yield server


async def test_processed_prompts_outlive_the_server(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A server that may write its slots reads them again, whether somebody waits or not."""
    with keeping_slots(tmp_path, scripted_model, n_slots=1) as server:
        folder = tmp_path / "slots"
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        await warmed(home)
        (file,) = folder.iterdir()
        for is_asked_at_once in (False, True):
            server.kill()
            await coordinator.async_refresh()
            server.start()
            server.wait_ready()
            if is_asked_at_once:
                await set_options(home, entry, keep_warm=False)
                coordinator = entry.runtime_data.coordinator
            await coordinator.async_refresh()
            await warmed(home)
            assert await processed(coordinator) < FEW_TOKENS
            assert await waited_for(home, entry) < FEW_TOKENS
        # There is one file for an agent, however often its home changes.
        assert list(folder.iterdir()) == [file]


async def test_a_file_that_does_not_fit_is_ignored(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Damage on the server's disk costs the time of processing, not an answer."""
    with keeping_slots(tmp_path, scripted_model, n_slots=1) as server:
        folder = tmp_path / "slots"
        entry = await add_server(server.base_url)
        await warmed(home)
        (file,) = folder.iterdir()
        server.kill()
        await entry.runtime_data.coordinator.async_refresh()
        file.write_bytes(file.read_bytes()[:1000])
        server.start()
        server.wait_ready()
        await entry.runtime_data.coordinator.async_refresh()
        await warmed(home)
        assert await processed(entry.runtime_data.coordinator) > 1000
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_a_prompt_that_always_changes_is_given_up(
    home: HomeAssistant,
    add_server: AddServer,
    own_server: LlamaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is processed ahead within an hour has a bound, which the button minds, too."""
    monkeypatch.setattr(spending, "MAX_TOKENS_PER_HOUR", 1000)
    entry = await add_server(own_server.base_url)
    await warmed(home)
    before = await generated(entry.runtime_data.coordinator)
    assert before
    er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
    await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
    await warmed(home)
    assert await generated(entry.runtime_data.coordinator) == before
    assert await waited_for(home, entry) > FEW_TOKENS
