"""Plays the Supervisor: takes what apps tell."""

import asyncio
from typing import Any, Self

from aiohttp import web

from dev.processes import LOOPBACK

TOKEN = "token-of-the-supervisor"


class Supervisor:
    """Takes what apps tell, and tells each of its ports on the host.

    statuses: what the next ones are answered with instead of 200.
    """

    def __init__(self) -> None:
        """Begin with nothing told."""
        self.ports: dict[str, int | None] = {}
        self.told: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.heard = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        app = web.Application()
        app.router.add_post("/discovery", self._answer)
        app.router.add_get("/addons/self/info", self._info)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        self.url = f"http://{LOOPBACK}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self.statuses:
            return web.json_response({"result": "error"}, status=self.statuses.pop(0))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"result": "error"}, status=401)
        return None

    async def _info(self, request: web.Request) -> web.Response:
        """Tell an app about itself, of which only the ports matter."""
        told = {"result": "ok", "data": {"slug": "local_llamacpp", "network": self.ports}}
        return self._refusal(request) or web.json_response(told)

    async def _answer(self, request: web.Request) -> web.Response:
        """Take a message as the real one does."""
        if refusal := self._refusal(request):
            return refusal
        self.told.append(await request.json())
        self.heard.set()
        return web.json_response({"result": "ok", "data": {"uuid": "0" * 32}})
