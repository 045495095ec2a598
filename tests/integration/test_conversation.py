"""The conversation agent in Home Assistant, speaking to a real llama-server."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.components import conversation
from homeassistant.components.conversation import trace
from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import CONF_LLM_HASS_API, CONF_PROMPT, STATE_UNAVAILABLE
from homeassistant.core import Context
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import chat_session
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir

from custom_components.llamacpp.agent import turn as turn_module
from custom_components.llamacpp.server import LlamaServerClient
from dev.processes import free_port
from tests.conftest import serving

from .conftest import AGENT, FLAGS, agent_of
from .peers import stream_events
from .script import (
    ENDLESS,
    MISSING,
    NOTHING,
    ONLY_THINK,
    OTHERWISE,
    QUESTION,
    SILENT_CALL,
    THINK,
    TURN_ON_KITCHEN,
    TWO_CALLS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant, State

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

# A batch of the prompt cannot be interrupted, and takes its time on a busy machine.
WAIT_SECONDS = 120.0
POLL_SECONDS = 0.05
PROPS: dict[str, Any] = {"default_generation_settings": {"n_ctx": 2048}, "build_info": "b1-test"}


async def ask(
    hass: HomeAssistant, text: str, conversation_id: str | None = None, language: str = "en"
) -> conversation.ConversationResult:
    """Say this to the agent and return its answer."""
    return await conversation.async_converse(
        hass, text, conversation_id, Context(), language=language, agent_id=AGENT
    )


def speech(result: conversation.ConversationResult) -> str:
    """Return what is spoken."""
    return str(result.response.speech["plain"]["speech"])


def state_of(hass: HomeAssistant, entity_id: str) -> State:
    """Return an entity's state."""
    state = hass.states.get(entity_id)
    assert state is not None
    return state


def contents(
    hass: HomeAssistant, result: conversation.ConversationResult
) -> list[conversation.Content]:
    """Return what Home Assistant remembers of the conversation with this result."""
    assert result.conversation_id is not None
    return list(hass.data[conversation.chat_log.DATA_CHAT_LOGS][result.conversation_id].content)


def last_trace(kind: str) -> list[dict[str, Any]]:
    """Return the details of this kind that the newest trace holds."""
    events = trace.async_get_traces()[-1].as_dict()["events"]
    return [event["data"] for event in events if event["event_type"] == kind]


def sse(*chunks: dict[str, Any]) -> Iterator[str]:
    """Return the lines of a stream with these chunks."""
    yield from (f"data: {json.dumps(chunk)}" for chunk in chunks)
    yield "data: [DONE]"


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return a chunk of a chat completion."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


async def llama_peer(
    peers: Peers, *answers: list[dict[str, Any]], props: dict[str, Any] = PROPS
) -> tuple[str, list[Any]]:
    """Start a llama-server that gives these answers in turn; return its address and requests."""
    requests: list[Any] = []
    waiting = list(answers)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(props)
        requests.append(await request.json())
        return await stream_events(request, sse(*waiting.pop(0)))

    return await peers.http(handle), requests


async def until_busy(client: LlamaServerClient, *, busy: bool) -> None:
    """Wait until some slot of the server is at work, or none."""
    while True:
        if any(slot.is_processing for slot in await client.slots()) is busy:
            return
        await asyncio.sleep(POLL_SECONDS)


