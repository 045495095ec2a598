"""How a model is offered tools, and what is made of its answers."""

from functools import partial
from typing import TYPE_CHECKING, Protocol

from .commands.exposed import exposed_home
from .deltas import AnswerDeltas
from .possible import PossibleCalls
from .request import to_request
from .tools import to_tools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence

    from homeassistant.components.conversation import ChatLog, Content

    from ..server import Completion, FinishReason, StreamEvent
    from .deltas import ChatLogDelta
    from .request import Request, TurnSettings
    from .tools import ToolParam


class Deltas(Protocol):
    """One answer of the model on its way into a chat log, as `AnswerDeltas`."""

    completion: Completion
    finish_reason: FinishReason
    first_text_time: float | None

    def from_events(self, events: AsyncIterable[StreamEvent]) -> AsyncGenerator[ChatLogDelta]:
        """Yield the deltas as the events come; raises what `events` raises."""
        ...


class Offer(Protocol):
    """Makes the requests of one turn, and reads the answers. tools: those in the requests."""

    tools: Sequence[ToolParam]

    @property
    def has_given_up(self) -> bool:
        """Tell whether the model is not to be asked any more: it does not get its calls right."""
        ...

    async def async_check(self, contents: Sequence[Content]) -> None:
        """Find out, before anything is asked or run, what that takes."""
        ...

    def note_on(self, words: str) -> str:
        """Return what the model has to know beside the words of a user, perhaps nothing."""
        ...

    def ready(self, contents: Sequence[Content]) -> list[ChatLogDelta]:
        """Return what comes next in a chat log without asking the model, empty: it is asked."""
        ...

    def request(self, contents: Sequence[Content], settings: TurnSettings) -> Request:
        """Return the body of the request that has the model answer a chat log."""
        ...

    def deltas(self, request: Request) -> Deltas:
        """Return what reads the answer to a request."""
        ...


class NativeOffer:
    """Offers tools in the request: the model's chat template tells the model of them."""

    def __init__(self, tools: Sequence[ToolParam], possible: PossibleCalls) -> None:
        """Offer these tools, perhaps none. possible: what the model can call of them."""
        self.tools = tools
        self._possible = possible
        self._answers: list[AnswerDeltas] = []

    @property
    def has_given_up(self) -> bool:
        """Tell whether the model has called what is impossible, was told, and did so again."""
        return sum(one.has_impossible_calls for one in self._answers) > 1

    async def async_check(self, contents: Sequence[Content]) -> None:
        """Do nothing: tools check their own arguments."""

    def note_on(self, words: str) -> str:  # noqa: ARG002 - of the protocol
        """Return nothing: the model asks for what it wants to know."""
        return ""

    def ready(self, contents: Sequence[Content]) -> list[ChatLogDelta]:  # noqa: ARG002 - of the protocol
        """Return nothing: the model speaks always."""
        return []

    def request(self, contents: Sequence[Content], settings: TurnSettings) -> Request:
        """Return the request with the tools, unless the answer must have a form of its own."""
        return to_request(contents, self.tools, settings)

    def deltas(self, request: Request) -> AnswerDeltas:
        """Return what reads words and calls; those of a model without tools are refused."""
        answer = AnswerDeltas(self._possible if "tools" in request else None)
        self._answers.append(answer)
        return answer


def native_offer(chat_log: ChatLog) -> NativeOffer:
    """Return the offer of a chat log's tools, perhaps none."""
    api = chat_log.llm_api
    tools = to_tools(api) if api else []
    assistant = api.llm_context.assistant if api else None
    # Calls can be about all that is exposed, also where there are tools of their own for it.
    home = partial(exposed_home, chat_log.hass, assistant, without=()) if assistant else None
    return NativeOffer(tools, PossibleCalls(tools, home))
