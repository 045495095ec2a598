"""Set-up in the user interface: the server, and the agents that it serves."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, override
from urllib.parse import urlsplit

import probatio
from homeassistant.config_entries import ConfigFlow
from homeassistant.const import CONF_API_KEY, CONF_LLM_HASS_API, CONF_MODEL, CONF_NAME, CONF_URL
from homeassistant.core import callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.llm import LLM_API_ASSIST
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig, TextSelectorType

from .const import (
    DEFAULT_AGENT_NAME,
    DEFAULT_TASK_NAME,
    DOMAIN,
    LOADING_POLL_SECONDS,
    LOADING_SECONDS,
    LOGGER,
    SUBENTRY_AI_TASK,
    SUBENTRY_CONVERSATION,
)
from .errors import translation_key, translation_placeholders
from .server import (
    AuthenticationError,
    LlamaServerClient,
    LlamaServerError,
    ModelLoadingError,
    ModelStatus,
    parse_address,
)
from .subentry_flow import AITaskSubentryFlow, ConversationSubentryFlow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import (
        ConfigEntry,
        ConfigFlowResult,
        ConfigSubentryData,
        ConfigSubentryFlow,
    )

API_KEY_SELECTOR = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)
USER_SCHEMA = probatio.Schema(
    {probatio.Required(CONF_URL): str, probatio.Optional(CONF_API_KEY): API_KEY_SELECTOR}
)
REAUTH_SCHEMA = probatio.Schema({probatio.Required(CONF_API_KEY): API_KEY_SELECTOR})


class LlamaCppConfigFlow(ConfigFlow, domain=DOMAIN):
    """Asks for a server, makes sure that it is one, and gives it an agent."""

    VERSION = 1

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._data: dict[str, Any] = {}
        self._model: str | None = None
        self._error: LlamaServerError | None = None
        self._waiting: asyncio.Task[None] | None = None

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        return {
            SUBENTRY_CONVERSATION: ConversationSubentryFlow,
            SUBENTRY_AI_TASK: AITaskSubentryFlow,
        }

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the address and the key, and check them."""
        if user_input is None:
            return self._show_user_form({}, self._data)
        try:
            url = parse_address(user_input[CONF_URL])
        except ValueError:
            return self._show_user_form({CONF_URL: "invalid_address"}, user_input)
        self._data = {CONF_URL: url}
        if api_key := user_input.get(CONF_API_KEY):
            self._data[CONF_API_KEY] = api_key
        self._async_abort_entries_match({CONF_URL: url})
        return await self._async_check()

    async def _async_check(self) -> ConfigFlowResult:
        """Ask the server who it is: an entry, an offer to wait, or the form with the reason."""
        try:
            await self._async_identify()
        except ModelLoadingError:
            return await self.async_step_loading()
        except LlamaServerError as err:
            return self._show_error(err)
        return self._create_entry()

    async def _async_identify(self) -> None:
        """Learn what the server is and which model an agent is to use; raises LlamaServerError."""
        client = self._client()
        props = await client.identify()
        if props.is_router:
            models = await client.models()
            loaded = [model for model in models if model.status is ModelStatus.LOADED]
            self._model = next((model.id for model in loaded or models), None)

    async def async_step_loading(self) -> ConfigFlowResult:
        """Offer to wait for a server that still loads its model."""
        return self.async_show_menu(
            step_id="loading",
            menu_options=["wait", "user"],
            description_placeholders={CONF_URL: self._data[CONF_URL]},
        )

    async def async_step_wait(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant calls it with this
    ) -> ConfigFlowResult:
        """Show that the server still loads its model, until it has."""
        if self._waiting is None:
            self._error = None
            self._waiting = self.hass.async_create_task(self._async_wait(), f"{DOMAIN} loading")
        if not self._waiting.done():
            return self.async_show_progress(
                step_id="wait",
                progress_action="loading",
                description_placeholders={CONF_URL: self._data[CONF_URL]},
                progress_task=self._waiting,
            )
        self._waiting = None
        return self.async_show_progress_done(next_step_id="loaded")

    async def _async_wait(self) -> None:
        deadline = time.monotonic() + LOADING_SECONDS
        while True:
            try:
                await self._async_identify()
            except ModelLoadingError as err:
                if time.monotonic() > deadline:
                    self._error = err
                    return
            except LlamaServerError as err:
                self._error = err
                return
            else:
                return
            await asyncio.sleep(LOADING_POLL_SECONDS)

    async def async_step_loaded(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant calls it with this
    ) -> ConfigFlowResult:
        """Go on after the wait, or say why it was in vain."""
        if self._error:
            return self._show_error(self._error)
        self._async_abort_entries_match({CONF_URL: self._data[CONF_URL]})
        return self._create_entry()

    def _create_entry(self) -> ConfigFlowResult:
        model = {CONF_MODEL: self._model} if self._model else {}
        agents: list[ConfigSubentryData] = [
            {
                "subentry_type": SUBENTRY_CONVERSATION,
                "title": DEFAULT_AGENT_NAME,
                "unique_id": None,
                "data": {CONF_LLM_HASS_API: [LLM_API_ASSIST], **model},
            },
            {
                "subentry_type": SUBENTRY_AI_TASK,
                "title": DEFAULT_TASK_NAME,
                "unique_id": None,
                "data": model,
            },
        ]
        return self.async_create_entry(
            title=urlsplit(self._data[CONF_URL]).netloc, data=self._data, subentries=agents
        )

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Begin again with the key, which the server has refused."""
        self._data = dict(entry_data)
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another key, and check it."""
        errors: dict[str, str] = {}
        placeholders = {CONF_NAME: self._get_reauth_entry().title, "message": ""}
        if user_input is not None:
            self._data |= user_input
            try:
                await self._client().identify()
            except ModelLoadingError:
                # The server tells a wrong key before it tells that it is loading.
                pass
            except LlamaServerError as err:
                errors, placeholders = self._explain(err, placeholders)
            if not errors:
                return self.async_update_and_abort(
                    self._get_reauth_entry(), data_updates=user_input
                )
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=REAUTH_SCHEMA,
            errors=errors,
            description_placeholders=placeholders,
        )

    def _client(self) -> LlamaServerClient:
        return LlamaServerClient(
            async_get_clientsession(self.hass),
            self._data[CONF_URL],
            api_key=self._data.get(CONF_API_KEY),
        )

    def _show_error(self, err: LlamaServerError) -> ConfigFlowResult:
        errors, placeholders = self._explain(err, {})
        return self._show_user_form(errors, self._data, placeholders)

    def _explain(
        self, err: LlamaServerError, placeholders: dict[str, str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the form's errors and placeholders for an error of the server."""
        LOGGER.debug("Set-up of %s: %s", self._data[CONF_URL], err)
        field = CONF_API_KEY if isinstance(err, AuthenticationError) else "base"
        return {field: translation_key(err)}, placeholders | translation_placeholders(err)

    def _show_user_form(
        self,
        errors: dict[str, str],
        values: Mapping[str, Any] | None = None,
        placeholders: dict[str, str] | None = None,
    ) -> ConfigFlowResult:
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(USER_SCHEMA, values or {}),
            errors=errors,
            description_placeholders={"message": ""} | (placeholders or {}),
        )
