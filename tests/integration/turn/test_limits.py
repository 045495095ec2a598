"""The agent without a server, without room in the context, or without time."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from homeassistant.components import conversation
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.helpers import issue_registry as ir

from custom_components.llamacpp.client import LlamaServerClient
from custom_components.llamacpp.turn import turn as turn_module
from dev.processes import free_port
from tests.conftest import serving
from tests.integration.conftest import AGENT, FLAGS, agent_of
from tests.integration.peers import stream_events
from tests.integration.script import (
    OTHERWISE,
)
from tests.integration.talk import (
    PROPS,
    ask,
    contents,
    llama_peer,
    piece,
    said_in,
    speech,
    state_of,
    until_busy,
)

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

# A batch of the prompt cannot be aborted, and takes time on a busy machine.
WAIT_SECONDS = 120.0


async def test_too_little_context(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
) -> None:
    """The error has both numbers, and the turn is forgotten."""
    with serving(tmp_path / "log.txt", "--ctx-size", "512", model=scripted_model) as server:
        await add_server(server.base_url)
        result = await ask(home, "Hello", language="it")
    assert result.response.error_code == "failed_to_handle"
    assert "512" in speech(result)
    assert "contesto" in speech(result)
    assert not [
        one for one in contents(home, result) if not isinstance(one, conversation.SystemContent)
    ]


async def test_a_server_that_dies_in_mid_answer(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The user gets an error immediately; the conversation continues without the failed turn."""
    broken = [piece(reasoning_content="I was about to")]
    url, requests = await llama_peer(peers, broken, [piece(content="Hi."), piece("stop")])
    await add_server(url)

    # The stream of the first answer ends without a finish.
    first = await ask(home, "Hello")
    assert first.response.error_code == "failed_to_handle"
    assert speech(first).startswith("The answer of the language model's server broke off")
    second = await ask(home, "Hello?", first.conversation_id)
    assert speech(second) == "Hi."
    assert said_in(requests[1]) == ["Hello?"]


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
    await entry.runtime_data.coordinator.async_refresh()
    assert len([one for one in caplog.records if "Error fetching" in one.message]) == 1

    own_server.start()
    own_server.wait_ready()
    await entry.runtime_data.coordinator.async_refresh()
    assert state_of(home, AGENT).state != STATE_UNAVAILABLE
    assert len([one for one in caplog.records if "recovered" in one.message]) == 1
    assert speech(await ask(home, "Hello")) == OTHERWISE


async def test_an_endless_answer_is_cut(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A turn has a time limit, which keep-alives do not extend."""

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
    """Cancelling a turn stops the model, too."""
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


async def test_a_conversation_that_outgrows_the_context(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The oldest turns are dropped, and the user notices nothing."""
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
    """The repair has both numbers, and is deleted with the first answer."""
    port = free_port()
    issues = ir.async_get(home)
    with serving(
        tmp_path / "1.txt", "--ctx-size", "512", model=scripted_model, port=port
    ) as server:
        entry = await add_server(server.base_url)
        await ask(home, "Hello")
    issue_id = f"context_too_small_{agent_of(entry).subentry_id}"
    issue = issues.async_get_issue("llamacpp", issue_id)
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["context"] == "512"
    assert int(issue.translation_placeholders["needed"]) > 512
    with serving(tmp_path / "2.txt", *FLAGS, model=scripted_model, port=port):
        await entry.runtime_data.coordinator.async_refresh()
        assert speech(await ask(home, "Hello")) == OTHERWISE
    assert issues.async_get_issue("llamacpp", issue_id) is None
