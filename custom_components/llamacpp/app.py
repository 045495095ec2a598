"""Our app, which runs a server: what it says of its models beside what the server itself says."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from homeassistant.const import CONF_URL
from yarl import URL

from .client import (
    CannotConnectError,
    LlamaServerError,
    ModelLoadingError,
    NotLlamaServerError,
    json_fields,
)
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
# Ten on most machines; a slow one has to write a few tokens at least.
MEASURE_SECONDS = 120.0


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


@dataclass(frozen=True, slots=True)
class AppModel:
    """A model that the app has, or could download.

    url: where it is downloaded from, None if it is there. n_bytes: of its file. fits: into the
    memory of the app's machine. calls_tools: whether it controls the home by tools, a smaller one
    by commands. speed: in tokens per second on that machine, which was measured, or is told by its
    size. What is unknown is None.
    """

    name: str
    url: str | None
    n_bytes: int | None
    fits: bool | None
    calls_tools: bool | None
    speed: float | None
    is_measured: bool
    is_in_use: bool

    @classmethod
    def from_json(cls, value: Mapping[str, Any], in_use: str | None) -> Self:
        """Parse an entry of `models` or `suggestions` of `/api/models`."""
        name = json_fields.text(value, "name") or ""
        fits, control = value.get("fits"), json_fields.text(value, "control")
        return cls(
            name,
            json_fields.text(value, "url"),
            json_fields.integer(value, "bytes"),
            fits if isinstance(fits, bool) else None,
            None if control is None else control == "tools",
            json_fields.number(value, "tokens_per_second"),
            json_fields.flag(value, "is_measured"),
            name == in_use,
        )


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
        """Return the state of the app, None if it does not answer.

        The app's page says that Home Assistant is connected as long as this comes.
        """
        try:
            health = await self._client.request_json("GET", "/api/health?client=home_assistant")
        except LlamaServerError:
            return None
        if not isinstance(health, dict) or "llama_server" not in health:
            return None
        return AppState.from_json(health)

    async def async_models(self) -> list[AppModel]:
        """Return the models that the app has or suggests. Raises LlamaServerError."""
        health = await self._client.request_json("GET", "/api/health")
        answer = await self._client.request_json("GET", "/api/models")
        if not isinstance(health, dict) or not isinstance(answer, dict):
            raise NotLlamaServerError("The app's answer has no models")
        in_use = json_fields.text(health, "model")
        told = [one for one in json_fields.items(answer, "models") or [] if isinstance(one, dict)]
        known = {json_fields.text(one, "name") for one in told}
        ready = [one for one in told if json_fields.text(one, "state") == "ready"]
        suggested = [
            one
            for one in json_fields.items(answer, "suggestions") or []
            if isinstance(one, dict) and json_fields.text(one, "name") not in known
        ]
        return [AppModel.from_json(one, in_use) for one in (*ready, *suggested)]

    async def async_measure(self) -> None:
        """Have the app measure how fast the model in use writes. Raises LlamaServerError."""
        await self._client.request_json("POST", "/api/speed", limit=MEASURE_SECONDS)

    async def async_use(self, model: AppModel) -> None:
        """Have the app use a model, as soon as it is there. Raises LlamaServerError."""
        if model.url is None:
            path = f"/api/models/{quote(model.name, safe='')}/load"
            await self._client.request_json("POST", path)
            return
        body = {"name": model.name, "url": model.url, "use": True}
        await self._client.request_json("POST", "/api/models", body=body)

    async def async_explained(self, err: LlamaServerError) -> LlamaServerError:
        """Return an error of the server, with what the app says of it."""
        state = await self.async_state()
        return state.explain(err) if state else err
