"""Build the request for a chat completion from a chat log and an agent's settings."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model.fitting import Fitting
from ..model.markers import GENERAL
from .options import Thinking, to_request_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..client import ChatMessage, ChatRequest, ToolParam
    from ..model.markers import Markers


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """The settings of a turn.

    options: of the agent, by the names in `options.py`. model: for a router. slot: of the server,
    None: the server chooses. images: pictures of the turn as `data:` URLs. response_format: of the
    answer; the request then has no tools. markers: special tokens of the model's template and
    tokenizer, which are broken in all texts. fitting: the template's requirements for messages.
    """

    options: Mapping[str, Any]
    model: str | None = None
    slot: int | None = None
    images: Mapping[Path, str] = field(default_factory=dict)
    response_format: Mapping[str, Any] | None = None
    markers: Markers = GENERAL
    fitting: Fitting = field(default=Fitting())

    def for_template(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return the messages as the model's template requires them, without its markers."""
        return self.markers.broken_in(self.fitting.fitted(messages))


def to_request(
    messages: Sequence[ChatMessage],
    tools: Sequence[ToolParam],
    settings: TurnSettings,
    thinking: Thinking = Thinking.DEFAULT,
) -> ChatRequest:
    """Return the body of the request for the model's answer to these messages.

    messages: as `TurnSettings.for_template` returns them. thinking: whether the model thinks if
    the user has not chosen.
    """
    request: ChatRequest = {
        "messages": [*messages],
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
