"""Run one turn: the model answers a chat log, calling tools until it speaks."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from homeassistant.components.conversation import (
    AssistantContent,
    ToolResultContent,
    UserContent,
)

from ..client import (
    Completion,
    ContextExceededError,
    FinishReason,
    LlamaServerError,
    ServerFaultError,
    ServerTimeoutError,
    Usage,
    stream_constrained,
    stream_unread,
)
from ..const import LOGGER
from ..prompt.options import CONF_HISTORY_TOKENS, CONF_MAX_TOOL_ROUNDS
from ..prompt.question import set_question
from ..prompt.trimming import history_of, history_surplus, surplus, words_of
from .done import Done, add_missing_results

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from homeassistant.components.conversation import (
        ChatLog,
        Content,
    )

    from ..client import ChatRequest, LlamaServerClient, StreamEvent
    from ..prompt.request import TurnSettings
    from ..serving.owner import Ask
    from .deltas import ChatLogDelta
    from .strategy import Deltas, Speaker, Strategy, StrategyRequest

# Maximum number of tool rounds, as in core's own agents.
MAX_TOOL_ROUNDS = 10
# Seconds until a rambling model is stopped: longer than any answer that users wait for, even on a
# Raspberry Pi. Tools that it has called before get some more.
TURN_SECONDS = 300.0
TOOL_SECONDS = 10.0
NO_TOKENS = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0, cached_tokens=0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a turn.

    silent: translation key of the reason why the model has no answer, None if it has one.
    finish_reason: of its last request. completion: sum over all requests. first_text_seconds: from
    the start of the turn to the model's first text, None without any. failure: the error that cut
    the answer, None if it is complete. has_acted: a tool has changed something.
    """

    silent: str | None
    finish_reason: FinishReason
    completion: Completion
    first_text_seconds: float | None
    failure: LlamaServerError | None = None
    has_acted: bool = False

    @classmethod
    def without_model(cls, chat_log: ChatLog) -> Self:
        """Return the outcome of a turn that Home Assistant has answered itself."""
        nothing = Completion(usage=None, timings=None)
        has_acted = Done.by(chat_log).is_something
        return cls(None, FinishReason.STOP, nothing, None, has_acted=has_acted)

    @property
    def usage(self) -> Usage:
        """Return the tokens of all requests; zeros if the server did not report any."""
        return self.completion.usage or NO_TOKENS


