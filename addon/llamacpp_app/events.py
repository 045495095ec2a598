"""Answers as server-sent events, for those who listen while they come."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from .errors import AppError
from .guard import described

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_LOGGER = logging.getLogger(__name__)

# Who does not take a word for so long is gone, without having said so.
WRITE_SECONDS: Final = 60.0
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


class GoneError(Exception):
    """Whoever asked does not listen any more."""


class Events:
    """The events of one answer: `delta` each with its words, `done` or `error` at the end."""

    def __init__(self, request: web.Request) -> None:
        """Nothing is sent yet, so an error can still have a status of its own."""
        self._request = request
        self._response = web.StreamResponse(headers=HEADERS)

    async def tell(self, text: str) -> None:
        """Send words of the answer. Raises GoneError."""
        await self._send("delta", {"delta": text})

    async def _send(self, event: str, data: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                if not self._response.prepared:
                    await self._response.prepare(self._request)
                await self._response.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
        except (ConnectionError, TimeoutError) as err:
            raise GoneError from err

    async def answer(self, ask: Callable[[], Awaitable[Mapping[str, Any]]]) -> web.StreamResponse:
        """Send what `ask` tells and, at the end, the fields that it returns.

        Raises what `ask` raises, if nothing has been sent before.
        """
        try:
            await self._send(*await self._end_of(ask))
            await self._response.write_eof()
        except (GoneError, ConnectionError):
            if self._request.transport:
                self._request.transport.abort()
        return self._response

    async def _end_of(
        self, ask: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> tuple[str, Mapping[str, Any]]:
        """Return the last event, which tells that all went well or what did not."""
        try:
            return "done", await ask()
        except GoneError:
            raise
        except Exception as err:
            if not self._response.prepared:
                raise
            return "error", {"error": _told_of(err)}


def _told_of(err: Exception) -> dict[str, str]:
    """Return an error as it is told in the middle of an answer; a mistake of ours is logged."""
    if isinstance(err, AppError):
        return {"code": described(err)[1], "message": str(err)}
    _LOGGER.error("An answer failed", exc_info=err)
    return {"code": "internal", "message": "The app made a mistake. Its log tells more."}
