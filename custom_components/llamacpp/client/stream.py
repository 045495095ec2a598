"""Decode the bytes of a streamed completion into typed events."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from . import json_fields
from .errors import MalformedStreamError, error_from_answer
from .types import (
    Completion,
    Finish,
    FinishReason,
    PromptProgress,
    TextDelta,
    ThinkingDelta,
    Timings,
    ToolCallDelta,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .types import StreamEvent

MAX_EVENT_BYTES = 1024 * 1024

_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventDecoder:
    """Split a stream of server-sent events into the data of its events.

    The format is that of the HTML standard. Drops comments (llama-server's keep-alive is one) and
    all fields except `data`.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        """Initialize an empty buffer.

        max_event_bytes: limit of a line, and of the data of one event, in bytes.
        """
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._ended_with_cr = False
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take the next bytes, split anywhere, and yield the data of complete events.

        Raises MalformedStreamError for a line or an event beyond the limit.
        """
        for line in self._complete_lines(chunk):
            if line:
                self._take_field(line)
            elif self._data:
                yield b"\n".join(self._data).decode(errors="replace")
                self._data.clear()
                self._data_bytes = 0

    def _complete_lines(self, chunk: bytes) -> Iterator[bytes]:
        if self._ended_with_cr:
            # The line feed of a split CR LF does not end another line.
            chunk = chunk.removeprefix(b"\n")
        self._ended_with_cr = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk)
        for end in ends:
            self._append(end)
            yield bytes(self._line)
            self._line.clear()
        self._append(rest)

    def _append(self, part: bytes) -> None:
        if len(self._line) + len(part) > self._max_event_bytes:
            raise MalformedStreamError("The server sent a line that is too long")
        self._line += part

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name != b"data":
            return
        self._data_bytes += len(value)
        if self._data_bytes > self._max_event_bytes:
            raise MalformedStreamError("The server sent an event that is too long")
        self._data.append(value.removeprefix(b" "))


class ChatStream:
    """Convert the events of `/v1/chat/completions` into typed events.

    Also takes events of `/v1/completions`, which only have their text in another field.

    Usage and timings come with various chunks, the last one after the finish and without choices.
    So collect them and yield one `Completion` at the end of the stream.
    """

    def __init__(self, *, is_thought_said: bool = False) -> None:
        """Initialize the stream.

        is_thought_said: treat thinking as text of the answer.
        """
        self._is_thought_said = is_thought_said
        self._usage: Usage | None = None
        self._timings: Timings | None = None
        self._finished = False
        self._done = False

    @property
    def finished(self) -> bool:
        """Return whether the answer is complete; statistics may still follow."""
        return self._finished

    @property
    def done(self) -> bool:
        """Return whether the stream has ended."""
        return self._done

    def take(self, data: str) -> Iterator[StreamEvent]:
        """Yield the typed events of one server-sent event.

        Raises MalformedStreamError if it is not a chunk of a completion, and the reported error for
        an error event.
        """
        if data == "[DONE]":
            yield self.end()
            return
        chunk = _decoded(data)
        if chunk.get("error") is not None:
            raise error_from_answer(HTTPStatus.OK, chunk)
        yield from self._chunk_events(chunk)

    def end(self) -> Completion:
        """Return the last event; raises MalformedStreamError if the answer is incomplete."""
        if not self._finished:
            raise MalformedStreamError("The answer of the server stopped before its end")
        self._done = True
        return Completion(self._usage, self._timings)

    def _chunk_events(self, chunk: json_fields.JsonObject) -> Iterator[StreamEvent]:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise MalformedStreamError("The server sent an event without choices")
        if (usage := chunk.get("usage")) is not None:
            self._usage = Usage.from_json(usage)
        if (timings := chunk.get("timings")) is not None:
            self._timings = Timings.from_json(timings)
        if (progress := chunk.get("prompt_progress")) is not None:
            yield PromptProgress.from_json(progress)
        for choice in choices:
            yield from self._choice_events(choice)

    def _choice_events(self, choice: object) -> Iterator[StreamEvent]:
        if not isinstance(choice, Mapping):
            raise MalformedStreamError("The server sent a choice that is no object")
        delta = json_fields.child(choice, "delta")
        if thinking := json_fields.text(delta, "reasoning_content"):
            if self._is_thought_said:
                yield TextDelta(thinking, *_likelihood(choice))
            else:
                yield ThinkingDelta(thinking)
        if content := json_fields.text(delta, "content") or json_fields.text(choice, "text"):
            yield TextDelta(content, *_likelihood(choice))
        for position, call in enumerate(json_fields.items(delta, "tool_calls") or []):
            yield _tool_call(position, call)
        if (reason := json_fields.text(choice, "finish_reason")) is not None:
            self._finished = True
            yield Finish(FinishReason(reason))


def _likelihood(choice: json_fields.JsonObject) -> tuple[float, tuple[tuple[str, float], ...]]:
    """Return the log probability of a chunk's first token, and the alternatives to it."""
    tokens = json_fields.items(json_fields.child(choice, "logprobs"), "content") or []
    first = next((one for one in tokens if isinstance(one, Mapping)), None)
    if first is None:
        return 0.0, ()
    others = tuple(
        (json_fields.text(one, "token") or "", json_fields.number(one, "logprob") or 0.0)
        for one in json_fields.items(first, "top_logprobs") or []
        if isinstance(one, Mapping)
    )
    return json_fields.number(first, "logprob") or 0.0, others


def _decoded(data: str) -> json_fields.JsonObject:
    try:
        chunk = json.loads(data)
    except ValueError, RecursionError:
        raise MalformedStreamError("The server sent an event that is no JSON") from None
    if not isinstance(chunk, Mapping):
        raise MalformedStreamError("The server sent an event that is no object")
    return chunk


def _tool_call(position: int, call: object) -> ToolCallDelta:
    if not isinstance(call, Mapping):
        raise MalformedStreamError("The server sent a tool call that is no object")
    index = json_fields.integer(call, "index")
    function = json_fields.child(call, "function")
    return ToolCallDelta(
        index=position if index is None else index,
        id=json_fields.text(call, "id"),
        name=json_fields.text(function, "name"),
        arguments=json_fields.text(function, "arguments") or "",
    )
