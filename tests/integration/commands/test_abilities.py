"""Which models call tools, write calls, or choose among commands: by template and by size."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.config_entries import SubentryFlowContext

from custom_components.llamacpp.client import (
    BadRequestError,
    LlamaServerClient,
    LlamaServerError,
)
from custom_components.llamacpp.model.abilities import (
    CONF_TOOL_CALLS,
    MIN_TOOL_PARAMS,
    Abilities,
    ModelAbilities,
    ToolCalls,
    ToolStrategy,
    active_params,
)
from tests.integration.conftest import agent_of
from tests.integration.entities import routing
from tests.integration.script import TURN_ON_KITCHEN
from tests.integration.talk import PROPS, ask, speech

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

LARGE = MIN_TOOL_PARAMS
SMALL = MIN_TOOL_PARAMS - 1
WAIT_SECONDS = 30.0


AUTO, NATIVE, COMMANDS = ToolCalls


@pytest.mark.parametrize(
    ("supports_tools", "active", "chosen", "strategy"),
    [
        (True, LARGE, AUTO, ToolStrategy.NATIVE),
        (True, SMALL, AUTO, ToolStrategy.COMMANDS),
        (True, None, AUTO, ToolStrategy.NATIVE),
        (False, LARGE, AUTO, ToolStrategy.WRITTEN),
        (False, SMALL, AUTO, ToolStrategy.COMMANDS),
        (False, None, AUTO, ToolStrategy.COMMANDS),
        (True, SMALL, NATIVE, ToolStrategy.NATIVE),
        (False, SMALL, NATIVE, ToolStrategy.WRITTEN),
        (False, None, NATIVE, ToolStrategy.WRITTEN),
        (True, LARGE, COMMANDS, ToolStrategy.COMMANDS),
        (False, LARGE, COMMANDS, ToolStrategy.COMMANDS),
    ],
)
def test_rule(
    active: int | None, chosen: ToolCalls, strategy: ToolStrategy, *, supports_tools: bool
) -> None:
    """Tools are for large models, by the request or by the prompt; the user may decide."""
    assert Abilities(supports_tools, active).strategy(chosen) is strategy


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [
        ("Qwen3-30B-A3B-Instruct-2507-Q4_K_M", 30.5, 3),
        ("qwen3.5-35b-a3b", 35, 3),
        ("gemma4-26b-a4b-it", 26, 4),
        ("unsloth/Qwen3-Coder-480B-A35B-Instruct-GGUF:Q4_K_M", 480, 35),
        ("LFM2-8B-A1B-Q4_K_M.gguf", 8.3, 1),
        ("Qwen1.5-MoE-A2.7B-Chat", 14.3, 2.7),
        ("some-model-3B-A0.6B", 3, 0.6),
        ("granite-3.1-1b-a400m-instruct", 1.3, 0.4),
        ("granite-3.1-3b-a800m-instruct-Q8_0.gguf", 3.3, 0.8),
        ("ERNIE-4.5-21B-A3B-PT", 21.8, 3),
        ("gemma-3n-E2B-it-Q4_K_M.gguf", 4.5, 2),
        ("gemma-4-E4B-it-UD-Q4_K_XL.gguf", 7.5, 4),
        ("gemma_3n_e2b_it", 4.5, 2),
        ("Mixtral-8x7B-Instruct-v0.1.Q4_K_M", 46.7, 14),
        ("mixtral-8x22b", 141, 44),
        ("OLMoE-1B-7B-0125-Instruct", 6.9, 1),
        ("Llama-4-Scout-17B-16E-Instruct", 108, 17),
        # These do not say, or say something else.
        ("granite-4.0-h-tiny-Q4_K_M", 6.9, 6.9),
        ("gpt-oss-20b-mxfp4", 20.9, 20.9),
        ("DeepSeek-V2-Lite-Chat", 15.7, 15.7),
        ("Phi-3.5-MoE-instruct", 41.9, 41.9),
        ("Llama-3.2-3B-Instruct-Q4_K_M", 3.2, 3.2),
        ("LLaMA3B", 3.4, 3.4),
        ("gemma-3-4b-it-Q4_K_M.gguf", 3.9, 3.9),
        ("Qwen3-4B-Instruct-2507-IQ4_XS", 4, 4),
        ("Phi-4-mini-instruct-BF16", 3.8, 3.8),
        ("SmolLM3-3B-F8_E4M3", 3.1, 3.1),
        ("Ministral-3-3B-Instruct-2512", 3.4, 3.4),
        ("rwkv7-2.9B-world", 2.9, 2.9),
        ("whatever-v3.A3Bx", 9, 9),
        ("", 9, 9),
        # No more work than there are.
        ("tiny-random-A3B", 0.1, 0.1),
    ],
)
def test_active_weights(name: str, billions: float, active: float) -> None:
    """A model's name may tell how many of its weights work; the file's name does, too."""
    n_params = round(billions * 1e9)
    assert active_params(n_params, name) == round(active * 1e9)
    assert active_params(n_params, "smol", name) == round(active * 1e9)


def test_active_weights_of_unknown_size() -> None:
    """The name is better than nothing; a size that is not said to be active tells nothing."""
    assert active_params(None, "Qwen3-30B-A3B") == 3_000_000_000
    assert active_params(None, "Llama-3.2-3B") is None
    assert active_params(None) is None


@pytest.mark.parametrize(
    ("model", "alias", "path", "active"),
    [
        (None, "home", "/models/Some-9B-A2B-Q4_K_M.gguf", 2_000_000_000),
        (None, "home", "/models/Some-9B-A2B/weights-00001-of-00002.gguf", 2_000_000_000),
        (None, "home", "C:\\models\\Some-9B-A2B.gguf", 2_000_000_000),
        ("Some-9B-A2B", "", "", 2_000_000_000),
        (None, "home", "/A2B/models/gguf/some-9b.gguf", 9_000_000_000),
    ],
)
async def test_where_the_name_stands(
    peers: Peers, model: str | None, alias: str, path: str, active: int
) -> None:
    """A server tells the name, the alias and the file of its model."""
    props = {**PROPS, "model_alias": alias, "model_path": path}
    models = {"data": [{"id": model or alias, "meta": {"n_params": 9_000_000_000}}]}
    known, _ = await of_peer(peers, props, web.json_response(models))
    assert (await known.of(model, "1", autoload=False)).active_params == active


async def test_a_template_without_tools(
    llama_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """A real server tells that its model's template knows none, and how many weights there are."""
    known = ModelAbilities(LlamaServerClient(session, llama_server.base_url))
    found = await known.of(None, "1", autoload=False)
    assert not found.supports_tools
    assert found.active_params is not None
    assert 100_000_000 < found.active_params < 200_000_000


