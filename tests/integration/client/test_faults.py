"""The client with peers that fail, or that are no llama-server."""

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from custom_components.llamacpp.client import (
    AuthenticationError,
    BadRequestError,
    CannotConnectError,
    Completion,
    Finish,
    FinishReason,
    MalformedStreamError,
    ModelLoadingError,
    NotLlamaServerError,
    RedirectError,
    ServerFaultError,
    ServerTimeoutError,
    TextDelta,
    Timeouts,
)
from dev.processes import LOOPBACK, free_port
from tests.integration.peers import STREAM_HEAD, chunked, collect

if TYPE_CHECKING:
    from custom_components.llamacpp.client import (
        LlamaServerClient,
        LlamaServerError,
        StreamEvent,
    )
    from tests.integration.peers import Peers

HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
FOREVER = 60.0
SHORT = Timeouts(headers=0.2, silence=0.2, request=0.2)


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await asyncio.sleep(FOREVER)


async def read_until_error(
    client: LlamaServerClient, expected: type[LlamaServerError], message: str = ""
) -> list[StreamEvent]:
    """Return the events before the expected error of a stream."""
    events, error = await collect(client)
    assert type(error) is expected
    assert message in str(error)
    return events


async def test_connection_refused(peers: Peers) -> None:
    """No program listens."""
    client = peers.client(f"http://{LOOPBACK}:{free_port()}")
    with pytest.raises(CannotConnectError, match="cannot be reached"):
        await client.identify()
    await read_until_error(client, CannotConnectError, "cannot be reached")


async def test_no_secure_connection(peers: Peers) -> None:
    """The address has https, but the peer does not speak it."""
    url = await peers.answering(200, "{}")
    with pytest.raises(CannotConnectError, match="secure connection"):
        await peers.client(url.replace("http:", "https:")).health()


async def test_name_not_found(peers: Peers) -> None:
    """The host has no address."""
    with pytest.raises(CannotConnectError, match="cannot be reached"):
        await peers.client("http://nowhere.invalid").health()


async def test_connection_not_accepted(peers: Peers) -> None:
    """The host does not react: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        client = peers.client(url, timeouts=Timeouts(connect=0.2))
        with pytest.raises(ServerTimeoutError):
            await client.health()
        await read_until_error(client, ServerTimeoutError)


async def test_never_answers(peers: Peers) -> None:
    """The limits for headers and for whole requests end the wait."""
    client = peers.client(await peers.raw(hang), timeouts=SHORT)
    with pytest.raises(ServerTimeoutError, match="did not answer in time"):
        await client.health()
    with pytest.raises(ServerTimeoutError, match="did not answer in time"):
        await client.props("some-model")
    assert await read_until_error(client, ServerTimeoutError) == []


async def test_a_model_may_take_longer(peers: Peers) -> None:
    """A request with a model may take as long as a router needs to load it."""
    loaded = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if "model" in request.query:
            await loaded.wait()
        return web.json_response([])

    url = await peers.http(answer)
    client = peers.client(url, timeouts=Timeouts(request=0.1))
    waiting = asyncio.create_task(client.slots("big"))
    await asyncio.sleep(0.3)
    loaded.set()
    assert await waiting == []


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oops"])
async def test_body_never_ends(status: bytes, peers: Peers) -> None:
    """The limit for whole requests ends a body that drips."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 99\r\n\r\n{" % status)
        await asyncio.sleep(FOREVER)

    client = peers.client(await peers.raw(drip), timeouts=SHORT)
    with pytest.raises(ServerTimeoutError):
        await client.health()
    if status.startswith(b"5"):
        await read_until_error(client, ServerTimeoutError)


async def test_stops_in_mid_stream(peers: Peers) -> None:
    """The limit for silence ends the wait; earlier events were passed on."""

    async def stop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunked(HELLO))
        await asyncio.sleep(FOREVER)

    client = peers.client(await peers.raw(stop), timeouts=SHORT)
    assert await read_until_error(client, ServerTimeoutError) == [TextDelta("Hello")]


