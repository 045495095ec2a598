"""The conversation API: chat, conversations, and what the app is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from .conversations import UnknownConversationError
from .events import Events
from .schemas import CHAT, MESSAGE, START, body_of, settings_of, window_of
from .service import SERVICE
from .turns import silently
from .upstream import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .conversations import Conversation, Message
    from .service import Service
    from .turns import Answer


def _answered(answer: Answer) -> dict[str, Any]:
    """Return the fields of an answer."""
    usage = answer.usage or {}
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    counts: dict[str, Any] = {name: usage.get(name, 0) for name in names}
    if answer.timings:
        counts["cached_tokens"] = answer.timings.get("cache_n", 0)
    told: dict[str, Any] = {
        "response": answer.text,
        "usage": counts,
        "finish_reason": answer.finish_reason,
        "model": answer.model,
    }
    if answer.message_count is not None:
        told["message_count"] = answer.message_count
    return told


type Tell = Callable[[str], Awaitable[None]]
type _Ask = Callable[[Tell], Awaitable[Answer]]


async def _reply(request: web.Request, values: Mapping[str, Any], ask: _Ask) -> web.StreamResponse:
    """Answer with events if that is asked for, otherwise with JSON."""
    runner = request.app[SERVICE].runner

    async def answered(tell: Tell) -> dict[str, Any]:
        try:
            return _answered(await ask(tell))
        except UpstreamError as err:
            raise await runner.explained(err, values.get("model")) from err

    accepted = "text/event-stream" in request.headers.get("Accept", "")
    if not values.get("stream", accepted):
        return web.json_response(await answered(silently))
    events = Events(request)
    return await events.answer(lambda: answered(events.tell))


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer one message."""
    service = request.app[SERVICE]
    values = await body_of(request, CHAT)
    async with service.runner.needed():
        service.runner.require_ready()
        return await _reply(
            request,
            values,
            lambda tell: service.turns.once(
                values["message"],
                values.get("system_prompt"),
                service.runner.settings(settings_of(values)),
                tell,
            ),
        )


async def start(request: web.Request) -> web.Response:
    """Begin a conversation."""
    values = await body_of(request, START)
    started = await request.app[SERVICE].store.start(values.get("system_prompt"))
    return web.json_response(
        {
            "conversation_id": started.id,
            "message": "The conversation has started: post messages to "
            f"/api/conversation/{started.id}/message.",
        },
        status=201,
    )


async def send(request: web.Request) -> web.StreamResponse:
    """Answer a message within a conversation."""
    service = request.app[SERVICE]
    conversation_id = request.match_info["id"]
    values = await body_of(request, MESSAGE)
    await _known(service, conversation_id)
    async with service.runner.needed():
        service.runner.require_ready()
        return await _reply(
            request,
            values,
            lambda tell: service.turns.within(
                conversation_id,
                values["message"],
                service.runner.settings(settings_of(values)),
                tell,
            ),
        )


async def _known(service: Service, conversation_id: str) -> Conversation:
    found = await service.store.get(conversation_id)
    if found is None:
        raise UnknownConversationError(f"There is no conversation {conversation_id}.")
    return found


def _told(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {
        "role": message.role,
        "content": message.content,
        "created": message.created,
    }
    if message.completion_tokens is not None:
        told["prompt_tokens"] = message.prompt_tokens
        told["completion_tokens"] = message.completion_tokens
    return told


async def history(request: web.Request) -> web.Response:
    """Return all that was said in a conversation."""
    store = request.app[SERVICE].store
    found = await _known(request.app[SERVICE], request.match_info["id"])
    said = [_told(one) for one in await store.messages(found.id)]
    if found.system_prompt:
        said.insert(0, {"role": "system", "content": found.system_prompt, "created": found.created})
    return web.json_response({"conversation_id": found.id, "messages": said})


async def conversations(request: web.Request) -> web.Response:
    """Return the newest conversations."""
    limit, offset = window_of(request)
    found = await request.app[SERVICE].store.newest(limit, offset)
    return web.json_response(
        {
            "conversations": [
                {
                    "conversation_id": one.id,
                    "title": one.title,
                    "created": one.created,
                    "updated": one.updated,
                    "message_count": one.message_count,
                }
                for one in found
            ]
        }
    )


async def delete(request: web.Request) -> web.Response:
    """Forget a conversation."""
    found = await _known(request.app[SERVICE], request.match_info["id"])
    await request.app[SERVICE].store.delete(found.id)
    return web.json_response({"conversation_id": found.id, "deleted": True})


ROUTES: Final = (
    web.post("/api/chat", chat),
    web.post("/api/conversation/start", start),
    web.post("/api/conversation/{id}/message", send),
    web.get("/api/conversation/{id}/history", history),
    web.get("/api/conversations", conversations),
    # Else the path above would seem to have this method, too.
    web.delete("/api/conversation/{id:(?!start$)[^{}/]+}", delete),
)
