"""Convert an answer under a grammar of commands to deltas of the chat log."""

import time
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import llm
from homeassistant.util.ulid import ulid_now

from ...client import Completion, Finish, FinishReason, TextDelta, ThinkingDelta
from ...model.markers import mended
from ...model.thoughts import Thoughts
from ...nlu.gbnf import BETWEEN
from ...prompt.question import Asks, Question
from .confidence import is_clear

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence

    from ...client import StreamEvent
    from ...model.thoughts import Part
    from ...nlu.candidates import Command
    from ..deltas import ChatLogDelta


class CommandDeltas:
    """Converts one answer: commands become tool calls, other text streams as it arrives.

    After `from_events` has ended, `completion`, `finish_reason`, `first_text_time` and
    `thought_aloud` are those of `ChatLogStream`.
    """

    def __init__(self, parts: Sequence[Sequence[Command]], question: str, failed: str) -> None:
        """Initialize for one answer.

        parts: for each part of the utterance the commands in the grammar. question: asks whether to
        do `{command}`. failed: sentence for a command that was cut off.
        """
        self.completion = Completion(usage=None, timings=None)
        self.finish_reason = FinishReason.UNKNOWN
        self.first_text_time: float | None = None
        self.thought_aloud = 0
        self._n_spoken = 0
        self._thoughts = Thoughts()
        self._parts = parts
        self._question = question
        self._failed = failed
        self._held = ""
        self._tokens: list[TextDelta] = []
        self._is_talk = False
        # What the answer asks the user.
        self.question: Question | None = None

    async def from_events(self, events: AsyncIterable[StreamEvent]) -> AsyncGenerator[ChatLogDelta]:
        """Yield the text as the events arrive, and the calls after all commands.

        Raises what `events` raises.
        """
        yield {"role": "assistant"}
        async for event in events:
            match event:
                case TextDelta(text):
                    self._tokens.append(event)
                    for part in self._thoughts.feed(self._take(text)):
                        yield self._of_part(part)
                case ThinkingDelta(text):
                    yield {"thinking_content": text}
                case Finish(reason):
                    self.finish_reason = reason
                case Completion():
                    self.completion = event
                case _:
                    # Progress events only keep the connection from timing out.
                    pass
        for part in self._thoughts.end():
            yield self._of_part(part)
        if self._held:
            yield self._decided()

    def _take(self, text: str) -> str:
        """Return the text to stream now: all, once it cannot be the start of a command."""
        if self._is_talk:
            return text
        self._held += text
        firsts = [one.text for one in self._parts[0]]
        if any(one.startswith(self._held) or self._held.startswith(one) for one in firsts):
            return ""
        self._is_talk = True
        words, self._held = self._held, ""
        return words

    def _of_part(self, part: Part) -> ChatLogDelta:
        if part.is_all:
            self.thought_aloud = self._n_spoken
        return {"thinking_content": part.text} if part.is_thought else self._spoken(part.text)

    def _spoken(self, words: str) -> ChatLogDelta:
        self._n_spoken += len(words)
        if self.first_text_time is None:
            self.first_text_time = time.monotonic()
        return {"content": words}

    def _decided(self) -> ChatLogDelta:
        """Return the calls, or a question about all of them if one needs a confirmation."""
        chosen: list[Command] = []
        is_sure = True
        for text, part in zip(self._held.split(BETWEEN), self._parts, strict=False):
            command = next((one for one in part if one.text == text), None)
            if command is None:
                return self._spoken(self._failed.format(command=mended(text)))
            chosen.append(command)
            is_sure &= command.reads or (command.is_plain and self._is_clear(command, part))
        if not is_sure:
            calls = tuple((one.tool, dict(one.args)) for one in chosen)
            self.question = Question(Asks.WHETHER, calls)
            asked = ", ".join(mended(one.text) for one in chosen)
            return self._spoken(self._question.format(command=asked))
        return {"tool_calls": [to_call(one.tool, one.args) for one in chosen]}

    def _is_clear(self, command: Command, part: Sequence[Command]) -> bool:
        """Return whether the model is confident, if the command is critical."""
        others = [one.text for one in part if one is not command]
        return not command.is_critical or is_clear(command.text, others, self._tokens)


def to_call(tool: str, args: Mapping[str, Any]) -> llm.ToolInput:
    """Return a call of a tool, with an id of its own."""
    return llm.ToolInput(tool, dict(args), id=ulid_now())
