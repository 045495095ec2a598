"""An answer is read now and then, not token by token: each look takes time from the model."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import aiohttp

# As often as words that appear are seen to move, and as an answer is looked at that nobody reads
# before its end. All answers are looked at together.
LIVE_SECONDS: Final = 0.1
QUIET_SECONDS: Final = 2.0
# More than this is read in any case. The end of an answer always is: the server hangs up then.
MUCH_BYTES: Final = 64 * 1024


class Calm:
    """Has the kernel keep what comes of a response, until there is much of it or it ends."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Everything is told at once, until `rest` is called."""
        transport = response.connection.transport if response.connection else None
        self._socket = transport.get_extra_info("socket") if transport else None
        self._timer: asyncio.TimerHandle | None = None

    def rest(self, seconds: float) -> None:
        """Be told of nothing until the clock shows the next multiple of these seconds."""
        self._set(MUCH_BYTES)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at((loop.time() // seconds + 1) * seconds, self._look)

    def close(self) -> None:
        """Let go of the response."""
        self._socket = None
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        self._set(1)

    def _set(self, n_bytes: int) -> None:
        # A socket that is closed already has no number.
        if self._socket is not None and self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, n_bytes)
