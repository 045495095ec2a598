"""Requests, cancellation, and answers of an unexpected shape."""

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from custom_components.llamacpp.client import (
    ChatTemplateCaps,
    Modalities,
    Model,
    ModelStatus,
    NotLlamaServerError,
    ServerProps,
    Slot,
    TextDelta,
    Timeouts,
)
from tests.integration.peers import STREAM_HEAD, chunked, collect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from custom_components.llamacpp.client import LlamaServerClient, StreamEvent
    from tests.integration.peers import Peers

HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'


async def echoing(peers: Peers, answer: Any, seen: list[tuple[str, str, Any]]) -> str:
    """Start a web server that records requests and has one answer; return its base URL."""

    async def note(request: web.Request) -> web.Response:
        text = await request.text()
        seen.append((request.method, request.path_qs, json.loads(text) if text else None))
        return web.json_response(answer)

    return await peers.http(note)


async def test_headers(peers: Peers) -> None:
    """The key is in one header, and no connection is kept."""
    seen: list[tuple[str | None, str | None]] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Authorization"), request.headers.get("Connection")))
        return web.json_response({"status": "ok"})

    url = await peers.http(note)
    await peers.client(url).health()
    await peers.client(url, api_key="").health()
    await peers.client(url, api_key="k").health()
    assert seen == [(None, "close"), (None, "close"), ("Bearer k", "close")]


async def test_path_prefix(peers: Peers) -> None:
    """The path of a reverse proxy comes before every path."""
    seen: list[tuple[str, str, Any]] = []
    url = f"{await echoing(peers, {'status': 'ok'}, seen)}/llama"
    client = peers.client(url)
    await client.health()
    assert client.base_url == url
    assert seen == [("GET", "/llama/health", None)]


async def test_model_is_named(peers: Peers) -> None:
    """A model is in the query of a GET, and in the body of a POST."""
    seen: list[tuple[str, str, Any]] = []
    answer = {"tokens": [1, 2], "prompt": "p", "default_generation_settings": {}}
    client = peers.client(await echoing(peers, answer, seen))
    await client.props("a/b:Q4 &+")
    assert await client.tokenize("x", model="m") == [1, 2]
    assert await client.tokenize("x", add_special=True, parse_special=False) == [1, 2]
    assert await client.apply_template([], model="m") == "p"
    tools = [{"type": "function"}]
    assert await client.apply_template([], tools, add_generation_prompt=True) == "p"
    assert [(method, body) for method, _, body in seen] == [
        ("GET", None),
        ("POST", {"content": "x", "add_special": False, "parse_special": True, "model": "m"}),
        ("POST", {"content": "x", "add_special": True, "parse_special": False}),
        ("POST", {"messages": [], "model": "m"}),
        ("POST", {"messages": [], "tools": tools, "add_generation_prompt": True}),
    ]
    assert seen[0][1] == "/props?model=a/b:Q4+%26%2B"


async def test_models_of_a_router(peers: Peers) -> None:
    """A model is loaded and unloaded by name; it can be queried without being loaded."""
    seen: list[tuple[str, str, Any]] = []
    answer = {"success": True, "default_generation_settings": {}}
    client = peers.client(await echoing(peers, answer, seen))
    await client.load_model("m")
    await client.unload_model("m")
    await client.props("m", autoload=False)
    with pytest.raises(NotLlamaServerError):
        await client.metrics("m", autoload=False)
    assert seen == [
        ("POST", "/models/load", {"model": "m"}),
        ("POST", "/models/unload", {"model": "m"}),
        ("GET", "/props?autoload=false&model=m", None),
        ("GET", "/metrics?autoload=false&model=m", None),
    ]


@pytest.mark.parametrize("options", [{}, {"stream_options": None}, {"stream": False}])
async def test_chat_is_always_streamed(options: dict[str, Any], peers: Peers) -> None:
    """Streaming, usage and progress are always on; the given request is not changed."""
    seen: list[tuple[str, str, Any]] = []
    client = peers.client(await echoing(peers, {}, seen))
    request = {"messages": [], "temperature": 0, **options}
    before = json.dumps(request)
    with pytest.raises(NotLlamaServerError):
        await anext(client.stream_chat(request))
    body = {
        "messages": [],
        "temperature": 0,
        "reasoning_format": "auto",
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
    }
    assert seen == [("POST", "/v1/chat/completions", body)]
    assert json.dumps(request) == before


async def let_go_by_aclose(client: LlamaServerClient) -> None:
    """Take one event, then close the generator."""
    async with contextlib.aclosing(client.stream_chat({})) as events:
        assert await anext(events) == TextDelta("Hello")


async def let_go_by_break(client: LlamaServerClient) -> None:
    """Take one event, then leave the loop."""
    async for event in client.stream_chat({}):
        assert event == TextDelta("Hello")
        break


