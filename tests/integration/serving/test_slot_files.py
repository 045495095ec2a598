"""Prefixes restored from the server's disk: after a switch of models, after sleep."""

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from homeassistant.components import conversation
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import ATTR_ENTITY_ID, CONF_LLM_HASS_API, CONF_MODEL
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm

from custom_components.llamacpp.const import SUBENTRY_CONVERSATION
from tests.conftest import serving
from tests.integration.conftest import AGENT, agent_of
from tests.integration.entities import entity_id_of, routing
from tests.integration.prefill import (
    MANY_TOKENS,
    SECOND_AGENT,
    add_agent,
    generated,
    is_cached,
    keeping_slots,
    processed,
    task,
    timings_of,
    until_prefilled,
)
from tests.integration.slow_servers import EndlessPrefillServer
from tests.integration.talk import ask

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.client import LlamaServerClient, Timings
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

# A question and the template's marks around it; the home has thousands.
FEW_TOKENS = 100
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2


async def until_asleep(client: LlamaServerClient) -> None:
    """Wait until the server has unloaded its model."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if (await client.props()).is_sleeping:
                return
            await asyncio.sleep(POLL_SECONDS)


@pytest.mark.parametrize("n_slots", [1, 2])
@pytest.mark.parametrize("is_polled", [False, True])
async def test_after_a_change_of_models(  # noqa: PLR0913 - fixtures and parameters
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    *,
    n_slots: int,
    is_polled: bool,
) -> None:
    """A router with room for one model restores each prompt as it loads the model again."""
    sizes = ("--ctx-size", str(16384 * n_slots), "--parallel", str(n_slots))
    (tmp_path / "slots").mkdir()
    flags = (*sizes, "--slot-save-path", f"{tmp_path}/slots/")
    with routing(tmp_path, scripted_model, *flags) as router:
        entry = await add_server(router.base_url)
        first = agent_of(entry).data[CONF_MODEL]
        second = {"apple": "pear", "pear": "apple"}[first]
        await add_agent(home, entry, model=second)
        coordinator = entry.runtime_data.coordinator
        answers: dict[str, list[Timings]] = {AGENT: [], SECOND_AGENT: []}
        for _ in range(3):
            for agent, timings in answers.items():
                timings.append(await timings_of(home, entry, agent))
                if is_polled:
                    await coordinator.async_refresh()
                await until_prefilled(home)
        for timings in answers.values():
            assert timings[0].prompt_n > MANY_TOKENS
            assert [is_cached(one) for one in timings[1:]] == [True, True], answers
        assert len(list((tmp_path / "slots").iterdir())) == 2


@pytest.mark.parametrize("n_slots", [1, 2])
@pytest.mark.parametrize("is_noticed", [False, True])
async def test_after_sleep(  # noqa: PLR0913 - fixtures and parameters
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    *,
    n_slots: int,
    is_noticed: bool,
) -> None:
    """A server that has unloaded its model restores the prompt as it wakes up."""
    sizes = ("--ctx-size", str(16384 * n_slots), "--parallel", str(n_slots))
    (tmp_path / "slots").mkdir()
    flags = (*sizes, "--sleep-idle-seconds", "1", "--slot-save-path", f"{tmp_path}/slots/")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        # It may have fallen asleep before set-up.
        button = {ATTR_ENTITY_ID: entity_id_of(home, entry, "button", "warm_up")}
        await home.services.async_call("button", "press", button, blocking=True)
        await until_prefilled(home)
        assert is_cached(await timings_of(home, entry))
        for _ in range(2):
            await until_asleep(coordinator.client)
            if is_noticed:
                await coordinator.async_refresh()
                await until_prefilled(home)
                assert coordinator.status == "sleeping"
            assert is_cached(await timings_of(home, entry))


async def test_a_change_just_before_a_change_of_models(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A prefill by a question is saved before the model is unloaded."""
    (tmp_path / "slots").mkdir()
    flags = ("--ctx-size", "16384", "--parallel", "1", "--slot-save-path", f"{tmp_path}/slots/")
    with routing(tmp_path, scripted_model, *flags) as router:
        entry = await add_server(router.base_url)
        first = agent_of(entry).data[CONF_MODEL]
        await add_agent(home, entry, model={"apple": "pear", "pear": "apple"}[first])
        for agent in (AGENT, SECOND_AGENT, AGENT):
            await timings_of(home, entry, agent)
            await until_prefilled(home)
        er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
        assert not is_cached(await timings_of(home, entry))
        await until_prefilled(home)
        await timings_of(home, entry, SECOND_AGENT)
        assert is_cached(await timings_of(home, entry))


async def test_what_the_host_cache_has_is_not_processed_again(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A server that chooses slots itself finds the evicted prompt in its host cache."""
    flags = ("--ctx-size", "16384")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        await until_prefilled(home)
        before = (
            await processed(entry.runtime_data.coordinator),
            await generated(entry.runtime_data.coordinator),
        )
        await task(home)
        await until_prefilled(home)
        # The task, and the home again.
        assert await generated(entry.runtime_data.coordinator) > before[1] + 1
        assert await processed(entry.runtime_data.coordinator) < before[0] + MANY_TOKENS
        assert is_cached(await timings_of(home, entry))


async def test_all_agents_after_a_restart_that_one_has_noticed(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The first user after a restart has the prompts of the other agents restored, too."""
    with keeping_slots(tmp_path, scripted_model, n_slots=1) as server:
        entry = await add_server(server.base_url)
        await add_agent(home, entry, prompt="You are the second.")
        server.kill()
        server.start()
        server.wait_ready()
        await conversation.async_prepare_agent(home, AGENT, "en")
        await until_prefilled(home)
        for agent in (SECOND_AGENT, AGENT):
            assert is_cached(await timings_of(home, entry, agent))


async def test_what_a_question_has_broken_off_is_done_later(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The other agent's prefill starts again after the answer."""
    server = EndlessPrefillServer()
    entry = await add_server(await peers.http(server.handle))
    async with asyncio.timeout(WAIT_SECONDS):
        await server.begun.wait()
        home.config_entries.async_update_subentry(entry, agent_of(entry), data={"keep_warm": False})
        await server.ended.wait()
        server.begun.clear()
        data = {CONF_LLM_HASS_API: [llm.LLM_API_ASSIST]}
        second = ConfigSubentry(
            data=MappingProxyType(data),
            subentry_type=SUBENTRY_CONVERSATION,
            title="Second",
            unique_id=None,
        )
        home.config_entries.async_add_subentry(entry, second)
        await server.begun.wait()
        server.begun.clear()
        await ask(home, "Hello")
        await server.begun.wait()
