"""An HTTP server that answers like llama-server, and records when.

It has no model: every chat gets the same answer at a steady pace, so that the speed of a model is
not part of the figures. A benchmark can also supply the answers.
"""

import asyncio
import contextlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

from dev.processes import LOOPBACK
from dev.prompts import MAKING, PREFILL_TOKENS, Prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    type Chunk = Callable[..., dict[str, Any]]

CHAT = "/v1/chat/completions"
MODEL = "scripted"
ANSWER = "The kitchen light is on, and the garden lights have been off since noon."
# Most tokens of a model are words with the space before them.
PIECES = tuple(re.findall(r" ?\w+|\W", ANSWER))
# Long enough for a piece to arrive before the next one is written.
PIECE_SECONDS = 0.01
# llama-server closes idle connections after this time.
KEEP_ALIVE_SECONDS = 5.0
PROMPT_TOKENS = 4000
METRICS = """\
llamacpp:prompt_tokens_total 0
llamacpp:tokens_predicted_total 0
llamacpp:requests_processing 0
"""

PROPS = {
    "default_generation_settings": {"params": {"n_predict": -1}, "n_ctx": 8192},
    "total_slots": 1,
    "model_alias": MODEL,
    "model_path": f"models/{MODEL}.gguf",
    "model_ftype": "Q4_K_M",
    "modalities": {"vision": False, "video": False, "audio": False},
    "endpoint_slots": True,
    "endpoint_props": False,
    "endpoint_metrics": True,
    "chat_template": "",
    "chat_template_caps": {
        "supports_string_content": True,
        "supports_system_role": True,
        "supports_tool_calls": True,
        "supports_tools": True,
    },
    "build_info": "scripted",
    "is_sleeping": False,
}


def _same_words(_body: Mapping[str, Any]) -> Sequence[str]:
    return PIECES


@dataclass(frozen=True, slots=True)
class ReceivedChat:
    """A request for a chat completion, or for the completion of a prompt made of messages.

    received: when the whole body had arrived. written: just before each piece of the answer was
    written, in the order of `PIECES`. Both in seconds of the server's clock. n_bytes: length of
    the body.
    """

    received: float
    n_bytes: int
    n_tools: int
    n_messages: int
    written: list[float] = field(default_factory=list)


class ScriptedServer:
    """The server, on a free loopback port; use it as an asynchronous context manager."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.perf_counter,
        answer: Callable[[Mapping[str, Any]], Sequence[str]] = _same_words,
    ) -> None:
        """Describe it; it does not listen yet.

        clock: for the times of a chat, in seconds. answer: returns the pieces of a streamed answer
        for the body of a request.
        """
        self._clock = clock
        self._answer = answer
        self._chats: list[ReceivedChat] = []
        self._prompts = Prompts()
        self._stack = contextlib.AsyncExitStack()
        self.base_url = ""

    async def __aenter__(self) -> Self:
        """Listen at `base_url`."""
        app = web.Application()
        app.router.add_get("/health", _health)
        app.router.add_get("/props", _props)
        app.router.add_get("/metrics", _metrics)
        app.router.add_get("/v1/models", _models)
        app.router.add_post(MAKING, self._make_prompt)
        app.router.add_post(CHAT, self._chat)
        app.router.add_post("/v1/completions", self._chat)
        runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, shutdown_timeout=0.1
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, 0).start()
        self.base_url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop listening, and abort answers in progress."""
        await self._stack.aclose()

    def take_chats(self) -> list[ReceivedChat]:
        """Return the chats since the last call, without prefills."""
        chats, self._chats = self._chats, []
        return chats

    async def _make_prompt(self, request: web.Request) -> web.Response:
        text = await request.text()
        self._prompts.note(json.loads(text), text)
        return web.json_response({"prompt": text})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        text = await request.read()
        received = self._clock()
        body = self._prompts.whole(json.loads(text))
        chat = ReceivedChat(
            received, len(text), len(body.get("tools") or ()), len(body["messages"])
        )
        if body.get("max_tokens") != PREFILL_TOKENS:
            self._chats.append(chat)
        if not body.get("stream"):
            return web.json_response(_whole_answer())
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        # A client may hang up after the end of the answer, before the end of the stream.
        with contextlib.suppress(aiohttp.ClientConnectionResetError):
            chunk = _chunk if request.path == CHAT else _text_chunk
            await self._stream(response, chat, body, chunk)
            await response.write_eof()
        return response

    async def _stream(
        self,
        response: web.StreamResponse,
        chat: ReceivedChat,
        body: Mapping[str, Any],
        chunk: Chunk,
    ) -> None:
        """Write the events of a stream as llama-server does, and record the time of each piece."""
        if body.get("return_progress"):
            progress = {
                "total": PROMPT_TOKENS,
                "cache": 0,
                "processed": PROMPT_TOKENS,
                "time_ms": 1,
            }
            await response.write(_event(chunk({"role": "assistant", "content": None}, progress)))
            await asyncio.sleep(PIECE_SECONDS)
        # The role comes in an event of its own, right before the first piece.
        await response.write(_event(chunk({"role": "assistant", "content": None})))
        for piece in self._answer(body)[: body.get("max_tokens")]:
            event = _event(chunk({"content": piece}))
            chat.written.append(self._clock())
            await response.write(event)
            await asyncio.sleep(PIECE_SECONDS)
        await response.write(_event(chunk({}, finish_reason="stop")))
        if (body.get("stream_options") or {}).get("include_usage"):
            await response.write(_event({**chunk(None), **_counts()}))
        await response.write(b"data: [DONE]\n\n")


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _props(_request: web.Request) -> web.Response:
    return web.json_response(PROPS)


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(text=METRICS)


