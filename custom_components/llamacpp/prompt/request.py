"""A chat log and an agent's settings as the request for a chat completion."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model.fitting import Fitting
from ..model.markers import GENERAL
from .messages import to_messages
from .options import Thinking, to_request_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from homeassistant.components.conversation import Content

    from ..client import ChatMessage, ChatRequest, ToolParam
    from ..model.markers import Markers


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """How a turn is to be made.

    options: of the agent, by the names of `options.py`. model: for a router. slot: of the server,
    None: it chooses one. images: pictures of the turn as `data:` URLs. response_format: what the
    answer must look like; the model is offered no tools then. markers: what the model's template
    and tokenizer take for their own; it is broken in all texts. fitting: what the template wants of
    messages.
    """

    options: Mapping[str, Any]
    model: str | None = None
    slot: int | None = None
    images: Mapping[Path, str] = field(default_factory=dict)
    response_format: Mapping[str, Any] | None = None
    markers: Markers = GENERAL
    fitting: Fitting = field(default=Fitting())

    def told(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return messages as the model's template takes them, and without its markers."""
        return self.markers.broken_in(self.fitting.fitted(messages))


def to_request(
    contents: Sequence[Content],
    tools: Sequence[ToolParam],
    settings: TurnSettings,
    thinking: Thinking = Thinking.DEFAULT,
) -> ChatRequest:
    """Return the body of the request that has a model answer these contents of a chat log.

    thinking: whether it is to think where the user has not chosen.
    """
    request: ChatRequest = {
        "messages": settings.told(to_messages(contents, settings.images)),
        **to_request_options(settings.options, thinking),
    }
    if settings.response_format:
        request["response_format"] = settings.response_format
    elif tools:
        request["tools"] = settings.markers.broken_in_tools(tools)
    if settings.model:
        request["model"] = settings.model
    if settings.slot is not None:
        request["id_slot"] = settings.slot
    return request
