"""Tells the Supervisor where the server is, so that Home Assistant can set it up by one click."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable

    from .startup import Setup

_LOGGER = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 10.0
PAUSES: Final = (2.0, 10.0, 60.0, 300.0)
# The integration asks twice a minute, and once a minute where something is wrong.
CONNECTED_SECONDS: Final = 150.0


class HomeAssistant(StrEnum):
    """Whether House Llama in Home Assistant uses this app.

    MISSING: it was told where the app is, and has not asked since. LOST: it has asked no more.
    """

    CONNECTED = "connected"
    LOST = "lost"
    MISSING = "missing"


class Discovery:
    """Sends the same message at every start; the Supervisor tells Home Assistant what is new in it.

    Only the Supervisor sets the token that this needs.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        setup: Setup,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take note; nothing is sent yet."""
        self._clock = clock
        self._told: float | None = None
        self._heard: float | None = None
        self._session = session
        self._url = f"{setup.supervisor_url}/discovery"
        self._token = setup.supervisor_token
        self._config = {
            # Home Assistant reaches an app by the name of its container.
            "host": socket.gethostname(),
            "port": setup.ports.server,
            "api_port": setup.ports.api,
            "api_key": setup.api_key,
        }

    def hear(self) -> None:
        """Note that House Llama in Home Assistant has just asked."""
        self._heard = self._clock()

    @property
    def home_assistant(self) -> HomeAssistant | None:
        """Whether Home Assistant uses this app; None as long as that cannot be known."""
        long_ago = self._clock() - CONNECTED_SECONDS
        if self._heard is not None:
            return HomeAssistant.CONNECTED if self._heard > long_ago else HomeAssistant.LOST
        # One that uses it already has had the time to ask.
        is_due = self._told is not None and self._told < long_ago
        return HomeAssistant.MISSING if is_due else None

    async def announce(self) -> bool:
        """Tell the Supervisor, trying for some minutes; return whether it has taken it."""
        if self._token is None:
            return False
        for pause in (*PAUSES, None):
            if await self._send():
                self._told = self._clock()
                _LOGGER.info("Home Assistant has been told where the server is")
                return True
            if pause is not None:
                await asyncio.sleep(pause)
        _LOGGER.warning("The Supervisor does not take where the server is: enter it by hand")
        return False

    async def _send(self) -> bool:
        try:
            async with self._session.post(
                self._url,
                json={"service": "llamacpp", "config": self._config},
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=aiohttp.ClientTimeout(REQUEST_SECONDS),
            ) as response:
                if response.ok:
                    return True
                _LOGGER.debug("The Supervisor answers with the status %s", response.status)
        except (aiohttp.ClientError, TimeoutError) as err:
            _LOGGER.debug("The Supervisor cannot be reached: %s", err)
        return False
