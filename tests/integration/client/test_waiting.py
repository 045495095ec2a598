"""How long the client waits for an unreachable server, and for a busy one."""

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from custom_components.llamacpp.client import (
    CannotConnectError,
    Completion,
    ServerAwayError,
    TextDelta,
    Timeouts,
)
from tests.conftest import serving
from tests.integration.peers import collect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.integration.peers import Peers

FOREVER = 60.0
# The other limits stay: only a health check can end a wait within the time of a test.
SHORT = Timeouts(quiet=0.1, health=1.0)
WAIT_SECONDS = 120.0
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
PROGRESS = b'data: {"choices":[],"prompt_progress":{"total":9,"cache":0,"processed":4}}\n\n'
KEEP_ALIVE = b":\n\n"


class Server:
    """A server with given health checks and chats.

    health: statuses of the health checks, the last one forever; None: no answer. pieces: of a chat,
    sent at once; None: not even headers. n_checks: health checks until now. chat_goes_on: completes
    the chat.
    """

    def __init__(self, health: Iterable[int | None], pieces: bytes | None) -> None:
        """Start without any request."""
        self._health = list(health)
        self._pieces = pieces
        self.n_checks = 0
        self.checked = asyncio.Condition()
        self.chat_goes_on = asyncio.Event()

    async def until_checked(self, n_checks: int) -> None:
        """Wait until this many health checks have come."""
        async with asyncio.timeout(WAIT_SECONDS), self.checked:
            await self.checked.wait_for(lambda: self.n_checks >= n_checks)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a health check or a chat."""
        if request.path == "/health":
            return await self._answer_check()
        if self._pieces is None:
            await self.chat_goes_on.wait()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(self._pieces or b"")
        while not self.chat_goes_on.is_set():
            await asyncio.sleep(0.02)
            if self._pieces and self._pieces.endswith(KEEP_ALIVE):
                await response.write(KEEP_ALIVE)
        await response.write(HELLO + STOP)
        return response

    async def _answer_check(self) -> web.Response:
        status = self._health[min(self.n_checks, len(self._health) - 1)]
        async with self.checked:
            self.n_checks += 1
            self.checked.notify_all()
        if status is None:
            await asyncio.sleep(FOREVER)
        body = {"status": "ok"} if status == 200 else {"error": {"message": "Loading model"}}
        return web.json_response(body, status=status or 500)


@pytest.mark.parametrize(
    "pieces",
    [None, b"", PROGRESS, HELLO, KEEP_ALIVE, HELLO + KEEP_ALIVE],
    ids=["no head", "head", "progress", "text", "keep-alives", "text, keep-alives"],
)
async def test_a_server_that_is_away_ends_the_wait(peers: Peers, pieces: bytes | None) -> None:
    """Two failed health checks in a row end any wait, and nothing is left."""
    server = Server([None], pieces)
    client = peers.client(await peers.http(server.answer), timeouts=SHORT)
    before = asyncio.all_tasks()
    async with asyncio.timeout(WAIT_SECONDS):
        events, error = await collect(client)
    assert type(error) is ServerAwayError
    assert isinstance(error, CannotConnectError)
    # One more if the headers came late.
    assert 2 <= server.n_checks <= 3
    assert (TextDelta("Hello") in events) is (HELLO in (pieces or b""))
    left = {task for task in asyncio.all_tasks() - before if "LlamaServerClient" in repr(task)}
    assert not left


async def test_every_long_request_is_watched(peers: Peers) -> None:
    """So are requests that wait for a router's model, or for a slot file."""
    url = await peers.http(Server([None], None).answer)
    client = peers.client(url, timeouts=SHORT)
    for request in (client.props("big"), client.slot_action(0, "restore", "file")):
        async with asyncio.timeout(WAIT_SECONDS):
            with pytest.raises(ServerAwayError):
                await request


@pytest.mark.parametrize(
    "health",
    [
        [200],
        # One failure is not enough.
        [None, 200],
        [502, 200, 502, 200, None, 200],
        # It lives: the other limits decide how long to wait.
        [503],
        [401],
        [404],
    ],
)
async def test_a_busy_server_is_waited_for(peers: Peers, health: list[int | None]) -> None:
    """A server that answers health checks may take long, queued or during an answer."""
    for pieces in (None, PROGRESS):
        server = Server(health, pieces)
        client = peers.client(await peers.http(server.answer), timeouts=SHORT)
        waiting = asyncio.create_task(collect(client))
        await server.until_checked(7)
        assert not waiting.done()
        server.chat_goes_on.set()
        events, error = await waiting
        assert error is None
        assert isinstance(events[-1], Completion)
        assert TextDelta("Hello") in events


async def test_a_server_without_a_thread_for_its_health(peers: Peers) -> None:
    """While it streams to another request, a queued one keeps waiting."""
    first_may_end = asyncio.Event()
    first_has_ended = asyncio.Event()
    n_checks = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal n_checks
        if request.path == "/health":
            n_checks += 1
            if n_checks == 4:
                first_may_end.set()
            await asyncio.sleep(FOREVER)
        if (await request.json())["messages"]:
            await first_has_ended.wait()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while not (await request.json())["messages"] and not first_may_end.is_set():
            await response.write(HELLO)
            await asyncio.sleep(0.02)
        await response.write(STOP)
        first_has_ended.set()
        return response

    client = peers.client(await peers.http(answer), timeouts=Timeouts(quiet=1.0, health=1.0))
    talking = asyncio.create_task(collect(client))
    last = [event async for event in client.stream_chat({"messages": ["behind"]})]
    assert isinstance(last[-1], Completion)
    assert (await talking)[1] is None
    assert n_checks >= 4


async def test_a_real_server_that_is_stopped(peers: Peers, model: Path, tmp_path: Path) -> None:
    """A process that hangs during an answer ends the wait; a busy one does not."""
    with serving(
        tmp_path / "log.txt", "--ctx-size", "8192", "--parallel", "1", model=model
    ) as llama:
        client = peers.client(llama.base_url, timeouts=Timeouts(quiet=0.5, health=3.0))
        request = {
            "messages": [{"role": "user", "content": "Tell me a story."}],
            "ignore_eos": True,
            "max_tokens": 4000,
        }
        events = client.stream_chat(request)
        async for event in events:
            if isinstance(event, TextDelta):
                break
        # Behind a busy slot, before its own headers.
        queued = asyncio.create_task(collect(client))
        await asyncio.sleep(2.0)
        assert not queued.done()
        os.kill(llama.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                with pytest.raises(ServerAwayError):
                    async for _event in events:
                        pass
                assert type((await queued)[1]) is ServerAwayError
        finally:
            os.kill(llama.pid, signal.SIGCONT)
        async with asyncio.timeout(WAIT_SECONDS):
            await client.health()
