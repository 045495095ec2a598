"""Which turns are dropped when a conversation exceeds the context."""

from typing import TYPE_CHECKING

from homeassistant.components.conversation import (
    AssistantContent,
    SystemContent,
    ToolResultContent,
    UserContent,
)
from homeassistant.helpers import llm

from custom_components.llamacpp.prompt.trimming import surplus

if TYPE_CHECKING:
    from homeassistant.components.conversation import (
        Content,
    )

AGENT = "conversation.test"
N_CTX = 1000


def talk(*turns: tuple[str, str]) -> list[Content]:
    """Return a chat log with these questions and answers."""
    contents: list[Content] = [SystemContent("You are at home.")]
    for question, answer in turns:
        contents += [UserContent(question), AssistantContent(AGENT, content=answer)]
    return contents


def test_one_turn_cannot_be_shortened() -> None:
    """The current question stays, however long it is."""
    assert surplus([SystemContent("Home"), UserContent("x" * 9000)], 3000, N_CTX) == 0


def test_oldest_turns_go_in_a_large_step() -> None:
    """About half of the context is left, so that the next turns fit."""
    contents = [*talk(*[("question" * 10, "answer" * 10)] * 10), UserContent("And now?")]
    count = surplus(contents, 1100, N_CTX)
    assert count % 2 == 0
    assert 10 <= count < 20
    assert isinstance(contents[1 + count], UserContent)


def test_a_huge_old_turn_goes_alone() -> None:
    """No more turns are dropped than needed."""
    contents = [*talk(("x" * 9000, "y"), ("short", "short")), UserContent("And now?")]
    assert surplus(contents, 1100, N_CTX) == 2


def test_all_old_turns_go_if_the_home_is_large() -> None:
    """If that is not enough, the server reports it."""
    contents = [SystemContent("h" * 9000), *talk(("a", "b"), ("c", "d"))[1:], UserContent("e")]
    assert surplus(contents, 3000, N_CTX) == 4


def test_a_call_keeps_its_result() -> None:
    """A turn with tools is dropped as a whole."""
    call = llm.ToolInput("tool", {"name": "x" * 2000}, id="1")
    contents: list[Content] = [
        SystemContent("Home"),
        UserContent("Do it"),
        AssistantContent(AGENT, tool_calls=[call]),
        ToolResultContent(AGENT, "1", "tool", llm.ToolResult({"done": "y" * 2000})),
        AssistantContent(AGENT, content="Done."),
        UserContent("And now?"),
    ]
    assert surplus(contents, 1100, N_CTX) == 4