async def test_a_template_with_tools(
    scripted_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """The same weights under a template that knows tools are still too few."""
    known = ModelAbilities(LlamaServerClient(session, scripted_server.base_url))
    found = await known.of(None, "1", autoload=False)
    assert found.supports_tools
    assert found.strategy(ToolCalls.AUTO) is ToolStrategy.COMMANDS


async def of_peer(
    peers: Peers, props: dict[str, Any], models: web.Response | None = None
) -> tuple[ModelAbilities, list[str]]:
    """Return the abilities that a server with these answers tells, and what it is asked."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/props":
            return web.json_response(props)
        return models if models and request.path == "/v1/models" else web.Response(status=404)

    return ModelAbilities(peers.client(await peers.http(handle))), asked


async def test_a_server_that_does_not_tell(peers: Peers) -> None:
    """Without a template or a size it is taken at its word that it takes tools."""
    known, _ = await of_peer(peers, PROPS)
    assert await known.of(None, "1", autoload=False) == Abilities(
        supports_tools=True, active_params=None
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
    strategy = ToolStrategy.NATIVE if supports_tools else ToolStrategy.WRITTEN
    assert found.strategy(ToolCalls.AUTO) is strategy


async def test_asked_once_for_each_start(peers: Peers) -> None:
    """Nobody waits for it with every question, and a server that comes back is asked again."""
    known, asked = await of_peer(peers, PROPS)
    for instance, n_asked in (("1", 1), ("1", 1), ("2", 2), ("2", 2), ("1", 3)):
        await known.of(None, instance, autoload=False)
        assert asked.count("/props") == n_asked


class Leaving(LlamaServerClient):
    """Has the router unload the model at one of the requests about it."""

    n_left = 0

    async def request_json(self, method: str, path: str, **fields: Any) -> Any:
        """Ask as always, but perhaps of a model that is not there any more."""
        if "model" in fields and method == "POST":
            self.n_left -= 1
            if self.n_left == 0:
                await super().request_json("POST", "/models/unload", model="apple")
                await self.until("unloaded")
        return await super().request_json(method, path, **fields)

    async def until(self, status: str) -> None:
        """Wait until the model has a status."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (await self.statuses())["apple"] != status:  # noqa: ASYNC110 - of another program
                await asyncio.sleep(0.05)

    async def statuses(self) -> dict[str, str]:
        """Return the status of each model."""
        return {one.id: one.status.value for one in await self.models()}


@pytest.mark.parametrize("n_left", [1, 4, 7])
async def test_a_model_that_is_unloaded_meanwhile(
    session: aiohttp.ClientSession, scripted_model: Path, tmp_path: Path, n_left: int
) -> None:
    """It stays so, and what was refused since then is not taken for the template's refusal."""
    with routing(tmp_path, scripted_model) as router:
        client = Leaving(session, router.base_url)
        await client.load_model("apple")
        await client.until("loaded")
        known = await ModelAbilities(client).of("apple", "1", autoload=False)
        abilities = ModelAbilities(client)
        client.n_left = n_left
        with pytest.raises(BadRequestError):
            await abilities.of("apple", "1", autoload=False)
        assert client.n_left <= 0
        assert set((await client.statuses()).values()) == {"unloaded"}
        again = await abilities.of("apple", "1", autoload=True)
        assert (again, again.fitting) == (known, known.fitting)


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
