"""Scripted llama-servers that hold a prefill or an answer until a test has seen enough."""

import asyncio
from typing import Any

from aiohttp import web

from .peers import stream_events
from .prefill import WAIT_SECONDS
from .talk import PROPS, is_prefill, no_slots, piece, sse


class EndlessPrefillServer:
    """A llama-server that never finishes a prefill."""

    def __init__(self, n_slots: int = 1) -> None:
        """Start without any request. n_slots: what `/props` says."""
        self.n_slots = n_slots
        self.bodies: list[dict[str, Any]] = []
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.n_warm_ups = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response({**PROPS, "total_slots": self.n_slots})
        if request.path == "/slots":
            # The first aborted request keeps its slot busy for a moment.
            busy = 0 if len(self.bodies) == 1 else None
            slots = [{"id": slot, "is_processing": slot == busy} for slot in range(self.n_slots)]
            return web.json_response(slots)
        if request.path.startswith("/slots/"):
            return no_slots()
        self.bodies.append(await request.json())
        if is_prefill(self.bodies[-1]):
            self.n_warm_ups += 1
            self.begun.set()
            try:
                await asyncio.sleep(WAIT_SECONDS)
            finally:
                self.ended.set()
        await self.may_answer.wait()
        return await stream_events(request, sse(piece(content="Here."), piece("stop")))


class WaitingServer:
    """A llama-server that answers when a test lets it."""

    def __init__(self) -> None:
        """Start without any request."""
        self.asked = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer; a chat only after `go_on`."""
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(PROPS)
        if request.path != "/v1/chat/completions":
            return web.json_response({"error": {"code": 404, "message": "no"}}, status=404)
        if is_prefill(await request.json()):
            return await stream_events(request, sse(piece("stop")))
        self.asked.release()
        await self.go_on.wait()
        return await stream_events(request, sse(piece(content="Hi."), piece("stop")))
