"""Types of expected results of recorded answers."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from custom_components.llamacpp.client import FinishReason, LlamaServerError, Model, Slot


@dataclass(frozen=True)
class Call:
    """A tool call: its name, and its arguments with all parts joined."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Failure:
    """An error. numbers: attributes with these values."""

    error: type[LlamaServerError]
    message: str
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A chat completion, streamed or not.

    text: how it begins. length: characters of the whole text. usage: tokens of the prompt, of
    the answer, and of the prompt kept from before. timings: tokens kept, processed, generated.
    """

    text: str
    length: int
    reason: FinishReason | None
    usage: tuple[int, int, int] | None
    timings: tuple[int, int, int] | None
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Stopped:
    """A stream that an error ends after some text. text, length: as for an answer."""

    text: str
    length: int
    failure: Failure


@dataclass(frozen=True)
class Props:
    """Properties of a server, by field name."""

    fields: dict[str, Any]
    caps: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Models:
    """A list of models."""

    models: tuple[Model, ...]


@dataclass(frozen=True)
class Slots:
    """A list of slots."""

    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Metrics:
    """Some of the metrics, and how many there are."""

    some: dict[str, float]
    count: int


@dataclass(frozen=True)
class Prompt:
    """A prompt made from a template. length: in characters. start, end: of its text."""

    length: int
    start: str
    end: str


@dataclass(frozen=True)
class Healthy:
    """The server is ready."""


@dataclass(frozen=True)
class Json:
    """An answer without a method of the client: some fields by name."""

    fields: dict[str, Any]


type Expectation = (
    Answer | Failure | Healthy | Json | Metrics | Models | Prompt | Props | Slots | Stopped
)
