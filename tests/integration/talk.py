"""Ask the agent in Home Assistant, and script what a server answers."""

import asyncio
import json
import logging
from inspect import signature
from typing import TYPE_CHECKING, Any

from aiohttp import web
from homeassistant.components import ai_task, conversation
from homeassistant.components.conversation import trace
from homeassistant.core import Context
from homeassistant.helpers.chat_session import DATA_CHAT_SESSION, async_get_chat_session

from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from dev.prompts import MAKING, Prompts

from .conftest import AGENT, TASK_AGENT, agent_of
from .peers import stream_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import aiohttp
    import pytest
    from homeassistant.core import HomeAssistant, State
    from homeassistant.helpers.chat_session import ChatSession

    from custom_components.llamacpp.client import LlamaServerClient
    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

PROPS: dict[str, Any] = {"default_generation_settings": {"n_ctx": 2048}, "build_info": "b1-test"}
POLL_SECONDS = 0.05
WAIT_SECONDS = 60
# Since 2026.11 Home Assistant wants the session's context; there is none.
NOBODY: dict[str, Any] = (
    {"context": None} if "context" in signature(async_get_chat_session).parameters else {}
)


def nobodys_session(
    hass: HomeAssistant, conversation_id: str | None = None
) -> AbstractContextManager[ChatSession]:
    """Return a chat session that belongs to no user, of a new conversation by default."""
    return async_get_chat_session(hass, conversation_id, **NOBODY)


