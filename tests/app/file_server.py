"""A server of files with the faults that a test sets."""

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aiohttp import web

from dev.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

KILOBYTE = 1024


def model_bytes(n_bytes: int) -> bytes:
    """Return bytes that start like a model; no two blocks are the same."""
    blocks = (hashlib.sha256(str(number).encode()).digest() for number in range(n_bytes // 32 + 1))
    return (b"GGUF" + b"".join(blocks))[:n_bytes]


@dataclass
class FileServer:
    """Serves `content` at every path but those of `others`.

    script: other answers for the next requests. n_sent: bytes of content. requests: with headers.
    """

    content: bytes = field(default_factory=lambda: model_bytes(64 * KILOBYTE))
    script: list[Answer] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    n_sent: int = 0
    has_ranges: bool = True
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""
    # Instead of `content`, at some paths.
    others: dict[str, bytes] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        """Start to serve."""
        self._closing = asyncio.Event()
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://{LOOPBACK}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop serving."""
        self._closing.set()
        await self._runner.cleanup()

    @property
    def sha256(self) -> str:
        """The hash of the content."""
        return hashlib.sha256(self.content).hexdigest()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, dict(request.headers)))
        if self.script:
            return await self.script.pop(0)(request)
        return await self.send(request)

    async def send(
        self, request: web.Request, *, n_bytes: int | None = None, pause: float = 0.0
    ) -> web.StreamResponse:
        """Send the content, or this many bytes before the connection is closed."""
        start = self._start(request)
        content = self.others.get(request.path, self.content)
        rest = content[start:]
        headers = {"Content-Length": str(len(rest)), **self.headers}
        if start:
            end = len(content)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        part = rest[:n_bytes]
        await response.write(part)
        self.n_sent += len(part)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._closing.wait()
        if len(part) < len(rest) and request.transport:
            # Let the written bytes arrive.
            request.transport.close()
        return response

    def _start(self, request: web.Request) -> int:
        asked = request.headers.get("Range")
        if not self.has_ranges or asked is None:
            return 0
        if request.headers.get("If-Range", self.headers.get("ETag")) != self.headers.get("ETag"):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def cut(self, n_bytes: int, pause: float = 0.0) -> Answer:
        """Return an answer that ends after this many bytes."""

        async def answer(request: web.Request) -> web.StreamResponse:
            return await self.send(request, n_bytes=n_bytes, pause=pause)

        return answer


def saying(status: int, text: str = "", **headers: str) -> Answer:
    """Return an answer with a page; underscores in header names stand for hyphens."""

    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named, content_type="text/html")

    return answer
