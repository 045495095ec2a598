"""Clock that orders and ages conversations.

The machine's clock may be wrong: a board without battery, a virtual machine that was paused, a bad
time server. So the history counts its own running time, and takes from the machine's clock only how
long it was off, up to some hours.
"""

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Maximum age that the machine's clock can add to conversations at one start.
MAX_STEP_SECONDS: Final = 6 * 3600
# Minimum step that keeps turns at the same time in order.
_TICK_SECONDS: Final = 0.001


def running_seconds() -> float:
    """Return the seconds since a fixed time, including sleep if the machine counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class HistoryClock:
    """Monotonic clock in seconds since 1970, independent of jumps of the machine's clock."""

    def __init__(
        self, wall: float, known: Iterable[float], running: Callable[[], float] = running_seconds
    ) -> None:
        """Start at the latest known time of the past, or a little later.

        wall: time of the machine's clock. known: times at which the history was running; ignores
        those after `wall`. running: returns a count of seconds.
        """
        latest = max((one for one in known if one <= wall), default=None)
        start = wall if latest is None else min(wall, latest + MAX_STEP_SECONDS)
        self._running = running
        self._offset = start - running()

    def now(self) -> float:
        """Return the current time."""
        return self._running() + self._offset

    def after(self, newest: float) -> float:
        """Return the time for a new last turn. newest: time of the last turn so far."""
        return max(self.now(), newest + _TICK_SECONDS)
