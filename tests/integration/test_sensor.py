"""Sensors of a server after real conversations."""

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import STATE_UNKNOWN, EntityCategory
from homeassistant.core import Context
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.history import ACTIVE_SECONDS
from custom_components.llamacpp.server_state import ServerStatus

from .conftest import AGENT
from .entities import enable_all, entity_id_of, entity_of, sensor
from .prefill import set_options
from .talk import act, llama_peer, piece, state_of

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05
DISABLED = {"slots_busy", "cached_share", "prompt_speed", "generation_speed"}
DIAGNOSTIC = DISABLED | {"model", "context_size", "slots_total", "time_to_first_token"}
PLAIN = {"status", "active_conversations", "prompt_tokens", "cached_tokens", "generated_tokens"}


async def ask(hass: HomeAssistant, text: str) -> None:
    """Say this to the agent."""
    await conversation.async_converse(hass, text, None, Context(), "en", AGENT)


async def test_which_there_are(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Noisy ones are disabled, technical ones are diagnostic; all are on one device."""
    entry = await add_server(scripted_server.base_url)
    registry = er.async_get(assist)
    prefix = f"{entry.entry_id}_"
    found = {
        one.unique_id.removeprefix(prefix): one
        for one in er.async_entries_for_config_entry(registry, entry.entry_id)
        if one.domain == "sensor" and one.config_subentry_id is None
    }
    assert found.keys() == DIAGNOSTIC | PLAIN
    categories = {key: one.entity_category for key, one in found.items()}
    assert {key for key, one in categories.items() if one is EntityCategory.DIAGNOSTIC} == (
        DIAGNOSTIC
    )
    assert {key for key, one in found.items() if one.disabled_by} == DISABLED
    (device_id,) = {one.device_id for one in found.values()}
    device = dr.async_get(assist).async_get(device_id or "")
    assert isinstance(device, dr.DeviceEntry)
    assert device.configuration_url == scripted_server.base_url
    assert (device.sw_version or "").startswith("b")


async def test_what_the_server_is(
    assist: HomeAssistant, add_server: AddServer, llama_server: LlamaServer
) -> None:
    """Model, context size and slots are those of the command line."""
    entry = await add_server(llama_server.base_url)
    keys = ("status", "model", "context_size", "slots_total")
    assert [sensor(assist, entry, key) for key in keys] == ["ok", "smol", "4096", "2"]
    context_size = entity_of(assist, entry, "sensor", "context_size")
    assert context_size.attributes["unit_of_measurement"] == "tokens"
    status = entity_of(assist, entry, "sensor", "status")
    assert status.attributes["options"] == list(ServerStatus)


async def test_what_the_answers_took(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Tokens are the server's; the second question finds its prompt in the cache."""
    entry = await add_server(scripted_server.base_url)
    await enable_all(home, entry)
    # A prefill between two polls would be counted, too.
    await set_options(home, entry, keep_warm=False)
    coordinator = entry.runtime_data.coordinator
    of_answer = ("time_to_first_token", "cached_share", "prompt_speed", "generation_speed")
    assert {sensor(home, entry, key) for key in of_answer} == {STATE_UNKNOWN}

    before = await coordinator.client.metrics()
    await ask(home, "Hello")
    await ask(home, "Hello again")
    await coordinator.async_refresh()
    after = await coordinator.client.metrics()
    for key, metric in (
        ("prompt_tokens", "prompt_tokens_total"),
        ("cached_tokens", "prompt_tokens_cached_total"),
        ("generated_tokens", "tokens_predicted_total"),
    ):
        assert after[metric] > before[metric]
        state = entity_of(home, entry, "sensor", key)
        assert state.state == str(int(after[metric]))
        assert state.attributes["state_class"] == "total_increasing"
        assert state.attributes["unit_of_measurement"] == "tokens"

    usage = coordinator.last_answer.completion.usage
    share = entity_of(home, entry, "sensor", "cached_share")
    assert 50 < float(share.state) <= 100
    assert float(share.state) == pytest.approx(usage.cached_tokens / usage.prompt_tokens * 100)
    assert share.attributes["unit_of_measurement"] == "%"
    timings = coordinator.last_answer.completion.timings
    for key, tokens, milliseconds in (
        ("prompt_speed", timings.prompt_n, timings.prompt_ms),
        ("generation_speed", timings.predicted_n, timings.predicted_ms),
    ):
        state = entity_of(home, entry, "sensor", key)
        assert float(state.state) == pytest.approx(tokens / (milliseconds / 1000))
        assert state.attributes["unit_of_measurement"] == "tokens/s"
    first = entity_of(home, entry, "sensor", "time_to_first_token")
    assert float(first.state) > 0
    assert first.attributes["unit_of_measurement"] == "s"
    assert sensor(home, entry, "slots_busy") == "0"


async def test_busy(
    assist: HomeAssistant, add_server: AddServer, llama_server: LlamaServer
) -> None:
    """During an answer one slot is busy."""
    entry = await add_server(llama_server.base_url)
    await enable_all(assist, entry)
    task = assist.async_create_task(ask(assist, "Tell me a long story about a lighthouse."))

    async def until_busy(slots: str) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while sensor(assist, entry, "slots_busy") != slots:
                await entry.runtime_data.coordinator.async_refresh()
                await asyncio.sleep(POLL_SECONDS)

    await until_busy("1")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_busy("0")


async def test_an_answer_that_tells_nothing(
    assist: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """After a failed answer no numbers of an earlier one are left."""
    entry = await add_server(own_server.base_url)
    await enable_all(assist, entry)
    await ask(assist, "Hello")
    assert sensor(assist, entry, "cached_share") != STATE_UNKNOWN
    own_server.kill()
    await ask(assist, "Hello")
    own_server.start()
    own_server.wait_ready()
    await assist.async_block_till_done(wait_background_tasks=True)
    await entry.runtime_data.coordinator.async_refresh()
    keys = ("cached_share", "prompt_speed", "generation_speed", "time_to_first_token")
    assert {sensor(assist, entry, key) for key in keys} == {STATE_UNKNOWN}


@pytest.mark.parametrize("language", ["en", "it"])
async def test_names(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, language: str
) -> None:
    """Every sensor has a name in the language of the home."""
    assist.config.language = language
    entry = await add_server(scripted_server.base_url)
    names: dict[str, Any] = {
        key: er.async_get(assist).async_get(entity_id_of(assist, entry, "sensor", key) or "")
        for key in DIAGNOSTIC | PLAIN
    }
    originals = {key: one.original_name for key, one in names.items()}
    assert len(set(originals.values())) == len(names)
    expected = {"en": "Context size", "it": "Dimensione del contesto"}
    assert originals["context_size"] == expected[language]


def of_agents(hass: HomeAssistant, entry: ConfigEntry[Any]) -> set[str]:
    """Return the active conversations of each agent, on its own device."""
    registry = er.async_get(hass)
    found = [
        one
        for one in er.async_entries_for_config_entry(registry, entry.entry_id)
        if one.domain == "sensor" and one.config_subentry_id
    ]
    assert len({one.device_id for one in found}) == len(found)
    return {state_of(hass, one.entity_id).state for one in found}


async def test_active_conversations(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Each counts, in total and for its agent, until it is closed."""
    entry = await add_server(scripted_server.base_url)
    other = ConfigSubentry(
        data=MappingProxyType({}), subentry_type="conversation", title="Silent", unique_id=None
    )
    home.config_entries.async_add_subentry(entry, other)
    await home.async_block_till_done()
    assert sensor(home, entry, "active_conversations") == "0"
    await ask(home, "Hello")
    await act(home, "chat", message="Hello", agent=AGENT)
    assert sensor(home, entry, "active_conversations") == "1"
    conversation_id = (await act(home, "start", agent=AGENT))["conversation_id"]
    assert sensor(home, entry, "active_conversations") == "2"
    await act(home, "send", conversation_id=conversation_id, message="Hello")
    assert sensor(home, entry, "active_conversations") == "2"
    assert of_agents(home, entry) == {"2", "0"}
    await act(home, "close", conversation_id=conversation_id)
    assert sensor(home, entry, "active_conversations") == "1"


async def test_a_conversation_that_nobody_goes_on_with(
    home: HomeAssistant, add_server: AddServer, peers: Peers, freezer: FrozenDateTimeFactory
) -> None:
    """It is inactive after a while, without a change at the server."""
    url, _ = await llama_peer(peers, [piece(content="Hi."), piece("stop")])
    entry = await add_server(url)
    await ask(home, "Hello")
    assert sensor(home, entry, "active_conversations") == "1"
    freezer.tick(ACTIVE_SECONDS - 1)
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(home, entry, "active_conversations") == "1"
    freezer.tick(2)
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(home, entry, "active_conversations") == "0"
    assert of_agents(home, entry) == {"0"}
