"""The time in Home Assistant, which can be set: what is asked may depend on it."""

from typing import TYPE_CHECKING

from homeassistant.util import dt as dt_util

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

REAL_UTCNOW, REAL_NOW = dt_util.utcnow, dt_util.now


def set_time(moment: datetime) -> None:
    """Let it be this time now in Home Assistant. moment: without a zone in its own one.

    The time goes on from then. What waits for a time still waits as long as it would have.
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt_util.DEFAULT_TIME_ZONE)
    _shift(moment - REAL_UTCNOW())


def reset_time() -> None:
    """Let it be the time that it really is."""
    dt_util.utcnow, dt_util.now = REAL_UTCNOW, REAL_NOW


def _shift(shift: timedelta) -> None:
    def utcnow() -> datetime:
        return REAL_UTCNOW() + shift

    def now(time_zone: tzinfo | None = None) -> datetime:
        return utcnow().astimezone(time_zone or dt_util.DEFAULT_TIME_ZONE)

    dt_util.utcnow, dt_util.now = utcnow, now  # type: ignore[assignment]
