"""The time by which conversations age.

A clock of the machine may be wrong: a board without battery, a virtual machine that was paused, a
bad time server. So the app counts how long it is running, and the machine's clock tells only how
long it was off, up to some hours.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The most that one start can let conversations age by what the machine's clock says.
MAX_STEP_SECONDS: Final = 6 * 3600
# What keeps the order of turns at the same time.
_TICK_SECONDS: Final = 0.001


def running_seconds() -> float:
    """Return the seconds since the machine was started, its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Seconds since 1970 that go on evenly, and never back, whatever the machine's clock does."""

    def __init__(
        self, wall: float, known: Iterable[float], running: Callable[[], float] = running_seconds
    ) -> None:
        """Start at the latest time that is known to be over, or a little later.

        wall: what the machine's clock says. known: times at which the app was running; those after
        `wall` are not believed. running: counts seconds.
        """
        latest = max((one for one in known if one <= wall), default=None)
        start = wall if latest is None else min(wall, latest + MAX_STEP_SECONDS)
        self._running = running
        self._offset = start - running()

    def now(self) -> float:
        """Return the time."""
        return self._running() + self._offset

    def after(self, newest: float) -> float:
        """Return the time for a turn behind all others, of which the newest was at this time."""
        return max(self.now(), newest + _TICK_SECONDS)
