"""Errors of a server during an answer: one retry, then an error that can be spoken."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.exceptions import HomeAssistantError

from custom_components.llamacpp.client import ServerFaultError
from custom_components.llamacpp.client.errors import error_from_answer
from tests.integration.script import CALLED_OTHERWISE
from tests.integration.talk import (
    act,
    add_native,
    ask,
    contents,
    llama_peer,
    piece,
    speech,
    state_of,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

LIGHT = "light.kitchen_light"
TURN_ON = {"name": "intent__HassTurnOn", "arguments": {"name": "Kitchen Light"}}
# llama-server's own words, from issues #20260, #24807, #29240, #22537 of llama.cpp and others.
MESSAGES = (
    'got exception: Unexpected empty grammar stack after accepting piece: <tool_call>\n{"name": "',
    "The model produced output that does not match the expected peg-native format",
    'Failed to parse input at pos 5: <tool_call>{"a"}',
    "Invalid diff: now finding less tool calls!",
    "[json.exception.parse_error.101] parse error at line 1, column 1",
)
OTHERS = ("slot crashed", "out of memory", "Value is not callable: null at row 1 {{ x }}")
SPOKEN = (
    "The language model's server had an error. Please try again; "
    "the log of Home Assistant says what it was."
)


def error(message: str, code: int = 500) -> dict[str, Any]:
    """Return an error event of a stream."""
    kind = "server_error" if code == 500 else "invalid_request_error"
    return {"error": {"code": code, "message": message, "type": kind}}


def words(*texts: str) -> list[dict[str, Any]]:
    """Return an answer."""
    return [*(piece(content=one) for one in texts), piece("stop")]


def call() -> list[dict[str, Any]]:
    """Return an answer with a call that turns on the light."""
    function = {"name": TURN_ON["name"], "arguments": json.dumps(TURN_ON["arguments"])}
    return [piece(tool_calls=[{"index": 0, "id": "1", "function": function}]), piece("tool_calls")]


@pytest.mark.parametrize("message", [*MESSAGES, *OTHERS])
@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_not_read(message: str, status: int) -> None:
    """A parser error is told apart from other errors of the server."""
    fault = error_from_answer(status, error(message))
    assert isinstance(fault, ServerFaultError)
    assert fault.is_unread == (message in MESSAGES)


@pytest.mark.parametrize("message", [*MESSAGES, *OTHERS])
async def test_one_more_try(
    home: HomeAssistant, add_server: AddServer, peers: Peers, message: str
) -> None:
    """The same prompt, without the server's parser."""
    url, requests = await llama_peer(peers, [error(message)], words("Second try."))
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Hello")) == "Second try."
    first, second = requests
    assert second["messages"] == first["messages"]
    assert second["tools"] == first["tools"]
    assert "<tool_call>" in second["preserved_tokens"]


async def test_a_real_server_that_does_not_read_its_model(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It fails on a tool that was not offered; the retry finds the call in the text."""
    await add_native(home, add_server, scripted_server.base_url)
    assert speech(await ask(home, CALLED_OTHERWISE)) == "Called by another name."
    assert state_of(home, LIGHT).state == "on"
    assert "asks once more" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>\n{json.dumps(TURN_ON)}\n</tool_call>",
        f"<think>\nShall I?\n</think>\n\n{json.dumps(TURN_ON)}",
        'HassTurnOn(name="Kitchen Light")',
    ],
)
async def test_calls_in_the_second_try(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str
) -> None:
    """They are found in the text, and not spoken."""
    url, _ = await llama_peer(peers, [error(MESSAGES[0])], words(*text), words("It is on."))
    await add_native(home, add_server, url)
    result = await ask(home, "Turn it on")
    assert speech(result) == "It is on."
    assert state_of(home, LIGHT).state == "on"
    assert not any("<" in (getattr(one, "content", "") or "") for one in contents(home, result)[2:])


@pytest.mark.parametrize("message", [*MESSAGES, *OTHERS])
@pytest.mark.parametrize("code", [500, 400])
async def test_a_server_that_keeps_failing(  # noqa: PLR0913 - fixtures and what is told
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    caplog: pytest.LogCaptureFixture,
    *,
    message: str,
    code: int,
) -> None:
    """The answer is a short sentence; the log has the details."""
    url, requests = await llama_peer(peers, *[[error(message, code)]] * 3)
    await add_native(home, add_server, url)
    result = await ask(home, "Hello")
    assert result.response.error_code is not None
    refused = "The language model's server refused the request. The log of Home Assistant says why."
    assert speech(result) == (SPOKEN if code == 500 else refused)
    assert message in caplog.text
    assert len(requests) == (2 if code == 500 else 1)


async def test_an_action_of_a_server_that_keeps_failing(
    home: HomeAssistant, add_server: AddServer, peers: Peers, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets the same sentence."""
    url, _ = await llama_peer(peers, *[[error(MESSAGES[0])]] * 2)
    await add_server(url)
    with pytest.raises(HomeAssistantError) as caught:
        await act(home, "chat", message="Hello")
    assert f"{caught.value}." == SPOKEN
    assert MESSAGES[0] in caplog.text


async def test_words_before_the_error_stay(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Spoken words cannot be taken back, so there is no retry."""
    url, requests = await llama_peer(peers, [piece(content="I was"), error(MESSAGES[0])])
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Hello")) == "I was The rest of the answer did not come."
    assert len(requests) == 1


@pytest.mark.parametrize("message", MESSAGES)
async def test_an_error_after_a_tool(
    home: HomeAssistant, add_server: AddServer, peers: Peers, message: str
) -> None:
    """The turn succeeds: the answer says what was done."""
    failed = [piece(content=""), error(message)]
    url, requests = await llama_peer(peers, call(), failed, failed, words("Hi."))
    await add_native(home, add_server, url)
    result = await ask(home, "Turn it on")
    assert speech(result) == "Done: Kitchen Light."
    assert result.response.error_code is None
    assert len(requests) == 3
    assert speech(await ask(home, "Hello", result.conversation_id)) == "Hi."
    assert "Done: Kitchen Light." in [one["content"] for one in requests[-1]["messages"]]


@pytest.mark.parametrize(
    "silent", [[piece("stop")], words(" \n "), [piece(reasoning_content="Hm."), piece("stop")]]
)
@pytest.mark.parametrize("language", ["en", "it"])
async def test_a_silent_model_that_has_looked_something_up(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    *,
    silent: list[dict[str, Any]],
    language: str,
) -> None:
    """It has looked: the user need not rephrase the question."""
    function = {"name": "llm__GetDateTime", "arguments": "{}"}
    calls = [{"index": 0, "id": "1", "function": function}]
    reads = [piece(tool_calls=calls), piece("tool_calls")]
    url, _ = await llama_peer(peers, reads, silent)
    await add_native(home, add_server, url)
    told = {
        "en": "I have looked it up, but the model had nothing to say about it.",
        "it": "Ho cercato, ma il modello non ha saputo dire nulla al riguardo.",
    }
    result = await ask(home, "What time is it?", language=language)
    assert speech(result) == told[language]
    assert any(isinstance(one, conversation.ToolResultContent) for one in contents(home, result))


@pytest.mark.parametrize(
    "silent", [[piece("stop")], words(" \n "), [piece(reasoning_content="Hm."), piece("stop")]]
)
async def test_a_silent_model_that_has_acted(
    home: HomeAssistant, add_server: AddServer, peers: Peers, silent: list[dict[str, Any]]
) -> None:
    """The answer says what was done."""
    url, _ = await llama_peer(peers, call(), silent)
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Turn it on")) == "Done: Kitchen Light."
