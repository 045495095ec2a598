"""Other machines that compute for this one, by llama.cpp's RPC servers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECT_SECONDS: Final = 3.0


async def is_open(address: str) -> bool:
    """Return whether a server listens at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError, UnicodeError):
        # The last of them: a name that no name server could know.
        return False
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CONNECT_SECONDS):
            await writer.wait_closed()
    return True


async def alive(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return those of the addresses at which a server listens, in their order."""
    answers = await asyncio.gather(*(is_open(one) for one in addresses))
    return tuple(one for one, answer in zip(addresses, answers, strict=True) if answer)