async def act(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    """Run an action of the integration and return its response; fail after a minute."""
    async with asyncio.timeout(WAIT_SECONDS):
        response = await hass.services.async_call(
            "llamacpp", action, data, blocking=True, return_response=True
        )
    return dict(response or {})


async def ask(
    hass: HomeAssistant,
    text: str,
    conversation_id: str | None = None,
    language: str = "en",
    *,
    device_id: str | None = None,
) -> conversation.ConversationResult:
    """Say this to the agent and return its answer. device_id: of the satellite."""
    return await conversation.async_converse(
        hass,
        text,
        conversation_id,
        Context(),
        language=language,
        agent_id=AGENT,
        device_id=device_id,
    )


async def ask_as_a_pipeline(
    hass: HomeAssistant,
    text: str,
    conversation_id: str | None,
    listen: Callable[[conversation.ChatLog, dict[str, Any]], None] | None = None,
) -> conversation.ConversationResult:
    """Ask as a voice pipeline does: it opens the chat log, and adds the missing answer."""
    context = Context()
    options = {"context": context} if hasattr(conversation, "ConversationBusyError") else {}
    user_input = conversation.ConversationInput(
        text=text,
        context=context,
        conversation_id=conversation_id,
        device_id=None,
        satellite_id=None,
        language="en",
        agent_id=AGENT,
    )
    with (
        async_get_chat_session(hass, conversation_id, **options) as session,
        conversation.async_get_chat_log(
            hass, session, user_input, chat_log_delta_listener=listen
        ) as chat_log,
    ):
        result = await conversation.async_converse(
            hass, text, session.conversation_id, context, language="en", agent_id=AGENT
        )
        if chat_log.content[-1].role == "user" and speech(result):
            chat_log.async_add_assistant_content_without_tools(
                conversation.AssistantContent(agent_id=AGENT, content=speech(result))
            )
    return result


def speech(result: conversation.ConversationResult) -> str:
    """Return the spoken answer."""
    return str(result.response.speech["plain"]["speech"])


def state_of(hass: HomeAssistant, entity_id: str) -> State:
    """Return an entity's state."""
    state = hass.states.get(entity_id)
    assert state is not None
    return state


def contents(
    hass: HomeAssistant, result: conversation.ConversationResult
) -> list[conversation.Content]:
    """Return the chat log of the conversation with this result."""
    assert result.conversation_id is not None
    return list(hass.data[conversation.chat_log.DATA_CHAT_LOGS][result.conversation_id].content)


def last_trace(kind: str) -> list[dict[str, Any]]:
    """Return the details of this kind in the newest trace."""
    events = trace.async_get_traces()[-1].as_dict()["events"]
    return [event["data"] for event in events if event["event_type"] == kind]


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return warnings and errors from us or about us."""
    loud = [
        one.getMessage()
        for one in caplog.records
        if one.levelno >= logging.WARNING
        # asyncio takes skipped hours for slow calls.
        and one.name != "asyncio"
        and "llamacpp" in f"{one.name} {one.pathname} {one.getMessage()}"
    ]
    # Home Assistant says this of every custom integration.
    return [one for one in loud if "not been tested by Home Assistant" not in one]


def sse(*chunks: dict[str, Any]) -> Iterator[str]:
    """Return the lines of a stream with these chunks."""
    yield from (f"data: {json.dumps(chunk)}" for chunk in chunks)
    yield "data: [DONE]"


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return a chunk of a chat completion."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def without_note(words: str) -> str:
    """Return a user's words without the agent's note."""
    return words.rpartition("]\n")[2]


def said_in(request: dict[str, Any]) -> list[str]:
    """Return the messages of a request without the system prompt and notes."""
    return [without_note(message["content"]) for message in request["messages"][1:]]


def no_slots() -> web.Response:
    """Return the answer of a llama-server without `--slot-save-path`."""
    error = {"code": 501, "message": "Not started with it", "type": "not_supported_error"}
    return web.json_response({"error": error}, status=501)


def is_prefill(body: dict[str, Any]) -> bool:
    """Return whether a request is a prefill."""
    return body.get("max_tokens") == 1 and body["messages"][-1]["content"] == ""


async def llama_peer(
    peers: Peers,
    *answers: list[dict[str, Any]],
    props: dict[str, Any] = PROPS,
    models: dict[str, Any] | None = None,
) -> tuple[str, list[Any]]:
    """Start a llama-server that gives these answers in turn; return its address and requests.

    props, models: its `/props` and `/v1/models`; None: it has no list of models.
    """
    requests: list[Any] = []
    waiting = list(answers)
    prompts = Prompts()
    told: dict[str, Any] = {"/health": {"status": "ok"}, "/props": props}
    told |= {"/v1/models": models} if models else {}

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path in told:
            return web.json_response(told[request.path])
        if request.path == "/tokenize":
            return web.Response(status=404)
        if request.path.startswith("/slots/"):
            return no_slots()
        body = await request.json()
        if request.path == MAKING:
            prompts.note(body, prompt := json.dumps(body))
            return web.json_response({"prompt": prompt})
        body = prompts.whole(body)
        if is_prefill(body):
            return await stream_events(request, sse(piece("stop")))
        requests.append(body)
        return await stream_events(request, sse(*waiting.pop(0)))

    return await peers.http(handle), requests


async def recording(
    peers: Peers,
    session: aiohttp.ClientSession,
    server: LlamaServer,
    answered: Callable[[web.Request, aiohttp.ClientResponse], None] = lambda _request, _answer: (
        None
    ),
) -> tuple[str, list[dict[str, Any]]]:
    """Return the address of a proxy in front of a server, and the chats that pass it.

    answered: called with each request and its answer, before that is passed on.
    """
    asked: list[dict[str, Any]] = []
    prompts = Prompts()

    async def forward(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path.endswith("/completions"):
            asked.append(prompts.whole(json.loads(body)))
        url = server.base_url + request.path_qs
        # Keep no connection that another client of the session would find closed.
        headers = {"Content-Type": "application/json", "Connection": "close"}
        async with session.request(
            request.method, url, data=body or None, headers=headers
        ) as answer:
            answered(request, answer)
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            await response.prepare(request)
            received = b""
            async for chunk in answer.content.iter_any():
                received += chunk
                await response.write(chunk)
        if request.path == MAKING and answer.ok:
            prompts.note(json.loads(body), json.loads(received)["prompt"])
        return response

    return await peers.http(forward), asked


async def until_busy(client: LlamaServerClient, *, busy: bool) -> None:
    """Wait until a slot of the server is busy, or none."""
    while True:
        if any(slot.is_processing for slot in await client.slots()) is busy:
            return
        await asyncio.sleep(POLL_SECONDS)


def words(text: str) -> list[dict[str, Any]]:
    """Return the chunks of an answer with this text."""
    return [piece(content=text), piece("stop")]


async def generate(hass: HomeAssistant, **fields: Any) -> Any:
    """Give the agent a task and return its data."""
    result = await ai_task.async_generate_data(
        hass, task_name="Weather", entity_id=TASK_AGENT, instructions="Look outside.", **fields
    )
    return result.data


async def add_native(home: HomeAssistant, add_server: AddServer, url: str) -> None:
    """Set up a server whose agent sends tools in its requests, however small the model is."""
    entry = await add_server(url)
    options = {**agent_of(entry).data, CONF_TOOL_CALLS: ToolCalls.NATIVE}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=options)
    await home.async_block_till_done()


def forget_sessions(hass: HomeAssistant) -> None:
    """Have Home Assistant forget its sessions, as after five minutes or a restart."""
    for session in hass.data.get(DATA_CHAT_SESSION, {}).values():
        session.async_cleanup()
    hass.data.get(DATA_CHAT_SESSION, {}).clear()
