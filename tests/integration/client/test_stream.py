"""The decoder of events, and unusual chunks."""

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.llamacpp.client import (
    BadRequestError,
    Completion,
    ContextExceededError,
    Finish,
    FinishReason,
    MalformedStreamError,
    NotLlamaServerError,
    PromptProgress,
    ServerFaultError,
    TextDelta,
    ThinkingDelta,
    Timings,
    ToolCallDelta,
    Usage,
)
from custom_components.llamacpp.client.stream import ChatStream, EventDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from custom_components.llamacpp.client import LlamaServerError, StreamEvent

STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
TIMINGS = {"cache_n": 3, "prompt_n": 4, "prompt_ms": 5.5, "predicted_n": 2, "predicted_ms": 6}


def decoded(data: bytes, size: int, limit: int = 1000) -> list[str]:
    """Feed bytes in pieces of one size to a decoder."""
    decoder = EventDecoder(limit)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [event for piece in pieces for event in decoder.feed(piece)]


def chunk(**delta: Any) -> dict[str, Any]:
    """Return a chunk with one choice."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def events(*chunks: object) -> list[StreamEvent]:
    """Return the events of a stream of these chunks."""
    stream = ChatStream()
    found = [event for data in chunks for event in stream.take(json.dumps(data))]
    found.extend(stream.take("[DONE]"))
    assert stream.done
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: a\r\n\ndata: b\n\r\n", ["a", "b"]),
        (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a\n\n", [" a"]),
        (b"data: a\ndata: b\ndata\n\n", ["a\nb\n"]),
        (b"data: a:b\n\n", ["a:b"]),
        (b":\n\n: ping\n\ndata: a\n:\n\n\n\n", ["a"]),
        (b"event: x\nid: 1\nretry: 9\n\ndata: a\n\n", ["a"]),
        ("data: größer 👉\n\n".encode(), ["größer 👉"]),
        ("data: a\u2028b\x0cc\n\n".encode(), ["a\u2028b\x0cc"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"data: a\n\ndata: not complete\n", ["a"]),
        (b"", []),
    ],
)
def test_decoder(data: bytes, expected: list[str], size: int) -> None:
    """Events are whole, however the network splits the bytes."""
    assert decoded(data, size) == expected


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_decoder_limits(size: int) -> None:
    """A line or an event is rejected beyond the limit, not at it."""
    assert decoded(b"data: 3456\n\n" * 5, size, limit=10) == ["3456"] * 5
    with pytest.raises(MalformedStreamError, match="line that is too long"):
        decoded(b"data: 34567\n\n", size, limit=10)
    with pytest.raises(MalformedStreamError, match="line that is too long"):
        decoded(b"x" * 11, size, limit=10)
    with pytest.raises(MalformedStreamError, match="event that is too long"):
        decoded(b"data: 3\ndata: 3456\ndata: 3456\n\n", size, limit=10)


def test_text_and_thinking() -> None:
    """Empty and missing texts are no events; in one chunk thinking comes before text."""
    assert events(
        chunk(role="assistant", content=None),
        chunk(content=""),
        chunk(reasoning_content="hm", content="Hi"),
        chunk(reasoning_content=None),
        STOP,
    ) == [ThinkingDelta("hm"), TextDelta("Hi"), Finish(FinishReason.STOP), Completion(None, None)]


def test_tool_calls() -> None:
    """Several parts can share a chunk; absent, null and empty arguments are the same."""
    calls = [
        {"index": 0, "id": "a", "function": {"name": "On", "arguments": ""}},
        {"index": 1, "id": "b", "function": {"name": "Off", "arguments": None}},
        {"id": "c", "function": {"name": "Dim"}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert events(chunk(tool_calls=calls), chunk(content="done", tool_calls=None), STOP)[:5] == [
        ToolCallDelta(0, "a", "On", ""),
        ToolCallDelta(1, "b", "Off", ""),
        ToolCallDelta(2, "c", "Dim", ""),
        ToolCallDelta(1, None, None, "{}"),
        TextDelta("done"),
    ]


@pytest.mark.parametrize(
    "chunks",
    [
        [STOP, {"choices": [], "usage": USAGE, "timings": TIMINGS}],
        [{**STOP, "timings": TIMINGS}, {"choices": [], "usage": USAGE}],
        [{**chunk(content=""), "usage": USAGE, "timings": {}}, {**STOP, "timings": TIMINGS}],
        [{**STOP, "usage": USAGE, "timings": TIMINGS}, {"choices": [], "usage": None}],
    ],
)
def test_completion(chunks: Sequence[object]) -> None:
    """Usage and timings are kept, whichever chunk has them."""
    finish, completion = events(*chunks)
    assert finish == Finish(FinishReason.STOP)
    assert completion == Completion(Usage(7, 2, 9, 0), Timings(3, 4, 5.5, 2, 6.0))


def test_fields_of_a_wrong_type_count_as_missing() -> None:
    """Invalid numbers are zero, and the total is the sum."""
    usage = {**USAGE, "total_tokens": "9", "prompt_tokens_details": {"cached_tokens": True}}
    timings = {"cache_n": 1.5, "prompt_ms": "5", "predicted_ms": False}
    assert events({**STOP, "usage": usage, "timings": timings})[-1] == Completion(
        Usage(7, 2, 9, 0), Timings(0, 0, 0.0, 0, 0.0)
    )


def test_progress() -> None:
    """Progress comes before the rest of its chunk."""
    progress = {"total": 9, "cache": 2, "processed": 5, "time_ms": 12}
    assert events({**chunk(content="a"), "prompt_progress": progress}, STOP)[:2] == [
        PromptProgress(total=9, cache=2, processed=5, time_ms=12.0),
        TextDelta("a"),
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.UNKNOWN),
    ],
)
def test_finish_reasons(name: str, reason: FinishReason) -> None:
    """An unknown reason is still a finish."""
    finish, _ = events({"choices": [{"index": 0, "finish_reason": name}]})
    assert finish == Finish(reason)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{bad", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no object"),
        ("{}", "without choices"),
        ('{"choices": {}}', "without choices"),
        ('{"choices": [1]}', "choice that is no object"),
        ('{"choices": [{"delta": {"tool_calls": ["x"]}}]}', "tool call that is no object"),
        ('{"choices": [], "usage": 1}', "usage that is no object"),
        ('{"choices": [], "timings": 1}', "timings that are no object"),
        ('{"choices": [], "prompt_progress": 1}', "progress that is no object"),
        ("[DONE]", "before its end"),
    ],
)
def test_malformed(data: str, message: str) -> None:
    """Malformed chunks, or too few of them, are rejected."""
    with pytest.raises(MalformedStreamError, match=message):
        list(ChatStream().take(data))


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        ({"code": 500, "message": "no match"}, ServerFaultError, "no match"),
        ({"message": "no code"}, ServerFaultError, "no code"),
        ({"code": 400, "message": "bad"}, BadRequestError, "bad"),
        ({"code": 400}, BadRequestError, "without a message"),
        ({"message": "x" * 10_000}, ServerFaultError, "^x{500}$"),
        ("only a text", ServerFaultError, "only a text"),
        (5, NotLlamaServerError, "not an answer of a llama-server"),
        (None, MalformedStreamError, "without choices"),
    ],
)
def test_error_event(error: object, expected: type[LlamaServerError], message: str) -> None:
    """An error can come in place of a chunk."""
    with pytest.raises(expected, match=message):
        list(ChatStream().take(json.dumps({"error": error})))


def test_context_exceeded_event() -> None:
    """The error has the counts that the server sends."""
    error = {"type": "exceed_context_size_error", "message": "too long", "n_ctx": 5}
    with pytest.raises(ContextExceededError) as raised:
        list(ChatStream().take(json.dumps({"error": error})))
    assert raised.value.n_ctx == 5
    assert raised.value.n_prompt_tokens is None


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"\ud83d", "\ufffd"),
        (r"\ude00", "\ufffd"),
        (r"a\ud83db\ude00c", "a\ufffdb\ufffdc"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\ude00 \ud83d", "\U0001f600 \ufffd"),
        (r"\\ud83d", r"\ud83d"),
    ],
)
@pytest.mark.parametrize("field", ["content", "reasoning_content", "arguments", "name", "id"])
def test_half_a_surrogate_pair(sent: str, read: str, field: str) -> None:
    """Half a surrogate pair is replaced in every text; whole pairs stay."""
    if field in ("content", "reasoning_content"):
        delta = f'"{field}":"{sent}"'
    elif field == "id":
        delta = f'"tool_calls":[{{"id":"{sent}"}}]'
    else:
        delta = f'"tool_calls":[{{"function":{{"{field}":"{sent}"}}}}]'
    (event,) = ChatStream().take(f'{{"choices":[{{"index":0,"delta":{{{delta}}}}}]}}')
    assert isinstance(event, (TextDelta, ThinkingDelta, ToolCallDelta))
    found = event.text if not isinstance(event, ToolCallDelta) else getattr(event, field)
    assert found == read
    found.encode()


@pytest.mark.parametrize(
    "number", [2**53, 2**63, 2**64, 10**400, -(2**63), 1e400, float("nan")], ids=repr
)
def test_numbers_out_of_bounds_count_as_missing(number: float) -> None:
    """No count, sum or statistic is too large for a file or a sensor."""
    usage = dict.fromkeys(USAGE, number) | {"prompt_tokens_details": {"cached_tokens": number}}
    timings = dict.fromkeys(TIMINGS, number)
    progress = {"prompt_progress": dict.fromkeys(("total", "cache", "processed"), number)}
    found = events({**STOP, "usage": usage, "timings": timings, **progress})
    assert found[0] == PromptProgress(total=0, cache=0, processed=0, time_ms=0.0)
    completion = found[-1]
    assert isinstance(completion, Completion)
    assert completion.usage == Usage(0, 0, 0, 0)
    assert completion.timings is not None
    assert completion.timings.cache_n == completion.timings.prompt_n == 0
    assert math.isfinite(completion.timings.prompt_ms + completion.timings.predicted_ms)


def test_sums_of_the_largest_numbers_fit() -> None:
    """The sum of many requests fits into 64 bits."""
    largest = dict.fromkeys(USAGE, 2**53 - 1)
    one = events({**STOP, "usage": largest})[-1]
    assert isinstance(one, Completion)
    assert one.usage is not None
    assert one.usage.prompt_tokens == 2**53 - 1
    together = one.usage
    for _ in range(100):
        together += one.usage
    assert together.total_tokens < 2**63
