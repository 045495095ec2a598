"""Knows whether the model is needed."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Idleness:
    """Counts who needs the model, and remembers since when nobody does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: in seconds."""
        self._clock = clock
        self._n_users = 0
        self._since = clock()
        # Set by whoever needs the model; cleared by whoever takes it away.
        self.wanted = asyncio.Event()

    @contextmanager
    def used(self) -> Generator[None]:
        """Need the model until the end of the block."""
        self._n_users += 1
        self.wanted.set()
        try:
            yield
        finally:
            self._n_users -= 1
            self.begin()

    def begin(self) -> None:
        """Count the time from now on."""
        self._since = self._clock()

    def left(self, seconds: float) -> float:
        """Return how long it takes at least until nobody has needed it for so long, in seconds."""
        if self._n_users:
            return seconds
        return max(0.0, self._since + seconds - self._clock())

    async def last(self, seconds: float) -> None:
        """Return when nobody has needed the model for so long."""
        while left := self.left(seconds):  # noqa: ASYNC110 - it only grows
            await asyncio.sleep(left)
