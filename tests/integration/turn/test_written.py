"""Models without tools in their chat template write calls under a grammar."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.core import Context
from homeassistant.helpers import llm

from custom_components.llamacpp.const import CONF_EXACT_FIRST
from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.model import abilities
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from custom_components.llamacpp.model.markers import GENERAL, mended_in
from custom_components.llamacpp.tool_calls.arguments import fits
from custom_components.llamacpp.tool_calls.from_text import PrintedCalls
from custom_components.llamacpp.turn.call_grammar import call_grammar
from custom_components.llamacpp.turn.written import CLOSE, OPEN, WrittenTools
from dev.scripted_model import write_scripted_model
from tests.conftest import serving
from tests.integration.conftest import FLAGS
from tests.integration.prefill import set_options
from tests.integration.script import OTHERWISE
from tests.integration.talk import (
    PROPS,
    ask,
    ask_as_a_pipeline,
    contents,
    last_trace,
    llama_peer,
    piece,
    recording,
    speech,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

TEMPLATE = Path(__file__).parents[1].joinpath("no_tools.jinja").read_text()
# The last tokens of a prompt may change with the next words.
N_REWRITTEN = 3
CONTEXT = llm.LLMContext("llamacpp", Context(), "en", conversation.DOMAIN, None)
DARK = "it is too dark in here"
BOTH = "both lamps, please"
MOON = "turn on the moon"
FLY = "let the lamp fly"
TALK = "tell me something"
CODE = "how does one write that down"
HOME = "I am home"
LOST = "turn on my lost lamp"
CALL = "call something"


def block(*calls: str) -> str:
    """Return the text of calls."""
    return f"{OPEN}{'\n'.join(calls)}{CLOSE}"


SCRIPT = {
    # Each block starts with its own token, so that a forbidden one leads to another.
    MOON: ["\n" + block('HassTurnOn(name="Moon")')],
    FLY: ["\n\n" + block('HassFly(name="Bedside Lamp")')],
    CALL: ["\n\n\n" + OPEN],
    DARK: [block('HassTurnOn(name="Bedside Lamp")'), "It is brighter now."],
    BOTH: [
        "One moment.\n"
        + block(
            'HassLightSet(name="Floor Lamp", brightness=31)', 'HassTurnOn(name="Bedside Lamp")'
        ),
        "Both are on.",
    ],
    TALK: ["Lamps shine, `so to speak`, in ``the`` dark.\nAll of them `do`"],
    CODE: ["In YAML:\n```yaml\nlight: `on`\n```\nThat is all."],
    LOST: [block('HassTurnOn(name="?")'), "Which lamp do you mean?"],
    HOME: [block('HassTurnOff(name="Side Door")')],
}


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[LlamaServer]:
    """Return a real server with a scripted model whose template has no tools."""
    folder = tmp_path_factory.mktemp("written")
    write_scripted_model(folder / "written.gguf", model, SCRIPT, OTHERWISE, TEMPLATE, breaks=" \n")
    with serving(folder / "log.txt", *FLAGS, model=folder / "written.gguf") as server:
        yield server


@pytest.fixture
async def requests(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    server: LlamaServer,
) -> list[dict[str, Any]]:
    """Let the agent offer tools to that model; return the server's requests."""
    url, requests = await recording(peers, session, server)
    entry = await add_server(url)
    await set_options(home, entry, **{CONF_TOOL_CALLS: ToolCalls.NATIVE})
    requests.clear()
    return requests


def last_stats() -> list[dict[str, Any]]:
    """Return the stats of each request of the newest turn."""
    return [one["stats"] for one in last_trace("agent_detail") if "stats" in one]


