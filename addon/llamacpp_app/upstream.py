"""What the app asks its llama-server."""

from __future__ import annotations

import contextlib
import json
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from .errors import AppError
from .read_batching import LIVE_SECONDS, QUIET_SECONDS, Calm

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping

HEALTH_SECONDS: Final = 5.0
# Loading is asked for and not waited for; the rest is answered at once.
REQUEST_SECONDS: Final = 30.0
# A long prompt on a small machine takes minutes until its first word.
SILENCE_SECONDS: Final = 600.0
MAX_LINE_BYTES: Final = 1024 * 1024
TOO_LONG: Final = "exceed_context_size_error"


class UpstreamError(AppError):
    """llama-server did not answer as it should. status: of HTTP, for whoever asked us."""

    def __init__(self, code: str, message: str, status: int = 502) -> None:
        """code: a short name for programs."""
        super().__init__(message)
        self.code = code
        self.status = status


class NotReadyError(UpstreamError):
    """There is no model to answer yet."""

    def __init__(self, message: str) -> None:
        """Tell why in words."""
        super().__init__("not_ready", message, 503)


class TooLongError(UpstreamError):
    """The conversation does not fit into the context."""

    def __init__(self, needed: int | None, context: int | None, *, is_most: bool = False) -> None:
        """needed, context: in tokens. is_most: the model was trained for no larger context."""
        hint = (
            "The model was trained for no more: say less, or choose another model."
            if is_most
            else "Raise context_size, or say less."
        )
        super().__init__(
            "too_long",
            f"This needs {needed or 'more'} tokens, but the context holds only "
            f"{context or 'fewer'}. {hint}",
            413,
        )
        self.needed = needed
        self.context = context


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer: words, or at its end what it took."""

    text: str = ""
    finish_reason: str | None = None
    usage: Mapping[str, int] | None = None
    timings: Mapping[str, float] | None = None
    model: str | None = None

    def and_then(self, event: Any) -> Piece:
        """Return this piece and what follows it. Raises UpstreamError if that is an error."""
        if "error" in event:
            raise _error_of(500, json.dumps(event))
        choice: dict[str, Any] = next(iter(event.get("choices") or []), {})
        return Piece(
            text=self.text + ((choice.get("delta") or {}).get("content") or ""),
            finish_reason=choice.get("finish_reason") or self.finish_reason,
            usage=event.get("usage") or self.usage,
            timings=event.get("timings") or self.timings,
            model=event.get("model") or self.model,
        )


def local_session() -> aiohttp.ClientSession:
    """Return a session of HTTP for llama-server, which the caller has to close."""
    # llama-server ends connections that it has just answered at: a further request would be lost.
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))


class Upstream:
    """A client for llama-server on this machine."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, api_key: str) -> None:
        """session: not closed here. base_url: without a slash at its end."""
        self._session = session
        self._base_url = base_url
        # It hangs up when all is said, which is how an answer that is not live is known to end.
        self._headers = {"Authorization": f"Bearer {api_key}", "Connection": "close"}

    async def is_healthy(self) -> bool:
        """Tell whether the server answers and, if it is not a router, has its model."""
        try:
            async with self._session.get(
                f"{self._base_url}/health", timeout=aiohttp.ClientTimeout(HEALTH_SECONDS)
            ) as response:
                return response.status == 200  # noqa: PLR2004 - OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def models(self) -> list[dict[str, Any]]:
        """Return what the server tells of its models. Raises UpstreamError."""
        found = await self._request("GET", "/v1/models")
        models = found.get("data") if isinstance(found, dict) else None
        return [one for one in models or [] if isinstance(one, dict)]

    async def load(self, model: str) -> None:
        """Have the router load a model; it is not waited for. Raises UpstreamError."""
        await self._request("POST", "/models/load", {"model": model})

    async def unload(self, model: str) -> None:
        """Have the router take a model out of memory. Raises UpstreamError."""
        await self._request("POST", "/models/unload", {"model": model})

    async def metrics(self, model: str | None = None) -> dict[str, float]:
        """Return the server's numbers by name, without waking it. Raises UpstreamError."""
        query = {"model": model, "autoload": "false"} if model else {}
        text = await self.text("/metrics", query)
        found: dict[str, float] = {}
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name.startswith("llamacpp:") and math.isfinite(number := _number(value)):
                found[name.removeprefix("llamacpp:")] = number
        return found

    async def text(self, path: str, query: Mapping[str, str]) -> str:
        """Return what the server answers at a path, as it is. Raises UpstreamError."""
        async with self._answer("GET", path, REQUEST_SECONDS, params=query) as response:
            return await response.text()

    async def _request(self, method: str, path: str, body: object = None) -> Any:
        async with self._answer(method, path, REQUEST_SECONDS, json=body) as response:
            return await response.json(content_type=None)

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, seconds: float | None, **options: Any
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send a request; whatever goes wrong, also while it is read, is an UpstreamError."""
        timeout = aiohttp.ClientTimeout(
            seconds, sock_connect=HEALTH_SECONDS, sock_read=SILENCE_SECONDS
        )
        try:
            async with self._session.request(
                method,
                self._base_url + path,
                headers=self._headers,
                timeout=timeout,
                **options,
            ) as response:
                if response.status >= 400:  # noqa: PLR2004 - errors begin there
                    raise _error_of(response.status, await response.text())
                yield response
        except aiohttp.ClientConnectorError as err:
            raise NotReadyError("llama-server is not running yet, or is being restarted.") from err
        except (aiohttp.ClientError, ValueError) as err:
            raise UpstreamError("broken_answer", f"llama-server's answer broke off: {err}") from err
        except TimeoutError as err:
            raise UpstreamError("timeout", "llama-server did not answer in time.", 504) from err

    async def chat(self, body: Mapping[str, Any], *, is_live: bool = True) -> AsyncGenerator[Piece]:
        """Ask for a chat completion and yield it piece by piece, the one with the usage last.

        body: of `/v1/chat/completions`. is_live: whether a client reads before the end. Who ends
        the iteration ends the answer, too. Raises UpstreamError.
        """
        request = {**body, "stream": True, "stream_options": {"include_usage": True}}
        async with (
            self._answer("POST", "/v1/chat/completions", None, json=request) as response,
            contextlib.aclosing(_blocks(response.content)) as blocks,
        ):
            with contextlib.closing(Calm(response)) as calm:
                if not is_live:
                    calm.rest(QUIET_SECONDS)
                async for lines in blocks:
                    piece, is_end = _piece(lines)
                    if not is_live:
                        calm.rest(QUIET_SECONDS)
                    elif piece.text:
                        # The first words come at once.
                        calm.rest(LIVE_SECONDS)
                    yield piece
                    if is_end:
                        return
        raise UpstreamError("broken_answer", "llama-server's answer broke off.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


async def _blocks(content: aiohttp.StreamReader) -> AsyncGenerator[list[bytes]]:
    """Yield the lines that have come together."""
    rest = b""
    async for block in content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ValueError("an endless line")
        yield lines


def _piece(lines: Iterable[bytes]) -> tuple[Piece, bool]:
    """Return what lines of a stream tell together, and whether they are its end."""
    piece = Piece()
    for line in lines:
        data = line.removeprefix(b"data: ").strip()
        if data == b"[DONE]":
            return piece, True
        if line.startswith(b"data: "):
            piece = piece.and_then(json.loads(data))
    return piece, False


def _error_of(status: int, text: str) -> UpstreamError:
    """Return the error for what llama-server says: `{"error": {"message", "type", ...}}`."""
    try:
        error = json.loads(text)["error"]
        message, kind = str(error["message"])[:500], error.get("type")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, kind, error = text[:200], None, {}
    if kind == TOO_LONG:
        return TooLongError(error.get("n_prompt_tokens"), error.get("n_ctx"))
    if status == 503:  # noqa: PLR2004 - being loaded
        return NotReadyError("The model is still being loaded.")
    if 400 <= status < 500 and status != 401:  # noqa: PLR2004 - the asker's mistakes
        return UpstreamError("refused", f"llama-server refuses this: {message}", 400)
    return UpstreamError("server_error", f"llama-server reports an error: {message}")
