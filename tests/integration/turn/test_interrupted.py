"""Interrupted turns: spoken words and finished calls stay, all else is forgotten."""

import asyncio
import json
from typing import TYPE_CHECKING, Any, override

import probatio
import pytest
from aiohttp import web
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm

from custom_components.llamacpp.model.fitting import short_id
from custom_components.llamacpp.turn import turn as turn_module
from tests.integration.conftest import agent_of
from tests.integration.peers import stream_events
from tests.integration.script import OTHERWISE, TURN_ON_KITCHEN
from tests.integration.talk import (
    PROPS,
    act,
    ask,
    ask_as_a_pipeline,
    contents,
    is_prefill,
    llama_peer,
    no_slots,
    piece,
    said_in,
    speech,
    sse,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.components import conversation
    from homeassistant.core import Event, EventStateChangedData, HomeAssistant
    from homeassistant.util.json import JsonObjectType

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

    type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

pytestmark = pytest.mark.usefixtures("home")
CUT = "The rest of the answer did not come."
CUT_ITALIAN = "Il resto della risposta non è arrivato."
LIGHT = "light.kitchen_light"
HI = [piece(content="Hi."), piece("stop")]
WORDS = [piece(content="I was"), piece(content=" about to")]
TOO_LONG = {
    "error": {
        "code": 400,
        "message": "the request exceeds the available context size",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9000,
        "n_ctx": 4096,
    }
}


def call(tool: str, /, **arguments: Any) -> list[dict[str, Any]]:
    """Return an answer with one tool call."""
    function = {"name": tool, "arguments": json.dumps(arguments)}
    calls = [{"index": 0, "id": "1", "function": function}]
    return [piece(tool_calls=calls), piece("tool_calls")]


TURN_ON = call("intent__HassTurnOn", name="Kitchen Light")


def complete(*chunks: dict[str, Any]) -> Answer:
    """Return a complete answer."""
    return lambda request: stream_events(request, sse(*chunks))


def broken(fault: str, *chunks: dict[str, Any]) -> Answer:
    """Return an answer that starts with these chunks and then fails."""

    async def answer(request: web.Request) -> web.StreamResponse:
        *lines, _done = sse(*chunks)
        if fault == "error":
            lines.append('data: {"error":{"code":500,"message":"slot crashed"}}')
        elif fault == "context":
            lines.append(f"data: {json.dumps(TOO_LONG)}")
        elif fault == "garbage":
            lines.append("data: {not json")
        response = await stream_events(request, lines)
        if fault == "reset":
            assert request.transport is not None
            # Let the written chunks arrive.
            await asyncio.sleep(0.1)
            request.transport.abort()
        elif fault == "endless":
            for _ in range(3000):
                await response.write(f"data: {json.dumps(piece(content=' word'))}\n\n".encode())
                await asyncio.sleep(0.01)
        return response

    return answer


FAULTS = ["no end", "reset", "error", "garbage", "context"]


async def faulty_peer(peers: Peers, *answers: Answer) -> tuple[str, list[Any]]:
    """Start a llama-server that gives these answers in turn; return its address and requests."""
    requests: list[Any] = []
    waiting = list(answers)

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(PROPS)
        if request.path != "/v1/chat/completions":
            return no_slots()
        body = await request.json()
        if is_prefill(body):
            return await stream_events(request, sse(piece("stop")))
        requests.append(body)
        return await waiting.pop(0)(request)

    return await peers.http(handle), requests


def roles(told: dict[str, Any]) -> list[str]:
    """Return the roles of a stored conversation."""
    return [one["role"] for one in told["messages"]]


@pytest.mark.parametrize("fault", FAULTS)
async def test_words_that_were_said_stay(
    home: HomeAssistant, add_server: AddServer, peers: Peers, fault: str
) -> None:
    """They are spoken, stored and in the next prompt, with a sentence that the rest is missing."""
    url, requests = await faulty_peer(peers, broken(fault, *WORDS), complete(*HI))
    await add_server(url)
    result = await ask(home, "Hello")
    assert result.response.error_code is None
    assert speech(result) == f"I was about to {CUT}"
    assert speech(await ask(home, "Go on", result.conversation_id)) == "Hi."
    assert said_in(requests[1]) == ["Hello", f"I was about to {CUT}", "Go on"]
    told = await act(home, "history", conversation_id=result.conversation_id)
    assert [one["content"] for one in told["messages"][:2]] == ["Hello", f"I was about to {CUT}"]


@pytest.mark.parametrize("end", [" ", "\n"])
async def test_words_that_end_with_a_space(
    home: HomeAssistant, add_server: AddServer, peers: Peers, end: str
) -> None:
    """The sentence follows without another space."""
    url, _ = await faulty_peer(peers, broken("no end", piece(content=f"I was{end}")))
    await add_server(url)
    assert speech(await ask(home, "Hello")) == f"I was{end}{CUT}"


async def test_an_action_gets_the_words_that_were_said(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The finish reason says that they are incomplete, in the language of the home."""
    home.config.language = "it"
    url, _ = await faulty_peer(peers, broken("no end", *WORDS))
    await add_server(url)
    response = await act(home, "chat", message="Hello")
    assert response["response"] == f"I was about to {CUT_ITALIAN}"
    assert response["finish_reason"] == "cut"
    assert response["message_count"] == 2


# An exceeded context is retried without the oldest turns.
@pytest.mark.parametrize("fault", FAULTS[:-1])
async def test_a_turn_without_words_is_forgotten(
    home: HomeAssistant, add_server: AddServer, peers: Peers, fault: str
) -> None:
    """Thoughts and half a call are dropped: the next prompt has neither words nor error."""
    half = {"index": 0, "id": "1", "function": {"name": "intent__HassTurnOn", "arguments": '{"na'}}
    thinking = [piece(reasoning_content="Hm."), piece(tool_calls=[half])]
    url, requests = await faulty_peer(
        peers, complete(*HI), broken(fault, *thinking), broken(fault), complete(*HI)
    )
    await add_server(url)
    first = await ask(home, "Hello")
    for words in ("Lost", "Lost again"):
        assert (await ask(home, words, first.conversation_id)).response.error_code is not None
    await ask(home, "And now?", first.conversation_id)
    assert said_in(requests[-1]) == ["Hello", "Hi.", "And now?"]
    assert state_of(home, LIGHT).state == "off"


@pytest.mark.parametrize("fault", [*FAULTS, "words"])
async def test_what_tools_have_done_is_told(
    home: HomeAssistant, add_server: AddServer, peers: Peers, fault: str
) -> None:
    """The model, when asked again, knows that it is done; so do the user and the history."""
    last = broken("no end", *WORDS) if fault == "words" else broken(fault)
    url, requests = await faulty_peer(peers, complete(*TURN_ON), last, complete(*HI))
    await add_server(url)
    result = await ask(home, "Turn on the kitchen light")
    assert state_of(home, LIGHT).state == "on"
    assert result.response.error_code is None
    words = "I was about to " if fault == "words" else ""
    assert speech(result) == f"{words}Done: Kitchen Light. {CUT}"
    told = await act(home, "history", conversation_id=result.conversation_id)
    assert roles(told) == ["user", "assistant", "tool", "assistant"]
    await ask(home, "Turn on the kitchen light", result.conversation_id)
    _, _, called, done, spoken, again = requests[-1]["messages"]
    assert called["tool_calls"][0]["id"] == done["tool_call_id"] == short_id("1")
    assert spoken["content"] == speech(result)
    assert again["role"] == "user"


@pytest.mark.parametrize("action", ["chat", "send"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_what_tools_of_an_action_have_done_is_returned(
    home: HomeAssistant, add_server: AddServer, peers: Peers, fault: str, action: str
) -> None:
    """The action does not fail, as an automation would repeat it."""
    url, _ = await faulty_peer(peers, complete(*TURN_ON), broken(fault))
    await add_server(url)
    data = {"message": "Turn on the kitchen light", "llm_hass_api": "assist"}
    if action == "send":
        data["conversation_id"] = (await act(home, "start"))["conversation_id"]
    response = await act(home, action, **data)
    assert response["response"] == f"Done: Kitchen Light. {CUT}"
    assert response["finish_reason"] == "cut"
    assert response["message_count"] == 4
    told = await act(home, "history", conversation_id=response["conversation_id"])
    assert roles(told) == ["user", "assistant", "tool", "assistant"]


async def test_what_was_only_read_is_not_done(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Nor are failed calls: the turn is forgotten, and fails."""
    reads = call("llm__GetDateTime")
    fails = call("intent__HassTurnOn", name="Moon")
    url, requests = await faulty_peer(
        peers,
        complete(*reads),
        broken("no end"),
        complete(*fails),
        broken("no end"),
        complete(*HI),
    )
    await add_server(url)
    first = await ask(home, "What time is it?")
    assert first.response.error_code is not None
    assert (await ask(home, "To the moon", first.conversation_id)).response.error_code is not None
    await ask(home, "Hello", first.conversation_id)
    assert said_in(requests[-1]) == ["Hello"]


async def test_a_real_server_that_dies_between_call_and_words(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """The light is on, so the answer says so; the next prompt has it."""
    await add_server(own_server.base_url)

    def die(event: Event[EventStateChangedData]) -> None:
        if event.data["entity_id"] == LIGHT:
            own_server.kill()

    unsubscribe = home.bus.async_listen("state_changed", die)
    result = await ask(home, TURN_ON_KITCHEN)
    unsubscribe()
    assert state_of(home, LIGHT).state == "on"
    assert speech(result) == f"Done: Kitchen Light. {CUT}"
    own_server.start()
    own_server.wait_ready()
    assert speech(await ask(home, "Hello", result.conversation_id)) == OTHERWISE
    kinds = [type(one).__name__ for one in contents(home, result)]
    assert kinds[1:] == [
        "UserContent",
        "AssistantContent",
        "ToolResultContent",
        "AssistantContent",
        "UserContent",
        "AssistantContent",
    ]


@pytest.mark.parametrize("says", [True, False])
async def test_an_endless_answer_is_cut(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
    *,
    says: bool,
) -> None:
    """A turn has a time limit; the words until then stay."""
    monkeypatch.setattr(turn_module, "TURN_SECONDS", 1.0)
    url, requests = await faulty_peer(
        peers, broken("endless", *(WORDS if says else ())), complete(*HI)
    )
    await add_server(url)
    result = await ask(home, "Hello")
    assert speech(result).startswith("I was about to word word" if says else " word word")
    assert speech(result).endswith(f"word {CUT}")
    monkeypatch.undo()
    await ask(home, "Enough", result.conversation_id)
    assert said_in(requests[-1]) == ["Hello", speech(result), "Enough"]


class SlowTool(llm.Tool):
    """A tool that never ends."""

    name = "slow_tool"
    description = "Takes its time."
    parameters = probatio.Schema({})

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> JsonObjectType:
        await asyncio.sleep(600)
        return {}


class SlowApi(llm.API):
    """An API with only that tool."""

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        return llm.APIInstance(self, "", llm_context, [SlowTool()])


async def test_a_tool_that_does_not_end(
    home: HomeAssistant, add_server: AddServer, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have worked: the answer says so, and the next prompt."""
    url, requests = await faulty_peer(peers, complete(*call("slow_tool")), complete(*HI))
    entry = await add_server(url)
    llm.async_register_api(home, SlowApi(hass=home, id="slow", name="Slow"))
    data = {**agent_of(entry).data, "llm_hass_api": ["slow"]}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
    await home.async_block_till_done()
    monkeypatch.setattr(turn_module, "TURN_SECONDS", 1.0)
    monkeypatch.setattr(turn_module, "TOOL_SECONDS", 0.2)
    result = await ask(home, "Take your time")
    assert speech(result) == (
        f"This has not ended in time, but may still have worked: slow_tool. {CUT}"
    )
    monkeypatch.undo()
    await ask(home, "Hello", result.conversation_id)
    _, _, called, done, spoken, _ = requests[-1]["messages"]
    assert called["tool_calls"][0]["id"] == done["tool_call_id"]
    assert "has not ended in time" in done["content"]
    assert spoken["content"] == speech(result)


async def test_a_silent_model_that_has_acted(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The answer says what was done, in Assist and from an action."""
    silent = [complete(*TURN_ON), complete(piece("stop"))]
    url, _ = await faulty_peer(peers, *silent, *silent)
    await add_server(url)
    assert speech(await ask(home, "Turn it on", language="it")) == "Fatto: Kitchen Light."
    response = await act(home, "chat", message="Turn it on", llm_hass_api="assist")
    assert response["response"] == "Done: Kitchen Light."
    assert response["finish_reason"] == "stop"


async def test_what_was_added_to_a_list_is_told(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The answer says what was added, and to which list."""
    adds = call("todo__HassListAddItem", item="Milk", name="Shopping List")
    url, _ = await faulty_peer(peers, complete(*adds), broken("no end"))
    await add_server(url)
    assert speech(await ask(home, "Add milk")) == f"Done: Milk (Shopping List). {CUT}"


async def test_a_cut_is_spoken_as_it_comes(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A listener to the stream gets all words of the result."""
    url, _ = await faulty_peer(peers, complete(*TURN_ON), broken("reset", *WORDS))
    await add_server(url)
    heard: list[str] = []

    def listen(_log: conversation.ChatLog, delta: dict[str, Any]) -> None:
        if delta.get("role", "assistant") == "assistant":
            heard.append(delta.get("content") or "")

    result = await ask_as_a_pipeline(home, "Turn it on", None, listen)
    assert "".join(heard) == speech(result) == f"I was about to Done: Kitchen Light. {CUT}"


async def test_a_pipeline_forgets_a_failed_turn(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Home Assistant 2026.11 would add "(no response)" or our error to the chat log."""
    url, requests = await faulty_peer(peers, broken("error"), broken("no end"), complete(*HI))
    await add_server(url)
    first = await ask_as_a_pipeline(home, "Lost", None)
    assert first.response.error_code is not None
    again = await ask_as_a_pipeline(home, "Lost again", first.conversation_id)
    assert again.response.error_code is not None
    last = await ask_as_a_pipeline(home, "Hello", first.conversation_id)
    assert speech(last) == "Hi."
    assert said_in(requests[-1]) == ["Hello"]


@pytest.mark.parametrize("before", [0, 1])
async def test_a_cancelled_turn_is_forgotten(
    home: HomeAssistant, add_server: AddServer, peers: Peers, before: int
) -> None:
    """A user who stops listening has no turn."""
    asked = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        asked.set()
        response = await stream_events(request, [])
        await asyncio.sleep(600)
        return response

    url, requests = await faulty_peer(peers, *[complete(*HI)] * before, hang, complete(*HI))
    await add_server(url)
    conversation_id = (await act(home, "start"))["conversation_id"]
    for _ in range(before):
        await ask(home, "Hello", conversation_id)
    task = home.async_create_task(ask(home, "Lost", conversation_id))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ask(home, "And now?", conversation_id)
    assert said_in(requests[-1]) == [*["Hello", "Hi."] * before, "And now?"]


async def test_a_turn_that_cannot_begin_is_forgotten(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """With a missing API, no request is sent."""
    url, requests = await llama_peer(peers, HI, HI)
    entry = await add_server(url)
    before = dict(agent_of(entry).data)
    first = await ask(home, "Hello")
    for data in ({**before, "llm_hass_api": ["gone"]}, before):
        home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
        await home.async_block_till_done()
        if data is not before:
            lost = await ask(home, "Lost", first.conversation_id)
            assert speech(lost) == "Error preparing LLM API"
    await ask(home, "And now?", first.conversation_id)
    assert said_in(requests[-1]) == ["Hello", "Hi.", "And now?"]


async def test_an_ai_task_has_no_half_answer(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Half a text is no result."""
    url, _ = await faulty_peer(peers, broken("no end", *WORDS))
    await add_server(url)
    with pytest.raises(HomeAssistantError) as caught:
        await home.services.async_call(
            "ai_task",
            "generate_data",
            {
                "task_name": "t",
                "instructions": "Write.",
                "entity_id": "ai_task.house_llama_ai_task",
            },
            blocking=True,
            return_response=True,
        )
    assert caught.value.translation_key == "malformed_answer"
