"""Home Assistant as a process of its own."""

import contextlib
from typing import TYPE_CHECKING

from dev.ha_client import HomeAssistantClient
from dev.hass import HomeAssistant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


@contextlib.asynccontextmanager
async def home_assistant(
    config_dir: Path, port: int, ffmpeg: Path | None = None
) -> AsyncGenerator[HomeAssistantClient]:
    """Run Home Assistant and log in. ffmpeg: the program that makes MP3 of speech."""
    hass = HomeAssistant(config_dir, port=port, ffmpeg=ffmpeg)
    hass.start()
    try:
        hass.wait_ready()
        async with HomeAssistantClient(hass.base_url) as client:
            await client.wait_started()
            yield client
    finally:
        hass.stop()
