"""Programs other than llama-server are rejected by name; proxies in front of one work."""

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from homeassistant.components import conversation
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_LLM_HASS_API, CONF_MODEL, CONF_URL
from homeassistant.data_entry_flow import FlowResultType

from custom_components.llamacpp.client import (
    AuthenticationError,
    BadRequestError,
    ModelStatus,
    NotLlamaServerError,
    NotSupportedError,
)
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls

from .conftest import AGENT, agent_of
from .entities import Pretender, entity_id_of, sensor
from .flows import reconfigured, start
from .other_programs import OTHERS, LiteLlm, LlamaSwap
from .script import TURN_ON_KITCHEN
from .talk import ask, speech, state_of

if TYPE_CHECKING:
    from typing import Any

    import aiohttp
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Handler, Peers

KITCHEN = "light.kitchen_light"
TURNED_ON = "The kitchen light is on now."


@pytest.fixture
async def swap(session: aiohttp.ClientSession, scripted_server: LlamaServer) -> LlamaSwap:
    """Return a llama-swap in front of a real server."""
    return LlamaSwap(session, scripted_server)


@pytest.fixture
async def lite(session: aiohttp.ClientSession, scripted_server: LlamaServer) -> LiteLlm:
    """Return a LiteLLM with a key in front of a real server."""
    return LiteLlm(session, scripted_server, "sk-1")


