"""A scripted Supervisor that receives the app's messages."""

import asyncio
from typing import Any, Self

from aiohttp import web

from dev.processes import LOOPBACK

TOKEN = "token-of-the-supervisor"


class Supervisor:
    """Receives the messages of apps, and returns their ports on the host.

    statuses: of the next answers, instead of 200.
    """

    def __init__(self) -> None:
        """Start without any message."""
        self.ports: dict[str, int | None] = {}
        self.told: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.heard = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        """Start to listen."""
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
        """Return an app's information, of which only the ports matter."""
        told = {"result": "ok", "data": {"slug": "local_llamacpp", "network": self.ports}}
        return self._refusal(request) or web.json_response(told)

    async def _answer(self, request: web.Request) -> web.Response:
        """Answer a message like the real one."""
        if refusal := self._refusal(request):
            return refusal
        self.told.append(await request.json())
        self.heard.set()
        return web.json_response({"result": "ok", "data": {"uuid": "0" * 32}})
