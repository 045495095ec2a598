"""Who needs no key: with the option api_key `none`, Home Assistant's own network."""

from __future__ import annotations

import asyncio
import logging
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import hdrs

if TYPE_CHECKING:
    from aiohttp import web

    from .startup import Setup

_LOGGER = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 10.0
PAUSES: Final = (2.0, 10.0, 60.0, 300.0)
# This machine, and the network in which the Supervisor keeps Home Assistant and its apps.
INSIDE: Final = (IPv4Network("127.0.0.1/32"), IPv4Network("172.30.32.0/23"))


def is_inside(address: str | None) -> bool:
    """Return whether an address is one of Home Assistant's own network, or this very one."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    return any(found in one for one in INSIDE)


class Keyless:
    """Knows at which ports the key is asked of nobody inside.

    That is none until the Supervisor has told that the port is closed to the network: what comes
    in from there may seem to come from inside.

    ports: of the container. message: why there are not both, None if that is not wanted.
    """

    def __init__(self, session: aiohttp.ClientSession, setup: Setup) -> None:
        """Take note; nothing is asked yet."""
        self._session = session
        self._url = f"{setup.supervisor_url}/addons/self/info"
        self._token = setup.supervisor_token
        self._wanted = (setup.ports.api, setup.ports.server)
        self.is_wanted = setup.options.is_keyless
        self.ports: tuple[int, ...] = ()
        self.message: str | None = None

    def lets_in(self, request: web.Request, port: int) -> bool:
        """Return whether a request at a port of the container needs no key.

        A browser may ask in the name of a page from anywhere, so one that does needs it.
        """
        if port not in self.ports or hdrs.ORIGIN in request.headers:
            return False
        return is_inside(request.remote)

    async def look(self) -> None:
        """Ask the Supervisor which ports are closed, trying for some minutes, and tell."""
        if not self.is_wanted:
            return
        self.message = "The key is asked for until the Supervisor has told which ports are closed."
        for pause in (*PAUSES, None):
            if (network := await self._network()) is not None:
                self._take(network)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        self.message = "The Supervisor does not tell which ports are closed: the key is asked for."
        _LOGGER.warning("%s", self.message)

    def _take(self, network: dict[str, Any]) -> None:
        # A port that the Supervisor does not name is not closed for sure.
        self.ports = tuple(one for one in self._wanted if network.get(f"{one}/tcp", 0) is None)
        for port in self.ports:
            _LOGGER.info("Port %s asks nobody within Home Assistant's network for the key", port)
        told = [
            f"Port {port} is open to your network, and asks for the key: close it under Network, "
            "or send the key."
            for port in self._wanted
            if port not in self.ports
        ]
        for one in told:
            _LOGGER.warning("%s", one)
        self.message = " ".join(told) or None

    async def _network(self) -> dict[str, Any] | None:
        """Return the host's port for each of the app's, None where it is closed; or nothing."""
        try:
            async with self._session.get(
                self._url,
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=aiohttp.ClientTimeout(REQUEST_SECONDS),
            ) as response:
                told = await response.json()
                return dict(told["data"]["network"]) if response.ok else None
        except (aiohttp.ClientError, TimeoutError, KeyError, TypeError, ValueError) as err:
            _LOGGER.debug("The Supervisor cannot be asked for the ports: %s", err)
            return None