def printed(text: str, tools: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls in an answer."""
    reader = PrintedCalls(tools)
    reader.feed(text)
    reader.end()
    return [(one.name, json.loads(one.arguments)) for one in reader.calls]


async def written_by(
    session: aiohttp.ClientSession, server: LlamaServer, body: dict[str, Any], seed: int
) -> str:
    """Return the model's answer to a request; it must end by itself."""
    async with session.post(
        f"{server.base_url}/v1/chat/completions",
        json={**body, "stream": False, "max_tokens": 4000, "seed": seed},
        headers={"Connection": "close"},
    ) as response:
        (answer,) = (await response.json())["choices"]
    assert answer["finish_reason"] == "stop"
    return str(answer["message"]["content"])


def called(home: HomeAssistant, result: conversation.ConversationResult) -> list[tuple[str, Any]]:
    """Return the calls of a conversation."""
    return [
        (call.tool_name.rpartition("__")[2], call.tool_args)
        for content in contents(home, result)
        if isinstance(content, conversation.AssistantContent)
        for call in content.tool_calls or ()
    ]


async def test_a_hint_is_understood(home: HomeAssistant, requests: list[dict[str, Any]]) -> None:
    """It is no command; the model calls the tools that it needs, and says so."""
    assert state_of(home, "light.bedside_lamp").state == "off"
    result = await ask(home, DARK)
    assert speech(result) == "It is brighter now."
    assert state_of(home, "light.bedside_lamp").state == "on"
    first, second = requests
    assert all("tools" not in one for one in requests)
    assert second["messages"][:2] == first["messages"]
    call, told = second["messages"][2:]
    assert call == {"role": "assistant", "content": SCRIPT[DARK][0]}
    assert told["role"] == "user"
    assert told["content"].startswith('```tool_output\n{"')
    assert "light.bedside_lamp" in told["content"]


async def test_two_calls_behind_words(home: HomeAssistant, requests: list[dict[str, Any]]) -> None:
    """The words are spoken, the calls are not."""
    result = await ask(home, BOTH)
    words = [one.content for one in contents(home, result) if one.role == "assistant"]
    assert [(one or "").strip() for one in words] == ["One moment.", "Both are on."]
    assert called(home, result) == [
        ("HassLightSet", {"name": "Floor Lamp", "brightness": 31}),
        ("HassTurnOn", {"name": "Bedside Lamp"}),
    ]
    assert state_of(home, "light.floor_lamp").attributes["brightness"] == 79
    assert state_of(home, "light.bedside_lamp").state == "on"
    assert requests[1]["messages"][2]["content"] == SCRIPT[BOTH][0]
    assert requests[1]["messages"][3]["content"].count("```tool_output") == 2


@pytest.mark.parametrize("words", [TALK, CODE])
async def test_words_are_free_and_stream(
    home: HomeAssistant, requests: list[dict[str, Any]], words: str
) -> None:
    """Text without a call streams word for word."""
    pieces: list[str] = []

    def listen(_chat_log: conversation.ChatLog, delta: dict[str, Any]) -> None:
        if delta.get("content"):
            pieces.append(delta["content"])

    result = await ask_as_a_pipeline(home, words, None, listen)
    assert speech(result) == SCRIPT[words][0]
    assert "".join(pieces) == SCRIPT[words][0]
    assert len(pieces) > 4
    assert len(requests) == 1


@pytest.mark.parametrize(("words", "wanted"), [(MOON, "Moon"), (FLY, "HassFly")])
async def test_nothing_else_can_come(  # noqa: PLR0913, PLR0917 - of the table
    home: HomeAssistant,
    requests: list[dict[str, Any]],
    server: LlamaServer,
    session: aiohttp.ClientSession,
    words: str,
    wanted: str,
) -> None:
    """A model that insists on an invalid call has to write something else."""
    await ask(home, words)
    api = await llm.async_get_api(home, "assist", CONTEXT)
    tools = {one.name for one in api.tools}
    things = exposed_home(home, conversation.DOMAIN, without=()).things
    names = {"?", *(name for one in things for name in one.names)}
    body = requests[0]
    for seed in range(8):
        calls = printed(await written_by(session, server, body, seed), tools)
        assert calls
        assert {name for name, _ in calls} <= tools
        assert {args["name"] for _, args in calls if "name" in args} <= names
    del body["grammar"]
    assert wanted in await written_by(session, server, body, 0)


async def test_a_name_that_is_not_there(
    home: HomeAssistant, requests: list[dict[str, Any]]
) -> None:
    """The model may still give up a call, and gets the valid names."""
    result = await ask(home, LOST)
    assert speech(result) == "Which lamp do you mean?"
    assert last_trace("tool_call") == []
    assert "There is no entity '?' for this. There is: " in requests[1]["messages"][-1]["content"]


async def test_a_lock_is_asked_back(home: HomeAssistant, requests: list[dict[str, Any]]) -> None:
    """It moves after a plain order or a yes to our question."""
    result = await ask(home, HOME)
    assert speech(result) == "Shall I unlock the Side Door?"
    assert state_of(home, "lock.side_door").state == "locked"
    assert len(requests) == 1
    result = await ask(home, "yes", result.conversation_id)
    assert state_of(home, "lock.side_door").state == "unlocked"
    assert speech(result) == OTHERWISE
    assert [one["content"] for one in requests[1]["messages"] if one["role"] == "assistant"] == [
        SCRIPT[HOME][0],
        "Shall I unlock the Side Door?",
        SCRIPT[HOME][0],
    ]


async def test_the_prompt_stays_warm(home: HomeAssistant, requests: list[dict[str, Any]]) -> None:
    """A second turn shares the tokens of the first; another conversation shares the home's."""
    first = await ask(home, TALK)
    (before,) = last_stats()
    await ask(home, DARK, first.conversation_id)
    again, with_result = last_stats()
    assert again["cached_input_tokens"] >= before["input_tokens"] - N_REWRITTEN
    assert with_result["cached_input_tokens"] >= again["input_tokens"] - N_REWRITTEN
    await ask(home, CODE)
    (other,) = last_stats()
    assert other["input_tokens"] - other["cached_input_tokens"] < 64
    assert len({one["messages"][0]["content"] for one in requests}) == 1


async def test_what_home_assistant_has_done_is_shown(
    home: HomeAssistant, requests: list[dict[str, Any]]
) -> None:
    """Calls of Home Assistant's own agent look like the model's."""
    (entry,) = home.config_entries.async_entries("llamacpp")
    await set_options(home, entry, **{CONF_TOOL_CALLS: ToolCalls.NATIVE, CONF_EXACT_FIRST: True})
    first = await ask(home, "turn on the kitchen light")
    requests.clear()
    await ask(home, TALK, first.conversation_id)
    said = [one for one in requests[0]["messages"] if one["role"] != "system"]
    assert [one["role"] for one in said] == ["user", "assistant"] * 2 + ["user"]
    assert said[1]["content"] == block('HassTurnOn(name="Kitchen Light")')
    assert said[2]["content"].startswith("```tool_output\n{")


RANGE = ("minimum", "maximum")
SCHEMAS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "choice": {"type": "string", "enum": ['a "b" \\ c', "a", "Ärger", "<tool_call>"]},
    "percent": {"type": "integer", "minimum": 0, "maximum": 100},
    "degrees": {"type": "number"},
    "is_on": {"type": "boolean"},
    "maybe": {"type": ["null", "boolean"]},
    "either": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "number"}}]},
    "both": {"allOf": [{"type": "boolean"}]},
    "when": {
        "type": "object",
        "properties": {"hours": {"type": "integer"}, "exact": {"type": "boolean"}},
        "required": ["hours"],
    },
    "anything": {"type": "object"},
    "unknown": {},
    "from": {"type": "string", "enum": ["here", "there"]},
}


