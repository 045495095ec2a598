"""The events of a server's stream as the deltas of Home Assistant's chat log."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import (
    AssistantContentDeltaDict,
    ToolResultContentDeltaDict,
)
from homeassistant.helpers import llm
from homeassistant.util.ulid import ulid_now

from ..server import (
    Completion,
    Finish,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

    from ..server import (
        StreamEvent,
    )

type ChatLogDelta = AssistantContentDeltaDict | ToolResultContentDeltaDict


class ArgumentsError(Exception):
    """The arguments of a tool call cannot be used; the message tells the model why."""


@dataclass(slots=True)
class _PartialCall:
    """A tool call as far as it has arrived."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def add(self, part: ToolCallDelta) -> None:
        """Add a further part of the same call."""
        self.id = self.id or part.id or ""
        self.name = self.name or part.name or ""
        self.arguments += part.arguments


class AnswerDeltas:
    """One answer of the model on its way into a chat log.

    After `from_events` has ended, `completion` tells what the answer took, as far as the server
    told, `finish_reason` why the model stopped, and `first_text_time` when its first words came
    (of `time.monotonic()`), None if there were none.
    """

    def __init__(self, *, with_tools: bool) -> None:
        """Begin an answer; with_tools: the model was offered tools, so it may call them."""
        self.completion = Completion(usage=None, timings=None)
        self.finish_reason = FinishReason.UNKNOWN
        self.first_text_time: float | None = None
        self._with_tools = with_tools
        self._calls: dict[int, _PartialCall] = {}

    async def from_events(self, events: AsyncIterable[StreamEvent]) -> AsyncGenerator[ChatLogDelta]:
        """Yield the deltas as the events come, and the tool calls once all have arrived.

        A tool call that cannot be run yields its own result, an error that tells the model what
        to mend. Raises what `events` raises.
        """
        yield {"role": "assistant"}
        async for event in events:
            match event:
                case TextDelta(text):
                    if self.first_text_time is None:
                        self.first_text_time = time.monotonic()
                    yield {"content": text}
                case ThinkingDelta(text):
                    yield {"thinking_content": text}
                case ToolCallDelta():
                    self._calls.setdefault(event.index, _PartialCall()).add(event)
                case Finish(reason):
                    self.finish_reason = reason
                case Completion():
                    self.completion = event
                case _:
                    # Progress only keeps the connection's time limit from passing.
                    pass
        for delta in self._tool_call_deltas():
            yield delta

    def _tool_call_deltas(self) -> list[ChatLogDelta]:
        """Return one delta with all calls, then one for each that could not be understood."""
        if not self._calls:
            return []
        tool_calls: list[llm.ToolInput] = []
        results: list[ChatLogDelta] = []
        for _, call in sorted(self._calls.items()):
            call_id = call.id or ulid_now()
            try:
                arguments = self._arguments_of(call)
            except ArgumentsError as err:
                tool_calls.append(llm.ToolInput(call.name, {}, id=call_id, external=True))
                results.append(
                    {
                        "role": "tool_result",
                        "tool_call_id": call_id,
                        "tool_name": call.name,
                        "result": llm.ToolResult(data={"error": str(err)}, error=True),
                    }
                )
            else:
                tool_calls.append(llm.ToolInput(call.name, arguments, id=call_id))
        return [{"tool_calls": tool_calls}, *results]

    def _arguments_of(self, call: _PartialCall) -> dict[str, Any]:
        if not self._with_tools:
            raise ArgumentsError("There are no tools. Answer in words.")
        if not call.arguments.strip():
            return {}
        try:
            arguments = json.loads(call.arguments)
        except ValueError as err:
            if self.finish_reason is FinishReason.LENGTH:
                raise ArgumentsError("The call was cut off. Make it shorter.") from err
            raise ArgumentsError(f"The arguments are not valid JSON: {err}") from err
        if not isinstance(arguments, dict):
            raise ArgumentsError("The arguments must be a JSON object.")
        return arguments
