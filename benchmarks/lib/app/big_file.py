"""A file server with faults: it cuts connections, and sends pages of HTML and wrong bytes."""

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aiohttp import web

from dev.processes import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_BYTES = 1024 * 1024
SEED = 7


def write_big_model(path: Path, model: Path, n_bytes: int) -> None:
    """Write a model that llama-server can load, padded with noise to this size."""
    noise = random.Random(SEED)  # noqa: S311 - nothing secret
    with path.open("wb") as file:
        file.write(model.read_bytes())
        while (left := n_bytes - file.tell()) > 0:
            file.write(noise.randbytes(min(left, BLOCK_BYTES)))


@dataclass(slots=True)
class Sent:
    """The bytes sent for one request, from `start` on."""

    start: int
    n_bytes: int = 0


@dataclass
class BigFileServer:
    """Serves a file. plan: a fault for each of the next requests.

    A number cuts the connection after that many bytes, None sends a page of HTML, "wrong" sends the
    requested bytes with a wrong one at the end. After the plan, the bytes are right.
    """

    path: Path
    plan: list[int | str | None] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        """Start serving."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop serving."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        step = self.plan.pop(0) if self.plan else "right"
        if step is None:
            return web.Response(text="<html>Please log in</html>", content_type="text/html")
        size = self.path.stat().st_size
        start = int(request.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        headers = {"Content-Length": str(size - start), "ETag": '"one"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        end = start + step if isinstance(step, int) else size
        await self._send(response, start, end, is_wrong=step == "wrong")
        if end < size and request.transport:
            # The bytes written so far are still sent.
            request.transport.close()
        return response

    async def _send(
        self, response: web.StreamResponse, start: int, end: int, *, is_wrong: bool
    ) -> None:
        sent = Sent(start)
        self.sent.append(sent)
        with self.path.open("rb") as file:
            file.seek(start)
            while block := file.read(min(BLOCK_BYTES, end - file.tell())):
                if is_wrong and file.tell() == end:
                    block = block[:-1] + bytes([block[-1] ^ 1])
                await response.write(block)
                sent.n_bytes += len(block)

    @property
    def n_sent(self) -> int:
        """Return the number of all bytes that were sent."""
        return sum(one.n_bytes for one in self.sent)
