"""Create the client for a config entry."""

from typing import TYPE_CHECKING, Any

from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .client import LlamaServerClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant


def async_client(
    hass: HomeAssistant, data: Mapping[str, Any], url: str | None = None
) -> LlamaServerClient:
    """Return a client for the server of an entry with this data.

    url: of another service on the same host that takes the same key.
    """
    session = async_get_clientsession(hass, verify_ssl=data.get(CONF_VERIFY_SSL, True))
    return LlamaServerClient(session, url or data[CONF_URL], api_key=data.get(CONF_API_KEY))