async def test_answers_in_pieces(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The answer comes in several deltas, and the first one names the role."""
    await add_server(scripted_server.base_url)
    deltas: list[dict[str, Any]] = []
    with (
        chat_session.async_get_chat_session(home) as session,
        conversation.async_get_chat_log(
            home, session, chat_log_delta_listener=lambda _log, delta: deltas.append(delta)
        ),
    ):
        result = await ask(home, "Hello", session.conversation_id)
    assert speech(result) == OTHERWISE
    assert deltas[0] == {"role": "assistant"}
    pieces = [delta["content"] for delta in deltas if "content" in delta]
    assert len(pieces) > 3
    assert "".join(pieces) == OTHERWISE


async def test_turns_on_a_light(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A tool call really switches, and the model speaks about it afterwards."""
    await add_server(scripted_server.base_url)
    assert state_of(home, "light.kitchen_light").state == "off"
    result = await ask(home, TURN_ON_KITCHEN)
    assert speech(result) == "The kitchen light is on now."
    assert state_of(home, "light.kitchen_light").state == "on"


async def test_several_calls_in_one_answer(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Text before two calls stays, and both are run."""
    await add_server(scripted_server.base_url)
    result = await ask(home, TWO_CALLS)
    assert speech(result) == "Both lamps are on."
    assert state_of(home, "light.floor_lamp").state == "on"
    assert state_of(home, "light.bedside_lamp").state == "on"
    first = contents(home, result)[2]
    assert isinstance(first, conversation.AssistantContent)
    assert (first.content or "").strip() == "With pleasure."
    assert len(first.tool_calls or []) == 2


async def test_a_call_that_fails_is_told_to_the_model(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """An entity that does not exist is an error for the model, not for the user."""
    await add_server(scripted_server.base_url)
    result = await ask(home, MISSING)
    assert speech(result) == "There is no moon to turn on."
    results = [
        content
        for content in contents(home, result)
        if isinstance(content, conversation.ToolResultContent)
    ]
    assert [content.result.error for content in results] == [True]


async def test_thoughts_are_not_spoken(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """What the model thinks is kept apart from what it says."""
    await add_server(scripted_server.base_url)
    result = await ask(home, THINK)
    assert speech(result) == "Mostly cheese."
    answer = contents(home, result)[-1]
    assert isinstance(answer, conversation.AssistantContent)
    assert "my thoughts" in (answer.thinking_content or "")


@pytest.mark.parametrize("words", [NOTHING, ONLY_THINK, SILENT_CALL])
async def test_a_silent_model_is_spoken_for(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, words: str
) -> None:
    """A turn always ends with words, in the user's language."""
    await add_server(scripted_server.base_url)
    assert speech(await ask(home, words)) == (
        "The model had nothing to say. Please ask in other words."
    )
    assert speech(await ask(home, words, language="it")).startswith("Il modello non ha saputo")


async def test_endless_calls_end(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A model that only calls tools is stopped, with an apology."""
    await add_server(scripted_server.base_url)
    result = await ask(home, ENDLESS)
    assert speech(result).startswith("I am sorry, I tried too many things")
    rounds = [
        content
        for content in contents(home, result)
        if isinstance(content, conversation.AssistantContent) and content.tool_calls
    ]
    assert len(rounds) == 10


async def test_a_question_goes_on(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """After a question the satellite keeps listening."""
    await add_server(scripted_server.base_url)
    assert (await ask(home, QUESTION)).continue_conversation is True
    assert (await ask(home, THINK)).continue_conversation is False


async def test_trace_tells_the_tokens(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The second turn takes nearly all of its prompt from the cache, and the trace says so."""
    await add_server(scripted_server.base_url)
    first = await ask(home, "Hello")
    before = [data["stats"] for data in last_trace("agent_detail") if "stats" in data]
    await ask(home, "Hello again", first.conversation_id)
    after = [data["stats"] for data in last_trace("agent_detail") if "stats" in data]
    assert len(before) == len(after) == 1
    assert before[0]["output_tokens"] > 3
    assert after[0]["input_tokens"] > before[0]["input_tokens"] > 1000
    assert after[0]["input_tokens"] - after[0]["cached_input_tokens"] < 64


async def test_prompt_holds_the_home_and_the_instructions(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """What is sent: instructions, the home, sorted tools, and no setting nobody made."""
    url, requests = await llama_peer(peers, [piece(content="Hi."), piece("stop")])
    entry = await add_server(url)
    subentry = agent_of(entry)
    home.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, CONF_PROMPT: "Speak like a pirate."}
    )
    await home.async_block_till_done()
    assert speech(await ask(home, "Hello")) == "Hi."
    system, user = requests[0]["messages"]
    assert system["content"].startswith("Speak like a pirate.")
    assert "Kitchen Light" in system["content"]
    assert user == {"role": "user", "content": "Hello"}
    names = [tool["function"]["name"] for tool in requests[0]["tools"]]
    assert names == sorted(names)
    assert "intent__HassTurnOn" in names
    assert set(requests[0]) == {
        "messages",
        "tools",
        "stream",
        "stream_options",
        "return_progress",
    }


async def test_an_agent_without_control_only_gets_the_date(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Without an API the model can ask for the date, and a call that it makes up does no harm."""
    made_up = {"index": 0, "id": "1", "function": {"name": "intent__HassTurnOn", "arguments": "{}"}}
    url, requests = await llama_peer(
        peers,
        [piece(tool_calls=[made_up]), piece("tool_calls")],
        [piece(content="Sorry, I can only talk."), piece("stop")],
    )
    entry = await add_server(url)
    subentry = agent_of(entry)
    home.config_entries.async_update_subentry(entry, subentry, data={})
    await home.async_block_till_done()
    features = state_of(home, AGENT).attributes["supported_features"]
    assert features == 0
    assert speech(await ask(home, "Turn it on")) == "Sorry, I can only talk."
    names = [tool["function"]["name"] for tool in requests[0]["tools"]]
    assert names == ["llm__GetDateTime"]
    assert "Current time" not in requests[0]["messages"][0]["content"]
    assert "not found" in requests[1]["messages"][-1]["content"]


async def test_broken_arguments_go_back_to_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Of two calls the good one is run, and the broken one is an error that the model can mend."""
    url, requests = await llama_peer(
        peers,
        [
            piece(
                tool_calls=[
                    {
                        "index": 0,
                        "id": "good",
                        "function": {
                            "name": "intent__HassTurnOn",
                            "arguments": '{"name": "Kitchen Light"}',
                        },
                    },
                    {
                        "index": 1,
                        "id": "bad",
                        "function": {"name": "intent__HassTurnOn", "arguments": '{"name": '},
                    },
                ]
            ),
            piece("tool_calls"),
        ],
        [piece(content="One of two."), piece("stop")],
    )
    await add_server(url)
    assert speech(await ask(home, "Two things")) == "One of two."
    assert state_of(home, "light.kitchen_light").state == "on"
    *_, call, good, bad = requests[1]["messages"]
    assert [one["id"] for one in call["tool_calls"]] == ["good", "bad"]
    assert (good["tool_call_id"], bad["tool_call_id"]) == ("good", "bad")
    assert "not valid JSON" in bad["content"]


async def test_an_unknown_tool_goes_back_to_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A tool that does not exist is an error that the model can mend."""
    call = {"index": 0, "id": "1", "function": {"name": "fly", "arguments": ""}}
    url, requests = await llama_peer(
        peers,
        [piece(tool_calls=[call]), piece("tool_calls")],
        [piece(content="I cannot fly."), piece("stop")],
    )
    await add_server(url)
    assert speech(await ask(home, "Fly")) == "I cannot fly."
    assert 'Tool \\"fly\\" not found' in requests[1]["messages"][-1]["content"]


async def test_too_little_context(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
) -> None:
    """A home that does not fit is explained with both numbers, and nothing is remembered."""
    with serving(tmp_path / "log.txt", "--ctx-size", "512", model=scripted_model) as server:
        await add_server(server.base_url)
        result = await ask(home, "Hello", language="it")
    assert result.response.error_code == "failed_to_handle"
    assert "512" in speech(result)
    assert "contesto" in speech(result)
    assert result.conversation_id not in home.data[conversation.chat_log.DATA_CHAT_LOGS]


async def test_a_server_that_dies_in_mid_answer(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The user is told at once, and the conversation goes on without the failed turn."""
    broken = [piece(content="I was about to")]
    url, requests = await llama_peer(peers, broken, [piece(content="Hi."), piece("stop")])
    await add_server(url)

    # The stream of the first answer ends without a finish.
    first = await ask(home, "Hello")
    assert first.response.error_code == "failed_to_handle"
    assert speech(first).startswith("The answer of the language model's server broke off")
    second = await ask(home, "Hello?", first.conversation_id)
    assert speech(second) == "Hi."
    assert [message["content"] for message in requests[1]["messages"][1:]] == ["Hello?"]


async def test_a_stopped_server_is_noticed_and_found_again(
    home: HomeAssistant,
    add_server: AddServer,
    own_server: LlamaServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The agent is unavailable while the server is away, with one log line each way."""
    entry = await add_server(own_server.base_url)
    own_server.kill()
    caplog.clear()
    result = await ask(home, "Hello")
    assert speech(result) == "I cannot reach the language model's server. Is it running?"
    await home.async_block_till_done(wait_background_tasks=True)
    assert state_of(home, AGENT).state == STATE_UNAVAILABLE
    await entry.runtime_data.async_refresh()
    assert len([one for one in caplog.records if "Error fetching" in one.message]) == 1

    own_server.start()
    own_server.wait_ready()
    await entry.runtime_data.async_refresh()
    assert state_of(home, AGENT).state != STATE_UNAVAILABLE
    assert len([one for one in caplog.records if "recovered" in one.message]) == 1
    assert speech(await ask(home, "Hello")) == OTHERWISE


async def test_an_endless_answer_is_cut(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A turn has a time limit of its own, which keep-alives do not lengthen."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(PROPS)
        response = await stream_events(request, [])
        while True:
            await response.write(b":\n\n")
            await asyncio.sleep(0.01)

    monkeypatch.setattr(turn_module, "TURN_SECONDS", 0.2)
    await add_server(await peers.http(handle))
    result = await ask(home, "Hello")
    assert speech(result) == "The language model's server did not answer in time."


async def test_cancelling_frees_the_server(
    home: HomeAssistant,
    add_server: AddServer,
    llama_server: LlamaServer,
    session: aiohttp.ClientSession,
) -> None:
    """Who stops listening stops the model, too."""
    await add_server(llama_server.base_url)
    client = LlamaServerClient(session, llama_server.base_url)
    task = home.async_create_task(ask(home, "Tell me a very long story about a lighthouse."))
    async with asyncio.timeout(WAIT_SECONDS):
        await until_busy(client, busy=True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(WAIT_SECONDS):
        await until_busy(client, busy=False)


async def test_device_and_entity(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The agent is a service device with the server's build, and it can control and stream."""
    entry = await add_server(scripted_server.base_url)
    registered = er.async_get(home).async_get(AGENT)
    assert registered is not None
    assert registered.config_entry_id == entry.entry_id
    device = dr.async_get(home).async_get(registered.device_id or "")
    assert isinstance(device, dr.DeviceEntry)
    assert device.manufacturer == "llama.cpp"
    assert device.model == "scripted"
    assert (device.sw_version or "").startswith("b")
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    state = state_of(home, AGENT)
    assert state.attributes["supported_features"] == 1
    agent = home.data[conversation.const.DATA_COMPONENT].get_entity(AGENT)
    assert agent is not None
    assert agent.supports_streaming


async def test_an_api_that_is_gone(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """An agent whose API no longer exists says so."""
    entry = await add_server(scripted_server.base_url)
    subentry = agent_of(entry)
    home.config_entries.async_update_subentry(entry, subentry, data={CONF_LLM_HASS_API: ["gone"]})
    await home.async_block_till_done()
    assert speech(await ask(home, "Hello")) == "Error preparing LLM API"


async def test_unload_and_reload(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Unloading takes the agent away, loading brings it back."""
    entry = await add_server(scripted_server.base_url)
    assert await home.config_entries.async_unload(entry.entry_id)
    assert state_of(home, AGENT).state == STATE_UNAVAILABLE
    assert await home.config_entries.async_setup(entry.entry_id)
    assert speech(await ask(home, "Hello")) == OTHERWISE


async def test_two_agents_of_one_server(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A second agent stands beside the first, with options of its own."""
    entry = await add_server(scripted_server.base_url)
    step = await home.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"), context={"source": SOURCE_USER}
    )
    assert step["type"] is FlowResultType.FORM
    done = await home.config_entries.subentries.async_configure(
        step["flow_id"], {"name": "Pirate", CONF_PROMPT: "Speak like a pirate."}
    )
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await home.async_block_till_done()
    assert state_of(home, "conversation.pirate").attributes["supported_features"] == 0
    assert state_of(home, AGENT).attributes["supported_features"] == 1


async def test_a_conversation_that_outgrows_the_context(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The oldest turns go, the newest stay, and the user notices nothing."""
    flags = ("--ctx-size", "4096", "--parallel", "1")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        home.config_entries.async_update_subentry(entry, agent_of(entry), data={})
        await home.async_block_till_done()
        result = await ask(home, "Hello")
        for number in range(6):
            words = f"Number {number}. " + "This goes on and on. " * 150
            result = await ask(home, words, result.conversation_id)
            assert speech(result) == OTHERWISE
    kept = [
        content.content[:9]
        for content in contents(home, result)
        if isinstance(content, conversation.UserContent)
    ]
    assert kept[-1] == "Number 5."
    assert 2 <= len(kept) < 7


async def test_a_home_that_does_not_fit_is_a_repair(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The repair names both numbers, and is gone with the first answer."""
    port = free_port()
    issues = ir.async_get(home)
    with serving(
        tmp_path / "1.txt", "--ctx-size", "512", model=scripted_model, port=port
    ) as server:
        entry = await add_server(server.base_url)
        await ask(home, "Hello")
    issue = issues.async_get_issue("llamacpp", f"context_too_small_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["context"] == "512"
    assert int(issue.translation_placeholders["needed"]) > 512
    with serving(tmp_path / "2.txt", *FLAGS, model=scripted_model, port=port):
        await entry.runtime_data.async_refresh()
        assert speech(await ask(home, "Hello")) == OTHERWISE
    assert issues.async_get_issue("llamacpp", f"context_too_small_{entry.entry_id}") is None