class Turn:
    """A turn in progress."""

    def __init__(  # noqa: PLR0913, PLR0917 - all parts of a turn
        self,
        client: LlamaServerClient,
        chat_log: ChatLog,
        agent_id: str,
        settings: TurnSettings,
        strategy: Strategy,
        asked: Ask,
        say: Speaker,
    ) -> None:
        """Prepare a turn for a chat log that ends with the user's message.

        agent_id: the agent's entity id. asked: keeps prefills away, and knows the slot. say:
        returns translated sentences for an answer that was cut.
        """
        self._client = client
        self._chat_log = chat_log
        self._agent_id = agent_id
        self._settings = settings
        self._asked = asked
        self._has_slot = False
        self._say = say
        self._completion = Completion(usage=None, timings=None)
        self._started = time.monotonic()
        self._deadline = asyncio.get_running_loop().time() + TURN_SECONDS
        self._first_text_seconds: float | None = None
        self._finish_reason = FinishReason.UNKNOWN
        self._failure: LlamaServerError | None = None
        self._strategy = strategy

    async def run(self) -> Outcome:
        """Run the turn and return its outcome. Raises LlamaServerError.

        A conversation that exceeds the context loses its oldest turns and is sent again, once:
        ContextExceededError then means that the home alone is too large.

        A turn that fails after its first text or action does not raise: both stay in the chat log,
        which ends with a sentence about the failure, and the outcome has the `failure`. If the
        model is silent after an action, we say what its tools have done.
        """
        try:
            async with asyncio.timeout_at(self._deadline + TOOL_SECONDS):
                silent = await self._run()
        except TimeoutError as err:
            self._failure = _too_long(err)
        except LlamaServerError as err:
            self._failure = err
        else:
            if silent and self._has_acted:
                await self._speak(silent)
                silent = None
            return self._outcome(silent)
        add_missing_results(self._chat_log)
        if not self._has_acted:
            raise self._failure
        await self._speak()
        return self._outcome(None)

    async def _run(self) -> str | None:
        """Ask the model until it speaks; return the key of the reason if it does not."""
        rounds = int(self._settings.options.get(CONF_MAX_TOOL_ROUNDS, MAX_TOOL_ROUNDS))
        await self._keep_budget()
        for _round in range(rounds):
            if not await self._ask_fitting():
                return None if _has_words(self._chat_log.content[-1]) else self._silence()
            if self._strategy.should_stop:
                break
        return "too_many_tool_calls"

    def _silence(self) -> str:
        """Return the translation key of the sentence for a silent model."""
        return "looked_up" if Done.by(self._chat_log).has_read else "empty_answer"

    @property
    def _has_acted(self) -> bool:
        return Done.by(self._chat_log).is_something

    def _outcome(self, silent: str | None) -> Outcome:
        return Outcome(
            silent,
            FinishReason.CUT if self._failure else self._finish_reason,
            self._completion,
            self._first_text_seconds,
            self._failure,
            has_acted=self._has_acted,
        )

    async def _speak(self, silent: str | None = None) -> None:
        """Say what the tools have done, in place of the model."""
        words = await self._words_at_end(silent)
        await self._add(_stream([{"role": "assistant"}, {"content": words}]))

    async def _words_at_end(self, silent: str | None = None, *, has_spoken: bool = False) -> str:
        """Return the end of an answer that was cut, or that never came.

        If the server cannot parse the model's output, only what the tools have done, unless the
        model has_spoken.
        """
        done = Done.by(self._chat_log)
        words = [await self._say(silent, {})] if silent == "too_many_tool_calls" else []
        if done.names:
            words.append(await self._say("done", {"done": ", ".join(done.names)}))
        if done.unfinished:
            words.append(await self._say("unfinished", {"tools": ", ".join(done.unfinished)}))
        if self._failure:
            LOGGER.warning("An answer of %s was cut: %s", self._agent_id, self._failure)
            is_unread = isinstance(self._failure, ServerFaultError) and self._failure.is_unread
            if is_unread and not has_spoken:
                return " ".join(words)
            words.append(await self._say("answer_cut", {}))
        return " ".join(words)

    async def _keep_budget(self) -> None:
        """Drop the oldest turns if the history exceeds the agent's token budget."""
        contents = self._chat_log.content
        history = "".join(map(words_of, history_of(contents)))
        budget = self._settings.options.get(CONF_HISTORY_TOKENS)
        # A token has at least one byte: most histories need no tokenizing.
        if budget is None or len(history.encode()) <= budget:
            return
        tokens = await self._client.tokenize(
            history, parse_special=False, model=self._settings.model
        )
        self._drop(history_surplus(contents, len(tokens), int(budget)))

    async def _ask_fitting(self) -> bool:
        """Send the chat log, and again without its oldest turns if it exceeds the context."""
        try:
            return await self._ask()
        except ContextExceededError as err:
            if not self._trim(err):
                raise
        return await self._ask()

    async def _ask(self) -> bool:
        """Send the chat log; add the model's answer and the results of its tools.

        Returns whether the model has called tools, so that it must be asked again.
        """
        if own := self._strategy.without_model(self._chat_log.content):
            has_called = await self._add(_stream(own))
            self._finish_reason = FinishReason.STOP
            self._note_question()
            return has_called
        request = await self._request()
        try:
            has_called, completion = await self._take(request, self._events(request.body))
        except ServerFaultError as err:
            LOGGER.warning("%s asks once more, as its server failed: %s", self._agent_id, err)
            try:
                events = stream_unread(self._client, request.body)
                has_called, completion = await self._take(request, events)
            except LlamaServerError as again:
                raise err from again
        if self._failure:
            return False
        changed = self._asked.answered(request.body, completion)
        if usage := completion.usage:
            self._chat_log.async_trace(
                {
                    "prompt": {
                        "from_cache": usage.cached_tokens,
                        "processed": usage.prompt_tokens - usage.cached_tokens,
                        "changed_from": changed.value,
                    }
                }
            )
        return has_called

    async def _request(self) -> StrategyRequest:
        """Return the request; all requests of a turn go to the slot of the first one."""
        request = self._strategy.request(self._chat_log.content, self._settings)
        if not self._has_slot:
            async with self._client.waiting():
                await self._asked.prepare(request.body)
            self._settings = replace(self._settings, slot=self._asked.slot)
            self._has_slot = True
        return request

    async def _take(
        self, request: StrategyRequest, stream: AsyncGenerator[StreamEvent]
    ) -> tuple[bool, Completion]:
        """Add an answer; return whether it has called tools, and its usage."""
        deltas = request.deltas()
        start = len(self._chat_log.content)
        try:
            async with aclosing(stream) as events:
                has_called = await self._add(self._kept(deltas.from_events(events)))
        finally:
            self._record(deltas)
        self._take_back(deltas.thought_aloud, start)
        self._note_question()
        return has_called, deltas.completion

    def _note_question(self) -> None:
        """Keep what the newest answer asks the user, for the next turn."""
        if question := self._strategy.question:
            set_question(self._chat_log.content[-1], question)

    def _events(self, request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        if "grammar" in request:
            return stream_constrained(self._client, request)
        return self._client.stream_chat(request)

    async def _kept(self, deltas: AsyncGenerator[ChatLogDelta]) -> AsyncGenerator[ChatLogDelta]:
        """Yield deltas; if they fail after the first text, end with a sentence about the failure.

        Raises LlamaServerError if they fail before.
        """
        has_spoken, last = False, ""
        try:
            async with aclosing(deltas):
                while True:
                    async with asyncio.timeout_at(self._deadline):
                        delta = await anext(deltas, None)
                    if delta is None:
                        return
                    last = str(delta.get("content") or "") or last
                    has_spoken |= bool(last.strip())
                    yield delta
        except TimeoutError as err:
            failure: LlamaServerError = _too_long(err)
        except LlamaServerError as err:
            failure = err
        if not has_spoken:
            raise failure
        self._failure = failure
        between = "" if last[-1].isspace() else " "
        yield {"content": between + await self._words_at_end(has_spoken=True)}

    async def _add(self, deltas: AsyncGenerator[ChatLogDelta]) -> bool:
        """Add deltas to the chat log and run the tools; return whether there were any."""
        has_called = False
        async for content in self._chat_log.async_add_delta_content_stream(self._agent_id, deltas):
            has_called |= isinstance(content, ToolResultContent)
        return has_called

    def _take_back(self, length: int, start: int) -> None:
        """Turn the first `length` characters of the text behind `start` into thoughts."""
        contents = self._chat_log.content
        for index, one in enumerate(contents[start:] if length else (), start):
            if isinstance(one, AssistantContent) and one.content:
                thoughts = (one.thinking_content or "") + one.content[:length]
                words = one.content[length:] or None
                contents[index] = replace(one, content=words, thinking_content=thoughts)
                return

    def _record(self, deltas: Deltas) -> None:
        self._chat_log.async_trace(_stats(deltas.completion))
        self._finish_reason = deltas.finish_reason
        self._completion += deltas.completion
        if self._first_text_seconds is None and deltas.first_text_time is not None:
            self._first_text_seconds = deltas.first_text_time - self._started

    def _trim(self, err: ContextExceededError) -> bool:
        """Drop the oldest turns from the chat log; return whether there were any."""
        if not (err.n_prompt_tokens and err.n_ctx):
            return False
        count = surplus(self._chat_log.content, err.n_prompt_tokens, err.n_ctx)
        self._drop(count)
        return count > 0

    def _drop(self, count: int) -> None:
        """Drop `count` contents behind the system prompt from the chat log."""
        contents = self._chat_log.content
        first = next(index for index, one in enumerate(contents) if isinstance(one, UserContent))
        del contents[first : first + count]
        # Home Assistant looks for this turn's results behind this index.
        self._chat_log.llm_input_provided_index -= count


async def _stream(deltas: Iterable[ChatLogDelta]) -> AsyncGenerator[ChatLogDelta]:
    for delta in deltas:
        yield delta


def _too_long(err: TimeoutError) -> ServerTimeoutError:
    failure = ServerTimeoutError(f"The answer took more than {TURN_SECONDS:.0f} seconds")
    failure.__cause__ = err
    return failure


def _has_words(content: Content) -> bool:
    return isinstance(content, AssistantContent) and bool(
        content.content and content.content.strip()
    )


def _stats(completion: Completion) -> dict[str, Any]:
    """Return the tokens of a request under the keys that Home Assistant's agents trace."""
    stats: dict[str, Any] = {}
    if usage := completion.usage:
        stats["stats"] = {
            "input_tokens": usage.prompt_tokens,
            "cached_input_tokens": usage.cached_tokens,
            "output_tokens": usage.completion_tokens,
        }
    if timings := completion.timings:
        stats["timings"] = {
            "prompt_ms": timings.prompt_ms,
            "predicted_ms": timings.predicted_ms,
        }
    return stats
