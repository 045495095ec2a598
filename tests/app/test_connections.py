"""Idle connections are closed, and used ones stay."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from dev.processes import LOOPBACK
from llamacpp_app import connections as module
from llamacpp_app.connections import Connections

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.usefixtures("socket_enabled")

WAIT_SECONDS = 20.0


@contextlib.asynccontextmanager
async def serving(seconds: float) -> AsyncGenerator[int]:
    """Serve an answer that takes this long, and watch the connections; yield the port."""
    connections = Connections()

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.Response(text="done")

    app = web.Application(middlewares=[connections.middleware()])
    app.router.add_get("/", slow)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    assert runner.server is not None
    watching = asyncio.create_task(connections.watch(runner.server))
    yield runner.addresses[0][1]
    watching.cancel()
    await runner.cleanup()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Return whether the other side closes a connection within a while."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            return await reader.read() == b""
    except ConnectionError:
        return True


async def test_half_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is closed like a silent connection; one that waits for an answer is not."""
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.5)
    async with serving(1.5) as port:
        half, half_writer = await asyncio.open_connection(LOOPBACK, port)
        half_writer.write(b"GET / HTTP/1.1\r\nHost:")
        nothing, nothing_writer = await asyncio.open_connection(LOOPBACK, port)
        whole, whole_writer = await asyncio.open_connection(LOOPBACK, port)
        whole_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await is_closed(half)
        assert await is_closed(nothing)
        async with asyncio.timeout(WAIT_SECONDS):
            assert b"200" in await whole.readline()
        for writer in (half_writer, nothing_writer, whole_writer):
            writer.close()


async def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are closed first, so that new ones can connect."""
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(module, "MAX_IDLE", 3)
    async with serving(0) as port:
        readers, writers = [], []
        for _ in range(8):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            readers.append(reader)
            writers.append(writer)
            await asyncio.sleep(0.1)
        assert all([await is_closed(one) for one in readers[:5]])
        writers[-1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WAIT_SECONDS):
            assert b"200" in await readers[-1].readline()
        for writer in writers:
            writer.close()