async def test_keep_alive_comments(peers: Peers) -> None:
    """Comments are no events: the limit between events ends a stream of comments."""

    async def ping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunked(HELLO))
        while True:
            await asyncio.sleep(0.02)
            writer.write(chunked(b":\n\n"))

    client = peers.client(await peers.raw(ping), timeouts=Timeouts(between_events=0.5))
    assert await read_until_error(client, ServerTimeoutError) == [TextDelta("Hello")]


async def test_keep_alive_comments_between_events(peers: Peers) -> None:
    """Comments do no harm between events that come in time."""

    async def ping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD)
        for _ping in range(5):
            writer.write(chunked(b":\n\n"))
            await asyncio.sleep(0.01)
        writer.write(chunked(b":\n\n" + HELLO + b":\n\n" + STOP + DONE))
        await asyncio.sleep(FOREVER)

    client = peers.client(await peers.raw(ping))
    assert [event async for event in client.stream_chat({"messages": []})] == [
        TextDelta("Hello"),
        Finish(FinishReason.STOP),
        Completion(None, None),
    ]


@pytest.mark.parametrize("way", ["close", "reset"])
async def test_closes_in_mid_stream(way: str, peers: Peers) -> None:
    """A connection that ends inside the body does not finish the answer."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunked(HELLO))
        await writer.drain()
        if way == "reset":
            await asyncio.sleep(0.05)
            writer.transport.abort()

    client = peers.client(await peers.raw(close))
    assert await read_until_error(client, CannotConnectError) == [TextDelta("Hello")]


async def test_closes_after_the_finish(peers: Peers) -> None:
    """The answer is complete; only its usage is unknown."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunked(HELLO + STOP))

    events, error = await collect(peers.client(await peers.raw(close)))
    assert error is None
    assert events == [TextDelta("Hello"), Finish(FinishReason.STOP), Completion(None, None)]


async def test_closes_before_the_answer(peers: Peers) -> None:
    """The connection ends instead of an answer."""

    async def close(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        pass

    client = peers.client(await peers.raw(close))
    with pytest.raises(CannotConnectError):
        await client.health()
    await read_until_error(client, CannotConnectError)


async def test_body_shorter_than_announced(peers: Peers) -> None:
    """The connection ends inside a body that is no stream."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"status":"ok"}')
        await writer.drain()

    client = peers.client(await peers.raw(close))
    with pytest.raises(CannotConnectError, match="broke before the answer was complete"):
        await client.health()


async def test_speaks_no_http(peers: Peers) -> None:
    """Another protocol answers."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await writer.drain()

    client = peers.client(await peers.raw(greet))
    with pytest.raises(NotLlamaServerError, match="does not speak HTTP"):
        await client.identify()


@pytest.mark.parametrize(
    ("lines", "error", "message", "text"),
    [
        ([HELLO], MalformedStreamError, "stopped before its end", "Hello"),
        ([HELLO, DONE], MalformedStreamError, "stopped before its end", "Hello"),
        ([HELLO, b"data: {bad\n\n"], MalformedStreamError, "no JSON", "Hello"),
        ([b"data: " + b"x" * 2_000_000], MalformedStreamError, "too long", ""),
        ([HELLO, b'data: {"error":{"message":"oops"}}\n\n'], ServerFaultError, "oops", "Hello"),
        ([], MalformedStreamError, "stopped before its end", ""),
    ],
)
async def test_streams_that_fail(
    lines: list[bytes],
    error: type[LlamaServerError],
    message: str,
    text: str,
    peers: Peers,
) -> None:
    """A stream with status 200 can still fail; earlier text was passed on."""
    url = await peers.streaming(*(line.decode().strip() for line in lines))
    events = await read_until_error(peers.client(url), error, message)
    assert events == ([TextDelta(text)] if text else [])


async def test_stream_without_done(peers: Peers) -> None:
    """After the finish an answer is complete, also without `[DONE]`."""
    url = await peers.streaming(STOP.decode().strip())
    events = [event async for event in peers.client(url).stream_chat({})]
    assert events == [Finish(FinishReason.STOP), Completion(None, None)]


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (200, "Ollama is running", "text/plain"),
        (404, "404 page not found", "text/plain"),
        (404, "404: Not Found", "text/plain"),
        (405, "405: Method Not Allowed", "text/plain"),
        (200, "<!doctype html><title>Router</title>", "text/html"),
        (404, "<!doctype html><title>Home Assistant</title>", "text/html"),
        (200, "", "text/plain"),
        (204, "", "text/plain"),
        (200, "[" * 100_000, "application/json"),
        (200, "[]", "application/json"),
        (200, '{"status": "healthy"}', "application/json"),
        (200, '{"error": "Unexpected endpoint. (GET /health)"}', "application/json"),
        (404, '{"detail": "Not Found"}', "application/json"),
        (404, '{"error": {"message": "unknown path"}}', "application/json"),
        # One imitates the health, but has nothing else.
        (200, '{"status": "ok"}', "application/json"),
    ],
)
async def test_other_programs(status: int, body: str, content_type: str, peers: Peers) -> None:
    """Ollama, Home Assistant, a home router and others are not taken for a llama-server."""
    url = await peers.answering(status, body, content_type)
    with pytest.raises(NotLlamaServerError) as raised:
        await peers.client(url).identify()
    assert "<" not in str(raised.value)


