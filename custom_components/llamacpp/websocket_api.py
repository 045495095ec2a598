"""Command of the dashboard card: a message of the signed-in user, and the answer as it comes."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import probatio
from homeassistant.components import conversation, websocket_api
from homeassistant.components.websocket_api.decorators import async_response, websocket_command
from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import intent

from .action_turn import MAX_CHARACTERS, invalid
from .agents import async_allowed_agent
from .chat_history import async_session
from .const import DOMAIN
from .entity import ANSWER_STATS
from .history import HistoryError
from .turn_lock import async_turn_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from homeassistant.components.conversation import Content
    from homeassistant.components.websocket_api.connection import ActiveConnection
    from homeassistant.core import Context, HomeAssistant

    from .conversation import LlamaCppConversationEntity

    type Tell = Callable[[Mapping[str, Any]], None]

TYPE_CONVERSE: Final = f"{DOMAIN}/converse"


@callback
def async_register_commands(hass: HomeAssistant) -> None:
    """Register the command; it works once a server is set up."""
    websocket_api.async_register_command(hass, websocket_converse)


@websocket_command(
    {
        probatio.Required("type"): TYPE_CONVERSE,
        probatio.Required("message"): str,
        probatio.Optional("conversation_id"): probatio.Any(str, None),
        probatio.Optional("agent"): probatio.Any(cv.entity_id, None),
        probatio.Optional("language"): str,
    }
)
@async_response
async def websocket_converse(
    hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]
) -> None:
    """Answer a message within a conversation, or at the beginning of one, as Assist does.

    agent: as for the actions. Home Assistant's own command for this cannot continue a conversation
    of yesterday. Events: `delta` with a piece of text, or with the role at the beginning of a
    message; at last `end` with the conversation's id, what was said, whether that is an error, and
    the tokens. To unsubscribe stops the answer.
    """
    message = msg["message"].strip()
    if not message:
        raise invalid("message_empty")
    if len(message) > MAX_CHARACTERS:
        raise invalid("message_too_long", limit=str(MAX_CHARACTERS))
    context = connection.context(msg)
    _, agent = await async_allowed_agent(hass, context, msg.get("agent"))
    if await _async_is_closed(agent, msg.get("conversation_id")):
        raise invalid("conversation_closed", conversation_id=msg["conversation_id"])

    def tell(event: Mapping[str, Any]) -> None:
        connection.send_event(msg["id"], event)

    connection.send_result(msg["id"])
    run = hass.async_create_background_task(
        _async_converse(hass, agent, message, msg, context, tell), f"{DOMAIN} card"
    )
    connection.subscriptions[msg["id"]] = run.cancel


async def _async_is_closed(agent: LlamaCppConversationEntity, conversation_id: str | None) -> bool:
    # The agent reports unreadable conversations.
    with suppress(HistoryError):
        summary = conversation_id and await agent.history.async_summary(conversation_id)
        return bool(summary and summary.closed)
    return False


async def _async_converse(  # noqa: PLR0913, PLR0917 - all parts of a turn
    hass: HomeAssistant,
    agent: LlamaCppConversationEntity,
    message: str,
    msg: Mapping[str, Any],
    context: Context,
    tell: Tell,
) -> None:
    """Let the agent answer, and tell what it says."""

    @callback
    def listen(_chat_log: conversation.ChatLog, delta: Mapping[str, Any]) -> None:
        if "role" in delta and delta["role"] == "assistant":
            tell({"type": "delta", "role": "assistant"})
        if content := delta.get("content"):
            tell({"type": "delta", "content": content})

    conversation_id = msg.get("conversation_id")
    try:
        async with async_turn_of(hass, conversation_id):
            with (
                await async_session(hass, agent.history, conversation_id) as session,
                conversation.async_get_chat_log(
                    hass, session, chat_log_delta_listener=listen
                ) as chat_log,
            ):
                result = await conversation.async_converse(
                    hass,
                    message,
                    session.conversation_id,
                    context,
                    language=msg.get("language"),
                    agent_id=agent.entity_id,
                )
                usage = _usage(chat_log.content[-1])
    except HomeAssistantError as err:
        tell({"type": "end", "conversation_id": conversation_id, "speech": str(err), "error": True})
        return
    response = result.response
    tell(
        {
            "type": "end",
            "conversation_id": result.conversation_id,
            "speech": response.speech.get("plain", {}).get("speech", ""),
            "error": response.response_type is intent.IntentResponseType.ERROR,
            "usage": usage,
        }
    )


def _usage(answer: Content) -> dict[str, Any] | None:
    """Return the tokens of an answer and their speed, None if no model has said it."""
    stats = ANSWER_STATS.get(answer)
    if stats is None or stats.completion.usage is None:
        return None
    usage = stats.completion.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "tokens_per_second": stats.generation_speed,
    }
