"""Convert the events of a server's stream to deltas of Home Assistant's chat log."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import (
    AssistantContentDeltaDict,
    ToolResultContentDeltaDict,
)
from homeassistant.helpers import llm
from homeassistant.helpers.json import json_dumps
from homeassistant.util.ulid import ulid_now

from ..client import (
    Completion,
    Finish,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ..model.thoughts import Thoughts
from ..tool_calls.actions import each_of
from ..tool_calls.from_text import PrintedCalls
from ..tool_calls.invalid_call import InvalidCallError
from ..tool_calls.names import clipped
from ..tool_calls.tool_names import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        Mapping,
    )

    from ..client import (
        StreamEvent,
    )
    from ..model.thoughts import Part
    from ..tool_calls.validator import ToolCallValidator

# Maximum number of calls per answer. More come from a model that repeats itself.
MAX_CALLS = 10

type Refuse = Callable[[str, Mapping[str, Any]], Awaitable[str]]
type ChatLogDelta = AssistantContentDeltaDict | ToolResultContentDeltaDict


@dataclass(slots=True)
class _PartialCall:
    """The part of a tool call that has arrived."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def add(self, part: ToolCallDelta) -> None:
        """Append a further part of the same call."""
        self.id = self.id or part.id or ""
        self.name = self.name or part.name or ""
        self.arguments += part.arguments


