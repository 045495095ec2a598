"""The client for one llama-server."""

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
# llama-server closes a connection that was idle for so many seconds.
IDLE_SECONDS = 5.0
REDIRECTS = range(300, 400)
# So many health checks in a row may fail while a request waits.
MAX_FAILED_CHECKS = 2


@dataclass(frozen=True)
class Timeouts:
    """Time limits in seconds.

    connect: until the connection stands, name resolution included.

    headers: from the request to the head of the answer, for a chat and for requests that name
    a model. llama-server sends the head of a stream within milliseconds once a slot takes the
    request, but nothing at all before: while all slots are busy, while it wakes up, and while a
    router loads the model. So this is how long to queue behind others.

    between_events: from one event of a stream to the next. While the server processes a prompt, it
    sends a progress after every batch (2,048 tokens by default, minutes on a slow processor). Its
    keep-alive comments (every 30 s, `--sse-ping-interval`) do not count: they come from a server
    that hangs, too.

    silence: from one piece of a stream to the next, comments included. It allows for three of those
    to be lost; after more the connection is dead, whatever new ones can do.

    request: a whole short request, answer included. These need no slot, so they are answered
    within milliseconds even while a prompt is processed; the limit is for a slow network.

    quiet, health: while a longer wait brings nothing, the server is asked for its health every
    `quiet` seconds, with a limit of `health` seconds. Two failures in a row end the wait.
    """

    connect: float = 5.0
    headers: float = 300.0
    between_events: float = 180.0
    silence: float = 90.0
    request: float = 10.0
    quiet: float = 3.0
    health: float = 2.0


