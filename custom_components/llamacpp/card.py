"""The dashboard card: served by Home Assistant, and loaded by its pages."""

from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

CARD: Final = Path(__file__).parent / "frontend" / "house-llama-card.js"
CARD_URL: Final = f"/{DOMAIN}/{CARD.name}"


async def async_register_card(hass: HomeAssistant) -> None:
    """Have the pages of Home Assistant load the card, if it has any."""
    if "frontend" not in hass.config.components:
        return
    # Where it is not used, what it requires may be missing.
    from homeassistant.components.frontend import add_extra_js_url  # noqa: PLC0415
    from homeassistant.components.http.server import StaticPathConfig  # noqa: PLC0415

    # Browsers keep it for a month: another content is another address.
    checksum = await hass.async_add_executor_job(lambda: crc32(CARD.read_bytes()))
    await hass.http.async_register_static_paths([StaticPathConfig(CARD_URL, str(CARD))])
    add_extra_js_url(hass, f"{CARD_URL}?{checksum:08x}")
