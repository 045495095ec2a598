"""What requests to the API may hold."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import voluptuous as vol
from aiohttp import web

from .errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_MESSAGE: Final = 32_000
# An endless answer would hold the only place for ten minutes.
DEFAULT_TOKENS: Final = 1024
MAX_TOKENS: Final = 32_768
MAX_LISTED: Final = 100
MAX_OFFSET: Final = 1_000_000
# So long may the name of a field be that an error repeats.
MAX_SHOWN: Final = 80
BODY_SECONDS: Final = 30.0


class InvalidRequestError(AppError):
    """The request's body or query makes no sense."""


class SlowRequestError(AppError):
    """The request's body did not come in time."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid("must be a text that is not empty")
    if len(value) > MAX_MESSAGE:
        raise vol.Invalid(f"must have at most {MAX_MESSAGE} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        # JSON can hold halves of characters, which neither the model nor the database can.
        raise vol.Invalid("must be valid Unicode") from None
    return value


def _number(low: float, high: float) -> Callable[[object], float]:
    def check(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise vol.Invalid(f"must be a number from {low:g} to {high:g}")
        return value

    return check


def _whole(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        # To JSON, 8.0 is as whole as 8.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise vol.Invalid(f"must be a whole number from {low} to {high}")
        return value

    return check


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise vol.Invalid("must be true or false")
    return value


def _or_nothing(check: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else check(value)


_SETTINGS: Final[Mapping[Any, Any]] = {
    vol.Optional("temperature"): _or_nothing(_number(0, 2)),
    vol.Optional("max_tokens"): _or_nothing(_whole(1, MAX_TOKENS)),
    vol.Optional("model"): _or_nothing(_text),
}
_SYSTEM_PROMPT: Final = {vol.Optional("system_prompt"): _or_nothing(_text)}
_STREAM: Final = {vol.Optional("stream"): _or_nothing(_switch)}
CHAT: Final = vol.Schema({vol.Required("message"): _text, **_SETTINGS, **_SYSTEM_PROMPT, **_STREAM})
START: Final = vol.Schema(_SYSTEM_PROMPT)
MESSAGE: Final = vol.Schema({vol.Required("message"): _text, **_SETTINGS, **_STREAM})
ADD_MODEL: Final = vol.Schema(
    {
        vol.Required("name"): _text,
        vol.Required("url"): _text,
        vol.Optional("sha256"): _or_nothing(_text),
        vol.Optional("use"): _or_nothing(_switch),
    }
)


async def body_of(request: web.Request, schema: vol.Schema) -> dict[str, Any]:
    """Return the checked JSON of a request; what is null is left out. Raises AppError."""
    text = await _read(request)
    try:
        values = schema(json.loads(text) if text.strip() else {})
    except vol.Invalid as err:
        where = ".".join(str(one) for one in err.path)[:MAX_SHOWN] or "The body"
        raise InvalidRequestError(f"{where}: {err.msg}.") from None
    except (ValueError, RecursionError):
        # No JSON, no Unicode, or lists within lists without an end.
        raise InvalidRequestError("The body is no JSON.") from None
    return {name: value for name, value in values.items() if value is not None}


async def _read(request: web.Request) -> bytes:
    """Return the body. Raises InvalidRequestError, SlowRequestError."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise SlowRequestError("The rest of the request did not come.") from None
    except web.RequestPayloadError:
        raise InvalidRequestError("The body is broken.") from None


def settings_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are for llama-server; an answer has an end in any case."""
    given = {str(key): values[str(key)] for key in _SETTINGS if str(key) in values}
    return {"max_tokens": DEFAULT_TOKENS, **given}


def window_of(request: web.Request) -> tuple[int, int]:
    """Return limit and offset of a list. Raises InvalidRequestError."""
    if unknown := set(request.query) - {"limit", "offset"}:
        raise InvalidRequestError(f"There is no parameter {min(unknown)[:MAX_SHOWN]}.")
    limit = _number_of(request, "limit", MAX_LISTED, (1, MAX_LISTED))
    return limit, _number_of(request, "offset", 0, (0, MAX_OFFSET))


def _number_of(request: web.Request, name: str, default: int, bounds: tuple[int, int]) -> int:
    """Return a number of the query, which is there once at most."""
    given = request.query.getall(name, [str(default)])
    low, high = bounds
    # int() alone would take "1_0" and the digits of other scripts, too.
    is_number = len(given) == 1 and given[0].isascii() and given[0].isdecimal()
    if not is_number or len(given[0]) > len(str(high)) or not low <= int(given[0]) <= high:
        raise InvalidRequestError(f"{name} must be a whole number from {low} to {high}.")
    return int(given[0])