class LlamaServerClient:
    """Speaks to one llama-server.

    Every method raises a `LlamaServerError`: `CannotConnectError` (with `CertificateError`,
    `NoTlsError`, `ServerTimeoutError` and `ServerAwayError`), `AuthenticationError`,
    `ModelLoadingError`, `BadRequestError`, `ServerFaultError` or `NotLlamaServerError`. Only what a
    method raises besides is said there.

    In router mode `model` says whose properties, tokens and so on are meant, and such a request
    makes the router load that model (unless `autoload` is false: then it is a BadRequestError if
    the model is not loaded); a server with a single model ignores both.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        api_key: str | None = None,
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        """Describe the server; nothing is sent yet.

        session: stays the caller's, who closes it. base_url: as `parse_address` returns it.
        api_key: sent with every request. timeouts: limits in seconds.
        """
        self._session = session
        self._base_url = base_url
        self._timeouts = timeouts
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._front: Front | None = None
        # Until when there may be a connection that was kept open, by the clock of the event loop.
        self._open_until = -math.inf
        # When the newest event of any stream arrived, by the clock of the event loop.
        self._heard_at = -math.inf

    @property
    def base_url(self) -> str:
        """Return the address of the server, as given."""
        return self._base_url

    async def health(self, *, limit: float | None = None) -> None:
        """Return if the server is ready; raises ModelLoadingError while it loads its model.

        limit: in seconds, by default that of short requests. Neither needs an API key nor wakes a
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
        """Return what the server is, or in router mode what a model of it is.

        keeps_open: a chat follows at once, over the same connection.
        """
        if self._front and model is None:
            return self._front.props
        path = self._autoloading("/props", autoload=autoload)
        answer = await self.request_json("GET", path, model=model, keeps_open=keeps_open)
        return ServerProps.from_json(answer)

    async def identify(self) -> ServerProps:
        """Return what the server is, once sure that it is a llama-server that is ready.

        It may also be a program that stands in front of some. Raises NotLlamaServerError for every
        other program that answers HTTP.
        """
        if self._front and await self._is_still_there(self._front):
            return self._front.props
        try:
            # LiteLLM has all of its models say something when it is asked for its health.
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
        """Tell whether it is still this program that answers; if not, it is found out anew."""
        try:
            await self._request("GET", front.proof_path)
        except BadRequestError, NotLlamaServerError:
            self._front = None
        return self._front is not None

    @property
    def front(self) -> Front | None:
        """Return what stands in front of the server, as far as `identify` has found out."""
        return self._front

    async def models(self) -> list[Model]:
        """Return the models that the server serves, or in router mode could load."""
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
        """Return how many weights a model has, None if the server does not tell."""
        if self._front:
            models = await self._models_of(model)
            return next((one.n_params for one in models), None)
        sizes = {one.id: one.n_params for one in await self._models_of(None)}
        return sizes.get(model) if model else next(iter(sizes.values()), None)

    async def load_model(self, model: str) -> None:
        """Have a router begin to load a model; `models` tells when it is loaded.

        Raises BadRequestError if it is already, or is unknown, or this is no router.
        """
        await self.request_json("POST", "/models/load", model=model)

    async def unload_model(self, model: str) -> None:
        """Have a router begin to take a model out of memory; `models` tells when it is gone.

        Raises BadRequestError if it is not there, or this is no router.
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
        """Return the tokens of a text.

        add_special: add what the model wants at the start of every prompt. parse_special: take
        words such as `<|im_start|>` for the special tokens that they name.
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
        """Return the tokens that are in a text, each with its own text.

        parse_special: as for `tokenize`. Tokens that are only a part of a character are left out.
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
        """Return the prompt that the server would make of these messages and tools.

        It waits for a server that wakes up or loads the model, as a chat does. keeps_open: the
        next request follows at once. fields: further fields as in a chat request, such as
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

        Neither wakes a server nor keeps it from going to sleep. Raises NotSupportedError if the
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
        """Have the server write a slot to a file of its own (`save`), or read one (`restore`).

        filename: without a folder. Wakes a sleeping server. Raises NotSupportedError if the server
        runs without `--slot-save-path`, BadRequestError if there is no such file or it does not
        fit.
        """
        query = {"action": action, **({} if autoload else {"autoload": "false"})}
        path = f"/slots/{slot}?{urlencode(query)}"
        # A slot of a large model has gigabytes.
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
        """Return the decoded JSON answer to any request that is not streamed.

        path: begins with a slash; may have a query. body: sent as JSON. model: goes into the
        query of a GET, else into the body. limit: in seconds, by default one of `Timeouts`.
        keeps_open: the next request follows at once, and can have the same connection.
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
        """Ask for a chat completion and yield its events as they arrive.

        request: body for `/v1/chat/completions`; streaming, usage and progress are switched on
        here. between_events: replaces the limit of `Timeouts`. is_thought_said: what the server
        takes for thinking is text of the answer. The last event is always a `Completion`, after a
        `Finish`.

        As soon as the generator is closed the connection is, and the server stops to generate.
        Use `contextlib.aclosing`: without it, a generator that is left by a `break` or by an
        error of the consumer is closed only when the garbage collector finds it.

        Raises ContextExceededError for a prompt that is too long, MalformedStreamError for a
        stream that is not understood or stops too early.
        """
        path = self._autoloading("/v1/chat/completions", autoload=autoload)
        limit = self._timeouts.between_events if between_events is None else between_events
        chat = ChatStream(is_thought_said=is_thought_said)
        # However the server was started: thoughts are not part of the answer.
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
        """Ask for the completion of a prompt and yield its events, as `stream_chat` does.

        request: body for `/v1/completions`; the words come as the model writes them.
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
                # Only statistics come after the finish.
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
        """Tell whether an event of any stream has arrived within the last seconds."""
        silence = asyncio.get_running_loop().time() - self._heard_at
        return silence < self._timeouts.quiet + self._timeouts.health

    @contextlib.asynccontextmanager
    async def waiting(self, limit: float | None = None) -> AsyncGenerator[None]:
        """Limit a wait for the server, and end it early if the server is away meanwhile.

        limit: in seconds, by default that for the head of an answer. Raises ServerTimeoutError, or
        ServerAwayError once two health checks in a row have failed; other errors of the connection
        as this package's.
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
        """Return as soon as the server has failed two health checks in a row.

        A server that has just sent an event of another stream is not away: with many requests at a
        time it has no thread left for its health.
        """
        n_failed = 0
        while True:
            try:
                await self.health(limit=self._timeouts.health)
                n_failed = 0
            except CannotConnectError, ServerFaultError:
                n_failed = 0 if self.is_heard else n_failed + 1
            except LlamaServerError:
                # Something answers: the limits of the wait decide.
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
        """Send a request and hand out its answer if that is a success; close it afterwards.

        head: is entered while the head of the answer is waited for. keeps_open: as for
        `request_json`.
        """
        with _translated_errors():
            async with head:
                response = await self._send(method, path, body, keeps_open=keeps_open)
        try:
            if response.status != HTTPStatus.OK:
                raise await self._error(response)
            yield response
        finally:
            # Closing, unlike releasing, ends the connection although the answer goes on.
            response.close()

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, keeps_open: bool
    ) -> aiohttp.ClientResponse:
        # Each idle connection takes one of the server's few threads, so hardly any is kept.
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
        # The server has closed the connection in the moment in which it was used again, so it has
        # not read the request.
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
    """Raise this package's errors instead of those of asyncio and aiohttp."""
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
    """Return why a certificate is not trusted, such as `self-signed certificate`."""
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
    """Return the value if it is an object; raises NotLlamaServerError if not."""
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
