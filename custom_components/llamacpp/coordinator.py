"""Poll the state of one server."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, override

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.core import callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .app import App, ModelDownloadingError
from .client import (
    AuthenticationError,
    CannotConnectError,
    CertificateError,
    ContextExceededError,
    LlamaServerError,
    ModelLoadingError,
    ModelStatus,
    ServerAwayError,
    ServerFaultError,
    ServerTimeoutError,
)
from .const import (
    BUSY_SECONDS,
    DOMAIN,
    LOADING_POLL_SECONDS,
    LOADING_SECONDS,
    LOGGER,
    LONGEST_RETRY_SECONDS,
    POLL_SECONDS,
    RECHECK_SECONDS,
    RETRY_SECONDS,
    UNLOADING_SECONDS,
)
from .error_messages import translation_key, translation_placeholders
from .issues import (
    async_create_certificate_issue,
    async_delete_certificate_issue,
    async_update_cache_issues,
    async_update_download_issue,
)
from .server_state import IN_MEMORY, ON_THE_WAY, ServerState, ServerStatus
from .serving.events import Polled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from .app import AppState
    from .client import LlamaServerClient, Model, ServerProps
    from .history import History
    from .server_state import AnswerStats
    from .serving.owner import Serving

type LlamaCppConfigEntry = ConfigEntry[LlamaCppData]

POLL_INTERVAL = timedelta(seconds=POLL_SECONDS)
RETRY_INTERVAL = timedelta(seconds=RETRY_SECONDS)
LONGEST_RETRY_INTERVAL = timedelta(seconds=LONGEST_RETRY_SECONDS)


# The first class that fits gives the status.
_STATUS_OF_ERROR: tuple[tuple[type[LlamaServerError], ServerStatus], ...] = (
    (ModelDownloadingError, ServerStatus.DOWNLOADING),
    (CannotConnectError, ServerStatus.UNREACHABLE),
    (ModelLoadingError, ServerStatus.LOADING),
    (AuthenticationError, ServerStatus.WRONG_KEY),
    (LlamaServerError, ServerStatus.ERROR),
)


@dataclass(frozen=True, slots=True)
class LlamaCppData:
    """The parts of a config entry: one server, its cache, its conversations, its polls."""

    client: LlamaServerClient
    serving: Serving
    history: History
    coordinator: LlamaCppCoordinator


class LlamaCppCoordinator(DataUpdateCoordinator[ServerState]):
    """Polls a server."""

    config_entry: LlamaCppConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: LlamaCppConfigEntry,
        client: LlamaServerClient,
        serving: Serving,
        history: History,
    ) -> None:
        """Initialize without sending anything.

        client: of the entry's server. serving: learns of each poll. history: tells how many
        conversations are active, which sensors show.
        """
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=entry.title,
            update_interval=POLL_INTERVAL,
            always_update=False,
        )
        self.client = client
        self._serving = serving
        self._history = history
        self._n_active = 0
        self.app = App.of(hass, entry.data)
        # What our app says, None if it does not answer, or there is none.
        self.app_state: AppState | None = None
        self._told_app: AppState | None = None
        self.last_answer: AnswerStats | None = None
        self._error: LlamaServerError | None = None
        self._told: ServerStatus | None = None
        self._retry_interval = RETRY_INTERVAL
        self._identity: tuple[object, ...] | None = None
        self._selected: str | None = None
        # By model, the newest that is known; a single model has no name.
        self._metrics: dict[str, Mapping[str, float]] = {}

    @property
    def status(self) -> ServerStatus:
        """Return the status of the server, or why it does not answer."""
        if self._error is None:
            return self.data.status
        err = self._explained(self._error)
        if isinstance(err, CannotConnectError) and self.app_state:
            return ServerStatus.STARTING
        return next(status for kind, status in _STATUS_OF_ERROR if isinstance(err, kind))

    def _explained(self, err: LlamaServerError) -> LlamaServerError:
        """Return an error of the server, with what the app says of it, if it answers."""
        return self.app_state.explain(err) if self.app_state else err

    @callback
    def async_record_answer(self, stats: AnswerStats | None) -> None:
        """Record the statistics of the newest answer, None if it failed; update the entities."""
        self.last_answer = stats
        self.async_update_listeners()

    async def async_require(self) -> None:
        """Raise CannotConnectError if the server was away at the last poll and still is."""
        if not isinstance(self._error, CannotConnectError):
            return
        try:
            await self.client.health(limit=RECHECK_SECONDS)
        except CannotConnectError as err:
            if not self.client.is_heard:
                raise CannotConnectError("The server is still away") from err
        except LlamaServerError as err:
            LOGGER.debug("%s is back, but not ready: %s", self.name, err)
        await self.async_refresh()

    @callback
    def async_note_failure(self, err: LlamaServerError) -> None:
        """Record that a turn failed or was cut, and poll the server, which may be the reason."""
        self.async_record_answer(None)
        if isinstance(err, ContextExceededError):
            return
        if isinstance(err, ServerAwayError):
            # The next question fails at once.
            self.async_set_update_error(self._failure(err))
        self.config_entry.async_create_background_task(
            self.hass, self.async_refresh(), f"{DOMAIN} check of {self.name}"
        )

    async def async_load_model(self, model: str) -> None:
        """Let a router load a model, wait until it is loaded, and show it from now on.

        Raises LlamaServerError, and HomeAssistantError if the model cannot be loaded.
        """
        self._selected = model
        try:
            if await self._async_status_of(model) not in (*IN_MEMORY, *ON_THE_WAY):
                await self._async_begin_to_load(model)
                await self.async_refresh()
            status = await self._async_wait_while(model, ON_THE_WAY, LOADING_SECONDS)
        finally:
            await self.async_refresh()
        if status not in IN_MEMORY:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="model_not_loaded",
                translation_placeholders={"model": model},
            )

    async def _async_begin_to_load(self, model: str) -> None:
        """Let a router load a model, which it refuses while its other models are busy."""
        deadline = time.monotonic() + BUSY_SECONDS
        with self._serving.paused():
            while True:
                try:
                    return await self.client.load_model(model)
                except ServerFaultError:
                    if time.monotonic() > deadline:
                        raise
                await asyncio.sleep(LOADING_POLL_SECONDS)

    async def async_unload_model(self) -> None:
        """Let a router unload the model that is shown, and wait until it is unloaded.

        Raises LlamaServerError.
        """
        if (model := self.data.model) is None:
            return
        try:
            with self._serving.paused():
                await self.client.unload_model(model.id)
            await self._async_wait_while(model.id, (*IN_MEMORY, *ON_THE_WAY), UNLOADING_SECONDS)
        finally:
            await self.async_refresh()

    async def _async_wait_while(
        self, model: str, statuses: tuple[ModelStatus, ...], seconds: float
    ) -> ModelStatus:
        """Return the status of a model once it is none of these."""
        deadline = time.monotonic() + seconds
        while (status := await self._async_status_of(model)) in statuses:
            if time.monotonic() > deadline:
                raise ServerTimeoutError(f"The model {model} is still {status}")
            await asyncio.sleep(LOADING_POLL_SECONDS)
        return status

    async def _async_status_of(self, model: str) -> ModelStatus:
        """Return the current status of a model on a router."""
        found = (one.status for one in await self.client.models() if one.id == model)
        return next(found, ModelStatus.UNKNOWN)

    @override
    async def _async_update_data(self) -> ServerState:
        self._serving.poll_begins()
        try:
            state = await self._async_ask()
        except LlamaServerError as err:
            await self._async_look_at_app()
            raise self._failure(err) from err
        await self._async_look_at_app()
        if isinstance(self._error, AuthenticationError):
            for flow in self.config_entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}):
                self.hass.config_entries.flow.async_abort(flow["flow_id"])
        self._error = None
        async_delete_certificate_issue(self.hass, self.config_entry.entry_id)
        self._retry_interval = RETRY_INTERVAL
        is_loading = state.status is ServerStatus.LOADING
        is_on_the_way = is_loading or (self.app_state and self.app_state.is_downloading)
        self.update_interval = RETRY_INTERVAL if is_on_the_way else POLL_INTERVAL
        self._async_reload_if_replaced(state.props)
        return state

    async def _async_look_at_app(self) -> None:
        """Learn what our app says, if it runs the server, and tell of a download that fails."""
        if self.app is None:
            return
        self.app_state = await self.app.async_state()
        if self.app_state:
            async_update_download_issue(self.hass, self.config_entry, self.app_state.failure)

    async def _async_ask(self) -> ServerState:
        """Return the state of the server, without waking it or loading a model.

        So the busy slots come from the metrics: `/slots` wakes a sleeping server, and a server that
        is asked for them twice a minute never falls asleep.
        """
        props = await self.client.identify()
        if not props.is_router:
            await self._async_learn_metrics({"": props.is_sleeping}, known=props.has_metrics)
            return ServerState(props, (), None, props, dict(self._metrics))
        models = tuple(await self.client.models())
        model = self._shown(models)
        if model is None or model.status not in IN_MEMORY:
            self._metrics = {}
            return ServerState(props, models, model, None, {})
        try:
            loaded = await self.client.props(model.id, autoload=False)
        except LlamaServerError as err:
            # It was unloaded since, or has crashed: the router is still well.
            LOGGER.debug("%s does not report its model %s: %s", self.name, model.id, err)
            return ServerState(props, models, model, None, {})
        is_asleep = {
            one.id: one.status is ModelStatus.SLEEPING for one in models if one.status in IN_MEMORY
        }
        await self._async_learn_metrics(
            is_asleep | {model.id: loaded.is_sleeping}, known=loaded.has_metrics
        )
        return ServerState(props, models, model, loaded, dict(self._metrics))

    def _shown(self, models: tuple[Model, ...]) -> Model | None:
        """Return the selected model if it is in memory, else the first one that is."""
        present = [one for one in models if one.status in IN_MEMORY]
        present += [one for one in models if one.status is ModelStatus.LOADING]
        selected = (one for one in present if one.id == self._selected)
        return next(selected, next(iter(present), None))

    async def _async_learn_metrics(self, is_asleep: Mapping[str, bool], *, known: bool) -> None:
        """Update the metrics of the models in memory; forget those of others.

        is_asleep: by the id of each model in memory, "" for a single one. known: whether the server
        has metrics. A model that sleeps, or is too busy to report them, keeps its last ones.
        """
        names = is_asleep if known else {}
        self._metrics = {name: one for name, one in self._metrics.items() if name in names}
        for name, is_sleeping in names.items():
            if is_sleeping:
                continue
            try:
                self._metrics[name] = await self.client.metrics(name or None, autoload=False)
            except LlamaServerError as err:
                LOGGER.debug("%s does not report its metrics: %s", self.name, err)

    def _failure(self, err: LlamaServerError) -> HomeAssistantError:
        """Record an error, schedule the next poll, and return the error for Home Assistant."""
        was_refused = isinstance(self._error, AuthenticationError)
        if isinstance(err, CertificateError):
            async_create_certificate_issue(self.hass, self.config_entry, err)
        self._error = err
        is_starting = isinstance(err, CannotConnectError) and self.app_state is not None
        if is_starting or isinstance(err, ModelLoadingError):
            self._retry_interval = RETRY_INTERVAL
        self.update_interval = self._retry_interval
        self._retry_interval = min(2 * self._retry_interval, LONGEST_RETRY_INTERVAL)
        kind: type[HomeAssistantError] = UpdateFailed
        if isinstance(err, AuthenticationError):
            if self.config_entry.state is ConfigEntryState.SETUP_IN_PROGRESS:
                kind = ConfigEntryAuthFailed
            elif not was_refused:
                # ConfigEntryAuthFailed would end polling, but the key may also be fixed on the
                # server.
                self.config_entry.async_start_reauth(self.hass)
        told = self._explained(err)
        return kind(
            translation_domain=DOMAIN,
            translation_key=translation_key(told),
            translation_placeholders=translation_placeholders(told),
        )

    def _async_reload_if_replaced(self, props: ServerProps) -> None:
        """Reload the entry if its devices and entities belong to another server now."""
        identity = (props.build_info, props.model_name, props.is_router, props.has_metrics)
        if self._identity not in (None, identity):
            self.hass.config_entries.async_schedule_reload(self.config_entry.entry_id)
        self._identity = identity

    @override
    @callback
    def _async_refresh_finished(self) -> None:
        if not self._error:
            self._serving.polled(_polled(self.data))
            if not self.data.props.is_front:
                async_update_cache_issues(self.hass, self.config_entry, self._serving)
        # The base class updates the entities only if the data differs: not if the server is away
        # for another reason, nor if a conversation is over as it did not continue, nor for the app.
        n_active = self._history.active_count()
        is_told = not self._error or self._told is self.status
        if not is_told or n_active != self._n_active or self._told_app != self.app_state:
            self.async_update_listeners()
        self._told_app = self.app_state
        self._told = self.status if self._error else None
        self._n_active = n_active


def _polled(state: ServerState) -> Polled:
    """Return what the server's cache depends on."""
    return Polled(
        n_slots=state.slots_total or 1,
        is_router=state.is_router,
        is_front=state.props.is_front,
        build=f"{state.props.build_info} {state.props.model_path}",
        in_memory=state.in_memory,
        n_prompt_tokens=state.prompt_tokens,
    )
