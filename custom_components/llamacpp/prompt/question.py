"""What the assistant has asked the user, as state beside the words of the question."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from homeassistant.components.conversation import AssistantContent

from .marks import Marks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from homeassistant.components.conversation import Content


class Asks(StrEnum):
    """The kinds of questions: whether to do something, which entity, or what is meant at all."""

    WHETHER = "whether"
    WHICH = "which"
    WHAT = "what"


@dataclass(frozen=True, slots=True)
class Question:
    """A question to the user. calls: what a yes has done, each a tool and its arguments."""

    asks: Asks
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON that `from_json` reads."""
        return {"asks": str(self.asks), "calls": [list(one) for one in self.calls]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Self | None:
        """Read what `to_json` returns; None if it is something else, as of another version."""
        try:
            source = value or {}
            calls = tuple((str(tool), {**args}) for tool, args in source["calls"])
            return cls(Asks(source["asks"]), calls)
        except KeyError, TypeError, ValueError:
            return None


_QUESTIONS = Marks[Question]()


def set_question(content: Content, question: Question) -> None:
    """Note what a content of a chat log asks the user."""
    _QUESTIONS.set(content, question)


def question_of(content: Content | None) -> Question | None:
    """Return what a content asks the user, None if it asks nothing."""
    return _QUESTIONS.get(content) if content else None


def question_before(contents: Sequence[Content]) -> Question | None:
    """Return what the newest message of the assistant asks, None if it asks nothing."""
    asked = (one for one in reversed(contents) if isinstance(one, AssistantContent))
    return question_of(next(asked, None))
