"""Streams of events: errors in the middle, and clients that do not read."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from dev.processes import LOOPBACK
from llamacpp_app import events as events_module
from llamacpp_app import schemas
from llamacpp_app.events import Events
from llamacpp_app.guard import errors_as_json
from llamacpp_app.schemas import CHAT, body_of
from llamacpp_app.upstream import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiohttp.typedefs import Handler

    type Serve = Callable[[Handler], Any]

WAIT_SECONDS = 10.0


@pytest.fixture
async def serve(socket_enabled: None) -> AsyncGenerator[Serve]:  # noqa: ARG001
    """Return a function that serves a handler like the app does, and returns the port."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> int:
        app = web.Application(middlewares=[errors_as_json])
        app.router.add_post("/", handler)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        port: int = runner.addresses[0][1]
        return port

    yield start
    for runner in runners:
        await runner.cleanup()


def failing(err: Exception, *words: str) -> Handler:
    """Return a handler that fails after these words."""

    async def handler(request: web.Request) -> web.StreamResponse:
        events = Events(request)

        async def ask() -> dict[str, Any]:
            for word in words:
                await events.tell(word)
            raise err

        return await events.answer(ask)

    return handler


FAULTS = {
    "broken_answer": UpstreamError("broken_answer", "It broke off."),
    "internal": ZeroDivisionError("some inside"),
}


@pytest.mark.parametrize(
    ("code", "words"),
    [("broken_answer", "It broke off."), ("internal", "Its log tells more")],
)
async def test_a_fault_in_the_middle(
    serve: Serve, caplog: pytest.LogCaptureFixture, code: str, words: str
) -> None:
    """Sent words stay, and the last event has the error; our own errors are logged."""
    port = await serve(failing(FAULTS[code], "One", " two"))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{LOOPBACK}:{port}/") as response,
    ):
        assert response.status == 200
        *deltas, last = (await response.text()).strip().split("\n\n")
    told = [json.loads(one.removeprefix("event: delta\ndata: "))["delta"] for one in deltas]
    assert told == ["One", " two"]
    name, _, data = last.partition("\ndata: ")
    error = json.loads(data)["error"]
    assert (name, error["code"]) == ("event: error", code)
    assert words in error["message"]
    assert ("some inside" in caplog.text) is (code == "internal")


async def test_a_fault_before_the_first_word(serve: Serve, session: aiohttp.ClientSession) -> None:
    """Nothing was sent, so the error has a status."""
    port = await serve(failing(UpstreamError("timeout", "Too long.", 504)))
    async with session.post(f"http://{LOOPBACK}:{port}/") as response:
        assert response.status == 504
        assert (await response.json())["error"]["code"] == "timeout"


async def test_who_takes_nothing_is_left(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that does not read is disconnected after a while, without an error in the log."""
    monkeypatch.setattr(events_module, "WRITE_SECONDS", 0.1)
    ended = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        events = Events(request)

        async def ask() -> dict[str, Any]:
            while True:
                await events.tell("word " * 100_000)

        try:
            return await events.answer(ask)
        finally:
            ended.set()

    port = await serve(handler)
    _, writer = await asyncio.open_connection(LOOPBACK, port, limit=1024)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(WAIT_SECONDS):
        await ended.wait()
    writer.close()
    assert "failed" not in caplog.text


async def test_a_body_that_does_not_come(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request is answered with an error, and does not block others."""
    monkeypatch.setattr(schemas, "BODY_SECONDS", 0.1)

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response(await body_of(request, CHAT))

    port = await serve(handler)
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"message": "He')
    async with asyncio.timeout(WAIT_SECONDS):
        assert b" 408 " in await reader.readline()
        assert b'"code": "too_slow"' in await reader.readuntil(b"}}")
    writer.close()
