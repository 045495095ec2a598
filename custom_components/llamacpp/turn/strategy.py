"""The interface of a turn's strategy, and the strategy with native tools."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from homeassistant.components.conversation import ToolResultContent, UserContent
from homeassistant.helpers import llm
from homeassistant.util.ulid import ulid_now

from ..home.exposed import exposed_home
from ..prompt.messages import to_messages
from ..prompt.question import Asks, Question, question_before
from ..prompt.request import to_request
from ..tool_calls.limits import Limits
from ..tool_calls.tools import to_tools, without_clipping
from ..tool_calls.validator import ToolCallValidator
from .critical import Call, CriticalCalls
from .deltas import ChatLogStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence

    from homeassistant.components.conversation import ChatLog, Content

    from ..client import ChatRequest, Completion, FinishReason, StreamEvent, ToolParam
    from ..prompt.request import TurnSettings
    from .deltas import ChatLogDelta


# Results for the model that explain why a call did not run.
ASK_FIRST = "Not done: the user is asked first."
NOT_PLAIN = "Not done: locks, doors and the like move only if exactly that was ordered."


class Speaker(Protocol):
    """Returns translated sentences for the user."""

    async def __call__(self, key: str, placeholders: dict[str, str]) -> str:
        """Return the sentence with this translation key."""
        ...


class Deltas(Protocol):
    """Converts one answer of the model to chat log deltas, as `ChatLogStream`."""

    completion: Completion
    finish_reason: FinishReason
    first_text_time: float | None
    thought_aloud: int

    def from_events(self, events: AsyncIterable[StreamEvent]) -> AsyncGenerator[ChatLogDelta]:
        """Yield the deltas as the events arrive. Raises what `events` raises."""
        ...


@dataclass(frozen=True, slots=True)
class StrategyRequest:
    """A request to the model. body: of the request. deltas: makes the converter for its answer."""

    body: ChatRequest
    deltas: Callable[[], Deltas]


class Strategy(Protocol):
    """Makes the requests of one turn and reads the answers.

    tools: the description of the tools in the requests, besides the system prompt.
    """

    tools: Sequence[object]

    @property
    def should_stop(self) -> bool:
        """Return whether to stop asking the model: it keeps making invalid calls."""
        ...

    @property
    def question(self) -> Question | None:
        """Return what the newest answer asks the user, None if it asks nothing."""
        ...

    async def async_check(self, contents: Sequence[Content]) -> None:
        """Prepare for the user's message before the first request."""
        ...

    def context_for(self, words: str) -> str:
        """Return the context that the model needs for the user's message; may be empty."""
        ...

    def without_model(self, contents: Sequence[Content]) -> list[ChatLogDelta]:
        """Return the next deltas without asking the model; empty: ask it."""
        ...

    def request(self, contents: Sequence[Content], settings: TurnSettings) -> StrategyRequest:
        """Return the request for the model's answer to a chat log."""
        ...