async def _models(_request: web.Request) -> web.Response:
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "llamacpp", "meta": None}
    return web.json_response({"object": "list", "data": [model]})


def _event(chunk: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n".encode()


def _chunk(
    delta: Mapping[str, Any] | None,
    progress: Mapping[str, Any] | None = None,
    *,
    finish_reason: str | None = None,
) -> dict[str, Any]:
    """Return an event's data; without a delta it has no choices."""
    choice = {"finish_reason": finish_reason, "index": 0, "delta": delta}
    chunk = {
        **_answer_head("chat.completion.chunk"),
        "choices": [] if delta is None else [choice],
    }
    return chunk if progress is None else {**chunk, "prompt_progress": progress}


def _text_chunk(
    delta: Mapping[str, Any] | None,
    progress: Mapping[str, Any] | None = None,
    *,
    finish_reason: str | None = None,
) -> dict[str, Any]:
    """Return an event's data as `_chunk` does, for the completion of a prompt."""
    chunk = _chunk(delta, progress, finish_reason=finish_reason)
    for choice in chunk["choices"]:
        choice["text"] = choice.pop("delta").get("content") or ""
    return {**chunk, "object": "text_completion"}


def _whole_answer() -> dict[str, Any]:
    message = {"role": "assistant", "content": ANSWER}
    return {
        **_answer_head("chat.completion"),
        "choices": [{"finish_reason": "stop", "index": 0, "message": message}],
        **_counts(),
    }


def _answer_head(kind: str) -> dict[str, Any]:
    return {
        "created": int(time.time()),
        "id": "chatcmpl-scripted",
        "model": MODEL,
        "system_fingerprint": "scripted",
        "object": kind,
    }


def _counts() -> dict[str, Any]:
    """Return the usage and the timings (ms) at the end of an answer."""
    return {
        "usage": {
            "completion_tokens": len(PIECES),
            "prompt_tokens": PROMPT_TOKENS,
            "total_tokens": PROMPT_TOKENS + len(PIECES),
            "prompt_tokens_details": {"cached_tokens": 0},
        },
        "timings": {
            "cache_n": 0,
            "prompt_n": PROMPT_TOKENS,
            "prompt_ms": 1.0,
            "predicted_n": len(PIECES),
            "predicted_ms": len(PIECES) * PIECE_SECONDS * 1000,
        },
    }
