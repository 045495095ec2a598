"""Connections to our ports: those on which nobody asks anything do not stay."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

# A request whose head does not come counts as none.
IDLE_SECONDS: Final = 60.0
# With more than that, those that have been idle for longest go: files must be left to be opened.
MAX_IDLE: Final = 128
SWEEP_SECONDS: Final = 1.0


class Connections:
    """Knows which connections are used, and closes others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: in seconds."""
        self._clock = clock
        self._used: set[asyncio.Transport] = set()
        self._idle_since: dict[asyncio.Transport, float] = {}

    def middleware(self) -> Middleware:
        """Return what notes that a connection is used; it comes before all others."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            transport = request.transport
            if transport is None:
                return await handler(request)
            self._used.add(transport)
            try:
                return await handler(request)
            finally:
                self._used.discard(transport)

        return note

    async def watch(self, server: web.Server) -> None:
        """Sweep until this is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep([one.transport for one in server.connections if one.transport])

    def sweep(self, transports: list[asyncio.Transport]) -> None:
        """Close what has been idle for too long, and what is too much."""
        now = self._clock()
        idle = [one for one in transports if one not in self._used]
        self._idle_since = {one: self._idle_since.get(one, now) for one in idle}
        oldest_first = sorted(self._idle_since.items(), key=lambda item: item[1])
        n_too_many = len(oldest_first) - MAX_IDLE
        for number, (transport, since) in enumerate(oldest_first):
            if number < n_too_many or now - since >= IDLE_SECONDS:
                transport.abort()
                del self._idle_since[transport]
