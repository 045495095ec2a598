"""What automations need: a camera, a server with vision, and a time of the day."""

from datetime import time, timedelta
from typing import TYPE_CHECKING, override

from homeassistant.components import camera
from homeassistant.util import dt as dt_util

from .conftest import PICTURE
from .talk import PROPS

if TYPE_CHECKING:
    from datetime import datetime


SEEING = PROPS | {"modalities": {"vision": True}}


class FrontDoor(camera.Camera):
    """A camera that always shows the same picture."""

    _attr_name = "Front Door"

    def __init__(self) -> None:
        """Create a camera whose pictures are PNG files."""
        super().__init__()
        self.content_type = "image/png"

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        return PICTURE


def next_time(at: str) -> datetime:
    """Return this time of day tomorrow."""
    wanted = time.fromisoformat(at)
    day = dt_util.now() + timedelta(days=1)
    return dt_util.as_utc(day.replace(hour=wanted.hour, minute=wanted.minute, second=0))