async def test_chat_at_another_program(peers: Peers) -> None:
    """A web page in place of a stream."""
    url = await peers.answering(200, "<!doctype html>", "text/html")
    await read_until_error(peers.client(url), NotLlamaServerError, "with something else")


async def test_redirect_is_not_followed(peers: Peers) -> None:
    """Only the given address gets the key."""
    visits: list[str] = []

    async def target(request: web.Request) -> web.Response:
        visits.append(request.path)
        return web.json_response({"status": "ok"})

    other = await peers.http(target)

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{other}{request.path}")

    client = peers.client(await peers.http(redirect), api_key="key")
    with pytest.raises(RedirectError, match="points to another one") as raised:
        await client.identify()
    assert raised.value.target.startswith(other)
    await read_until_error(client, RedirectError, f"{other}/v1/chat/completions")
    assert visits == []


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (401, "<h1>Log in</h1>", AuthenticationError, "HTTP 401"),
        (403, "<h1>No</h1>", AuthenticationError, "HTTP 403"),
        (403, '{"error": {"message": "not you"}}', AuthenticationError, "not you"),
        (413, "<h1>Too large</h1>", BadRequestError, "HTTP 413"),
        (429, '{"error": "slow down"}', BadRequestError, "slow down"),
        (502, "<h1>Bad gateway</h1>", ServerFaultError, "HTTP 502"),
        (503, "<h1>Loading</h1>", ServerFaultError, "HTTP 503"),
        (503, '{"error": {"message": "out of order"}}', ServerFaultError, "out of order"),
        (
            503,
            '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}',
            ModelLoadingError,
            "still loading its model",
        ),
    ],
)
async def test_error_answers(
    status: int,
    body: str,
    error: type[LlamaServerError],
    message: str,
    peers: Peers,
) -> None:
    """Errors of the server and of proxies, for short requests and for chats."""
    client = peers.client(await peers.answering(status, body), api_key="s3cret")
    with pytest.raises(error, match=message) as raised:
        await client.health()
    assert type(raised.value) is error
    assert "s3cret" not in str(raised.value)
    await read_until_error(client, error, message)


@pytest.mark.parametrize("status", [200, 500])
async def test_body_without_bound(status: int, peers: Peers) -> None:
    """An endless body is neither read nor kept."""
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(bytes(1_000_000))
                sent += 1_000_000
        return response

    client = peers.client(await peers.http(flood))
    with pytest.raises(NotLlamaServerError, match="too long"):
        await client.health()
    assert 8_000_000 <= sent < 50_000_000
