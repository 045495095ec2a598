"""Tells the Supervisor where the server is, so that Home Assistant can set it up by one click."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from .startup import Setup

_LOGGER = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 10.0
PAUSES: Final = (2.0, 10.0, 60.0, 300.0)


class Discovery:
    """Sends the same message at every start; the Supervisor tells Home Assistant what is new in it.

    Only the Supervisor sets the token that this needs.
    """

    def __init__(self, session: aiohttp.ClientSession, setup: Setup) -> None:
        """Take note; nothing is sent yet."""
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

    async def announce(self) -> bool:
        """Tell the Supervisor, trying for some minutes; return whether it has taken it."""
        if self._token is None:
            return False
        for pause in (*PAUSES, None):
            if await self._send():
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
