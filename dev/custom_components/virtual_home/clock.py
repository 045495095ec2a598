"""Sets the time in Home Assistant, as questions can depend on it."""

from typing import TYPE_CHECKING

from homeassistant.util import dt as dt_util

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

REAL_UTCNOW, REAL_NOW = dt_util.utcnow, dt_util.now


def set_time(moment: datetime) -> None:
    """Set the current time in Home Assistant. moment: without a time zone, in its own one.

    The clock continues from there. Timers that are already set do not change.
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt_util.DEFAULT_TIME_ZONE)
    _shift(moment - REAL_UTCNOW())


def reset_time() -> None:
    """Set the real time again."""
    dt_util.utcnow, dt_util.now = REAL_UTCNOW, REAL_NOW


def _shift(shift: timedelta) -> None:
    def utcnow() -> datetime:
        return REAL_UTCNOW() + shift

    def now(time_zone: tzinfo | None = None) -> datetime:
        return utcnow().astimezone(time_zone or dt_util.DEFAULT_TIME_ZONE)

    dt_util.utcnow, dt_util.now = utcnow, now  # type: ignore[assignment]
