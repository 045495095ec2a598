"""Answers are read in as few pieces as a listener needs, and never after their end."""

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from dev.processes import LOOPBACK
from llamacpp_app import read_batching
from llamacpp_app.upstream import Piece, Upstream, UpstreamError, local_session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

N_WORDS = 60
PAUSE_SECONDS = 0.01
WAIT_SECONDS = 10.0
pytestmark = pytest.mark.usefixtures("socket_enabled")


def chunk(data: str) -> bytes:
    """Return an event as a chunk of HTTP."""
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


@contextlib.asynccontextmanager
async def answering(*last: str, hangs_up: bool = True) -> AsyncGenerator[Upstream]:
    """Serve an answer of many words, one after the other, then these events."""
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(N_WORDS):
            writer.write(chunk(json.dumps({"choices": [{"delta": {"content": f" {number}"}}]})))
            await asyncio.sleep(PAUSE_SECONDS)
        writer.write(b"".join(chunk(one) for one in last) + b"0\r\n\r\n")
        await writer.drain()
        if not hangs_up:
            await left.wait()
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with local_session() as session:
            yield Upstream(session, f"http://{LOOPBACK}:{port}", "")
    finally:
        left.set()
        server.close()
        await server.wait_closed()


async def pieces_of(upstream: Upstream, *, is_live: bool) -> list[Piece]:
    """Return the pieces of an answer."""
    async with asyncio.timeout(WAIT_SECONDS):
        return [one async for one in upstream.chat({"messages": []}, is_live=is_live)]


WORDS = "".join(f" {number}" for number in range(N_WORDS))
USAGE = json.dumps({"choices": [], "usage": {"completion_tokens": N_WORDS}})


async def test_nobody_looks_before_the_end() -> None:
    """Only with the headers, at a look, and at the end."""
    async with answering(USAGE, "[DONE]") as upstream:
        pieces = [one for one in await pieces_of(upstream, is_live=False) if one != Piece()]
    assert "".join(one.text for one in pieces) == WORDS
    assert pieces[-1].usage == {"completion_tokens": N_WORDS}
    assert len(pieces) <= 3


async def test_somebody_looks() -> None:
    """The first words come alone, later ones in groups."""
    async with answering(USAGE, "[DONE]") as upstream:
        pieces = await pieces_of(upstream, is_live=True)
    words = [one.text for one in pieces if one.text]
    assert "".join(words) == WORDS
    assert words[0] == " 0"
    assert 2 < len(words) < N_WORDS / 2


@pytest.mark.parametrize("is_live", [True, False])
async def test_a_server_that_does_not_hang_up(
    monkeypatch: pytest.MonkeyPatch,
    is_live: bool,  # noqa: FBT001 - a parameter of a test
) -> None:
    """The end of an answer is seen at the next look."""
    monkeypatch.setattr("llamacpp_app.upstream.QUIET_SECONDS", 2 * read_batching.LIVE_SECONDS)
    async with answering(USAGE, "[DONE]", hangs_up=False) as upstream:
        pieces = await pieces_of(upstream, is_live=is_live)
    assert "".join(one.text for one in pieces) == WORDS


@pytest.mark.parametrize(
    ("last", "words"),
    [('{"error": {"message": "It is on fire."}}', "It is on fire"), (USAGE, "broke off")],
)
async def test_a_fault_at_the_end(last: str, words: str) -> None:
    """An error event, or a missing end, is an error."""
    async with answering(last) as upstream:
        with pytest.raises(UpstreamError, match=words):
            await pieces_of(upstream, is_live=False)
