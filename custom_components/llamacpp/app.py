"""Our app, which runs a server: what it says of its models beside what the server itself says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from homeassistant.const import CONF_URL
from yarl import URL

from .client import CannotConnectError, LlamaServerError, ModelLoadingError, json_fields
from .connection import async_client
from .const import CONF_API_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from .client import LlamaServerClient

DOWNLOADING = "downloading"
LOADING = "loading"
ERROR = "error"
WHOLE = 100.0


class ModelDownloadingError(ModelLoadingError):
    """The app is downloading the model of its server."""

    def __init__(self, download: Download) -> None:
        """Initialize the error. download: how far it is."""
        super().__init__(f"The model {download.model} is being downloaded")
        self.download = download


class AppFaultError(LlamaServerError):
    """The app cannot run its server; the message says why."""


@dataclass(frozen=True, slots=True)
class Download:
    """A model that the app is to have.

    percent: how much of it is there, None if unknown. seconds_left: None if unknown. error: why
    nothing of it comes, None if it does.
    """

    model: str
    percent: float | None
    seconds_left: int | None
    error: str | None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse an entry of `downloads` or `failed_downloads`."""
        done = json_fields.number(value, "done_bytes")
        total = json_fields.number(value, "total_bytes")
        left = json_fields.number(value, "seconds_left")
        return cls(
            json_fields.text(value, "model") or "",
            round(WHOLE * done / total, 1) if done is not None and total else None,
            None if left is None else round(left),
            json_fields.text(value, "error") or None,
        )


@dataclass(frozen=True, slots=True)
class AppState:
    """State of the app.

    status: a word for all of it, empty if unknown. message: why its server cannot answer, None if
    it can. downloads: those under way, before those that have failed.
    """

    status: str
    message: str | None
    downloads: tuple[Download, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Parse `/api/health`."""
        told = [
            Download.from_json(one)
            for key in ("downloads", "failed_downloads")
            for one in json_fields.items(value, key) or []
            if isinstance(one, dict)
        ]
        return cls(
            json_fields.text(value, "status") or "",
            json_fields.text(value, "message"),
            tuple(told),
        )

    @property
    def download(self) -> Download | None:
        """Return the download that is to be shown: one that is under way, else one that failed."""
        return next(iter(self.downloads), None)

    @property
    def failure(self) -> Download | None:
        """Return a download that does not come."""
        return next((one for one in self.downloads if one.error), None)

    @property
    def is_downloading(self) -> bool:
        """Return whether something comes."""
        return any(not one.error for one in self.downloads)

    def explain(self, err: LlamaServerError) -> LlamaServerError:
        """Return the error of a server that cannot be reached, with what the app says of it."""
        if not isinstance(err, (CannotConnectError, ModelLoadingError)):
            return err
        if self.status == ERROR and self.message:
            return AppFaultError(self.message)
        if self.status == DOWNLOADING and self.download:
            return ModelDownloadingError(self.download)
        # What is not being downloaded yet is looked for.
        return ModelLoadingError(str(err)) if self.status in (DOWNLOADING, LOADING) else err


class App:
    """Client for the API of our app, on the host of its server."""

    def __init__(self, client: LlamaServerClient) -> None:
        """Initialize without sending anything. client: for the address of the API."""
        self._client = client

    @classmethod
    def of(cls, hass: HomeAssistant, data: Mapping[str, Any]) -> Self | None:
        """Return the app of an entry with this data, None if the server is another one's."""
        if (port := data.get(CONF_API_PORT)) is None:
            return None
        url = str(URL(data[CONF_URL]).with_port(port).origin())
        return cls(async_client(hass, data, url))

    async def async_state(self) -> AppState | None:
        """Return the state of the app, None if it does not answer."""
        try:
            health = await self._client.request_json("GET", "/api/health")
        except LlamaServerError:
            return None
        if not isinstance(health, dict) or "llama_server" not in health:
            return None
        return AppState.from_json(health)

    async def async_explained(self, err: LlamaServerError) -> LlamaServerError:
        """Return an error of the server, with what the app says of it."""
        state = await self.async_state()
        return state.explain(err) if state else err
