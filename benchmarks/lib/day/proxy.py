"""A proxy in front of llama-server that changes nothing and records completions."""

import asyncio
import contextlib
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self, override

import aiohttp
from aiohttp import web

from dev.processes import LOOPBACK
from dev.prompts import MAKING, Prompts

from .exchange import Exchange, PrefillProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Records data of the server, and returns whether the client gets it.
    type Note = Callable[[Mapping[str, Any]], bool]

# Headers of a connection, which are not passed on.
OF_A_CONNECTION = {
    *("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"),
    *("host", "content-length", "date"),
}
GENERATING = ("/chat/completions", "/completions", "/completion")
EVENT_END = b"\n\n"
DATA = b"data: "
DONE = b"[DONE]"
EVENT_STREAM = "text/event-stream"
QUIET_SECONDS = 1.0
POLL_SECONDS = 0.01
MAX_BODY_BYTES = 64 << 20


class RecordingProxy:
    """Passes all requests on to a server; use it as an asynchronous context manager.

    It only adds `return_progress` to requests, and removes the reports for clients that did not
    ask for them. While the server is down, connections break.
    """

    def __init__(self, upstream: str) -> None:
        """Describe it. upstream: the server's address."""
        self.exchanges: list[Exchange] = []
        self.base_url = ""
        self._upstream = upstream
        self._prompts = Prompts()
        self._session: aiohttp.ClientSession
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listen at `base_url`."""
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                # The server may close an idle connection just when it is used again.
                connector=aiohttp.TCPConnector(force_close=True),
            )
        )
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, 0).start()
        self.base_url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop listening."""
        await self._stack.aclose()

    async def wait_for_prefill(self, since: float, seconds: float) -> bool:
        """Wait until the server begins a prefill received after `since`; return whether it does."""
        deadline = time.perf_counter() + seconds
        while not self._has_begun(since) and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        return self._has_begun(since)

    def _has_begun(self, since: float) -> bool:
        prefills = (one for one in self.exchanges if one.is_prefill and one.received >= since)
        return any(one.progress for one in prefills)

    async def wait_for_quiet(self, seconds: float) -> None:
        """Wait until there has been no prefill for a moment, for at most these seconds."""
        deadline = time.perf_counter() + seconds
        while self._is_prefilling() and time.perf_counter() < deadline:  # noqa: ASYNC110 - time counts
            await asyncio.sleep(POLL_SECONDS)

    def _is_prefilling(self) -> bool:
        prefills = (one for one in self.exchanges if one.is_prefill)
        return any(one.ended is None or is_recent(one.ended) for one in prefills)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fields = _fields(request, body)
        exchange = None
        if fields is not None and request.path.endswith(GENERATING):
            exchange = Exchange(request.path, self._prompts.whole(fields), time.perf_counter())
            self.exchanges.append(exchange)
            if fields.get("stream"):
                body = json.dumps({**fields, "return_progress": True}).encode()
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in OF_A_CONNECTION
        }
        try:
            async with self._session.request(
                request.method, self._upstream + request.path_qs, data=body, headers=headers
            ) as upstream:
                note = None
                if exchange:
                    exchange.status = upstream.status
                    note = partial(_note_words, exchange)
                elif fields is not None and request.path == MAKING:
                    note = partial(self._note_prompt, fields)
                return await _answer(request, upstream, note)
        except aiohttp.ClientError, ConnectionError:
            # One end hung up: break the connection to the other one, too.
            if request.transport:
                request.transport.abort()
            return web.Response()
        finally:
            if exchange:
                exchange.ended = time.perf_counter()

    def _note_prompt(self, fields: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
        if "prompt" in data:
            self._prompts.note(fields, data["prompt"])
        return True


def is_recent(moment: float) -> bool:
    """Return whether it was a moment ago, so that more prefills may follow."""
    return time.perf_counter() - moment < QUIET_SECONDS


def _fields(request: web.Request, body: bytes) -> dict[str, Any] | None:
    """Return the body of a POST if it is an object."""
    if request.method != "POST":
        return None
    try:
        fields = json.loads(body)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


async def _answer(
    request: web.Request, upstream: aiohttp.ClientResponse, note: Note | None
) -> web.StreamResponse:
    """Pass on the server's answer as it comes. note: gets its data, piece by piece."""
    reader = None
    if note:
        is_stream = upstream.content_type == EVENT_STREAM
        reader = (_EventReader if is_stream else _AnswerReader)(note)
    headers = {
        name: value
        for name, value in upstream.headers.items()
        if name.lower() not in OF_A_CONNECTION
    }
    response = web.StreamResponse(status=upstream.status, headers=headers)
    async for chunk in upstream.content.iter_any():
        passing = reader.passing(chunk) if reader else chunk
        if passing:
            if not response.prepared:
                await response.prepare(request)
            await response.write(passing)
    if not response.prepared:
        await response.prepare(request)
    if reader:
        reader.end()
    await response.write_eof()
    return response


class _AnswerReader:
    """Reads an answer that is not streamed."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._rest = b""

    def passing(self, chunk: bytes) -> bytes:
        """Take a chunk, and return the bytes for the client."""
        self._rest += chunk
        return chunk

    def end(self) -> None:
        """Record the whole answer."""
        with contextlib.suppress(ValueError):
            self._note(json.loads(self._rest))


class _EventReader(_AnswerReader):
    """Reads a stream of events."""

    @override
    def passing(self, chunk: bytes) -> bytes:
        *events, self._rest = (self._rest + chunk).split(EVENT_END)
        return b"".join(event + EVENT_END for event in events if self._passes(event))

    @override
    def end(self) -> None:
        """Do nothing: a stream is recorded event by event."""

    def _passes(self, event: bytes) -> bool:
        data = event.removeprefix(DATA)
        return not (event.startswith(DATA) and data != DONE) or self._note(json.loads(data))


def _note_words(exchange: Exchange, data: Mapping[str, Any]) -> bool:
    """Record data of the server, and return whether the client gets it."""
    now = time.perf_counter()
    if timings := data.get("timings"):
        exchange.timings = timings
    if exchange.first_words is None and _has_words(data):
        exchange.first_words = now
    if progress := data.get("prompt_progress"):
        exchange.progress.append(
            PrefillProgress(now, progress["total"], progress["cache"], progress["processed"])
        )
        return bool(exchange.body.get("return_progress"))
    return True


def _has_words(data: Mapping[str, Any]) -> bool:
    return any(
        choice.get("text") or (choice.get("delta") or {}).get(name)
        for choice in data.get("choices") or ()
        for name in ("content", "tool_calls", "reasoning_content")
    )
