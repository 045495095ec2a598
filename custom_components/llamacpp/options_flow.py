"""Options flow of a server: retention of its conversations, and the model of our app."""

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import probatio
from homeassistant.config_entries import ConfigEntryState, OptionsFlow
from homeassistant.const import CONF_MODEL
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)

from .app import App
from .client import LlamaServerError
from .const import DOMAIN, LOGGER
from .history import Retention
from .model_choice import async_app_selector

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigFlowResult

    from .app import AppModel

CONF_KEEP_CONVERSATIONS: Final = "keep_conversations"
CONF_KEEP_DAYS: Final = "keep_days"
CONF_KEEP_MEGABYTES: Final = "keep_megabytes"

_BYTES: Final = 1_000_000
_DEFAULT = Retention()
DEFAULTS: Final[Mapping[str, int]] = {
    CONF_KEEP_DAYS: _DEFAULT.max_age.days,
    CONF_KEEP_CONVERSATIONS: _DEFAULT.max_conversations,
    CONF_KEEP_MEGABYTES: _DEFAULT.max_bytes // _BYTES,
}


def _number(high: int) -> Any:
    selector = NumberSelector(
        NumberSelectorConfig(min=1, max=high, step=1, mode=NumberSelectorMode.BOX)
    )
    return probatio.All(selector, probatio.Coerce(int))


SCHEMA: Final = probatio.Schema(
    {
        probatio.Required(CONF_KEEP_DAYS): _number(3650),
        probatio.Required(CONF_KEEP_CONVERSATIONS): _number(100_000),
        probatio.Required(CONF_KEEP_MEGABYTES): _number(10_000),
    }
)


def retention_of(options: Mapping[str, Any]) -> Retention:
    """Return the retention for a server's options."""
    values = {**DEFAULTS, **options}
    return Retention(
        max_age=timedelta(days=values[CONF_KEEP_DAYS]),
        max_conversations=values[CONF_KEEP_CONVERSATIONS],
        max_bytes=values[CONF_KEEP_MEGABYTES] * _BYTES,
    )


class LlamaCppOptionsFlow(OptionsFlow):
    """Options flow for age, number and size of conversations, and for the model of our app."""

    _measuring: asyncio.Task[None] | None = None

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Store the values of the form, except defaults; before that, show what can be set."""
        if user_input is None and self._app:
            return await self.async_step_start()
        return await self.async_step_conversations(user_input)

    async def async_step_start(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant calls it with this
    ) -> ConfigFlowResult:
        """Show what can be set at our app."""
        return self.async_show_menu(step_id="start", menu_options=["model", "conversations"])

    @property
    def _app(self) -> App | None:
        return App.of(self.hass, self.config_entry.data)

    async def async_step_model(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant calls it with this
    ) -> ConfigFlowResult:
        """Have the app measure the speed of its machine, if that is not known.

        Otherwise the form comes at once: a browser that has just opened the dialog misses the end
        of a progress that is over within milliseconds.
        """
        if self._measuring is None:
            if not await self._async_needs_speed():
                return await self.async_step_choose()
            self._measuring = self.hass.async_create_task(self._async_measure(), f"{DOMAIN} speed")
        if not self._measuring.done():
            return self.async_show_progress(
                step_id="model", progress_action="measuring", progress_task=self._measuring
            )
        return self.async_show_progress_done(next_step_id="choose")

    async def _async_needs_speed(self) -> bool:
        try:
            return not any(one.speed for one in await self._async_models())
        except LlamaServerError:
            # The next step says so.
            return False

    async def _async_measure(self) -> None:
        if app := self._app:
            # Without a speed there are still sizes to choose by.
            with contextlib.suppress(LlamaServerError):
                await app.async_measure()

    async def async_step_choose(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the models of the app and those that it can download, and have it use one."""
        errors: dict[str, str] = {}
        message = ""
        try:
            models = {one.name: one for one in await self._async_models()}
        except LlamaServerError as err:
            LOGGER.debug("The app does not tell its models: %s", err)
            return self.async_abort(reason="cannot_connect")
        if user_input is not None and (app := self._app):
            model = models[user_input[CONF_MODEL]]
            try:
                await app.async_use(model)
            except LlamaServerError as err:
                errors, message = {"base": "app_fault"}, str(err)
            else:
                if self.config_entry.state is ConfigEntryState.LOADED:
                    await self.config_entry.runtime_data.coordinator.async_request_refresh()
                return self.async_abort(
                    reason="model_is_downloaded" if model.url else "model_is_used",
                    description_placeholders={CONF_MODEL: model.name},
                )
        selector = await async_app_selector(self.hass, list(models.values()))
        current = next((one.name for one in models.values() if one.is_in_use), None)
        schema = probatio.Schema({probatio.Required(CONF_MODEL): selector})
        return self.async_show_form(
            step_id="choose",
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or {CONF_MODEL: current}
            ),
            errors=errors,
            description_placeholders={"message": message},
        )

    async def _async_models(self) -> list[AppModel]:
        return await app.async_models() if (app := self._app) else []

    async def async_step_conversations(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the form and store its values, except defaults."""
        if user_input is not None:
            changed = {key: one for key, one in user_input.items() if one != DEFAULTS[key]}
            return self.async_create_entry(data=changed)
        values = {**DEFAULTS, **self.config_entry.options}
        return self.async_show_form(
            step_id="init", data_schema=self.add_suggested_values_to_schema(SCHEMA, values)
        )
