"""Actions for automations: one answer, or a conversation over several steps."""

from typing import TYPE_CHECKING, Any, Final

import probatio
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.ulid import ulid_now

from .access import Caller
from .action_turn import (
    ATTR_ATTACHMENTS,
    ATTR_LLM_HASS_API,
    ATTR_MESSAGE,
    MAX_CHARACTERS,
    ActionTurn,
    invalid,
)
from .agents import async_allowed_agent, check_control
from .attachments import ATTACHMENTS
from .const import DOMAIN
from .history import Conversation, History, HistoryError, Source
from .options_flow import retention_of
from .prompt.options import CONF_MAX_TOKENS, CONF_TEMPERATURE
from .turn_lock import async_turn_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
    from homeassistant.util.json import JsonValueType

    from .coordinator import LlamaCppConfigEntry

    type Action = Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]

ATTR_AGENT: Final = "agent"
ATTR_CONVERSATION_ID: Final = "conversation_id"
ATTR_LIMIT: Final = "limit"
ATTR_MINE: Final = "mine"
ATTR_SYSTEM_PROMPT: Final = "system_prompt"

MAX_LISTED: Final = 100

# States of a server whose conversations can be read while nothing writes them.
_AT_REST: Final = (
    ConfigEntryState.NOT_LOADED,
    ConfigEntryState.SETUP_ERROR,
    ConfigEntryState.SETUP_RETRY,
)

# Empty as from a blueprint: as if it was left out.
_AGENT_FIELD = {probatio.Optional(ATTR_AGENT): probatio.Any("", cv.entity_id)}
_TURN_FIELDS = {
    probatio.Required(ATTR_MESSAGE): cv.string,
    probatio.Optional(CONF_TEMPERATURE): probatio.All(
        probatio.Coerce(float), probatio.Range(min=0, max=2)
    ),
    probatio.Optional(CONF_MAX_TOKENS): cv.positive_int,
    probatio.Optional(ATTR_LLM_HASS_API): probatio.All(cv.ensure_list, [cv.string]),
    probatio.Optional(ATTR_ATTACHMENTS, default=list): ATTACHMENTS,
}
_ID_FIELD = {probatio.Required(ATTR_CONVERSATION_ID): cv.string}
SCHEMAS: Final[Mapping[str, probatio.Schema]] = {
    "chat": probatio.Schema(
        {**_AGENT_FIELD, **_TURN_FIELDS, probatio.Optional(ATTR_SYSTEM_PROMPT): cv.string}
    ),
    "start": probatio.Schema({**_AGENT_FIELD, probatio.Optional(ATTR_SYSTEM_PROMPT): cv.string}),
    "send": probatio.Schema({**_AGENT_FIELD, **_ID_FIELD, **_TURN_FIELDS}),
    "close": probatio.Schema(_ID_FIELD),
    "history": probatio.Schema(_ID_FIELD),
    "list": probatio.Schema(
        {
            **_AGENT_FIELD,
            probatio.Optional(ATTR_LIMIT, default=MAX_LISTED): probatio.All(
                probatio.Coerce(int), probatio.Range(min=1, max=MAX_LISTED)
            ),
            probatio.Optional(ATTR_MINE, default=False): cv.boolean,
        }
    ),
}


@callback
def async_register_services(hass: HomeAssistant) -> None:
    """Register the actions; they work once a server is set up."""
    actions = Actions(hass)
    for name, schema in SCHEMAS.items():
        hass.services.async_register(
            DOMAIN,
            name,
            _translated(getattr(actions, f"async_{name}")),
            schema,
            supports_response=SupportsResponse.OPTIONAL
            if name == "close"
            else SupportsResponse.ONLY,
        )


def _translated(action: Action) -> Action:
    """Wrap an action to raise translated errors for those of the history."""

    async def run(call: ServiceCall) -> ServiceResponse:
        try:
            return await action(call)
        except HistoryError as err:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="history_unreadable",
                translation_placeholders={"message": str(err)},
            ) from err

    return run


