"""Requests to the app's API and to llama-server's own, for the same answer."""

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dev.processes import LOOPBACK

from ..errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping

ASK_SECONDS = 120.0
OK = b"HTTP/1.1 200 "
_TOKENS = re.compile(rb'"completion_tokens": ?(\d+)')


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two APIs: the app's, or llama-server's. name: for messages."""

    name: str
    port: int
    path: str
    key: str
    is_app: bool

    def body(self, message: str, max_tokens: int, *, stream: bool) -> Mapping[str, Any]:
        """Return the body of a request for the same answer on either side."""
        settings = {"max_tokens": max_tokens, "temperature": 0, "stream": stream}
        if self.is_app:
            return {"message": message, **settings}
        said = {"messages": [{"role": "user", "content": message}], **settings}
        return {**said, "stream_options": {"include_usage": True}} if stream else said


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer. seconds: from opening the connection to the end of the answer."""

    is_ok: bool
    seconds: float
    n_tokens: int


async def ask(side: Side, message: str, max_tokens: int, *, stream: bool = False) -> ApiAnswer:
    """Ask once, over a connection of its own. Raises OSError, TimeoutError."""
    body = json.dumps(side.body(message, max_tokens, stream=stream)).encode()
    head = (
        f"POST {side.path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nAuthorization: Bearer {side.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    started = time.perf_counter()
    async with asyncio.timeout(ASK_SECONDS):
        reader, writer = await asyncio.open_connection(LOOPBACK, side.port)
        try:
            writer.write(head.encode() + body)
            # The answer is parsed only at its end, so that this costs little.
            answer = await reader.read()
        finally:
            writer.close()
    tokens = _TOKENS.findall(answer)
    seconds = time.perf_counter() - started
    return ApiAnswer(answer.startswith(OK), seconds, int(tokens[-1]) if tokens else 0)


async def asked_well(
    side: Side, message: str, max_tokens: int, *, stream: bool = False
) -> ApiAnswer:
    """Ask once; raises BenchmarkError unless the answer has `max_tokens` tokens."""
    answer = await ask(side, message, max_tokens, stream=stream)
    if not answer.is_ok or answer.n_tokens != max_tokens:
        raise BenchmarkError(f"{side.name} answered {answer}, not with {max_tokens} tokens")
    return answer