async def added(hass: HomeAssistant, step_id: str, url: str, **values: str) -> ConfigEntry[Any]:
    """Set up a proxy in front of a server, and check that the form names it."""
    step = await start(hass, url, **values)
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, step_id)
    step = await hass.config_entries.flow.async_configure(step["flow_id"], {})
    assert step["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    entry: ConfigEntry[Any] = step["result"]
    assert entry.state is ConfigEntryState.LOADED
    return entry


@pytest.mark.parametrize(
    ("error", "handler"), [(error, one) for error, several in OTHERS.items() for one in several]
)
async def test_other_programs(
    assist: HomeAssistant, peers: Peers, error: str, handler: Handler
) -> None:
    """Each is rejected by its name."""
    step = await start(assist, f"{await peers.http(handler)}/v1")
    assert step["errors"] == {"base": error}


async def test_an_openai_server_of_nobody_known(peers: Peers) -> None:
    """A program that lists models, but is none of these, is no llama-server."""
    url = await peers.answering(200, '{"data": [{"id": "m"}, 1]}', "application/json")
    with pytest.raises(NotLlamaServerError):
        await peers.client(url).identify()
    with pytest.raises(NotLlamaServerError):
        await peers.client(await peers.answering(200, "[" * 100_000)).identify()


@pytest.mark.parametrize("where", ["", "/upstream/author/pear"])
async def test_llama_swap(home: HomeAssistant, swap: LlamaSwap, peers: Peers, where: str) -> None:
    """Agents control the home; polls neither load a model nor keep it loaded."""
    url = await swap.start(peers)
    entry = await added(home, "llama_swap", f"{url}{where}")
    model = "author/pear" if where else "apple"
    assert entry.data == {CONF_URL: url}
    assert agent_of(entry).data == {CONF_LLM_HASS_API: ["assist"], CONF_MODEL: model}
    await home.async_block_till_done(wait_background_tasks=True)
    await entry.runtime_data.coordinator.async_refresh()
    assert not swap.running
    assert not any("upstream" in path for path in swap.asked)
    assert sensor(home, entry, "model") == "unknown"

    swap.asked.clear()
    assert speech(await ask(home, TURN_ON_KITCHEN)) == TURNED_ON
    assert state_of(home, KITCHEN).state == "on"
    assert swap.running == (model,)
    assert {one["model"] for one in swap.chats} == {model}
    assert f"/upstream/{model}/props" in swap.asked
    await home.async_block_till_done(wait_background_tasks=True)

    swap.asked.clear()
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(home, entry, "model") == model
    swap.running = ()
    await entry.runtime_data.coordinator.async_refresh()
    await home.async_block_till_done(wait_background_tasks=True)
    assert set(swap.asked) == {"/running", "/v1/models"}
    await home.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("chosen", ToolCalls)
async def test_llama_swap_and_the_ways_to_control(
    home: HomeAssistant, swap: LlamaSwap, peers: Peers, chosen: ToolCalls
) -> None:
    """Size and template of a model are those of its server."""
    entry = await added(home, "llama_swap", await swap.start(peers))
    data = {**agent_of(entry).data, CONF_TOOL_CALLS: chosen}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
    await home.async_block_till_done()
    said = speech(await ask(home, TURN_ON_KITCHEN))
    assert said == ("Turned on Kitchen Light." if chosen is ToolCalls.COMMANDS else TURNED_ON)
    await home.config_entries.async_unload(entry.entry_id)


async def test_what_llama_swap_does_not_have(
    assist: HomeAssistant, swap: LlamaSwap, peers: Peers
) -> None:
    """No entity would be without a value or without a function."""
    entry = await added(assist, "llama_swap", await swap.start(peers))
    for domain, key in (
        ("select", "model"),
        ("button", "unload_model"),
        ("sensor", "context_size"),
        ("sensor", "slots_total"),
        ("sensor", "generated_tokens"),
    ):
        assert entity_id_of(assist, entry, domain, key) is None
    assert entity_id_of(assist, entry, "sensor", "status")
    client = entry.runtime_data.client
    swap.asked.clear()
    with pytest.raises(NotSupportedError):
        await client.slots("apple")
    with pytest.raises(NotSupportedError):
        await client.metrics("apple")
    with pytest.raises(NotSupportedError):
        await client.load_model("apple")
    with pytest.raises(NotSupportedError):
        await client.props("apple", autoload=False)
    assert swap.asked == []
    await client.health()
    assert swap.asked == ["/health"]
    await assist.config_entries.async_unload(entry.entry_id)


async def test_llama_swap_with_a_key(
    assist: HomeAssistant,
    session: aiohttp.ClientSession,
    scripted_server: LlamaServer,
    peers: Peers,
) -> None:
    """Without it the field reports so, for any of its addresses."""
    swap = LlamaSwap(session, scripted_server, "right")
    url = await swap.start(peers)
    for address in (url, f"{url}/upstream/apple"):
        step = await start(assist, address)
        assert step["errors"] == {CONF_API_KEY: "invalid_auth"}
    entry = await added(assist, "llama_swap", url, **{CONF_API_KEY: "right"})
    await assist.config_entries.async_unload(entry.entry_id)


async def test_llama_swap_without_models(
    assist: HomeAssistant, swap: LlamaSwap, peers: Peers
) -> None:
    """There is no model for an agent."""
    swap.models = []
    step = await start(assist, await swap.start(peers))
    assert step["errors"] == {"base": "no_models"}


async def test_a_prefix_that_only_looks_like_llama_swap(
    assist: HomeAssistant,
    scripted_server: LlamaServer,
    session: aiohttp.ClientSession,
    peers: Peers,
) -> None:
    """A proxy with such a path is like any other."""
    prefix = "/upstream/llama"

    async def forward(request: web.Request) -> web.Response:
        if not request.path.startswith(prefix):
            return web.Response(status=404)
        path = request.path.removeprefix(prefix)
        async with session.get(f"{scripted_server.base_url}{path}") as answer:
            return web.json_response(await answer.json(), status=answer.status)

    step = await start(assist, f"{await peers.http(forward)}{prefix}")
    assert step["type"] is FlowResultType.CREATE_ENTRY


async def test_llama_swap_in_place_of_a_server(
    assist: HomeAssistant, add_server: AddServer, swap: LlamaSwap, peers: Peers
) -> None:
    """The entry keeps its agents; the form says what does not work."""
    entry = await add_server(await Pretender().start(peers))
    url = await swap.start(peers)
    step = await reconfigured(assist, entry, **{CONF_URL: url})
    assert step["step_id"] == "llama_swap"
    step = await assist.config_entries.flow.async_configure(step["flow_id"], {})
    assert step["reason"] == "reconfigure_successful"
    await assist.async_block_till_done()
    assert entry.data == {CONF_URL: url}
    assert entry.runtime_data.coordinator.data.default_model == "apple"
    await assist.config_entries.async_unload(entry.entry_id)


async def test_another_program_in_place_of_llama_swap(swap: LlamaSwap, peers: Peers) -> None:
    """The next poll finds out."""
    client = peers.client(await swap.start(peers))
    assert (await client.identify()).is_front
    swap.running = ("apple",)
    statuses = {one.id: one.status for one in await client.models()}
    assert statuses == {"apple": ModelStatus.LOADED, "author/pear": ModelStatus.UNLOADED}
    swap.gone = True
    with pytest.raises((BadRequestError, NotLlamaServerError)):
        await client.identify()
    assert client.front is None
    swap.gone = False
    assert (await client.identify()).is_front


async def test_litellm(home: HomeAssistant, lite: LiteLlm, peers: Peers) -> None:
    """Its models talk and call tools; none gets a health check."""
    url = await lite.start(peers)
    entry = await added(home, "litellm", url, **{CONF_API_KEY: "sk-1"})
    assert agent_of(entry).data[CONF_MODEL] == "apple"
    assert speech(await ask(home, TURN_ON_KITCHEN)) == TURNED_ON
    assert state_of(home, KITCHEN).state == "on"
    assert all("tools" in one for one in lite.chats)
    await home.async_block_till_done(wait_background_tasks=True)
    await entry.runtime_data.coordinator.async_refresh()
    assert "/health" not in lite.asked
    assert sensor(home, entry, "model") == "unknown"
    await home.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("kind", [LlamaSwap, LiteLlm])
async def test_the_prompt_is_processed_when_somebody_begins_to_speak(
    home: HomeAssistant,
    scripted_server: LlamaServer,
    session: aiohttp.ClientSession,
    peers: Peers,
    kind: type[LlamaSwap | LiteLlm],
) -> None:
    """The prompt is prefilled, and the model loaded, when the user starts to speak."""
    front = kind(session, scripted_server)
    step_id = "llama_swap" if kind is LlamaSwap else "litellm"
    entry = await added(home, step_id, await front.start(peers))
    await home.async_block_till_done(wait_background_tasks=True)
    assert front.chats == []
    await conversation.async_prepare_agent(home, AGENT, "en")
    await home.async_block_till_done(wait_background_tasks=True)
    assert [one["max_tokens"] for one in front.chats] == [1]
    await home.config_entries.async_unload(entry.entry_id)


async def test_litellm_and_commands(home: HomeAssistant, lite: LiteLlm, peers: Peers) -> None:
    """Grammars are passed on."""
    entry = await added(home, "litellm", await lite.start(peers), **{CONF_API_KEY: "sk-1"})
    data = {**agent_of(entry).data, CONF_TOOL_CALLS: ToolCalls.COMMANDS}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
    await home.async_block_till_done()
    assert speech(await ask(home, TURN_ON_KITCHEN)) == "Turned on Kitchen Light."
    await home.config_entries.async_unload(entry.entry_id)


async def test_litellm_with_a_wrong_key(assist: HomeAssistant, lite: LiteLlm, peers: Peers) -> None:
    """It is reported at its field."""
    url = await lite.start(peers)
    step = await start(assist, url, **{CONF_API_KEY: "sk-2"})
    assert step["errors"] == {CONF_API_KEY: "invalid_auth"}
    client = peers.client(url, api_key="sk-2")
    await client.identify()
    with pytest.raises(AuthenticationError):
        await client.models()


async def test_litellm_whose_key_changes(
    assist: HomeAssistant, lite: LiteLlm, peers: Peers
) -> None:
    """The new one is asked for, and checked."""
    entry = await added(assist, "litellm", await lite.start(peers), **{CONF_API_KEY: "sk-1"})
    lite.api_key = "sk-2"
    await entry.runtime_data.coordinator.async_refresh()
    await assist.async_block_till_done()
    (flow,) = assist.config_entries.flow.async_progress()
    configure = assist.config_entries.flow.async_configure
    step = await configure(flow["flow_id"], {CONF_API_KEY: "sk-3"})
    assert step["errors"] == {CONF_API_KEY: "invalid_auth"}
    step = await configure(flow["flow_id"], {CONF_API_KEY: "sk-2"})
    assert step["reason"] == "reauth_successful"
    await assist.async_block_till_done()
    await assist.config_entries.async_unload(entry.entry_id)


async def test_a_name_that_llama_swap_does_not_list(
    assist: HomeAssistant, swap: LlamaSwap, peers: Peers
) -> None:
    """It is used as it is in the address."""
    url = await swap.start(peers)
    entry = await added(assist, "llama_swap", f"{url}/upstream/hidden%3A4b")
    assert entry.data == {CONF_URL: url}
    assert agent_of(entry).data[CONF_MODEL] == "hidden:4b"
    await assist.config_entries.async_unload(entry.entry_id)
