"""Port 8080 where the model may sleep, or some need no key: passes requests on."""

from __future__ import annotations

import contextlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from .upstream import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .runner import Runner

CONNECT_SECONDS: Final = 5.0
LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
KEY_HEADERS: Final = ("authorization", "x-api-key")
OPEN_PATHS: Final = ("/health", "/v1/health")
# Who looks at these does not need the model, as llama-server itself has it.
LOOKS: Final = (*OPEN_PATHS, "/props", "/models", "/v1/models", "/metrics")
# What belongs to one connection, and not to what is passed on.
OF_CONNECTION: Final = frozenset(
    {
        hdrs.CONNECTION,
        hdrs.KEEP_ALIVE,
        hdrs.PROXY_AUTHENTICATE,
        hdrs.PROXY_AUTHORIZATION,
        hdrs.TE,
        hdrs.TRAILER,
        hdrs.TRANSFER_ENCODING,
        hdrs.UPGRADE,
        hdrs.EXPECT,
        hdrs.HOST,
    }
)


def _error(status: int, kind: str, message: str) -> web.Response:
    """Return an error as llama-server words it."""
    return web.json_response(
        {"error": {"code": status, "message": message, "type": kind}}, status=status
    )


def _preflight(request: web.Request) -> web.Response:
    """Tell a browser what pages may ask, as llama-server does with `--cors-origins localhost`."""
    answer = web.Response(content_type="text/html")
    origin = request.headers.get(hdrs.ORIGIN, "")
    with contextlib.suppress(ValueError):
        if (asked := URL(origin)).host in LOCAL_HOSTS and asked.scheme in ("http", "https"):
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    answer.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
    answer.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "GET, POST, DELETE, OPTIONS"
    answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = "*"
    return answer


def _passed(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    left_out = {one.lower() for one in OF_CONNECTION}
    return [(name, value) for name, value in headers.items() if name.lower() not in left_out]


class Proxy:
    """Answers in llama-server's place while it sleeps, and wakes it for whoever needs the model."""

    def __init__(
        self,
        runner: Runner,
        session: aiohttp.ClientSession,
        base_url: str,
        api_key: str,
        needs_none: Callable[[web.Request], bool] = lambda _: False,
    ) -> None:
        """session: not closed here. base_url: of llama-server, without a slash at its end.

        needs_none: tells for whom the key is sent on.
        """
        self._runner = runner
        self._session = session
        self._base_url = base_url
        self._api_key = api_key
        self._needs_none = needs_none

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for llama-server, or have it answer."""
        is_look = request.path in LOOKS and request.method in (hdrs.METH_GET, hdrs.METH_HEAD)
        if not self._runner.is_away:
            if is_look or not self._has_key(request):
                return await self._pass_on(request)
        elif request.method == hdrs.METH_OPTIONS:
            return _preflight(request)
        elif request.path not in OPEN_PATHS and not self._has_key(request):
            return _error(401, "authentication_error", "Invalid API Key")
        elif is_look and (found := self._remembered(request)) is not None:
            return found
        try:
            async with self._runner.needed():
                return await self._pass_on(request)
        except NotReadyError as err:
            return _error(503, "unavailable_error", str(err))

    def _has_key(self, request: web.Request) -> bool:
        given = request.headers.get(hdrs.AUTHORIZATION, "").removeprefix("Bearer ")
        given = given or request.headers.get("X-Api-Key", "")
        is_right = hmac.compare_digest(given.encode(errors="replace"), self._api_key.encode())
        return is_right or self._needs_none(request)

    def _headers(self, request: web.Request) -> list[tuple[str, str]]:
        """Return the headers that are passed on; who needs no key may have sent any."""
        headers = _passed(request.headers)
        if not self._needs_none(request):
            return headers
        kept = [(name, one) for name, one in headers if name.lower() not in KEY_HEADERS]
        return [*kept, (hdrs.AUTHORIZATION, f"Bearer {self._api_key}")]

    def _remembered(self, request: web.Request) -> web.Response | None:
        """Return what llama-server said before it fell asleep; None if that wakes it."""
        if request.path in OPEN_PATHS:
            return web.json_response({"status": "ok"})
        path = request.path.removeprefix("/v1")
        name = request.query.get("model", "")
        found = self._runner.said(path, name)
        if found is not None:
            kind = "text/plain" if path == "/metrics" else "application/json"
            return web.Response(text=found, content_type=kind)
        if request.query.get("autoload") == "false":
            return _error(400, "invalid_request_error", "model is not loaded")
        return None

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on, and the answer back, piece by piece."""
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                URL(self._base_url + request.raw_path, encoded=True),
                headers=self._headers(request),
                skip_auto_headers=(hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT),
                data=request.content if request.body_exists else None,
                allow_redirects=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(None, sock_connect=CONNECT_SECONDS),
            ) as answer:
                response = web.StreamResponse(
                    status=answer.status, reason=answer.reason, headers=_passed(answer.headers)
                )
                await response.prepare(request)
                async for block in answer.content.iter_any():
                    await response.write(block)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as err:
            if response is None:
                if self._runner.is_away and (found := self._remembered(request)) is not None:
                    # It fell asleep meanwhile.
                    return found
                reason = self._runner.why_not() if not self._runner.is_ready else str(err)
                return _error(503, "unavailable_error", reason)
            # Half an answer must not look like a whole one.
            if request.transport is not None:
                request.transport.abort()
            return response


def asleep(path: str, text: str) -> str:
    """Return what llama-server says of itself as it does when it sleeps.

    path: `/props` or `/models`, any other is left as it is. text: its answer. Raises ValueError.
    """
    if path not in ("/props", "/models"):
        return text
    told: dict[str, Any] = json.loads(text)
    if path == "/props":
        told["is_sleeping"] = True
    for one in told.get("data") or []:
        with contextlib.suppress(AttributeError, KeyError, TypeError):
            if one["status"]["value"] == "loaded":
                one["status"]["value"] = "sleeping"
    return json.dumps(told)