class ChatLogStream:
    """Converts one answer of the model to deltas of the chat log.

    After `from_events` has ended: `completion` has the usage and timings that the server reported,
    `finish_reason` why the model stopped, `first_text_time` the time of its first text (of
    `time.monotonic()`), None without any, `thought_aloud` the number of characters at the start of
    its text that turned out to be thoughts, and `has_impossible_calls` whether it made invalid
    calls.
    """

    def __init__(self, possible: ToolCallValidator | None, refuse: Refuse | None = None) -> None:
        """Initialize for one answer.

        possible: validates the model's calls, None: the request has no tools. refuse: returns why a
        valid call must not run, None: every one runs.
        """
        self.completion = Completion(usage=None, timings=None)
        self.finish_reason = FinishReason.UNKNOWN
        self.first_text_time: float | None = None
        self.thought_aloud = 0
        self.has_impossible_calls = False
        self._possible = possible
        self._refuse = refuse
        self._thoughts = Thoughts()
        self._printed = self._no_printed()
        self._n_spoken = 0
        self._calls: dict[int, _PartialCall] = {}

    async def from_events(self, events: AsyncIterable[StreamEvent]) -> AsyncGenerator[ChatLogDelta]:
        """Yield the deltas as the events arrive, and the tool calls after the last one.

        Calls and thoughts printed in the text become tool calls and thinking content. An invalid
        call yields its own result, an error that tells the model what is valid. Raises what
        `events` raises.
        """
        yield {"role": "assistant"}
        async for event in events:
            match event:
                case TextDelta(text):
                    for delta in self._of_parts(self._thoughts.feed(text)):
                        yield delta
                case ThinkingDelta(text):
                    yield {"thinking_content": text}
                case ToolCallDelta():
                    self._calls.setdefault(event.index, _PartialCall()).add(event)
                case Finish(reason):
                    self.finish_reason = reason
                case Completion():
                    self.completion = event
                case _:
                    # Progress events only keep the connection from timing out.
                    pass
        for delta in self._end_of_text():
            yield delta
        for delta in await self._tool_call_deltas():
            yield delta

    def _no_printed(self) -> PrintedCalls:
        return PrintedCalls(self._possible.tools if self._possible else None)

    def _of_parts(self, parts: Iterable[Part]) -> Iterator[ChatLogDelta]:
        for part in parts:
            yield from self._of_part(part)

    def _of_part(self, part: Part) -> list[ChatLogDelta]:
        if part.is_all:
            # Drop the calls among the thoughts.
            self.thought_aloud = self._n_spoken
            self._printed = self._no_printed()
        if part.is_thought:
            return [{"thinking_content": part.text}] if part.text else []
        return self._spoken(self._printed.feed(part.text))

    def _spoken(self, words: str) -> list[ChatLogDelta]:
        """Return the delta for a text, none if it is empty."""
        if words and self.first_text_time is None:
            self.first_text_time = time.monotonic()
        self._n_spoken += len(words)
        return [{"content": words}] if words else []

    def _end_of_text(self) -> list[ChatLogDelta]:
        """Return the text held back, and add the printed calls.

        Skips those that the model has also made as tool calls.
        """
        deltas = list(self._of_parts(self._thoughts.end()))
        words = self._printed.end(is_cut=self.finish_reason is FinishReason.LENGTH)
        for printed in self._printed.calls:
            call = _PartialCall(name=printed.name, arguments=printed.arguments)
            if not any(_are_same(call, one) for one in self._calls.values()):
                self._calls[max(self._calls, default=-1) + 1] = call
        return [*deltas, *self._spoken(words)]

    async def _tool_call_deltas(self) -> list[ChatLogDelta]:
        """Return a delta with the calls, then one result for each invalid or refused call.

        Of the calls beyond MAX_CALLS it keeps the first: its result stands for all.
        """
        if not self._calls:
            return []
        tool_calls: list[llm.ToolInput] = []
        results: list[ChatLogDelta] = []
        calls = [one for _, call in sorted(self._calls.items()) for one in _apart(call)]
        for number, call in enumerate(calls[: MAX_CALLS + 1]):
            call_id, name = call.id or ulid_now(), call.name
            arguments: dict[str, Any] = {}
            refusal = ""
            try:
                _check_number(number, len(calls))
                arguments = self._arguments_of(call)
                name, arguments = self._possible_call(call.name, arguments)
                if self._refuse:
                    refusal = await self._refuse(name, arguments)
            except InvalidCallError as err:
                self.has_impossible_calls = True
                refusal = str(err)
            tool_calls.append(llm.ToolInput(name, arguments, id=call_id, external=bool(refusal)))
            if refusal:
                results.append(
                    {
                        "role": "tool_result",
                        "tool_call_id": call_id,
                        "tool_name": name,
                        "result": llm.ToolResult(data={"error": refusal}, error=True),
                    }
                )
        return [{"tool_calls": tool_calls}, *results]

    def _possible_call(self, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the call as Home Assistant can run it. Raises InvalidCallError."""
        if self._possible is None:
            raise InvalidCallError("There are no tools. Answer in words.")
        return self._possible.corrected(name, arguments)

    def _arguments_of(self, call: _PartialCall) -> dict[str, Any]:
        if not call.arguments.strip():
            return {}
        try:
            arguments = json.loads(call.arguments)
            # Home Assistant must be able to serialize them.
            json_dumps(arguments)
        except (ValueError, TypeError, RecursionError) as err:
            if self.finish_reason is FinishReason.LENGTH:
                raise InvalidCallError("The call was cut off. Make it shorter.") from err
            raise InvalidCallError(
                f"The arguments are not valid JSON: {clipped(str(err))}"
            ) from err
        if not isinstance(arguments, dict):
            raise InvalidCallError("The arguments must be a JSON object.")
        return arguments


def _apart(call: _PartialCall) -> list[_PartialCall]:
    """Split an action with several targets into a call for each."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError, RecursionError:
        return [call]
    name = call.name.removeprefix(NAMESPACE)
    each = each_of(name, arguments) if isinstance(arguments, dict) else []
    if len(each) < 2:  # noqa: PLR2004 - a single target
        return [call]
    ids = (call.id, *[""] * (len(each) - 1))
    return [
        _PartialCall(one_id, call.name, json.dumps(one))
        for one_id, one in zip(ids, each, strict=True)
    ]


def _check_number(number: int, n_calls: int) -> None:
    """Raise InvalidCallError for a call beyond MAX_CALLS."""
    if number >= MAX_CALLS:
        raise InvalidCallError(
            f"Too many calls: {n_calls - MAX_CALLS} of {n_calls} were not made. "
            f"Make at most {MAX_CALLS} at a time."
        )


def _are_same(one: _PartialCall, other: _PartialCall) -> bool:
    try:
        return one.name == other.name and json.loads(one.arguments) == json.loads(other.arguments)
    except ValueError, RecursionError:
        return False
