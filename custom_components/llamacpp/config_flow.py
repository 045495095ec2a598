"""Config flow: set up a server with its agents."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NoReturn, override
from urllib.parse import unquote, urlsplit

import probatio
from homeassistant.config_entries import (
    SOURCE_HASSIO,
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigFlow,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_HOST,
    CONF_LLM_HASS_API,
    CONF_MODEL,
    CONF_NAME,
    CONF_PORT,
    CONF_URL,
    CONF_VERIFY_SSL,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers.llm import LLM_API_ASSIST
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .app import WHOLE, App, ModelDownloadingError
from .assistants import assistants_of
from .client import (
    AuthenticationError,
    CannotConnectError,
    CertificateError,
    Front,
    LlamaServerError,
    ModelLoadingError,
    ModelStatus,
    NotLlamaServerError,
    NoTlsError,
    RedirectError,
    at_newer_port,
    parse_address,
    parse_api_key,
    upstream,
)
from .connection import async_client
from .const import (
    CONF_API_PORT,
    DEFAULT_AGENT_NAME,
    DEFAULT_TASK_NAME,
    DOMAIN,
    LOADING_POLL_SECONDS,
    LOADING_SECONDS,
    LOGGER,
    QUICK_SECONDS,
    SUBENTRY_AI_TASK,
    SUBENTRY_CONVERSATION,
)
from .core_integration import async_change_over, async_core_entry
from .error_messages import translation_key, translation_placeholders
from .first_steps import async_offer_first_steps
from .model_choice import async_app_selector, async_router_selector
from .naming import free_name
from .options_flow import LlamaCppOptionsFlow
from .subentry_flow import AITaskSubentryFlow, ConversationSubentryFlow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import (
        ConfigEntry,
        ConfigFlowResult,
        ConfigSubentryData,
        ConfigSubentryFlow,
    )
    from homeassistant.helpers.service_info.hassio import HassioServiceInfo

    from .app import Download
    from .client import LlamaServerClient, Model, ServerProps
    from .coordinator import LlamaCppConfigEntry

API_KEY_SELECTOR = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)
VERIFY_SSL = {probatio.Optional(CONF_VERIFY_SSL, default=True): BooleanSelector()}
USER_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_URL): str,
        probatio.Optional(CONF_API_KEY): API_KEY_SELECTOR,
        **VERIFY_SSL,
    }
)
EMPTY_SCHEMA = probatio.Schema({})
CONF_CHANGE_OVER = "change_over"
CHANGE_OVER_SCHEMA = probatio.Schema(
    {probatio.Optional(CONF_CHANGE_OVER, default=True): BooleanSelector()}
)
REAUTH_SCHEMA = probatio.Schema({probatio.Required(CONF_API_KEY): API_KEY_SELECTOR})
SECURE_REAUTH_SCHEMA = probatio.Schema({**REAUTH_SCHEMA.schema, **VERIFY_SSL})


# Error key if the server speaks the other scheme, by the scheme of the address.
_OTHER_SCHEME_ERRORS = {"http": "needs_tls", "https": "no_tls"}
OTHER_SECONDS = 2.0
MAX_REDIRECTS = 5
FAILED = (ConfigEntryState.SETUP_ERROR, ConfigEntryState.SETUP_RETRY)


class LlamaCppConfigFlow(ConfigFlow, domain=DOMAIN):
    """Config flow that checks a server and adds its first agents."""

    VERSION = 1

    def __init__(self) -> None:
        """Initialize the flow."""
        self._data: dict[str, Any] = {}
        self._title: str | None = None
        self._model: str | None = None
        # The models of a router.
        self._models: list[Model] = []
        # The model that was a part of the address, and the proxy in front of the servers.
        self._named_model: str | None = None
        self._front: Front | None = None
        # Where a newer server may be, if the address leaves its port open.
        self._newer_url: str | None = None
        # Unique for each server and each start; empty if unknown.
        self._instance = ""
        # Entry of Home Assistant's own integration for the server, and whether the voice assistants
        # that use its agents are to use ours.
        self._core: ConfigEntry | None = None
        self._change_over = False
        # Reason why the wait for a model failed.
        self._error: LlamaServerError | AbortFlow | None = None
        self._waiting: asyncio.Task[None] | None = None
        # How far the app's model is, None if the app does not download one.
        self._download: Download | None = None
        self._was: Download | None = None
        # Step whose form is shown again after an error.
        self._form_step = "user"

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

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> LlamaCppOptionsFlow:
        return LlamaCppOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for address and key, and check them."""
        return await self._async_step_address(user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the new address and key of a server, and check them."""
        self._form_step = "reconfigure"
        if not self._data:
            self._data = dict(self._get_reconfigure_entry().data)
        return await self._async_step_address(user_input)

    async def _async_step_address(self, user_input: dict[str, Any] | None) -> ConfigFlowResult:
        if user_input is None:
            return self._show_form({}, self._data)
        try:
            url = parse_address(user_input[CONF_URL])
            self._newer_url = at_newer_port(user_input[CONF_URL])
        except ValueError:
            return self._show_form({CONF_URL: "invalid_address"}, user_input)
        try:
            api_key = parse_api_key(user_input.get(CONF_API_KEY, ""))
        except ValueError:
            return self._show_form({CONF_API_KEY: "invalid_key"}, user_input)
        self._data = {**self._data, CONF_URL: url}
        self._data.pop(CONF_API_KEY, None)
        if api_key:
            self._data[CONF_API_KEY] = api_key
        self._take_verify_ssl(user_input)
        return await self._async_check()

    def _take_verify_ssl(self, user_input: Mapping[str, Any]) -> None:
        """Store whether to verify the certificate, but only if it is not the default."""
        self._data.pop(CONF_VERIFY_SSL, None)
        if not user_input.get(CONF_VERIFY_SSL, True):
            self._data[CONF_VERIFY_SSL] = False

    async def async_step_hassio(self, discovery_info: HassioServiceInfo) -> ConfigFlowResult:
        """Take address and key of our app from the Supervisor's discovery."""
        config = discovery_info.config
        data = {CONF_URL: parse_address(f"{config[CONF_HOST]}:{config[CONF_PORT]}")}
        data |= {key: config[key] for key in (CONF_API_KEY, CONF_API_PORT) if config.get(key)}
        # When the app is uninstalled, Home Assistant deletes the entry that has the uuid as its id,
        # with its agents and histories, which the next installation would want.
        await self.async_set_unique_id(f"app-{discovery_info.uuid}")
        self._abort_if_unique_id_configured(updates=data, reload_on_update=False)
        self._data = data
        for entry in self._async_current_entries():
            if entry.data[CONF_URL] == data[CONF_URL] or entry.unique_id == discovery_info.uuid:
                # It was added by hand, or by the app before that was installed here.
                self._link(entry)
        with contextlib.suppress(LlamaServerError):
            await self._async_identify()
        self._title = discovery_info.name
        self._form_step = "hassio_confirm"
        self.context["title_placeholders"] = {CONF_NAME: discovery_info.name}
        self.context["configuration_url"] = f"homeassistant://config/app/{discovery_info.slug}/info"
        return await self.async_step_hassio_confirm()

    async def async_step_hassio_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for confirmation to set up the app."""
        if user_input is None:
            return self._show_form({})
        return await self._async_check()

    async def _async_check(self) -> ConfigFlowResult:
        """Identify the server: create the entry, offer to wait, or show the form with an error."""
        self._abort_if_address_is_known()
        try:
            await self._async_identify()
        except LlamaServerError as err:
            if isinstance(err, ModelLoadingError) and CONF_API_PORT not in self._data:
                return await self.async_step_loading()
            told = await self._async_app_explained(err)
            if isinstance(told, ModelDownloadingError):
                return self._show_download(told)
            if isinstance(told, ModelLoadingError):
                return await self.async_step_wait()
            if told is err and await self._async_has_other_scheme(err):
                return self._show_form({"base": _OTHER_SCHEME_ERRORS[self._scheme]}, self._data)
            return self._show_error(told)
        # Another flow may have added it meanwhile.
        self._abort_if_address_is_known()
        return await self._async_tell_front()

    async def _async_tell_front(self) -> ConfigFlowResult:
        """Show the limits of a proxy before creating the entry, if there is one."""
        if self._front and not self._model:
            return self._show_form({"base": "no_models"}, self._data)
        match self._front:
            case Front.LLAMA_SWAP:
                return await self.async_step_llama_swap()
            case Front.LITELLM:
                return await self.async_step_litellm()
        if len(self._models) > 1 and self.source != SOURCE_RECONFIGURE:
            return await self.async_step_model()
        return await self._async_tell_core()

    async def async_step_model(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which of a router's models the first agents are to use."""
        if user_input is not None:
            self._model = user_input[CONF_MODEL]
            self._abort_if_address_is_known()
            return await self._async_tell_core()
        selector = await async_router_selector(self.hass, self._models)
        field = probatio.Required(CONF_MODEL, default=self._model)
        return self.async_show_form(
            step_id="model",
            data_schema=probatio.Schema({field: selector}),
            description_placeholders={CONF_URL: self._data[CONF_URL]},
        )

    async def async_step_llama_swap(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the limits of llama-swap in front of the servers."""
        return await self._async_step_front("llama_swap", user_input)

    async def async_step_litellm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the limits of LiteLLM in front of the servers."""
        return await self._async_step_front("litellm", user_input)

    async def _async_step_front(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        if user_input is not None:
            self._abort_if_address_is_known()
            return await self._async_tell_core()
        return self.async_show_form(
            step_id=step_id,
            data_schema=EMPTY_SCHEMA,
            description_placeholders={
                CONF_URL: self._data[CONF_URL],
                CONF_MODEL: self._model or "",
            },
        )

    async def _async_tell_core(self) -> ConfigFlowResult:
        """Say how we differ from Home Assistant's own integration, if it uses the server, too."""
        if self.source != SOURCE_RECONFIGURE:
            self._core = await async_core_entry(self.hass, self._data[CONF_URL], self._instance)
            if self._core:
                return await self.async_step_core_integration()
        return self._finish()

    async def async_step_core_integration(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show what differs from Home Assistant's own integration; offer to change over."""
        if user_input is None and self._core:
            assistants = assistants_of(self.hass, self._core)
            return self.async_show_form(
                step_id="core_integration",
                data_schema=CHANGE_OVER_SCHEMA if assistants else EMPTY_SCHEMA,
                description_placeholders={
                    CONF_NAME: self._core.title,
                    "assistants": ", ".join(one.name for one in assistants),
                },
            )
        self._abort_if_address_is_known()
        self._change_over = (user_input or {}).get(CONF_CHANGE_OVER, False)
        return self._finish()

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        if self._core and self._change_over:
            await async_change_over(self.hass, self._core, result["result"])
        async_offer_first_steps(self.hass, result["result"])
        return result

    @property
    def _scheme(self) -> str:
        return str(urlsplit(self._data[CONF_URL]).scheme)

    async def _async_has_other_scheme(self, err: LlamaServerError) -> bool:
        """Return whether a failed server answers on the other scheme (http or https)."""
        if isinstance(err, NoTlsError):
            return True
        is_silent = isinstance(err, CannotConnectError) and not isinstance(err, CertificateError)
        # Without an explicit port, the other scheme's default port belongs to another program.
        has_port = urlsplit(self._data[CONF_URL]).port is not None
        if not (is_silent or (type(err) is NotLlamaServerError and has_port)):
            return False
        scheme = self._scheme
        other = {"http": "https", "https": "http"}[scheme]
        return await self._async_answers(self._data[CONF_URL].replace(scheme, other, 1))

    async def _async_answers(self, url: str) -> bool:
        """Return whether a server answers at an address that was not entered.

        It is not sent the key.
        """
        try:
            await async_client(self.hass, {CONF_URL: url}).health(limit=OTHER_SECONDS)
        except CertificateError, ModelLoadingError:
            return True
        except LlamaServerError:
            return False
        return True

    def _abort_if_address_is_known(self) -> None:
        for entry in self._async_other_entries():
            if entry.data[CONF_URL] == self._data[CONF_URL]:
                raise AbortFlow("already_configured")

    def _async_other_entries(self) -> list[LlamaCppConfigEntry]:
        """Return all entries except the one that is being reconfigured."""
        own = self.context.get("entry_id")
        return [entry for entry in self._async_current_entries() if entry.entry_id != own]

    async def _async_identify(self) -> None:
        """Identify the server and select a model for its agents.

        Raises LlamaServerError, and AbortFlow if another entry has the server under any address.
        """
        client, props = await self._async_find()
        if props.instance and (entry := await self._async_entry_with(props.instance)):
            if self.source == SOURCE_HASSIO:
                # It was added by hand, under an address that is less sure than the app's own.
                self._link(entry)
            raise AbortFlow("already_configured")
        self._instance = props.instance
        self._model, self._models = None, []
        if props.is_router:
            models = self._models = await client.models()
            loaded = [one for one in models if one.status is ModelStatus.LOADED]
            first = next((one.id for one in loaded or models), None)
            # llama-swap may know the model under an unlisted name.
            self._model = self._named_model or first
        self._front = client.front

    async def _async_find(self) -> tuple[LlamaServerClient, ServerProps]:
        """Return client and properties of the server, also at the port of newer ones.

        Raises LlamaServerError.
        """
        try:
            return await self._async_find_there()
        except (CannotConnectError, NotLlamaServerError) as err:
            newer = None if isinstance(err, CertificateError) else self._newer_url
            if newer is None or not await self._async_answers(newer):
                raise
        self._data[CONF_URL], self._newer_url = newer, None
        self._abort_if_address_is_known()
        return await self._async_find_there()

    async def _async_find_there(self) -> tuple[LlamaServerClient, ServerProps]:
        """Return client and properties of the server; follows redirects on the same host.

        Raises LlamaServerError.
        """
        if found := await self._async_find_swap():
            return found
        for _ in range(MAX_REDIRECTS):
            client = self._client()
            try:
                return client, await client.identify()
            except RedirectError as err:
                if err.base_url is None:
                    raise
                self._data[CONF_URL] = err.base_url
                self._abort_if_address_is_known()
        client = self._client()
        return client, await client.identify()

    async def _async_find_swap(self) -> tuple[LlamaServerClient, ServerProps] | None:
        """Return the llama-swap behind an address that includes a model.

        At that address, each poll would load the model and unload others.
        """
        self._named_model = None
        behind = upstream(self._data[CONF_URL])
        if behind is None:
            return None
        url, model = behind
        client = async_client(self.hass, self._data, url)
        try:
            props = await client.identify()
        except AuthenticationError:
            raise
        except LlamaServerError:
            return None
        if client.front is not Front.LLAMA_SWAP:
            return None
        self._data[CONF_URL] = url
        self._abort_if_address_is_known()
        self._named_model = unquote(model)
        return client, props

    def _link(self, entry: LlamaCppConfigEntry) -> NoReturn:
        """Make an entry that of the discovered app. Raises AbortFlow."""
        self.hass.config_entries.async_update_entry(
            entry, unique_id=self.unique_id, data={**entry.data, **self._data}
        )
        if entry.state in FAILED:
            # Only a loaded entry reloads itself after a change.
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        raise AbortFlow("already_configured")

    async def _async_entry_with(self, instance: str) -> LlamaCppConfigEntry | None:
        """Return another entry that has this running server, under any address."""
        for entry in self._async_other_entries():
            if entry.state is ConfigEntryState.LOADED:
                with contextlib.suppress(LlamaServerError):
                    if (await entry.runtime_data.client.props()).instance == instance:
                        return entry
        return None

    def _show_download(self, told: ModelDownloadingError) -> ConfigFlowResult:
        """Offer to wait for the app's model, or to choose another one."""
        return self.async_show_menu(
            step_id="downloading",
            menu_options=["wait", "choose"],
            description_placeholders=translation_placeholders(told),
        )

    async def async_step_downloading(self) -> ConfigFlowResult:
        """Look how far the app's model is now."""
        return await self._async_check()

    async def async_step_choose(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what the app can download, have it use one, and wait for the first that is there."""
        errors: dict[str, str] = {}
        message = ""
        app = App.of(self.hass, self._data)
        try:
            models = {one.name: one for one in await app.async_models()} if app else {}
        except LlamaServerError as err:
            return self._show_error(err)
        if user_input is not None and app:
            try:
                await app.async_use(models[user_input[CONF_MODEL]])
            except LlamaServerError as err:
                errors, message = {"base": "app_fault"}, str(err)
            else:
                return await self.async_step_wait()
        selector = await async_app_selector(self.hass, list(models.values()))
        return self.async_show_form(
            step_id="choose",
            data_schema=probatio.Schema({probatio.Required(CONF_MODEL): selector}),
            errors=errors,
            description_placeholders={"message": message},
        )

    async def async_step_loading(self) -> ConfigFlowResult:
        """Offer to wait for a server that is loading its model."""
        return self.async_show_menu(
            step_id="loading",
            menu_options=["wait", self._form_step],
            description_placeholders={CONF_URL: self._data[CONF_URL]},
        )

    async def async_step_wait(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant calls it with this
    ) -> ConfigFlowResult:
        """Show progress until the server has loaded its model."""
        if self._waiting is None:
            self._error = None
            self._waiting = self.hass.async_create_task(self._async_wait(), f"{DOMAIN} loading")
            # A browser misses the end of a progress that it has not shown yet.
            await asyncio.wait({self._waiting}, timeout=QUICK_SECONDS)
        if not self._waiting.done():
            return self.async_show_progress(
                step_id="wait",
                progress_action="downloading" if self._download else "loading",
                description_placeholders={
                    CONF_URL: self._data[CONF_URL],
                    CONF_MODEL: self._download.model if self._download else "",
                },
                progress_task=self._waiting,
            )
        self._waiting = None
        return self.async_show_progress_done(next_step_id="loaded")

    async def _async_wait(self) -> None:
        deadline = time.monotonic() + LOADING_SECONDS
        while True:
            try:
                await self._async_identify()
            except LlamaServerError as err:
                told = await self._async_app_explained(err)
                if self._comes_on():
                    # However large the model and slow the line.
                    deadline = time.monotonic() + LOADING_SECONDS
                if not isinstance(told, ModelLoadingError) or time.monotonic() > deadline:
                    self._error = told
                    return
            except AbortFlow as err:
                self._error = err
                return
            else:
                return
            await asyncio.sleep(LOADING_POLL_SECONDS)

    async def _async_app_explained(self, err: LlamaServerError) -> LlamaServerError:
        """Return an error of the server, with what our app says of it; note how far its model is.

        While the app starts the server, that is a server that loads.
        """
        self._was, self._download = self._download, None
        app = App.of(self.hass, self._data)
        told = await app.async_explained(err) if app else err
        if isinstance(told, ModelDownloadingError):
            self._download = told.download
        return told

    def _comes_on(self) -> bool:
        """Show how far the app's model is; return whether more of it is there than before."""
        if self._download is None or self._download.percent is None:
            return False
        self.async_update_progress(self._download.percent / WHOLE)
        return self._download != self._was

    async def async_step_loaded(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant calls it with this
    ) -> ConfigFlowResult:
        """Continue after the wait, or show why it failed."""
        if isinstance(self._error, AbortFlow):
            raise self._error
        if self._error:
            return self._show_error(self._error)
        self._abort_if_address_is_known()
        return await self._async_tell_front()

    def _finish(self) -> ConfigFlowResult:
        """Create the entry, or update the one that is being reconfigured."""
        address = _readable(self._data[CONF_URL])
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            is_named = entry.title != _readable(entry.data[CONF_URL])
            return self._change(entry, entry.title if is_named else address)
        return self._create_entry(self._title or address)

    def _change(self, entry: LlamaCppConfigEntry, title: str) -> ConfigFlowResult:
        """Update an entry with the new data and reload it."""
        done = self.async_update_and_abort(entry, data=self._data, title=title)
        if entry.state in FAILED:
            # Only a loaded entry reloads itself after a change.
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return done

    def _create_entry(self, title: str) -> ConfigFlowResult:
        model = {CONF_MODEL: self._model} if self._model else {}
        agents: list[ConfigSubentryData] = [
            {
                "subentry_type": SUBENTRY_CONVERSATION,
                "title": free_name(self.hass, DEFAULT_AGENT_NAME, title),
                "unique_id": None,
                "data": {CONF_LLM_HASS_API: [LLM_API_ASSIST], **model},
            },
            {
                "subentry_type": SUBENTRY_AI_TASK,
                "title": free_name(self.hass, DEFAULT_TASK_NAME, title),
                "unique_id": None,
                "data": model,
            },
        ]
        return self.async_create_entry(title=title, data=self._data, subentries=agents)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start reauthentication after the server rejected the key."""
        self._data = dict(entry_data)
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another key, and check it."""
        errors: dict[str, str] = {}
        placeholders = {CONF_NAME: self._get_reauth_entry().title, "message": ""}
        if user_input is not None:
            errors, explained = await self._async_check_again(user_input)
            if not errors:
                entry = self._get_reauth_entry()
                return self._change(entry, entry.title)
            placeholders |= explained
        is_secure = self._data[CONF_URL].startswith("https:")
        schema = SECURE_REAUTH_SCHEMA if is_secure else REAUTH_SCHEMA
        shown = {CONF_VERIFY_SSL: self._data.get(CONF_VERIFY_SSL, True)}
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def _async_check_again(
        self, user_input: Mapping[str, Any]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Check another key; return the form's errors and placeholders if it does not work."""
        try:
            self._data[CONF_API_KEY] = parse_api_key(user_input[CONF_API_KEY])
            self._take_verify_ssl(user_input)
            client = self._client()
            if (await client.identify()).is_front:
                # A proxy identifies itself without a key: ask for its models, too.
                await client.models()
        except ValueError:
            return {CONF_API_KEY: "invalid_key"}, {}
        except ModelLoadingError:
            # The server checks the key before it reports that it is loading.
            pass
        except LlamaServerError as err:
            return self._explain(err)
        return {}, {}

    def _client(self) -> LlamaServerClient:
        return async_client(self.hass, self._data)

    def _show_error(self, err: LlamaServerError) -> ConfigFlowResult:
        errors, placeholders = self._explain(err)
        return self._show_form(errors, self._data, placeholders)

    def _explain(self, err: LlamaServerError) -> tuple[dict[str, str], dict[str, str]]:
        """Return the form's errors and placeholders for an error of the server."""
        LOGGER.debug("Set-up of %s: %s", self._data[CONF_URL], err)
        field = CONF_API_KEY if isinstance(err, AuthenticationError) else "base"
        return {field: translation_key(err)}, translation_placeholders(err)

    def _show_form(
        self,
        errors: dict[str, str],
        values: Mapping[str, Any] | None = None,
        placeholders: dict[str, str] | None = None,
    ) -> ConfigFlowResult:
        schema = EMPTY_SCHEMA if self._form_step == "hassio_confirm" else USER_SCHEMA
        return self.async_show_form(
            step_id=self._form_step,
            data_schema=self.add_suggested_values_to_schema(schema, values or {}),
            errors=errors,
            description_placeholders={"message": "", CONF_NAME: self._title or ""}
            | (placeholders or {}),
        )


def _readable(url: str) -> str:
    """Return host and port of an address as a title."""
    return str(urlsplit(url).netloc)
