"""Who may ask the API, how much and how often; and errors as JSON."""

from __future__ import annotations

import hmac
import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from aiohttp import web

from .catalog import CatalogError, UnknownModelError
from .conversations import StoreError, UnknownConversationError
from .errors import AppError
from .schemas import SlowRequestError
from .turns import BusyError
from .upstream import NotReadyError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

_LOGGER = logging.getLogger(__name__)

# The Supervisor's address, from which what comes through ingress comes.
INGRESS_ADDRESS: Final = "172.30.32.2"
MAX_BODY_BYTES: Final = 256 * 1024
# A page asks for several things every few seconds, an automation for one now and then.
REQUESTS_PER_SECOND: Final = 20.0
REQUESTS_AT_ONCE: Final = 60.0
MAX_ADDRESSES: Final = 256
RETRY_SECONDS: Final = 5


def failure(status: int, code: str, message: str) -> web.Response:
    """Return an error as JSON: a short code for programs, and a sentence for people."""
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(RETRY_SECONDS)
    if status == 401:  # noqa: PLR2004 - unauthorized
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response(
        {"error": {"code": code, "message": message}}, status=status, headers=headers
    )


# The status of HTTP and the code of each kind of error; the more special ones come first.
_DESCRIPTIONS: Final = (
    (UnknownConversationError, 404, "unknown_conversation"),
    (UnknownModelError, 404, "unknown_model"),
    (CatalogError, 409, "conflict"),
    (BusyError, 429, "busy"),
    (StoreError, 507, "storage"),
    (SlowRequestError, 408, "too_slow"),
)


def described(err: AppError) -> tuple[int, str]:
    """Return the status of HTTP and the code of an error."""
    if isinstance(err, UpstreamError):
        return err.status, err.code
    found = ((status, code) for kind, status, code in _DESCRIPTIONS if isinstance(err, kind))
    return next(found, (400, "invalid"))


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with JSON; what nobody thought of is logged."""
    try:
        return await handler(request)
    except AppError as err:
        status, code = described(err)
        if not isinstance(err, NotReadyError):
            _LOGGER.debug("%s %s: %s", request.method, request.path, err)
        return failure(status, code, str(err))
    except web.HTTPRequestEntityTooLarge:
        return failure(413, "too_large", f"A request holds at most {MAX_BODY_BYTES} bytes.")
    except web.HTTPException as err:
        code = (err.reason or "error").lower().replace(" ", "_")
        answer = failure(err.status, code, f"{err.reason}: {request.method} {request.path}.")
        if "Allow" in err.headers:
            answer.headers["Allow"] = err.headers["Allow"]
        return answer
    except Exception:
        _LOGGER.exception("%s %s failed", request.method, request.path)
        return failure(500, "internal", "The app made a mistake. Its log tells more.")


class Allowance:
    """How often each address may do something; those that did so last are remembered."""

    def __init__(
        self, at_once: float, per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """at_once: how often without a pause. per_second: how often for long."""
        self._at_once = at_once
        self._per_second = per_second
        self._clock = clock
        # By address: how often it still may, and when that was.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Count once more; return whether that was allowed."""
        now = self._clock()
        n_left, since = self._left.pop(address, (self._at_once, now))
        n_left = min(self._at_once, n_left + (now - since) * self._per_second)
        self._left[address] = (max(0.0, n_left - 1), now)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return n_left >= 1


def _too_many() -> web.Response:
    return failure(429, "too_many_requests", "Too many requests: wait a moment.")


def bearer(
    api_key: str,
    needs_none: Callable[[web.Request], bool] = lambda _: False,
    clock: Callable[[], float] = time.monotonic,
) -> Middleware:
    """Return what lets only those in who have the key; the page itself holds nothing secret.

    Wrong keys are counted apart: who has the right one is not to suffer from them. needs_none:
    tells who is let in without it.
    """
    expected = f"Bearer {api_key}".encode()
    wrong = Allowance(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND, clock)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        is_known = hmac.compare_digest(given, expected) or needs_none(request)
        if request.path.startswith("/api/") and not is_known:
            if not wrong.take(request.remote or ""):
                return _too_many()
            return failure(401, "unauthorized", "Send the app's key: 'Authorization: Bearer KEY'.")
        return await handler(request)

    return check


def only_from(address: str) -> Middleware:
    """Return what lets only one address in: behind it, the Supervisor has asked for the user."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.remote != address:
            return failure(403, "forbidden", "This port is for Home Assistant's ingress alone.")
        return await handler(request)

    return check


def rate_limit(clock: Callable[[], float] = time.monotonic) -> Middleware:
    """Return what lets each address ask only so often."""
    allowance = Allowance(REQUESTS_AT_ONCE, REQUESTS_PER_SECOND, clock)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request) if allowance.take(request.remote or "") else _too_many()

    return check