@pytest.mark.parametrize("is_plain", [True, False])
@pytest.mark.parametrize("is_required", [True, False])
async def test_all_types_of_arguments(
    server: LlamaServer, session: aiohttp.ClientSession, *, is_plain: bool, is_required: bool
) -> None:
    """The grammar only allows calls that fit the schemas."""
    properties = {key: one for key, one in SCHEMAS.items() if key != "from" or not is_plain}
    required = [*properties] if is_required else []
    parameters = {"type": "object", "properties": properties, "required": required}
    written = WrittenTools([{"function": {"name": "x__try_it", "parameters": parameters}}])
    grammar = call_grammar(written.tools, lambda _tool, _key: None, GENERAL.broken)
    body = {"messages": [{"role": "user", "content": CALL}], "grammar": grammar}
    calls = printed(await written_by(session, server, body, 1), ["x__try_it"])
    assert calls
    for name, arguments in calls:
        assert name == "x__try_it"
        assert {*required} <= arguments.keys() <= properties.keys()
        for key, value in mended_in(arguments).items():
            # A number out of range goes back to the model, which knows what it meant.
            schema = SCHEMAS[key].items()
            assert fits(value, {name: one for name, one in schema if name not in RANGE})
        text = f"{OPEN}{written.tools[0].call(arguments)}{CLOSE}"
        assert printed(text, [name]) == [(name, arguments)]


async def test_calls_have_room_for_a_large_home(
    server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """The server takes a grammar with a thousand names, and each of them can be written."""
    names = [f"Lamp {number} of {'the hall' if number % 2 else 'a room'}" for number in range(1000)]
    parameters = {"properties": {"name": {"type": "string"}}, "required": ["name"]}
    written = WrittenTools([{"function": {"name": "HassTurnOn", "parameters": parameters}}])
    grammar = call_grammar(written.tools, lambda _tool, _key: names, GENERAL.broken)
    body = {"messages": [{"role": "user", "content": CALL}], "grammar": grammar}
    text = await written_by(session, server, body, 1)
    calls = printed(text, ["HassTurnOn"])
    assert calls
    assert {args["name"] for _, args in calls} <= {*names, "?"}


@pytest.mark.parametrize(
    ("n_params", "name", "field"),
    [
        (4_000_000_000, "gemma-3-4b-it-Q4_K_M.gguf", "grammar"),
        (1_000_000_000, "gemma-3-1b-it-Q4_K_M.gguf", None),
        (30_000_000_000, "Some-30B-A2B.gguf", None),
    ],
)
async def test_which_models_write_calls(  # noqa: PLR0913, PLR0917 - of the table
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
    n_params: int,
    name: str,
    field: str | None,
) -> None:
    """By default large models do, by their active weights."""
    monkeypatch.setattr(abilities, "MIN_TOOL_PARAMS", 2_500_000_000)
    props = {**PROPS, "chat_template": "{{ messages }}", "model_path": f"/models/{name}"}
    models = {"data": [{"id": name, "meta": {"n_params": n_params}}]}
    words = [piece(content="Hello."), piece("stop")]
    url, requests = await llama_peer(peers, words, props=props, models=models)
    await add_server(url)
    assert speech(await ask(home, "why is the sky blue")) == "Hello."
    (request,) = requests
    assert "tools" not in request
    assert request.keys() & {"grammar"} == ({field} if field else set())
    assert ("HassTurnOn(" in request["messages"][0]["content"]) is bool(field)
