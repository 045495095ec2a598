"""The state of one server, asked for now and then."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .const import DOMAIN, LOGGER, POLL_SECONDS, RETRY_SECONDS
from .errors import translation_key, translation_placeholders
from .server import (
    AuthenticationError,
    LlamaServerClient,
    LlamaServerError,
    ServerProps,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .server import (
        Completion,
    )

type LlamaCppConfigEntry = ConfigEntry[LlamaCppCoordinator]

POLL_INTERVAL = timedelta(seconds=POLL_SECONDS)
RETRY_INTERVAL = timedelta(seconds=RETRY_SECONDS)


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """What one answer of an agent took.

    agent_id: entity id. completion: tokens and milliseconds, as far as the server told.
    first_text_seconds: from the request to the first words, None if there were none.
    """

    agent_id: str
    completion: Completion
    first_text_seconds: float | None


class LlamaCppCoordinator(DataUpdateCoordinator[ServerProps]):
    """Keeps the server's properties, and knows whether it can answer at all."""

    config_entry: LlamaCppConfigEntry

    def __init__(self, hass: HomeAssistant, entry: LlamaCppConfigEntry) -> None:
        """Make the client for the entry's server; nothing is asked yet."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=POLL_INTERVAL,
            always_update=False,
        )
        self.client = LlamaServerClient(
            async_get_clientsession(hass),
            entry.data[CONF_URL],
            api_key=entry.data.get(CONF_API_KEY),
        )
        self.last_answer: AnswerStats | None = None

    @callback
    def async_record_answer(self, stats: AnswerStats) -> None:
        """Keep what the newest answer took, and tell the entities."""
        self.last_answer = stats
        self.async_update_listeners()

    @override
    async def _async_update_data(self) -> ServerProps:
        self.update_interval = RETRY_INTERVAL
        try:
            props = await self.client.identify()
        except AuthenticationError as err:
            raise ConfigEntryAuthFailed(
                translation_domain=DOMAIN, translation_key=translation_key(err)
            ) from err
        except LlamaServerError as err:
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key=translation_key(err),
                translation_placeholders=translation_placeholders(err),
            ) from err
        self.update_interval = POLL_INTERVAL
        return props

    @callback
    def async_check_soon(self) -> None:
        """Ask the server at once, without waiting for it: a request to it has just failed."""
        self.config_entry.async_create_background_task(
            self.hass, self.async_refresh(), f"{DOMAIN} check of {self.name}"
        )
