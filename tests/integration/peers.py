"""Scripted servers for faults that real ones do not show on demand."""

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from aiohttp import web

from custom_components.llamacpp.client import LlamaServerClient, LlamaServerError, Timeouts
from dev.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    import aiohttp

    from custom_components.llamacpp.client import StreamEvent

    type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    type Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

USUAL = Timeouts()
COPIED_BYTES = 65536
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Peers:
    """Starts peers on ephemeral ports, and ends them all."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Start nothing yet. session: for the clients that speak to the peers."""
        self._session = session
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all peers."""
        await self._stack.aclose()

    def client(
        self, url: str, *, api_key: str | None = None, timeouts: Timeouts = USUAL
    ) -> LlamaServerClient:
        """Return a client for a peer."""
        return LlamaServerClient(self._session, url, api_key=api_key, timeouts=timeouts)

    async def http(self, handler: Handler) -> str:
        """Start a web server with this handler for every request; return its base URL."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, 0).start()
        return f"http://{LOOPBACK}:{runner.addresses[0][1]}"

    async def answering(self, status: int, body: str, content_type: str = "text/plain") -> str:
        """Start a web server with one answer to every request; return its base URL."""

        async def answer(_: web.Request) -> web.Response:
            return web.Response(status=status, text=body, content_type=content_type)

        return await self.http(answer)

    async def streaming(self, *lines: str) -> str:
        """Start a web server that streams these lines, each as an event; return its base URL."""

        async def answer(request: web.Request) -> web.StreamResponse:
            return await stream_events(request, lines)

        return await self.http(answer)

    async def raw(self, script: Script) -> str:
        """Start a server that runs this script after the first request; return its base URL."""

        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                await script(reader, writer)
            writer.close()

        return f"http://{await self._listening(run)}"

    async def tls(self, url: str, certificate: Path) -> str:
        """Start a TLS proxy for a URL; return its base URL.

        certificate: a file with a certificate and its key.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        port = urlsplit(url).port

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while data := await reader.read(COPIED_BYTES):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await writer.start_tls(context)
            except OSError:
                # The client does not trust the certificate.
                return
            theirs, to_them = await asyncio.open_connection(LOOPBACK, port)
            await asyncio.gather(copy(reader, to_them), copy(theirs, writer))

        return f"https://{await self._listening(run)}"

    async def _listening(self, run: Script) -> str:
        """Run a script for each connection to a new port; return host and port."""
        tasks: set[asyncio.Task[Any]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if task := asyncio.current_task():
                tasks.add(task)
            await run(reader, writer)

        async def close() -> None:
            server.close()
            server.close_clients()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        server = await asyncio.start_server(serve, LOOPBACK, 0)
        self._stack.push_async_callback(close)
        return f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


async def collect(
    client: LlamaServerClient,
) -> tuple[list[StreamEvent], LlamaServerError | None]:
    """Return the events of a stream, and the error that ended it, if any."""
    events: list[StreamEvent] = []
    try:
        async for event in client.stream_chat({"messages": []}):
            events.append(event)  # noqa: PERF401 - those before an error must be kept
    except LlamaServerError as err:
        return events, err
    return events, None


async def stream_events(request: web.Request, lines: Iterable[str]) -> web.StreamResponse:
    """Stream these lines as an answer, each as one event."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for line in lines:
        await response.write(f"{line}\n\n".encode())
    return response


def chunked(data: bytes) -> bytes:
    """Return one chunk of a body in chunked transfer encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)