class NativeStrategy:
    """Offers tools in the request: the model's chat template renders them."""

    # Only requests with it offer tools.
    _offering: ClassVar[str] = "tools"

    def __init__(
        self,
        tools: Sequence[ToolParam],
        validator: ToolCallValidator,
        critical: CriticalCalls | None = None,
        say: Speaker | None = None,
    ) -> None:
        """Initialize with the tools, which may be none.

        validator: of calls. critical: decides which calls need an explicit order, None: none
        do. say: returns a sentence for a user who can answer, None: there is no such user.
        """
        self.tools: Sequence[object] = tools
        self._tools = tools
        self._validator = validator
        self._critical = critical
        self._say = say
        self._answers: list[ChatLogStream] = []
        # Calls refused in this turn, and the words that ask about them.
        self._refused: list[Call] = []
        self._asking = ""
        self._question: Question | None = None
        # Calls refused in the last turn that the user now agrees to.
        self._agreed: list[Call] = []

    @property
    def question(self) -> Question | None:
        """Return what the newest answer asks the user, None if it asks nothing."""
        return self._question

    @property
    def should_stop(self) -> bool:
        """Return whether the model made invalid calls again after an error result."""
        return sum(one.has_impossible_calls for one in self._answers) > 1

    async def async_check(self, contents: Sequence[Content]) -> None:
        """Check whether the user agrees to the calls refused in the last turn."""
        last = contents[-1]
        if not (isinstance(last, UserContent) and self._critical):
            return
        question = question_before(contents)
        if (
            question
            and question.asks is Asks.WHETHER
            and await self._critical.async_agrees(last.content)
        ):
            self._agreed = [Call(tool, args) for tool, args in question.calls]

    def context_for(self, words: str) -> str:  # noqa: ARG002 - of the protocol
        """Return nothing: the model uses tools to look up the context."""
        return ""

    def without_model(self, contents: Sequence[Content]) -> list[ChatLogDelta]:
        """Return the question about refused calls, or the calls that the user agrees to."""
        if isinstance(contents[-1], ToolResultContent) and self._asking:
            words, self._asking = self._asking, ""
            calls = tuple((one.tool, one.args) for one in self._refused)
            self._question = Question(Asks.WHETHER, calls)
            return [{"role": "assistant"}, {"content": words}]
        if isinstance(contents[-1], UserContent) and self._agreed:
            agreed, self._agreed = self._agreed, []
            inputs = [llm.ToolInput(one.tool, dict(one.args), id=ulid_now()) for one in agreed]
            return [{"role": "assistant"}, {"tool_calls": inputs}]
        return []

    def request(self, contents: Sequence[Content], settings: TurnSettings) -> StrategyRequest:
        """Return the request with the tools, unless the answer needs a response format."""
        users = (one.content for one in reversed(contents) if isinstance(one, UserContent))
        said = next(users, "")
        body = self._body(contents, settings)

        def deltas() -> ChatLogStream:
            # Without tools it rejects every call.
            validator = self._validator if self._offering in body else None
            refuse = partial(self._refuse, said) if self._critical else None
            answer = ChatLogStream(validator, refuse)
            self._answers.append(answer)
            return answer

        return StrategyRequest(body, deltas)

    def _body(self, contents: Sequence[Content], settings: TurnSettings) -> ChatRequest:
        messages = settings.for_template(to_messages(contents, settings.images))
        return to_request(messages, without_clipping(self._tools), settings)

    async def _refuse(self, said: str, tool: str, args: Mapping[str, Any]) -> str:
        """Return why a call must not run, empty if it may. Raises InvalidCallError."""
        call = Call(tool, args)
        if not self._critical or await self._critical.async_is_allowed(said, call):
            return ""
        if self._say is None:
            return NOT_PLAIN
        self._refused.append(call)
        self._asking = await self._critical.async_question(self._refused)
        if not self._asking:
            names = ", ".join(self._critical.names(self._refused))
            self._asking = await self._say("not_ordered_plainly", {"names": names})
        return ASK_FIRST


def native_strategy(
    chat_log: ChatLog,
    say: Speaker | None = None,
    language: str | None = None,
    kind: type[NativeStrategy] = NativeStrategy,
) -> NativeStrategy:
    """Return the strategy for a chat log's tools, which may be none.

    say: returns a sentence for a user who can answer, None: there is no such user. language: of the
    user, None: that of the chat log's API. kind: how to offer the tools.
    """
    api = chat_log.llm_api
    tools = to_tools(api) if api else []
    if api is None or not api.llm_context.assistant:
        return kind(tools, ToolCallValidator(tools))
    # Calls can target any exposed entity, also if it has a tool of its own.
    home = partial(exposed_home, chat_log.hass, api.llm_context.assistant, without=())
    reading = {one.name for one in api.tools if one.annotations.read_only}
    context = replace(api.llm_context, language=language or api.llm_context.language)
    critical = CriticalCalls(chat_log.hass, tools, reading, context)
    validator = ToolCallValidator(tools, home, Limits(chat_log.hass))
    return kind(tools, validator, critical, say)
