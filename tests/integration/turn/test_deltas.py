"""Events of a stream become deltas of a chat log."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.helpers import llm

from custom_components.llamacpp.client import (
    Completion,
    Finish,
    FinishReason,
    PromptProgress,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from custom_components.llamacpp.tool_calls.validator import ToolCallValidator
from custom_components.llamacpp.turn.deltas import ChatLogStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from custom_components.llamacpp.client import StreamEvent


POSSIBLE = ToolCallValidator(
    [{"type": "function", "function": {"name": name}} for name in ("test__first", "test__second")]
)


async def deltas_of(answer: ChatLogStream, *events: StreamEvent) -> list[Any]:
    """Return the deltas for these events."""

    async def stream() -> AsyncGenerator[StreamEvent]:
        for event in events:
            yield event

    return [delta async for delta in answer.from_events(stream())]


async def test_text_and_thoughts() -> None:
    """The first delta has the role; usage after the finish is kept."""
    usage = Usage(prompt_tokens=10, completion_tokens=2, total_tokens=12, cached_tokens=9)
    answer = ChatLogStream(POSSIBLE)
    deltas = await deltas_of(
        answer,
        PromptProgress(total=10, cache=9, processed=10, time_ms=1.0),
        ThinkingDelta("Hm."),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finish(FinishReason.STOP),
        Completion(usage, None),
    )
    assert deltas == [
        {"role": "assistant"},
        {"thinking_content": "Hm."},
        {"content": "Hel"},
        {"content": "lo"},
    ]
    assert answer.completion.usage == usage
    assert answer.finish_reason is FinishReason.STOP


async def test_calls_in_pieces_and_text_after_them() -> None:
    """Calls are joined by index, and text after a call is kept."""
    deltas = await deltas_of(
        ChatLogStream(POSSIBLE),
        ToolCallDelta(1, "b", "second", ""),
        ToolCallDelta(0, "a", "first", '{"na'),
        ToolCallDelta(0, None, None, 'me": 1}'),
        TextDelta("Done."),
        Finish(FinishReason.TOOL_CALLS),
    )
    assert deltas[1] == {"content": "Done."}
    assert deltas[2] == {
        "tool_calls": [
            llm.ToolInput("test__first", {"name": 1}, id="a"),
            llm.ToolInput("test__second", {}, id="b"),
        ]
    }


@pytest.mark.parametrize(
    ("arguments", "reason", "explanation"),
    [
        ("{", FinishReason.TOOL_CALLS, "not valid JSON"),
        ('{"name": "Kit', FinishReason.LENGTH, "cut off"),
        ("[1]", FinishReason.TOOL_CALLS, "must be a JSON object"),
        ('{"a": ' + "[" * 300 + "]" * 300 + "}", FinishReason.TOOL_CALLS, "not valid JSON"),
        ('{"a": 99999999999999999999}', FinishReason.TOOL_CALLS, "not valid JSON"),
    ],
)
async def test_a_call_that_makes_no_sense(
    arguments: str, reason: FinishReason, explanation: str
) -> None:
    """The model gets an error about its call."""
    answer = ChatLogStream(POSSIBLE)
    _, calls, result = await deltas_of(
        answer,
        ToolCallDelta(0, None, "first", arguments),
        Finish(reason),
    )
    (call,) = calls["tool_calls"]
    assert call.external is True
    assert result["tool_call_id"] == call.id != ""
    assert result["result"].error is True
    assert explanation in json.dumps(result["result"].data)
    assert answer.has_impossible_calls


async def test_calls_in_words() -> None:
    """Printed calls are not spoken, and run once, after the model's other calls."""
    answer = ChatLogStream(POSSIBLE)
    deltas = await deltas_of(
        answer,
        TextDelta('{"name": "fir'),
        TextDelta('st", "arguments": {"a": 1}}\nfirst(a=2)\n'),
        TextDelta('{"name": "second", "arguments": {}}\nDone.'),
        TextDelta("\nfir"),
        ToolCallDelta(0, "a", "test__second", "{}"),
        ToolCallDelta(1, "b", "test__first", '{"a":2}'),
        Finish(FinishReason.STOP),
    )
    assert "".join(delta.get("content", "") for delta in deltas) == "Done.\nfir"
    calls = deltas[-1]["tool_calls"]
    assert [(call.tool_name, call.tool_args) for call in calls] == [
        ("test__second", {}),
        ("test__first", {"a": 2}),
        ("test__first", {"a": 1}),
    ]
    assert [call.id for call in calls[:2]] == ["a", "b"]
    assert calls[2].id
    assert not answer.has_impossible_calls


async def test_printed_calls_of_a_model_without_tools_are_words() -> None:
    """Without tools nothing is taken for a call, and no call is run."""
    text = '{"name": "first", "arguments": {}}'
    answer = ChatLogStream(None)
    assert (await deltas_of(answer, TextDelta(text)))[1:] == [{"content": text}]
    *_, result = await deltas_of(answer, ToolCallDelta(0, "a", "first", ""))
    assert "no tools" in json.dumps(result["result"].data)


async def test_a_printed_call_that_is_cut_off() -> None:
    """It is not spoken, and the model gets an error."""
    _, calls, result = await deltas_of(
        ChatLogStream(POSSIBLE),
        TextDelta('{"name": "first", "arguments": {"name": "Kit'),
        Finish(FinishReason.LENGTH),
    )
    assert [call.tool_name for call in calls["tool_calls"]] == ["test__first"]
    assert "cut off" in json.dumps(result["result"].data)