class Actions:
    """Implementation of the actions; each method handles the action of its name."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize with the Home Assistant instance."""
        self._hass = hass

    async def async_chat(self, call: ServiceCall) -> ServiceResponse:
        """Answer one message in a conversation that ends with it."""
        caller, agent = await async_allowed_agent(
            self._hass, call.context, call.data.get(ATTR_AGENT)
        )
        system_prompt = _system_prompt(call)
        conversation_id = _new_id()
        turn = ActionTurn(
            self._hass, call, caller, agent, conversation_id, system_prompt, is_one_shot=True
        )
        return await turn.async_run()

    async def async_start(self, call: ServiceCall) -> ServiceResponse:
        """Start a conversation that stays open until it is closed."""
        caller, agent = await async_allowed_agent(
            self._hass, call.context, call.data.get(ATTR_AGENT)
        )
        system_prompt = _system_prompt(call)
        now = dt_util.utcnow()
        started = Conversation(
            id=_new_id(),
            source=Source.ACTION,
            created=now,
            updated=now,
            user_id=caller.user_id,
            agent_id=agent.entity_id,
            system_prompt=system_prompt,
        )
        await agent.history.async_create(started)
        agent.coordinator.async_update_listeners()
        return {"conversation_id": started.id, "agent": agent.entity_id}

    async def async_send(self, call: ServiceCall) -> ServiceResponse:
        """Answer a message within a conversation."""
        conversation_id = call.data[ATTR_CONVERSATION_ID]
        async with async_turn_of(self._hass, conversation_id):
            history, stored = await self._async_find(call)
            if stored.closed:
                raise invalid("conversation_closed", conversation_id=conversation_id)
            wanted = call.data.get(ATTR_AGENT) or stored.agent_id
            caller, agent = await async_allowed_agent(self._hass, call.context, wanted)
            if agent.history is not history:
                raise invalid("conversation_foreign", conversation_id=conversation_id)
            turn = ActionTurn(
                self._hass, call, caller, agent, conversation_id, stored.system_prompt
            )
            return await turn.async_run()

    async def async_close(self, call: ServiceCall) -> ServiceResponse:
        """Close a conversation; it stays stored for a while."""
        conversation_id = call.data[ATTR_CONVERSATION_ID]
        history, stored = await self._async_find(call)
        check_control(await Caller.async_of(self._hass, call.context), stored.agent_id)
        if stored.closed or not await history.async_close(conversation_id):
            raise invalid("conversation_closed", conversation_id=conversation_id)
        for entry in self._entries():
            entry.runtime_data.coordinator.async_update_listeners()
        return {"conversation_id": conversation_id}

    async def async_history(self, call: ServiceCall) -> ServiceResponse:
        """Return all messages of a conversation."""
        _, stored = await self._async_find(call)
        messages: list[JsonValueType] = [
            message.to_json() for turn in stored.turns for message in turn.messages
        ]
        return {
            "conversation_id": stored.id,
            "agent": stored.agent_id,
            "closed": stored.closed is not None,
            "messages": messages,
        }

    async def async_list(self, call: ServiceCall) -> ServiceResponse:
        """Return the caller's latest conversations on all servers, or with one agent."""
        limit = call.data[ATTR_LIMIT]
        caller = await Caller.async_of(self._hass, call.context)
        is_of_all = caller.may_access_all and not call.data[ATTR_MINE]
        summaries = [
            summary
            for entry in self._entries()
            for summary in await entry.runtime_data.history.async_list(
                limit=limit,
                agent_id=call.data.get(ATTR_AGENT) or None,
                user_id=None if is_of_all else caller.user_id,
            )
        ]
        summaries.sort(key=lambda summary: summary.stamp, reverse=True)
        del summaries[limit:]
        names = await self._async_user_names({one.user_id for one in summaries})
        return {
            "conversations": [
                {
                    "conversation_id": summary.id,
                    "title": summary.title,
                    "agent": summary.agent_id,
                    "user_id": summary.user_id,
                    "user": names.get(summary.user_id),
                    "source": summary.source.value,
                    "created": summary.created.isoformat(),
                    "updated": summary.updated.isoformat(),
                    "closed": summary.closed is not None,
                    "message_count": summary.message_count,
                }
                for summary in summaries
            ]
        }

    async def _async_user_names(self, user_ids: Iterable[str | None]) -> dict[str | None, str]:
        """Return the names of these users by id; those who are gone, or have none, are missing."""
        users = [await self._hass.auth.async_get_user(one) for one in user_ids if one]
        return {user.id: user.name for user in users if user and user.name}

    def _entries(self) -> list[LlamaCppConfigEntry]:
        return [
            entry
            for entry in self._hass.config_entries.async_entries(DOMAIN)
            if entry.state is ConfigEntryState.LOADED
        ]

    async def _async_find(self, call: ServiceCall) -> tuple[History, Conversation]:
        """Return the conversation of a call and the history that stores it.

        Raises ServiceValidationError if there is none, or if it belongs to another user.
        """
        conversation_id = call.data[ATTR_CONVERSATION_ID]
        caller = await Caller.async_of(self._hass, call.context)
        for entry in self._hass.config_entries.async_entries(DOMAIN):
            if entry.state is ConfigEntryState.LOADED:
                history = entry.runtime_data.history
            elif entry.state in _AT_REST:
                history = History(self._hass, entry.entry_id, retention_of(entry.options))
            else:
                continue
            if stored := await history.async_get(conversation_id):
                if not caller.may_access(stored.user_id):
                    raise invalid("conversation_not_yours")
                return history, stored
        raise invalid("conversation_unknown", conversation_id=conversation_id)


def _system_prompt(call: ServiceCall) -> str | None:
    """Return the instructions of a call, None if there are none."""
    text: str | None = call.data.get(ATTR_SYSTEM_PROMPT)
    if text and len(text) > MAX_CHARACTERS:
        raise invalid("system_prompt_too_long", limit=str(MAX_CHARACTERS))
    return text


def _new_id() -> str:
    """Return a new id that is not a ULID, so that it outlives Home Assistant's sessions."""
    return f"conv_{ulid_now().lower()}"
