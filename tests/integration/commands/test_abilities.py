"""Which models are offered tools, and which choose among commands: by template and by size."""

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.config_entries import SubentryFlowContext

from custom_components.llamacpp.agent import abilities
from custom_components.llamacpp.agent.abilities import (
    CONF_TOOL_CALLS,
    MIN_TOOL_PARAMS,
    Abilities,
    ModelAbilities,
    ToolCalls,
)
from custom_components.llamacpp.server import LlamaServerClient, LlamaServerError
from tests.integration.conftest import agent_of
from tests.integration.script import TURN_ON_KITCHEN
from tests.integration.talk import PROPS, ask, speech

if TYPE_CHECKING:
    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

LARGE = MIN_TOOL_PARAMS
SMALL = MIN_TOOL_PARAMS - 1


@pytest.fixture(autouse=True)
def _large_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the size of a model count here."""
    monkeypatch.setattr(abilities, "MIN_TOOL_PARAMS", MIN_TOOL_PARAMS)


@pytest.mark.parametrize(
    ("supports_tools", "n_params", "wants_commands"),
    [
        (True, LARGE, False),
        (True, SMALL, True),
        (True, None, False),
        (False, LARGE, True),
        (False, SMALL, True),
        (False, None, True),
    ],
)
def test_rule(n_params: int | None, *, supports_tools: bool, wants_commands: bool) -> None:
    """Tools are for large models whose templates know them."""
    assert Abilities(supports_tools, n_params).wants_commands is wants_commands


async def test_a_template_without_tools(
    llama_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """A real server tells that its model's template knows none, and how many weights there are."""
    known = ModelAbilities(LlamaServerClient(session, llama_server.base_url))
    found = await known.of(None, "1", autoload=False)
    assert not found.supports_tools
    assert found.n_params is not None
    assert 100_000_000 < found.n_params < 200_000_000


async def test_a_template_with_tools(
    scripted_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """The same weights under a template that knows tools are still too few."""
    known = ModelAbilities(LlamaServerClient(session, scripted_server.base_url))
    found = await known.of(None, "1", autoload=False)
    assert found.supports_tools
    assert found.wants_commands


async def of_peer(
    peers: Peers, props: dict[str, Any], models: web.Response | None = None
) -> tuple[ModelAbilities, list[str]]:
    """Return the abilities that a server with these answers tells, and what it is asked."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/props":
            return web.json_response(props)
        return models or web.Response(status=404)

    return ModelAbilities(peers.client(await peers.http(handle))), asked


async def test_a_server_that_does_not_tell(peers: Peers) -> None:
    """Without a template or a size it is taken at its word that it takes tools."""
    known, _ = await of_peer(peers, PROPS)
    assert await known.of(None, "1", autoload=False) == Abilities(
        supports_tools=True, n_params=None
    )


@pytest.mark.parametrize("supports_tools", [True, False])
async def test_a_large_model(peers: Peers, *, supports_tools: bool) -> None:
    """What the server tells of its template decides."""
    caps = {"supports_tools": supports_tools}
    props = {**PROPS, "chat_template": "{{ messages }}", "chat_template_caps": caps}
    meta = {"n_params": LARGE}
    models = web.json_response({"data": [{"id": "m", "meta": meta}, {"id": "other"}]})
    known, _ = await of_peer(peers, props, models)
    found = await known.of("m", "1", autoload=False)
    assert found == Abilities(supports_tools, LARGE)
    assert found.wants_commands is not supports_tools


async def test_asked_once_for_each_start(peers: Peers) -> None:
    """Nobody waits for it with every question, and a server that comes back is asked again."""
    known, asked = await of_peer(peers, PROPS)
    for instance, n_asked in (("1", 1), ("1", 1), ("2", 2), ("2", 2), ("1", 3)):
        await known.of(None, instance, autoload=False)
        assert asked.count("/props") == n_asked


async def test_a_server_that_is_away(session: aiohttp.ClientSession) -> None:
    """It is an error, not a guess."""
    known = ModelAbilities(LlamaServerClient(session, "http://127.0.0.1:9"))
    with pytest.raises(LlamaServerError):
        await known.of(None, "1", autoload=False)


async def test_the_choice_of_the_user_is_stronger(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Too small a model chooses among commands, unless the agent's options say otherwise."""
    entry = await add_server(scripted_server.base_url)
    agent = agent_of(entry)
    assert speech(await ask(home, TURN_ON_KITCHEN)) == "Turned on Kitchen Light."
    for chosen, words in (
        (ToolCalls.NATIVE, "The kitchen light is on now."),
        (ToolCalls.COMMANDS, "Turned on Kitchen Light."),
    ):
        data = {**agent.data, CONF_TOOL_CALLS: chosen}
        home.config_entries.async_update_subentry(entry, agent, data=data)
        await home.async_block_till_done()
        assert speech(await ask(home, TURN_ON_KITCHEN)) == words


async def test_how_a_model_calls_tools(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The choice is shown and stored; what is left to us is not, and tasks have no choice."""
    entry = await add_server(scripted_server.base_url)
    flows = assist.config_entries.subentries
    subentry_id = agent_of(entry).subentry_id
    context = SubentryFlowContext(source="reconfigure", subentry_id=subentry_id)

    async def shown() -> tuple[str, Any]:
        step = await flows.async_init((entry.entry_id, "conversation"), context=context)
        assert step["data_schema"] is not None
        folded = step["data_schema"].schema["answer"].schema.schema
        (key,) = [one for one in folded if one == "tool_calls"]
        assert folded[key].config["options"] == ["auto", "native", "commands"]
        return step["flow_id"], key.description["suggested_value"]

    for chosen, before in (("commands", "auto"), ("native", "commands"), ("auto", "native")):
        flow_id, suggested = await shown()
        assert suggested == before
        await flows.async_configure(flow_id, {"answer": {"tool_calls": chosen}, "sampling": {}})
        await assist.async_block_till_done()
        stored = {} if chosen == "auto" else {"tool_calls": chosen}
        assert agent_of(entry).data == stored
    task = next(iter(entry.get_subentries_of_type("ai_task_data")))
    context = SubentryFlowContext(source="reconfigure", subentry_id=task.subentry_id)
    step = await flows.async_init((entry.entry_id, "ai_task_data"), context=context)
    assert step["data_schema"] is not None
    assert "tool_calls" not in step["data_schema"].schema["answer"].schema.schema
