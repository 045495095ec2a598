"""Keeps the prompts of a server's agents warm: notices what the server may have forgotten."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.start import async_at_started

from .client import BadRequestError, LlamaServerError
from .const import CONF_API_PORT, DOMAIN, HOME_CHANGE_SECONDS, LOGGER, NOTICE_SECONDS
from .home.changes import async_track_home
from .issues import async_create_loss_issue, async_delete_loss_issue
from .serving.diagnosis import CacheProblem
from .serving.prefill import Prefiller

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .client import ChatRequest
    from .coordinator import LlamaCppCoordinator
    from .state import ServerState

# Whoever asks at once, as automations do, may get ahead of a request that is being given up: it is
# still on its way to the server then, and would take the slot's prompt away behind their back.
FOLLOW_SECONDS = 0.5


class CacheMonitor:
    """Has the prompts of one server's agents processed whenever the server may not know them."""

    def __init__(self, coordinator: LlamaCppCoordinator) -> None:
        """Begin with a server that has told nothing yet."""
        self._coordinator = coordinator
        self.prefiller = Prefiller(coordinator.client, self.async_warm_soon)
        self._task: asyncio.Task[None] | None = None
        self._due = asyncio.Event()
        # Somebody who asked has found the server in another state than it was in before.
        self._is_outdated = False
        self._n_tokens: float | None = None
        # What had begun when the server was asked for its state, None: something was under way.
        self._n_begun: int | None = None
        # By the id of each model in memory, a word that differs with every start; "": not known.
        self._in_memory: dict[str, str] | None = None

    @callback
    def async_watch_home(self) -> None:
        """Prefill the agents' prompts at the start and whenever the home has changed.

        Until the entry is unloaded.
        """
        hass, entry = self._coordinator.hass, self._coordinator.config_entry
        # A change seldom comes alone.
        changes = Debouncer(
            hass,
            LOGGER,
            cooldown=HOME_CHANGE_SECONDS,
            immediate=False,
            function=self.async_warm_soon,
        )
        entry.async_on_unload(changes.async_shutdown)
        entry.async_on_unload(async_track_home(hass, changes.async_schedule_call))

        @callback
        def started(_hass: HomeAssistant) -> None:
            self.async_warm_soon()

        entry.async_on_unload(async_at_started(hass, started))

    @callback
    def async_begin_look(self) -> None:
        """Take note that the server is about to be asked for its state."""
        ahead = self.prefiller.ahead
        self._n_begun = None if ahead.is_busy else ahead.n_begun

    @callback
    def async_look(self, state: ServerState) -> None:
        """Have the prompts processed anew that the server has forgotten, or may have."""
        self.prefiller.filling.n_slots = state.slots_total or 1
        self.prefiller.is_router = state.is_router
        self.prefiller.served_by(f"{state.props.build_info} {state.props.model_path}")
        if not state.props.is_front:
            self._tell_losses()
        ahead = self.prefiller.ahead
        if ahead.is_busy or ahead.n_begun != self._n_begun:
            # A model may be on its way, and what is asked is not counted by the server when it is
            # by us. It was also asked if that was over before the server had told all of its state.
            return
        self._look_at_memory(state)
        if self.prefiller.is_to_write or self.prefiller.seconds_until_telling is not None:
            self.async_warm_soon()
        n_tokens = state.prompt_tokens
        if n_tokens == self._n_tokens:
            # Nothing was asked, or the server was too busy to tell: then it is told next time.
            return
        n_own, before = self.prefiller.spending.take_own(), self._n_tokens
        self._n_tokens = n_tokens
        if before is None:
            # A prompt that was given up before a restart or reload is counted a batch later.
            self.prefiller.spending.add_unknown()
        if n_tokens is None or before is None or n_own is None:
            return
        if n_tokens - before > n_own:
            # Somebody else has used the server.
            self.prefiller.displaced()

    def _look_at_memory(self, state: ServerState) -> None:
        """Compare the models in memory with those of the time before."""
        before, now = self._in_memory, state.in_memory
        if before is None:
            # A server that has been running since before Home Assistant may know the prompts.
            self.prefiller.forget(now, is_empty=not state.prompt_tokens)
        elif changed := {one for one in {*before, *now} if _has_changed(one, before, now)}:
            self.prefiller.forget(changed)
        else:
            self._in_memory = {one: word or before[one] for one, word in now.items()}
            return
        self._in_memory = dict(now)
        self.async_warm_soon()

    def _tell_losses(self) -> None:
        """Have Home Assistant show whether the server loses prompts, and which flags prevent it.

        Not of the server of our app: its flags are fine.
        """
        coordinator = self._coordinator
        hass, entry = coordinator.hass, coordinator.config_entry
        if CONF_API_PORT in entry.data:
            return
        placeholders = {
            "server": coordinator.name,
            "tokens": str(self.prefiller.n_tokens_lost),
            "agents": str(self.prefiller.n_agents),
            "slots": str(self.prefiller.filling.n_slots),
        }
        for loss in CacheProblem:
            is_suffered = self.prefiller.suffers(loss)
            if is_suffered:
                async_create_loss_issue(hass, entry.entry_id, loss, placeholders)
            elif is_suffered is False:
                async_delete_loss_issue(hass, entry.entry_id, loss)

    async def async_notice(self, model: str | None, *, keeps_open: bool = False) -> None:
        """Notice at once if the server has forgotten a model's prompts since it was asked last.

        It was started anew, sleeps, or has given the memory to another model. Somebody waits: what
        it has written to its disk can be read before they are answered. keeps_open: a chat follows
        at once.
        """
        if self._coordinator.data.props.is_front:
            return
        is_router = self._coordinator.data.is_router
        key = (model or "") if is_router else ""
        word: str | None = None
        try:
            async with asyncio.timeout(NOTICE_SECONDS):
                props = await self._coordinator.client.props(
                    model if is_router else None, autoload=False, keeps_open=keeps_open
                )
            word = None if props.is_sleeping else props.instance
        except BadRequestError:
            LOGGER.debug("%s has not loaded %s", self._coordinator.name, model)
        except LlamaServerError, TimeoutError:
            return
        before = self._in_memory or {}
        # Whoever asks has the model loaded.
        self._in_memory = {**before, key: word or ""}
        now = {} if word is None else {key: word}
        if word is None or _has_changed(key, before, now):
            self.prefiller.forget([key])
            self._is_outdated = True

    @callback
    def async_follow_up(self) -> None:
        """Have the prompts of the other agents processed, too, if something was noticed."""
        if self._is_outdated:
            self.async_warm_soon()

    @callback
    def async_follow(self, request: ChatRequest) -> None:
        """Have it processed in the background how a conversation goes on, unless somebody asks.

        request: as `Prefiller.follow` takes it.
        """
        coordinator = self._coordinator
        coordinator.config_entry.async_create_background_task(
            coordinator.hass,
            self._async_follow(request),
            f"{DOMAIN} next turn with {coordinator.name}",
        )

    async def _async_follow(self, request: ChatRequest) -> None:
        n_begun = self.prefiller.ahead.n_begun
        await asyncio.sleep(FOLLOW_SECONDS)
        await self.async_notice(request.get("model"))
        if self._is_outdated:
            # A server that was started anew would have to process all that was said.
            self.async_follow_up()
            return
        try:
            await self.prefiller.follow(request, n_begun)
        except LlamaServerError as err:
            LOGGER.debug("%s does not prepare the next turn: %s", self._coordinator.name, err)

    @callback
    def async_warm_soon(self) -> None:
        """Have the agents' prompts processed in the background, as far as they are not."""
        coordinator = self._coordinator
        if not coordinator.hass.is_running or (self._task and not self._task.done()):
            if coordinator.hass.is_running:
                self._due.set()
            return
        self._task = coordinator.config_entry.async_create_background_task(
            coordinator.hass, self._async_warm(), f"{DOMAIN} warm-up of {coordinator.name}"
        )

    async def _async_warm(self) -> None:
        # What changes while this is done is looked at again.
        self._due.set()
        while self._due.is_set():
            self._due.clear()
            if self._is_outdated:
                self._is_outdated = False
                await self._coordinator.async_refresh()
            try:
                if (await self._coordinator.client.props()).is_sleeping:
                    # Since it was asked last: only somebody who speaks may wake it.
                    return
                await self.prefiller.warm_all()
                await self._async_tell()
            except (LlamaServerError, HomeAssistantError) as err:
                LOGGER.debug("%s is not warmed up: %s", self._coordinator.name, err)

    async def _async_tell(self) -> None:
        """Have notes on those who may speak processed when it is quiet, unless more is due."""
        while (wait := self.prefiller.seconds_until_telling) is not None and not self._due.is_set():
            if not wait:
                await self._async_tell_now(self.prefiller.model_to_tell)
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._due.wait()

    async def _async_tell_now(self, model: str | None) -> None:
        """Have notes processed, unless there is nothing any more that they could follow.

        A server that was started anew meanwhile is looked at again with its next state.
        """
        if self._coordinator.data.is_in_memory(model):
            await self.async_notice(model)
            if not self._is_outdated:
                await self.prefiller.tell()


def _has_changed(model: str, before: dict[str, str], now: dict[str, str]) -> bool:
    """Tell whether a model has come into memory, has left it, or both."""
    if model not in before or model not in now:
        return True
    return "" not in (before[model], now[model]) and before[model] != now[model]
