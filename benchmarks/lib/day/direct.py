"""The time to the first words of llama-server itself, with a prefilled prompt."""

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from dev.prompts import PREFILL_TOKENS

from ..errors import BenchmarkError
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

    The first request of each ask is sent again, after a prefill with other words of the user. Do
    this after the day, as it changes the server's cache. Asks whose answers are not streamed, or
    have no words, are left out. Raises BenchmarkError if none is left.
    """
    seconds = {}
    for ask in asks:
        body = ask.bodies[0]
        if ask.seconds is None or not body.get("stream"):
            continue
        other = with_other_words(body, ask.words)
        await _until_words(session, server_url, {**other, "max_tokens": PREFILL_TOKENS})
        if (taken := await _until_words(session, server_url, body)) is not None:
            seconds[ask.name] = taken
    if not seconds:
        raise BenchmarkError("llama-server gave no words")
    return seconds


async def _until_words(
    session: aiohttp.ClientSession, server_url: str, body: Mapping[str, Any]
) -> float | None:
    """Return the seconds to the first words, and hang up; None if the answer has none."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    asked = time.perf_counter()
    async with session.post(server_url + CHAT, json=body, timeout=timeout) as response:
        async for line in response.content:
            if line.startswith(DATA + b"{") and _has_words(json.loads(line[len(DATA) :])):
                return time.perf_counter() - asked
        if response.status != HTTPStatus.OK:
            raise BenchmarkError(f"llama-server gave status {response.status}")
    return None


def _has_words(event: Mapping[str, Any]) -> bool:
    return any(
        choice["delta"].get("content") or choice["delta"].get("tool_calls")
        for choice in event.get("choices") or ()
    )
