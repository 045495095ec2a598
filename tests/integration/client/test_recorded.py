"""Recorded answers of a real server give the expected results."""

import json
from functools import singledispatch
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from custom_components.llamacpp.client import (
    Completion,
    Finish,
    FinishReason,
    LlamaServerClient,
    LlamaServerError,
    PromptProgress,
    TextDelta,
    Timings,
    ToolCallDelta,
    Usage,
)
from tests.integration.peers import collect, stream_events

from . import recordings
from .expected import (
    Answer,
    Call,
    Failure,
    Healthy,
    Json,
    Metrics,
    Models,
    Prompt,
    Props,
    Slots,
    Stopped,
)
from .expected_router import ROUTER
from .expected_server import SERVER
from .expected_tools import TOOLS
from .recordings import Recording

if TYPE_CHECKING:
    from custom_components.llamacpp.client import StreamEvent
    from tests.integration.peers import Peers

    from .expected import Expectation

TABLE: dict[str, Expectation] = {**SERVER, **TOOLS, **ROUTER}
CHAT_PATH = "/v1/chat/completions"


def test_every_recording_has_an_expectation() -> None:
    """Every recording has an expectation, and every expectation a recording."""
    assert recordings.names() == sorted(TABLE)
    assert len(TABLE) == len(SERVER) + len(TOOLS) + len(ROUTER)


@pytest.mark.parametrize("name", recordings.names())
async def test_recorded_answer(name: str, peers: Peers) -> None:
    """The client parses the answer as expected."""
    recording = recordings.read(name)

    async def answer(request: web.Request) -> web.StreamResponse:
        assert recording.path in (None, request.path_qs) or request.path == "/v1/models"
        if recording.events:
            return await stream_events(request, recording.events)
        return web.Response(
            status=recording.status,
            text=recording.body,
            headers={"Content-Type": recording.content_type},
        )

    client = peers.client(await peers.http(answer))
    await check(TABLE[name], client, recording)


@singledispatch
async def check(expected: Expectation, client: LlamaServerClient, recording: Recording) -> None:
    """Ask the client for the recorded answer and compare."""
    raise NotImplementedError(type(expected))


@check.register
async def _(expected: Answer, client: LlamaServerClient, recording: Recording) -> None:
    if recording.events:
        events, error = await collect(client)
        assert error is None
        answer = joined(events)
    else:
        answer = whole(await client.request_json("POST", CHAT_PATH, body={}))
    text, reason, usage, timings, calls = answer
    assert text.startswith(expected.text)
    assert len(text) == expected.length
    assert reason is expected.reason
    assert calls == expected.calls
    assert usage_counts(usage) == expected.usage
    assert timings_counts(timings) == expected.timings


@check.register
async def _(expected: Stopped, client: LlamaServerClient, recording: Recording) -> None:
    events, error = await collect(client)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text.startswith(expected.text)
    assert len(text) == expected.length
    assert not any(isinstance(event, Completion) for event in events)
    assert_failure(expected.failure, error)
    assert recording.events


@check.register
async def _(expected: Failure, client: LlamaServerClient, recording: Recording) -> None:
    with pytest.raises(LlamaServerError) as raised:
        await ask(client, recording)
    assert_failure(expected, raised.value)


@check.register
async def _(expected: Healthy, client: LlamaServerClient, recording: Recording) -> None:
    assert recording.path == "/health"
    await client.health()
    assert expected == Healthy()


@check.register
async def _(expected: Props, client: LlamaServerClient, recording: Recording) -> None:
    props = await client.props(asked_model(recording))
    for name, value in expected.fields.items():
        assert getattr(props, name) == value, name
    for name, value in expected.caps.items():
        assert getattr(props.chat_template_caps, name) is value, name


@check.register
async def _(expected: Models, client: LlamaServerClient, recording: Recording) -> None:
    assert recording.path in ("/models", "/v1/models")
    assert tuple(await client.models()) == expected.models


@check.register
async def _(expected: Slots, client: LlamaServerClient, recording: Recording) -> None:
    assert tuple(await client.slots(asked_model(recording))) == expected.slots


