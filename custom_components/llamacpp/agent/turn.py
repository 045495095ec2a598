"""One turn: the model answers a chat log, calling tools until it speaks."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import (
    AssistantContent,
    ToolResultContent,
    UserContent,
)

from ..server import (
    ContextExceededError,
    FinishReason,
    ServerTimeoutError,
    Usage,
)
from .budget import surplus
from .deltas import AnswerDeltas
from .messages import to_messages
from .options import CONF_MAX_TOOL_ROUNDS, to_request_options
from .tools import to_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from homeassistant.components.conversation import (
        ChatLog,
        Content,
    )

    from ..server import (
        Completion,
        LlamaServerClient,
    )

# How often a model may call tools before it has to speak. Core's own agents allow as many.
MAX_TOOL_ROUNDS = 10
# A model that rambles is stopped after this many seconds: longer than any answer that somebody
# still waits for, even on a Raspberry Pi.
TURN_SECONDS = 300.0
NO_TOKENS = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0, cached_tokens=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """How a turn is to be made.

    options: of the agent, by the names of `options.py`. model: for a router. images: pictures of
    the turn as `data:` URLs. response_format: what the answer must look like; the model is
    offered no tools then.
    """

    options: Mapping[str, Any]
    model: str | None = None
    images: Mapping[Path, str] = field(default_factory=dict)
    response_format: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended.

    silent: the translations' key of the reason why the model has said nothing, None if it has.
    usage: tokens of all its requests together. finish_reason: of the last one.
    """

    silent: str | None
    usage: Usage
    finish_reason: FinishReason


class Turn:
    """A turn in the making."""

    def __init__(
        self,
        client: LlamaServerClient,
        chat_log: ChatLog,
        agent_id: str,
        settings: TurnSettings,
        on_answer: Callable[[AnswerDeltas], None],
    ) -> None:
        """Prepare a turn for a chat log that ends with what the user says.

        agent_id: entity id of who answers. on_answer: told after each request what it took.
        """
        self._client = client
        self._chat_log = chat_log
        self._agent_id = agent_id
        self._settings = settings
        self._on_answer = on_answer
        self._usage = NO_TOKENS
        self._finish_reason = FinishReason.UNKNOWN
        self._tools = to_tools(chat_log.llm_api) if chat_log.llm_api else []

    async def run(self) -> Outcome:
        """Have the model answer, and return how it ended; raises LlamaServerError.

        A conversation that has outgrown the context loses its oldest turns and is asked again,
        once: ContextExceededError then means that the home alone is too large.
        """
        rounds = int(self._settings.options.get(CONF_MAX_TOOL_ROUNDS, MAX_TOOL_ROUNDS))
        try:
            async with asyncio.timeout(TURN_SECONDS):
                for _round in range(rounds):
                    if not await self._ask_fitting():
                        return self._outcome("empty_answer")
        except TimeoutError as err:
            raise ServerTimeoutError(f"The answer took more than {TURN_SECONDS} seconds") from err
        return self._outcome("too_many_tool_calls")

    def _outcome(self, silent: str) -> Outcome:
        has_spoken = silent == "empty_answer" and _has_words(self._chat_log.content[-1])
        return Outcome(None if has_spoken else silent, self._usage, self._finish_reason)

    async def _ask_fitting(self) -> bool:
        """Send the chat log, and once more without its oldest turns if it does not fit."""
        try:
            return await self._ask()
        except ContextExceededError as err:
            if not self._trim(err):
                raise
        return await self._ask()

    async def _ask(self) -> bool:
        """Send the chat log, and add what the model answers and what its tools return.

        Returns whether the model has called tools, so that it must be asked again.
        """
        request = self._request()
        deltas = AnswerDeltas(with_tools="tools" in request)
        has_called = False
        try:
            async with aclosing(self._client.stream_chat(request)) as events:
                async for content in self._chat_log.async_add_delta_content_stream(
                    self._agent_id, deltas.from_events(events)
                ):
                    has_called |= isinstance(content, ToolResultContent)
        finally:
            self._record(deltas)
        return has_called

    def _request(self) -> dict[str, Any]:
        settings = self._settings
        request: dict[str, Any] = {
            "messages": to_messages(self._chat_log.content, settings.images),
            **to_request_options(settings.options),
        }
        if settings.response_format:
            request["response_format"] = settings.response_format
        elif self._tools:
            request["tools"] = self._tools
        if settings.model:
            request["model"] = settings.model
        return request

    def _record(self, deltas: AnswerDeltas) -> None:
        self._chat_log.async_trace(_stats(deltas.completion))
        self._on_answer(deltas)
        self._finish_reason = deltas.finish_reason
        if usage := deltas.completion.usage:
            total = self._usage
            self._usage = Usage(
                prompt_tokens=total.prompt_tokens + usage.prompt_tokens,
                completion_tokens=total.completion_tokens + usage.completion_tokens,
                total_tokens=total.total_tokens + usage.total_tokens,
                cached_tokens=total.cached_tokens + usage.cached_tokens,
            )

    def _trim(self, err: ContextExceededError) -> bool:
        """Take the oldest turns out of the chat log; returns whether there were any."""
        if not (err.n_prompt_tokens and err.n_ctx):
            return False
        contents = self._chat_log.content
        count = surplus(contents, err.n_prompt_tokens, err.n_ctx)
        first = next(
            (index for index, one in enumerate(contents) if isinstance(one, UserContent)), 0
        )
        del contents[first : first + count]
        # Home Assistant looks for this turn's results behind this index.
        self._chat_log.llm_input_provided_index -= count
        return count > 0


def _has_words(content: Content) -> bool:
    return isinstance(content, AssistantContent) and bool(
        content.content and content.content.strip()
    )


def _stats(completion: Completion) -> dict[str, Any]:
    """Return the tokens of a request under the names that Home Assistant's agents trace them."""
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
