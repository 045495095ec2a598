"""The home is prefilled before a user speaks."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from homeassistant.components import conversation
from homeassistant.const import ATTR_ENTITY_ID, CONF_LLM_HASS_API
from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.const import HOME_CHANGE_SECONDS
from custom_components.llamacpp.conversation import async_prefill_all
from custom_components.llamacpp.serving import budget as spending
from tests.conftest import serving
from tests.integration.conftest import AGENT, agent_of
from tests.integration.entities import entity_id_of, routing
from tests.integration.prefill import (
    FEW_TOKENS,
    WAIT_SECONDS,
    generated,
    keeping_slots,
    processed,
    set_options,
    task,
    until_prefilled,
    waited_for,
)
from tests.integration.slow_servers import EndlessPrefillServer
from tests.integration.talk import ask, speech

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers


async def test_the_first_question_finds_the_home_processed(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """No user waits for a prefill of the home: neither after set-up nor after a restart."""
    entry = await add_server(own_server.base_url)
    await until_prefilled(home)
    assert await processed(entry.runtime_data.coordinator) > 1000
    assert await waited_for(home, entry) < FEW_TOKENS

    await until_prefilled(home)
    own_server.kill()
    await entry.runtime_data.coordinator.async_refresh()
    own_server.start()
    own_server.wait_ready()
    await entry.runtime_data.coordinator.async_refresh()
    await until_prefilled(home)
    assert await waited_for(home, entry) < FEW_TOKENS


async def test_it_can_be_switched_off(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """Nothing is prefilled then, unless the button is pressed."""
    entry = await add_server(own_server.base_url)
    await set_options(home, entry, keep_warm=False)
    own_server.kill()
    own_server.start()
    own_server.wait_ready()
    await entry.runtime_data.coordinator.async_refresh()
    await conversation.async_prepare_agent(home, AGENT, "en")
    await until_prefilled(home)
    assert await processed(entry.runtime_data.coordinator) == 0

    button = {ATTR_ENTITY_ID: entity_id_of(home, entry, "button", "warm_up")}
    await home.services.async_call("button", "press", button, blocking=True)
    assert await waited_for(home, entry) < FEW_TOKENS


async def test_nothing_is_processed_twice(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """An unchanged prompt is not sent again when a user starts to speak."""
    entry = await add_server(own_server.base_url)
    await until_prefilled(home)
    before = await generated(entry.runtime_data.coordinator)
    await conversation.async_prepare_agent(home, AGENT, "en")
    assert await generated(entry.runtime_data.coordinator) == before
    # The newest satellite's prompt was prefilled with its question.
    await ask(home, "Hello")
    await until_prefilled(home)
    before = await generated(entry.runtime_data.coordinator)
    await conversation.async_prepare_agent(home, AGENT, "en")
    assert await generated(entry.runtime_data.coordinator) == before


async def test_a_sleeping_server_wakes_up_while_somebody_speaks(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Prefills do not keep a server awake."""
    flags = ("--ctx-size", "16384", "--parallel", "1", "--sleep-idle-seconds", "1")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        async with asyncio.timeout(WAIT_SECONDS):
            while coordinator.status != "sleeping":
                await asyncio.sleep(0.2)
                await coordinator.async_refresh()
                await until_prefilled(home)
        await conversation.async_prepare_agent(home, AGENT, "en")
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_a_router_loads_no_model_for_it(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """It loads a model when a user starts to speak, or by the button."""
    with routing(tmp_path, scripted_model, "--ctx-size", "16384") as router:
        entry = await add_server(router.base_url)
        await until_prefilled(home)
        client = entry.runtime_data.client
        assert {one.status.value for one in await client.models()} == {"unloaded"}
        await conversation.async_prepare_agent(home, AGENT, "en")
        loaded = {one.id for one in await client.models() if one.status.value == "loaded"}
        assert loaded == {agent_of(entry).data["model"]}
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_a_question_goes_before(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A question aborts a prefill, and no prefill starts while a user waits."""
    server = EndlessPrefillServer()
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
    """The error is spoken with the answer, and not logged before."""
    entry = await add_server(scripted_server.base_url)
    caplog.clear()
    await set_options(home, entry, **{CONF_LLM_HASS_API: ["gone"]})
    await conversation.async_prepare_agent(home, AGENT, "en")
    ours = [one for one in caplog.records if one.name.startswith("custom_components.llamacpp")]
    assert [one for one in ours if one.levelname not in ("DEBUG", "INFO")] == []
    result = await ask(home, "Hello")
    assert "Error preparing LLM API" in speech(result)


@pytest.mark.parametrize("flags", [(), ("--cache-ram", "0")])
async def test_what_other_prompts_push_out_is_processed_again(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    flags: tuple[str, ...],
) -> None:
    """After an eviction by our own prompts or by another program's."""
    always = ("--ctx-size", "16384", "--parallel", "1")
    with serving(tmp_path / "log.txt", *always, *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        await until_prefilled(home)
        await task(home)
        await until_prefilled(home)
        assert await waited_for(home, entry) < FEW_TOKENS
        # Another program: only the server's counters show it.
        await coordinator.async_refresh()
        request = {"messages": [{"role": "user", "content": "Count. " * 100}], "max_tokens": 1}
        async for _event in coordinator.client.stream_chat(request):
            pass
        await coordinator.async_refresh()
        await until_prefilled(home)
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_processed_prompts_outlive_the_server(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A server with `--slot-save-path` restores them, before a question or with it."""
    with keeping_slots(tmp_path, scripted_model, n_slots=1) as server:
        folder = tmp_path / "slots"
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        await until_prefilled(home)
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
            await until_prefilled(home)
            assert await processed(coordinator) < FEW_TOKENS
            assert await waited_for(home, entry) < FEW_TOKENS
        # One file for each agent, however often its home changes.
        assert list(folder.iterdir()) == [file]


async def test_a_file_that_does_not_fit_is_ignored(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A damaged slot file costs a prefill, not an answer."""
    with keeping_slots(tmp_path, scripted_model, n_slots=1) as server:
        folder = tmp_path / "slots"
        entry = await add_server(server.base_url)
        await until_prefilled(home)
        (file,) = folder.iterdir()
        server.kill()
        await entry.runtime_data.coordinator.async_refresh()
        file.write_bytes(file.read_bytes()[:1000])
        server.start()
        server.wait_ready()
        await entry.runtime_data.coordinator.async_refresh()
        await until_prefilled(home)
        assert await processed(entry.runtime_data.coordinator) > 1000
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_a_prompt_that_always_changes_is_given_up(
    home: HomeAssistant,
    add_server: AddServer,
    own_server: LlamaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prefills have an hourly budget, which holds for the button, too."""
    monkeypatch.setattr(spending, "MAX_TOKENS_PER_HOUR", 1000)
    entry = await add_server(own_server.base_url)
    await until_prefilled(home)
    before = await generated(entry.runtime_data.coordinator)
    assert before
    er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
    await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
    await until_prefilled(home)
    assert await generated(entry.runtime_data.coordinator) == before
    assert await waited_for(home, entry) > FEW_TOKENS