@check.register
async def _(expected: Metrics, client: LlamaServerClient, recording: Recording) -> None:
    metrics = await client.metrics(asked_model(recording))
    assert {name: metrics[name] for name in expected.some} == expected.some
    assert len(metrics) == expected.count


@check.register
async def _(expected: Prompt, client: LlamaServerClient, recording: Recording) -> None:
    body = json.loads(recording.request) if recording.request else {"messages": []}
    prompt = await client.apply_template(**body)
    assert prompt.startswith(expected.start)
    assert prompt.endswith(expected.end)
    assert len(prompt) == expected.length


@check.register
async def _(expected: Json, client: LlamaServerClient, recording: Recording) -> None:
    answer = await ask(client, recording)
    assert {name: answer[name] for name in expected.fields} == expected.fields


async def ask(client: LlamaServerClient, recording: Recording) -> Any:
    """Send the recorded request by the client's method for it."""
    match recording.path:
        case "/metrics":
            return await client.metrics()
        case "/slots":
            return await client.slots()
        case "/tokenize":
            return await client.tokenize("Turn on the light", add_special=True)
        case None | "/v1/chat/completions":
            return [event async for event in client.stream_chat({"messages": []})]
        case path:
            return await client.request_json(recording.method or "GET", path, body={})


def joined(
    events: list[StreamEvent],
) -> tuple[str, FinishReason, Usage | None, Timings | None, tuple[Call, ...]]:
    """Join the parts of a stream."""
    *parts, finish, completion = [e for e in events if not isinstance(e, PromptProgress)]
    assert isinstance(finish, Finish)
    assert isinstance(completion, Completion)
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for part in parts:
        if isinstance(part, ToolCallDelta):
            names.setdefault(part.index, part.name or "")
            arguments[part.index] = arguments.get(part.index, "") + part.arguments
    text = "".join(part.text for part in parts if isinstance(part, TextDelta))
    calls = tuple(Call(name, arguments[index]) for index, name in names.items())
    return text, finish.reason, completion.usage, completion.timings, calls


def whole(
    answer: Any,
) -> tuple[str, FinishReason, Usage | None, Timings | None, tuple[Call, ...]]:
    """Read an answer that was not streamed."""
    (choice,) = answer["choices"]
    message = choice["message"]
    calls = tuple(
        Call(call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls", [])
    )
    reason = FinishReason(choice["finish_reason"])
    usage, timings = Usage.from_json(answer["usage"]), Timings.from_json(answer["timings"])
    return message["content"], reason, usage, timings, calls


def usage_counts(usage: Usage | None) -> tuple[int, int, int] | None:
    """Return the counts of a usage as the tables have them."""
    if usage is None:
        return None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens


def timings_counts(timings: Timings | None) -> tuple[int, int, int] | None:
    """Return the counts of timings as the tables have them."""
    if timings is None:
        return None
    assert timings.prompt_ms > 0
    assert timings.predicted_ms > 0
    return timings.cache_n, timings.prompt_n, timings.predicted_n


def asked_model(recording: Recording) -> str | None:
    """Return the model in the recorded path."""
    return parse_qs(urlsplit(recording.path or "").query).get("model", [None])[0]


def assert_failure(expected: Failure, error: LlamaServerError | None) -> None:
    """Compare an error."""
    assert type(error) is expected.error
    assert str(error) == expected.message
    assert {name: getattr(error, name) for name in expected.numbers} == expected.numbers


async def test_progress_of_the_recorded_stream(peers: Peers) -> None:
    """The recorded stream reports the whole prompt at its start and its end."""
    url = await peers.streaming(*recordings.read("smol-chat-stream-progress").events)
    events, _ = await collect(peers.client(url))
    assert [event for event in events if isinstance(event, PromptProgress)] == [
        PromptProgress(total=1364, cache=0, processed=0, time_ms=0.0),
        PromptProgress(total=1364, cache=0, processed=1364, time_ms=18187.0),
    ]
