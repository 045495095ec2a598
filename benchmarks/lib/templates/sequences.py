"""Conversations as chat logs: all orders of messages that our requests can have."""

from typing import TYPE_CHECKING, Any, Self

from homeassistant.components.conversation import (
    AssistantContent,
    SystemContent,
    ToolResultContent,
    UserContent,
)
from homeassistant.helpers import llm

if TYPE_CHECKING:
    from homeassistant.components.conversation import Content

AGENT = "conversation.templates"
TOOL = "intent__HassTurnOn"
SYSTEM = "You are a voice assistant."
ORDER = "Turn on the Kitchen Light"


class Log:
    """A chat log under construction. marks: texts that its prompt must contain."""

    def __init__(self) -> None:
        """Begin with the system prompt."""
        self.contents: list[Content] = [SystemContent(SYSTEM)]
        self.marks: list[str] = []

    def user(self, words: str) -> Self:
        """Add words of a user."""
        self.contents.append(UserContent(words))
        return self._marked(words)

    def model(self, words: str) -> Self:
        """Add words of the model, or of Home Assistant's own agent."""
        self.contents.append(AssistantContent(AGENT, content=words))
        return self._marked(words)

    def calls(self, *numbers: int, words: str | None = None, thoughts: str | None = None) -> Self:
        """Add a call for each of these numbers, which make them distinct."""
        calls = [
            llm.ToolInput(TOOL, {"name": f"Lamp {number}"}, id=f"01K0Q2Z7W8X9Y0A1B2C3D4E5F{number}")
            for number in numbers
        ]
        self.contents.append(
            AssistantContent(AGENT, content=words, thinking_content=thoughts, tool_calls=calls)
        )
        # Some templates leave out the content of a message with a call.
        return self._marked(*(f"Lamp {number}" for number in numbers))

    def results(self, *numbers: int, **data: Any) -> Self:
        """Add the results of these calls, by default distinct ones."""
        for number in numbers:
            found = data or {"response_type": "action_done", "note": f"done {number}"}
            call_id = f"01K0Q2Z7W8X9Y0A1B2C3D4E5F{number}"
            result = llm.ToolResult(data=found)
            self.contents.append(ToolResultContent(AGENT, call_id, TOOL, result))
        return self if data else self._marked(*(f"done {number}" for number in numbers))

    def _marked(self, *marks: str) -> Self:
        self.marks += [one for one in marks if one]
        return self


def sequences(last: str) -> dict[str, Log]:
    """Return the conversations by name. last: the words of the user that await an answer."""

    def called() -> Log:
        return Log().user("Make light").calls(1).results(1)

    def called_twice() -> Log:
        return Log().user("Much light").calls(1, 2).results(1, 2)

    return {
        "before anything is said": Log().user(""),
        "first words": Log().user(last),
        "talk": Log().user("Hi").model("Hello.").user(last),
        "a call": called(),
        "a call with words": Log().user("Make light").calls(1, words="I do it.").results(1),
        "a call with thoughts": Log().user("Make light").calls(1, thoughts="Hm.").results(1),
        "a call with both": (
            Log().user("Make light").calls(1, words="I do it.", thoughts="Hm.").results(1)
        ),
        "two calls": called_twice(),
        "two rounds of calls": Log().user("Much light").calls(1).results(1).calls(2).results(2),
        "a call that failed": Log().user("Make light").calls(1).results(1, error="Not there"),
        "a call without a result": Log().user("Make light").calls(1).results(1, nothing=None),
        "after a call": called().model("Done.").user(last),
        "before the next words": called().model("Done.").user(""),
        "after two calls": called_twice().model("Both.").user(last),
        "after a call without words": called().user(last),
        "after many turns": (
            called()
            .model("Turned on.")
            .user("Thanks")
            .model("Welcome.")
            .user("And the other")
            .calls(2)
            .results(2)
            .model("Done, too.")
            .user(last)
        ),
        "the model speaks first": Log().model("Hello, here I am.").user(last),
        "words that had no answer": Log().user("Are you there").user(last),
    }