async def let_go_by_cancel(client: LlamaServerClient) -> None:
    """Get cancelled while waiting for the second event."""
    first = asyncio.Event()
    taken: list[StreamEvent] = []

    async def consume() -> None:
        async for event in client.stream_chat({}):
            taken.append(event)
            first.set()

    task = asyncio.create_task(consume())
    await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert taken == [TextDelta("Hello")]


async def let_go_by_timeout(client: LlamaServerClient) -> None:
    """Time out while waiting for the second event."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(collect(client), 0.3)


@pytest.mark.parametrize(
    "let_go", [let_go_by_aclose, let_go_by_break, let_go_by_cancel, let_go_by_timeout]
)
async def test_letting_go_closes_the_connection(
    let_go: Callable[[LlamaServerClient], Awaitable[None]],
    peers: Peers,
) -> None:
    """However a consumer leaves, the server sees the end of the connection."""
    closed = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + chunked(HELLO))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.set()

    await let_go(peers.client(await peers.raw(stream)))
    async with asyncio.timeout(10):
        await closed.wait()


async def test_cancel_before_the_answer(peers: Peers) -> None:
    """A consumer that leaves before the answer cancels the request."""
    asked, closed = asyncio.Event(), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        asked.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        closed.set()

    client = peers.client(await peers.raw(wait))
    task = asyncio.create_task(anext(client.stream_chat({})))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        await closed.wait()


@pytest.mark.parametrize(
    "answer",
    [
        [1],
        "text",
        {},
        {"data": {}, "tokens": {}, "prompt": 1},
        {"data": [1], "tokens": ["x"]},
        {"data": [{"aliases": []}], "tokens": [{"id": 1}]},
        [{"n_ctx": 5}],
    ],
)
async def test_answers_of_a_wrong_shape(answer: Any, peers: Peers) -> None:
    """JSON of a wrong shape is no answer of a llama-server."""
    client = peers.client(await echoing(peers, answer, []))
    for ask in (
        client.models,
        client.slots,
        client.props,
        client.metrics,
        lambda: client.tokenize("x"),
        lambda: client.apply_template([]),
    ):
        with pytest.raises(NotLlamaServerError):
            await ask()


async def test_metrics_that_are_no_numbers(peers: Peers) -> None:
    """Lines without a number are skipped."""
    text = "# HELP llamacpp:a A\nllamacpp:a 1.5\nllamacpp:b\nllamacpp:c x\nother 2\n"
    client = peers.client(await peers.answering(200, text))
    assert await client.metrics() == {"a": 1.5}


async def test_little_is_told(peers: Peers) -> None:
    """A missing field, or one of another type, has a default."""
    answer: Any = {"default_generation_settings": None, "total_slots": "2", "modalities": []}
    props = await peers.client(await echoing(peers, answer, [])).props()
    assert props == ServerProps(
        n_ctx=None,
        total_slots=None,
        model_alias="",
        model_path="",
        model_ftype="",
        build_info="",
        chat_template="",
        bos_token="",
        eos_token="",
        chat_template_caps=ChatTemplateCaps(),
        modalities=Modalities(),
        is_router=False,
        is_sleeping=False,
        has_metrics=False,
        has_slots=False,
        instance="",
    )
    client = peers.client(await echoing(peers, [{"id": 3}], []))
    assert await client.slots() == [Slot(3, None, is_processing=False)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"value": "loading"}, ModelStatus.LOADING),
        ({"value": "sleeping"}, ModelStatus.SLEEPING),
        ({"value": "unloaded", "failed": True, "exit_code": 1}, ModelStatus.FAILED),
        ({"value": "dreaming"}, ModelStatus.UNKNOWN),
        ({"value": None}, ModelStatus.UNKNOWN),
        ("loaded", ModelStatus.UNKNOWN),
    ],
)
async def test_model_status(status: Any, expected: ModelStatus, peers: Peers) -> None:
    """A model with an unknown status is listed."""
    answer = {"data": [{"id": "m", "aliases": ["n", 1], "status": status}]}
    client = peers.client(await echoing(peers, answer, []), timeouts=Timeouts())
    assert await client.models() == [Model("m", ("n",), expected, None, None, None)]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"model_alias": "gemma"}, "gemma"),
        ({"model_alias": "/models/gemma-3-1b-it.gguf"}, "gemma-3-1b-it"),
        ({"model_path": "models/tiny.gguf"}, "tiny"),
        ({}, ""),
    ],
)
def test_name_of_a_model(told: dict[str, str], name: str) -> None:
    """The name of a model has no path of the server's disk."""
    props = ServerProps.from_json({"default_generation_settings": {}, **told})
    assert props.model_name == name
