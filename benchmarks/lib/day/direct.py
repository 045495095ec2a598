"""The time to the first words where llama-server itself is asked, with a warm prompt."""

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from ..errors import BenchmarkError
from .exchange import WARM_UP_TOKENS
from .prompts import with_other_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .play import Taken

CHAT = "/v1/chat/completions"
ANSWER_SECONDS = 280.0
DATA = b"data: "


async def direct_seconds(
    session: aiohttp.ClientSession, server_url: str, asks: Sequence[Taken]
) -> dict[str, float]:
    """Return the seconds to the first words by ask.

    The first request of each ask is sent again as it was, after one for a single token, which is
    the same but for what the user said. Do this after the day: it changes what the server has in
    memory. Asks whose answers do not come in pieces, or have no words, are left out. Raises
    BenchmarkError if there are no others.
    """
    seconds = {}
    for ask in asks:
        body = ask.bodies[0]
        if ask.seconds is None or not body.get("stream"):
            continue
        other = with_other_words(body, ask.words)
        await _until_words(session, server_url, {**other, "max_tokens": WARM_UP_TOKENS})
        if (taken := await _until_words(session, server_url, body)) is not None:
            seconds[ask.name] = taken
    if not seconds:
        raise BenchmarkError("llama-server itself gave no words")
    return seconds


async def _until_words(
    session: aiohttp.ClientSession, server_url: str, body: Mapping[str, Any]
) -> float | None:
    """Ask, read until the first words, and hang up; None if the answer ends without any."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    asked = time.perf_counter()
    async with session.post(server_url + CHAT, json=body, timeout=timeout) as response:
        async for line in response.content:
            if line.startswith(DATA + b"{") and _has_words(json.loads(line[len(DATA) :])):
                return time.perf_counter() - asked
        if response.status != HTTPStatus.OK:
            raise BenchmarkError(f"llama-server itself gave status {response.status}")
    return None


def _has_words(event: Mapping[str, Any]) -> bool:
    return any(
        choice["delta"].get("content") or choice["delta"].get("tool_calls")
        for choice in event.get("choices") or ()
    )
