"""An unreachable server: the user gets an error soon, or at once if it is known."""

import asyncio
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from custom_components.llamacpp import connection
from custom_components.llamacpp import coordinator as coordinator_module
from custom_components.llamacpp.client import LlamaServerClient, Timeouts
from custom_components.llamacpp.server_state import ServerStatus
from tests.conftest import serving
from tests.integration.conftest import AGENT, TASK_AGENT, agent_of
from tests.integration.peers import stream_events
from tests.integration.talk import (
    PROPS,
    act,
    ask,
    ask_as_a_pipeline,
    contents,
    is_prefill,
    no_slots,
    piece,
    said_in,
    speech,
    sse,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from homeassistant.components import conversation
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

pytestmark = pytest.mark.usefixtures("home")
AWAY = "I cannot reach the language model's server. Is it running?"
CUT = "The rest of the answer did not come."
FOREVER = 600.0
WAIT_SECONDS = 120.0
HI = [piece(content="Hi."), piece("stop")]


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll the server soon; all other limits are the real ones."""
    timeouts = Timeouts(quiet=0.3, health=2.0)
    client = partial(LlamaServerClient, timeouts=timeouts)
    monkeypatch.setattr(connection, "LlamaServerClient", client)


class Server:
    """A server that can stop responding, and records its requests.

    chats: the requests for answers. words: of an answer, sent before it stops responding.
    """

    def __init__(self) -> None:
        """Start as a healthy server."""
        self.chats: list[dict[str, Any]] = []
        self.is_away = False
        self.words: list[dict[str, Any]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer, unless it is away."""
        body: dict[str, Any] = await request.json() if request.can_read_body else {}
        is_chat = request.path == "/v1/chat/completions" and not is_prefill(body)
        if is_chat:
            self.chats.append(body)
        if self.is_away and is_chat and self.words:
            response = await stream_events(request, list(sse(*self.words))[:-1])
            await asyncio.sleep(FOREVER)
            return response
        if self.is_away:
            await asyncio.sleep(FOREVER)
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(PROPS)
        if request.path.startswith("/slots"):
            return no_slots()
        return await stream_events(request, sse(*HI))


@pytest.fixture
def server() -> Server:
    """Return such a server."""
    return Server()


def client_tasks() -> Iterator[asyncio.Task[Any]]:
    """Yield the client's background tasks."""
    return (task for task in asyncio.all_tasks() if "LlamaServerClient" in repr(task.get_coro()))


def status_of(entry: ConfigEntry[Any]) -> ServerStatus:
    """Return the status of an entry's server."""
    status: ServerStatus = entry.runtime_data.coordinator.status
    return status


async def generate(hass: HomeAssistant) -> dict[str, Any]:
    """Run an AI task and return its response."""
    response = await hass.services.async_call(
        "ai_task",
        "generate_data",
        {"task_name": "t", "instructions": "Write.", "entity_id": TASK_AGENT},
        blocking=True,
        return_response=True,
    )
    return dict(response or {})


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("words", [[], [piece(content="I was about to")]], ids=["head", "words"])
async def test_a_black_hole(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    server: Server,
    words: list[dict[str, Any]],
) -> None:
    """The first question ends after two health checks, the second is not sent."""
    entry = await add_server(await peers.http(server.handle))
    await home.async_block_till_done(wait_background_tasks=True)
    server.is_away, server.words = True, words
    async with asyncio.timeout(WAIT_SECONDS):
        first = await ask(home, "Hello")
    assert speech(first) == (f"I was about to {CUT}" if words else AWAY)
    # It is known before anything else has asked.
    assert status_of(entry) is ServerStatus.UNREACHABLE
    assert state_of(home, AGENT).state == STATE_UNAVAILABLE
    n_chats = len(server.chats)
    async with asyncio.timeout(WAIT_SECONDS):
        assert speech(await ask(home, "Hello?", first.conversation_id)) == AWAY
        assert speech(await ask(home, "Ciao?", language="it")).startswith("Non riesco")
        with pytest.raises(ServiceValidationError) as caught:
            await act(home, "chat", message="Hello?")
        assert caught.value.translation_key == "agent_unavailable"
        with pytest.raises(HomeAssistantError) as failed:
            await generate(home)
        assert failed.value.translation_key == "cannot_connect"
    assert len(server.chats) == n_chats
    server.is_away = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coordinator_module, "RECHECK_SECONDS", WAIT_SECONDS)
        assert speech(await ask(home, "And now?", first.conversation_id)) == "Hi."
    said = ["Hello", f"I was about to {CUT}"] if words else []
    assert said_in(server.chats[-1]) == [*said, "And now?"]
    assert status_of(entry) is ServerStatus.OK
    assert not [*client_tasks()]


@pytest.mark.usefixtures("_impatient")
async def test_a_server_that_is_known_to_be_away_and_back(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first question, action or task after its return finds it."""
    monkeypatch.setattr(coordinator_module, "RECHECK_SECONDS", WAIT_SECONDS)
    entry = await add_server(await peers.http(server.handle))

    async def generated() -> str:
        return str((await generate(home))["data"])

    async def asked() -> str:
        return speech(await ask(home, "Hello"))

    async def chatted() -> str:
        return str((await act(home, "chat", message="Hello"))["response"])

    for answer in (asked, chatted, generated):
        server.is_away = True
        await asyncio.wait_for(entry.runtime_data.coordinator.async_refresh(), WAIT_SECONDS)
        assert status_of(entry) is ServerStatus.UNREACHABLE
        server.is_away = False
        assert await answer() == "Hi."
        assert status_of(entry) is ServerStatus.OK


@pytest.mark.usefixtures("_impatient")
async def test_a_real_server_that_hangs_in_mid_answer(
    home: HomeAssistant,
    add_server: AddServer,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its words are kept; the conversation continues when the server does."""
    flags = ("--ctx-size", "8192", "--parallel", "1")
    with serving(tmp_path / "log.txt", *flags, model=model) as llama:
        entry = await add_server(llama.base_url)
        home.config_entries.async_update_subentry(entry, agent_of(entry), data={})
        await home.async_block_till_done(wait_background_tasks=True)
        heard: list[str] = []

        def listen(_log: conversation.ChatLog, delta: dict[str, Any]) -> None:
            heard.append(delta.get("content") or "")
            if "".join(heard).strip() and CUT not in heard[-1]:
                os.kill(llama.pid, signal.SIGSTOP)

        try:
            async with asyncio.timeout(WAIT_SECONDS):
                words = "Tell me a very long story about a lighthouse."
                result = await ask_as_a_pipeline(home, words, None, listen)
            assert speech(result) == "".join(heard)
            assert speech(result).endswith(f" {CUT}")
            assert status_of(entry) is ServerStatus.UNREACHABLE
            async with asyncio.timeout(WAIT_SECONDS):
                assert speech(await ask(home, "Hello?", result.conversation_id)) == AWAY
        finally:
            os.kill(llama.pid, signal.SIGCONT)
        monkeypatch.setattr(coordinator_module, "RECHECK_SECONDS", WAIT_SECONDS)
        async with asyncio.timeout(WAIT_SECONDS):
            again = await ask(home, "Say hello.", result.conversation_id)
        assert again.response.error_code is None
    said = [getattr(one, "content", "") for one in contents(home, again)[1:]]
    assert said[:3] == [words, speech(result), "Say hello."]
