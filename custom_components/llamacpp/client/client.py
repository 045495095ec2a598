"""Client for one llama-server."""

import asyncio
import contextlib
import json
import math
import ssl
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp

from . import json_fields
from .address import redirected
from .errors import (
    BadRequestError,
    CannotConnectError,
    CertificateError,
    LlamaServerError,
    NotLlamaServerError,
    NoTlsError,
    NotSupportedError,
    RedirectError,
    ServerAwayError,
    ServerFaultError,
    ServerTimeoutError,
    error_from_answer,
)
from .fronts import Front, with_status
from .others import recognise
from .stream import ChatStream, EventDecoder
from .types import Model, ServerProps, Slot

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from .types import StreamEvent

MAX_BODY_BYTES = 8 * 1024 * 1024
METRICS_PREFIX = "llamacpp:"
# llama-server closes idle connections after this time, in seconds.
IDLE_SECONDS = 5.0
REDIRECTS = range(300, 400)
# Our app accepts what takes a while.
SUCCESSES = (HTTPStatus.OK, HTTPStatus.ACCEPTED)
# Failed health checks in a row that end the wait for an answer.
MAX_FAILED_CHECKS = 2


@dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds.

    connect: to establish the connection, including name resolution.

    headers: from the request to the response headers, for chats and for requests that name a
    model. llama-server sends the headers of a stream within milliseconds once a slot takes the
    request, but nothing before: while all slots are busy, while it wakes up, and while a router
    loads the model. So this is the longest time in the queue.

    between_events: between two events of a stream. During a prefill the server sends a progress
    event after every batch (2,048 tokens by default, minutes on a slow processor). Its keep-alive
    comments (every 30 s, `--sse-ping-interval`) do not count: a server that hangs sends them too.

    silence: between two chunks of a stream, including comments. It allows for three lost comments;
    after that the connection is dead, even if new connections work.

    request: a whole short request, including the response. These need no slot, so the server
    answers within milliseconds even during a prefill; the limit is for slow networks.

    quiet, health: during a longer wait, check the server's health every `quiet` seconds, with a
    timeout of `health` seconds. Two failures in a row end the wait.
    """

    connect: float = 5.0
    headers: float = 300.0
    between_events: float = 180.0
    silence: float = 90.0
    request: float = 10.0
    quiet: float = 3.0
    health: float = 2.0


class LlamaServerClient:
    """Client for one llama-server.

    Every method raises a `LlamaServerError`: `CannotConnectError` (with `CertificateError`,
    `NoTlsError`, `ServerTimeoutError` and `ServerAwayError`), `AuthenticationError`,
    `ModelLoadingError`, `BadRequestError`, `ServerFaultError` or `NotLlamaServerError`. The
    docstrings of the methods name only further errors.

    In router mode, `model` selects the model, and the router loads it for the request (unless
    `autoload` is false: then it raises BadRequestError if the model is not loaded); a server with
    a single model ignores both.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        """Initialize the client without sending anything.

        session: the caller closes it. base_url: as `parse_address` returns it. api_key: sent with
        every request. timeouts: limits in seconds.
        """
        self._session = session
        self._base_url = base_url
        self._timeouts = timeouts
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._front: Front | None = None
        # Time of the event loop until which a kept-alive connection may exist.
        self._open_until = -math.inf
        # Time of the event loop at which the last event of any stream arrived.
        self._heard_at = -math.inf

    @property
    def base_url(self) -> str:
        """Return the server's address, as given."""
        return self._base_url

    async def health(self, *, limit: float | None = None) -> None:
        """Return if the server is ready; raises ModelLoadingError while it loads its model.

        limit: in seconds, by default that of short requests. Needs no API key and does not wake a
        sleeping server.
        """
        if self._front:
            await self._request("GET", self._front.health_path, limit=limit)
            return
        answer = await self.request_json("GET", "/health", limit=limit)
        if json_fields.text(_object(answer), "status") != "ok":
            raise NotLlamaServerError("The server's health is not that of a llama-server")

    async def props(
        self, model: str | None = None, *, autoload: bool = True, keeps_open: bool = False
    ) -> ServerProps:
        """Return the server's properties, or in router mode those of a model.

        keeps_open: keep the connection open for a chat that follows at once.
        """
        if self._front and model is None:
            return self._front.props
        path = self._autoloading("/props", autoload=autoload)
        answer = await self.request_json("GET", path, model=model, keeps_open=keeps_open)
        return ServerProps.from_json(answer)

    async def identify(self) -> ServerProps:
        """Return the properties of the server once it is ready and known to be a llama-server.

        It may also be a known proxy. Raises NotLlamaServerError for any other program that answers
        HTTP.
        """
        if self._front and await self._is_still_there(self._front):
            return self._front.props
        try:
            # LiteLLM runs all of its models for a health check, so ask for /props first.
            props = await self.props()
            await self.health()
        except RedirectError:
            raise
        except (BadRequestError, NotLlamaServerError) as err:
            ask = partial(self._request, "GET", limit=self._timeouts.health)
            self._front = await recognise(ask)
            if self._front is None:
                raise NotLlamaServerError(
                    f"This does not answer like a llama-server: {err}"
                ) from err
            return self._front.props
        return props

    async def _is_still_there(self, front: Front) -> bool:
        """Return whether the same proxy still answers; if not, forget it."""
        try:
            await self._request("GET", front.proof_path)
        except BadRequestError, NotLlamaServerError:
            self._front = None
        return self._front is not None

    @property
    def front(self) -> Front | None:
        """Return the proxy in front of the server, None if `identify` has not found one."""
        return self._front

    async def models(self) -> list[Model]:
        """Return the models that the server serves, or in router mode can load."""
        models = await self._models_of(None)
        if self._front is None:
            return models
        running = None
        if self._front is Front.LLAMA_SWAP:
            running = _object(await self.request_json("GET", self._front.proof_path))
        return with_status(models, running)

    async def _models_of(self, model: str | None) -> list[Model]:
        answer = _object(await self.request_json("GET", "/v1/models", model=model))
        models = json_fields.items(answer, "data")
        if models is None:
            raise NotLlamaServerError("The server's answer has no list of models")
        return [Model.from_json(entry) for entry in models]

    async def n_params(self, model: str | None) -> int | None:
        """Return a model's number of weights, None if the server does not report it."""
        if self._front:
            models = await self._models_of(model)
            return next((one.n_params for one in models), None)
        sizes = {one.id: one.n_params for one in await self._models_of(None)}
        return sizes.get(model) if model else next(iter(sizes.values()), None)

    async def load_model(self, model: str) -> None:
        """Start to load a model on a router; `models` returns its status.

        Raises BadRequestError if the model is loaded or unknown, or the server is not a router.
        """
        await self.request_json("POST", "/models/load", model=model)

    async def unload_model(self, model: str) -> None:
        """Start to unload a model on a router; `models` returns its status.

        Raises BadRequestError if the model is not loaded, or the server is not a router.
        """
        await self.request_json("POST", "/models/unload", model=model)

    async def tokenize(
        self,
        content: str,
        *,
        add_special: bool = False,
        parse_special: bool = True,
        model: str | None = None,
    ) -> list[int]:
        """Return the token ids of a text.

        add_special: add the tokens that the model expects at the start of a prompt. parse_special:
        parse words such as `<|im_start|>` as special tokens.
        """
        body = {"content": content, "add_special": add_special, "parse_special": parse_special}
        answer = await self.request_json("POST", "/tokenize", body=body, model=model)
        tokens = json_fields.items(_object(answer), "tokens")
        if tokens is None or not all(isinstance(token, int) for token in tokens):
            raise NotLlamaServerError("The server's answer has no list of tokens")
        return tokens

    async def pieces(
        self,
        content: str,
        *,
        parse_special: bool,
        model: str | None = None,
        autoload: bool = True,
    ) -> dict[int, str]:
        """Return the tokens of a text: their text by id.

        parse_special: as for `tokenize`. Skips tokens that are only a part of a character.
        """
        body = {"content": content, "parse_special": parse_special, "with_pieces": True}
        path = self._autoloading("/tokenize", autoload=autoload)
        answer = await self.request_json("POST", path, body=body, model=model)
        tokens = json_fields.items(_object(answer), "tokens")
        if tokens is None:
            raise NotLlamaServerError("The server's answer has no list of tokens")
        found: dict[int, str] = {}
        for token in tokens:
            if isinstance(token, dict) and isinstance(piece := token.get("piece"), str):
                found[json_fields.integer(token, "id") or 0] = piece
        return found

    async def apply_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        model: str | None = None,
        *,
        autoload: bool = True,
        keeps_open: bool = False,
        **fields: Any,
    ) -> str:
        """Return the prompt that the chat template renders from these messages and tools.

        Waits while the server wakes up or loads the model, as a chat does. keeps_open: keep the
        connection open for the next request. fields: further fields of a chat request, such as
        `chat_template_kwargs`.
        """
        body: dict[str, Any] = {**fields, "messages": messages}
        if tools is not None:
            body["tools"] = tools
        path, limit = (
            self._autoloading("/apply-template", autoload=autoload),
            self._timeouts.headers,
        )
        answer = await self.request_json(
            "POST", path, body=body, model=model, limit=limit, keeps_open=keeps_open
        )
        prompt = json_fields.text(_object(answer), "prompt")
        if prompt is None:
            raise NotLlamaServerError("The server's answer has no prompt")
        return prompt

    async def metrics(self, model: str | None = None, *, autoload: bool = True) -> dict[str, float]:
        """Return the counters and gauges by name, without the prefix `llamacpp:`.

        Does not wake a server or keep it from going to sleep. Raises NotSupportedError if the
        server runs without `--metrics`.
        """
        path = self._autoloading("/metrics", autoload=autoload)
        body = await self._request("GET", path, model=model)
        metrics = dict(_metric_lines(body.decode(errors="replace")))
        if not metrics:
            raise NotLlamaServerError("The server's answer has no metrics of a llama-server")
        return metrics

    async def slots(self, model: str | None = None) -> list[Slot]:
        """Return the slots. Wakes a sleeping server, and keeps it from going to sleep.

        Raises NotSupportedError if the server runs with `--no-slots`.
        """
        answer = await self.request_json("GET", "/slots", model=model)
        if not isinstance(answer, list):
            raise NotLlamaServerError("The server's answer is no list of slots")
        return [Slot.from_json(entry) for entry in answer]

    async def slot_action(
        self,
        slot: int,
        action: str,
        filename: str,
        *,
        model: str | None = None,
        autoload: bool = True,
    ) -> None:
        """Save a slot's KV cache to a file on the server (`save`), or read one (`restore`).

        filename: without a folder. Wakes a sleeping server. Raises NotSupportedError if the server
        runs without `--slot-save-path`, BadRequestError if the file does not exist or does not fit.
        """
        query = {"action": action, **({} if autoload else {"autoload": "false"})}
        path = f"/slots/{slot}?{urlencode(query)}"
        # The KV cache of a large model takes gigabytes.
        answer = await self._request(
            "POST", path, body={"filename": filename}, model=model, limit=self._timeouts.headers
        )
        if not answer:
            raise NotLlamaServerError("The server says nothing of its slot")

    async def request_json(  # noqa: PLR0913 - each is an independent choice of the caller
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        model: str | None = None,
        limit: float | None = None,
        keeps_open: bool = False,
    ) -> Any:
        """Return the decoded JSON response of a request that is not streamed.

        path: begins with a slash; may have a query. body: sent as JSON. model: added to the query
        of a GET, else to the body. limit: in seconds, by default one of `Timeouts`. keeps_open:
        keep the connection open for the next request.
        """
        answer = await self._request(
            method, path, body=body, model=model, limit=limit, keeps_open=keeps_open
        )
        try:
            return json.loads(answer)
        except ValueError, RecursionError:
            raise NotLlamaServerError("The answer is not that of a llama-server") from None

    async def stream_chat(
        self,
        request: Mapping[str, Any],
        *,
        autoload: bool = True,
        between_events: float | None = None,
        is_thought_said: bool = False,
    ) -> AsyncGenerator[StreamEvent]:
        """Request a chat completion and yield its events as they arrive.

        request: body of `/v1/chat/completions`; streaming, usage and progress are added here.
        between_events: replaces the limit of `Timeouts`. is_thought_said: yield thinking as text of
        the answer. The last event is always a `Completion`, after a `Finish`.

        Closing the generator closes the connection, and the server stops generating. Use
        `contextlib.aclosing`: otherwise only the garbage collector closes a generator that its
        consumer leaves by a `break` or an error.

        Raises ContextExceededError for a prompt that is too long, MalformedStreamError for a stream
        that is malformed or stops too early.
        """
        path = self._autoloading("/v1/chat/completions", autoload=autoload)
        limit = self._timeouts.between_events if between_events is None else between_events
        chat = ChatStream(is_thought_said=is_thought_said)
        # Keep thinking out of the answer, whatever the server's default.
        body = {"reasoning_format": "auto", **request}
        async with contextlib.aclosing(self._stream(path, body, chat, limit)) as events:
            async for event in events:
                yield event

    async def stream_completion(
        self,
        request: Mapping[str, Any],
        *,
        autoload: bool = True,
        between_events: float | None = None,
    ) -> AsyncGenerator[StreamEvent]:
        """Request the completion of a prompt and yield its events, as `stream_chat` does.

        request: body of `/v1/completions`; the text is the raw model output.
        """
        path = self._autoloading("/v1/completions", autoload=autoload)
        limit = self._timeouts.between_events if between_events is None else between_events
        chat = ChatStream()
        async with contextlib.aclosing(self._stream(path, request, chat, limit)) as events:
            async for event in events:
                yield event

    async def _stream(
        self, path: str, request: Mapping[str, Any], chat: ChatStream, between_events: float
    ) -> AsyncGenerator[StreamEvent]:
        options = {**(request.get("stream_options") or {}), "include_usage": True}
        body = {**request, "stream": True, "stream_options": options, "return_progress": True}
        async with self._answer("POST", path, body, self.waiting()) as response:
            if response.content_type != "text/event-stream":
                raise NotLlamaServerError("The server answered a chat with something else")
            decoder = EventDecoder()
            try:
                while events := await self._next_events(response, decoder, between_events):
                    for data in events:
                        for event in chat.take(data):
                            yield event
                        if chat.done:
                            return
            except CannotConnectError:
                # Only statistics follow the finish.
                if not chat.finished:
                    raise
            yield chat.end()

    async def _next_events(
        self, response: aiohttp.ClientResponse, decoder: EventDecoder, limit: float
    ) -> Iterator[str] | None:
        """Return the data of the next events, at least one, or None at the end of the stream."""
        async with self.waiting(limit):
            while chunk := await self._next_chunk(response):
                events = decoder.feed(chunk)
                if (first := next(events, None)) is not None:
                    self._heard_at = asyncio.get_running_loop().time()
                    return chain([first], events)
        return None

    async def _next_chunk(self, response: aiohttp.ClientResponse) -> bytes:
        async with asyncio.timeout(self._timeouts.silence):
            return await response.content.readany()

    @property
    def is_heard(self) -> bool:
        """Return whether any stream received an event within the last `quiet + health` seconds."""
        silence = asyncio.get_running_loop().time() - self._heard_at
        return silence < self._timeouts.quiet + self._timeouts.health

    @contextlib.asynccontextmanager
    async def waiting(self, limit: float | None = None) -> AsyncGenerator[None]:
        """Limit a wait for the server, and end it early if the server goes away.

        limit: in seconds, by default the `headers` timeout. Raises ServerTimeoutError, or
        ServerAwayError after two failed health checks in a row; translates other connection errors
        to those of this package.
        """
        limit = self._timeouts.headers if limit is None else limit
        loop = asyncio.get_running_loop()
        checks: list[asyncio.Task[None]] = []
        is_away = False

        async def check(wait: asyncio.Timeout) -> None:
            nonlocal is_away
            await self._until_away()
            if not wait.expired():
                is_away = True
                wait.reschedule(loop.time())

        with _translated_errors():
            try:
                async with asyncio.timeout(limit) as wait:
                    begin = loop.call_later(
                        self._timeouts.quiet, lambda: checks.append(loop.create_task(check(wait)))
                    )
                    try:
                        yield
                    finally:
                        begin.cancel()
                        for task in checks:
                            task.cancel()
                            await asyncio.wait([task])
            except TimeoutError as err:
                if is_away:
                    raise ServerAwayError("The server does not answer any more") from err
                raise

    async def _until_away(self) -> None:
        """Return as soon as two health checks in a row have failed.

        A server that has just sent an event of another stream is not away: under many parallel
        requests it has no thread left for health checks.
        """
        n_failed = 0
        while True:
            try:
                await self.health(limit=self._timeouts.health)
                n_failed = 0
            except CannotConnectError, ServerFaultError:
                n_failed = 0 if self.is_heard else n_failed + 1
            except LlamaServerError:
                # The server answers: leave it to the timeouts.
                n_failed = 0
            if n_failed == MAX_FAILED_CHECKS:
                return
            await asyncio.sleep(self._timeouts.quiet)

    def _autoloading(self, path: str, *, autoload: bool) -> str:
        if autoload:
            return path
        if self._front:
            raise NotSupportedError(f"{self._front} would load the model")
        return f"{path}?autoload=false"

    async def _request(  # noqa: PLR0913 - as above
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        model: str | None = None,
        limit: float | None = None,
        keeps_open: bool = False,
    ) -> bytes:
        if self._front:
            path = self._front.path_of(path, model)
        if model is not None and method == "GET":
            path = f"{path}{'&' if '?' in path else '?'}{urlencode({'model': model})}"
        elif model is not None:
            body = {**(body or {}), "model": model}
        if limit is None:
            limit = self._timeouts.request if model is None else self._timeouts.headers
        is_short = limit <= self._timeouts.request
        with _translated_errors():
            async with (
                asyncio.timeout(limit) if is_short else self.waiting(limit),
                self._answer(
                    method, path, body, contextlib.nullcontext(), keeps_open=keeps_open
                ) as response,
            ):
                return await _bounded_body(response)

    @contextlib.asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        head: contextlib.AbstractAsyncContextManager[None],
        *,
        keeps_open: bool = False,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send a request and yield the response if it succeeded; close it afterwards.

        head: context in which to wait for the response headers. keeps_open: as for `request_json`.
        """
        with _translated_errors():
            async with head:
                response = await self._send(method, path, body, keeps_open=keeps_open)
        try:
            if response.status not in SUCCESSES:
                raise await self._error(response)
            yield response
        finally:
            # Unlike releasing, closing ends the connection even in the middle of a response.
            response.close()

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, keeps_open: bool
    ) -> aiohttp.ClientResponse:
        # Each idle connection takes one of the server's few threads, so keep hardly any.
        headers = {"Connection": "keep-alive" if keeps_open else "close", **self._headers}
        now = asyncio.get_running_loop().time()
        may_be_stale = now < self._open_until
        if keeps_open:
            self._open_until = now + 2 * IDLE_SECONDS
        request = partial(
            self._session.request,
            method,
            f"{self._base_url}{path}",
            json=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect),
        )
        try:
            return await request()
        except aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError:
            if not may_be_stale:
                raise
        # The server closed the idle connection just as we reused it, so it never read the request.
        return await request()

    async def _error(self, response: aiohttp.ClientResponse) -> LlamaServerError:
        location = response.headers.get("Location")
        if location is not None and response.status in REDIRECTS:
            return RedirectError(*redirected(self._base_url, str(response.url), location))
        with _translated_errors():
            async with asyncio.timeout(self._timeouts.request):
                text = await _bounded_body(response)
        try:
            body = json.loads(text)
        except ValueError, RecursionError:
            body = None
        return error_from_answer(response.status, body)


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate errors of asyncio and aiohttp to those of this package."""
    try:
        yield
    except TimeoutError as err:
        raise ServerTimeoutError("The server did not answer in time") from err
    except aiohttp.ClientResponseError as err:
        raise NotLlamaServerError("The server does not speak HTTP as expected") from err
    except aiohttp.ClientPayloadError as err:
        raise CannotConnectError("The connection broke before the answer was complete") from err
    except aiohttp.ClientConnectorCertificateError as err:
        raise CertificateError(_distrust(err.certificate_error)) from err
    except aiohttp.ClientSSLError as err:
        raise NoTlsError("No secure connection to the server is possible") from err
    except (aiohttp.ClientError, OSError) as err:
        raise CannotConnectError("The server cannot be reached") from err


def _distrust(err: Exception) -> str:
    """Return the reason why a certificate is not trusted, such as `self-signed certificate`."""
    reason = err.verify_message if isinstance(err, ssl.SSLCertVerificationError) else ""
    return reason or "The certificate of the server is not trusted"


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise NotLlamaServerError("The server's answer is too long")
    return bytes(body)


def _object(value: object) -> json_fields.JsonObject:
    """Return the value if it is an object; raises NotLlamaServerError otherwise."""
    if not isinstance(value, dict):
        raise NotLlamaServerError("The server's answer is not the expected object")
    return value


def _metric_lines(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name.startswith(METRICS_PREFIX):
            with contextlib.suppress(ValueError):
                if math.isfinite(number := float(value)):
                    yield name.removeprefix(METRICS_PREFIX), number
