"""Home Assistant's chat log as turns, and back."""

from collections import UserDict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components.conversation import (
    AssistantContent,
    Attachment,
    ConversationInput,
    SystemContent,
    ToolResultContent,
    UserContent,
    async_get_chat_log,
)
from homeassistant.core import Context
from homeassistant.helpers import llm

from custom_components.llamacpp.history import Conversation, StoredTurn, contents_of, messages_of
from custom_components.llamacpp.history.plain import MAX_LEVELS, to_plain
from custom_components.llamacpp.prompt.question import Asks, Question, question_of, set_question
from tests.integration.talk import nobodys_session

from .samples import AGENT, THEN, conversation

if TYPE_CHECKING:
    from homeassistant.components.conversation import Content
    from homeassistant.core import HomeAssistant

CALLS = [
    llm.ToolInput("intent__HassTurnOn", {"name": "Küche"}, id="call1"),
    llm.ToolInput("search", {"query": ["a", 1, None]}, id="call2", external=True),
]
TURN: list[Content] = [
    UserContent("Kitchen on"),
    AssistantContent(AGENT, content="", thinking_content="Which tool?", tool_calls=CALLS),
    ToolResultContent(AGENT, "call1", "intent__HassTurnOn", llm.ToolResult({"ok": [True]})),
    ToolResultContent("conversation.other", "call2", "search", llm.ToolResult({}, error=True)),
    AssistantContent(AGENT, content="Done."),
    AssistantContent("conversation.other", content=None, thinking_content="Hm."),
]


def stored(contents: list[Content]) -> Conversation:
    """Return a conversation of one turn after it was written and read."""
    turn = StoredTurn(messages=messages_of(contents, AGENT), created=THEN, agent_id=AGENT)
    return Conversation.from_json(conversation("one", turn).to_json())


def test_there_and_back() -> None:
    """Every content of a turn comes back the same, with its time; the system prompt does not."""
    restored = contents_of(stored([SystemContent("Be brief."), *TURN]))
    assert [vars(one) for one in restored] == [vars(one) for one in TURN]
    assert all(isinstance(one, type(before)) for one, before in zip(restored, TURN, strict=True))


def test_a_question_comes_back() -> None:
    """A pending question comes back with the words; one of another version is ignored."""
    asked = AssistantContent(AGENT, content="Unlock the door?")
    question = Question(Asks.WHETHER, (("intent__HassTurnOn", {"name": "Door"}),))
    set_question(asked, question)
    kept = stored([UserContent("Open it"), asked])
    assert question_of(contents_of(kept)[-1]) == question
    others: list[dict[str, Any]] = [{}, {"asks": "whether"}, {"asks": "how", "calls": []}]
    for other in (*others, {"asks": "what", "calls": [1]}):
        assert Question.from_json(other) is None
    assert question_of(AssistantContent(AGENT, content="Unlock the door?")) is None


async def test_a_chat_log_that_is_continued(hass: HomeAssistant) -> None:
    """A new chat log with the stored contents equals the old one."""
    spoken = ConversationInput("Hello", Context(), "my-id", None, None, "en", AGENT)
    with (
        nobodys_session(hass, "my-id") as session,
        async_get_chat_log(hass, session, spoken) as chat_log,
    ):
        chat_log.async_add_assistant_content_without_tools(AssistantContent(AGENT, "Hi."))
        before = list(chat_log.content)
    after = contents_of(stored(before))
    assert [vars(one) for one in after] == [vars(one) for one in before[1:]]
    with (
        nobodys_session(hass, "other-id") as session,
        async_get_chat_log(hass, session) as chat_log,
    ):
        chat_log.content[1:] = after
        assert [one.role for one in chat_log.content] == ["system", "user", "assistant"]


def test_attachments_become_notes() -> None:
    """A picture becomes a note in the user's text."""
    picture = Attachment("media-source://camera/door", "image/jpeg", Path("door.jpg"))
    [message] = messages_of([UserContent("Who is it?", [picture])], AGENT)
    assert message.content == "Who is it?"
    [content] = contents_of(stored([UserContent("Who is it?", [picture])]))
    assert isinstance(content, UserContent)
    assert content.content == "Who is it?\n[image/jpeg: media-source://camera/door]"


def test_the_agent_of_last_resort() -> None:
    """A turn without an agent has the conversation's, or none."""
    turn = StoredTurn(messages=messages_of(TURN[4:5], AGENT), created=THEN)
    for agent_id in (AGENT, None):
        [content] = contents_of(conversation("one", turn, agent_id=agent_id))
        assert isinstance(content, AssistantContent)
        assert content.agent_id == (agent_id or "")


def test_values_are_copied() -> None:
    """A later change of a tool's arguments or result does not change the turn."""
    call = replace(CALLS[0], tool_args={"rooms": ["Küche"]})
    result = llm.ToolResult({"rooms": ["Küche"]})
    messages = messages_of(
        [
            AssistantContent(AGENT, tool_calls=[call]),
            ToolResultContent(AGENT, "call1", call.tool_name, result),
        ],
        AGENT,
    )
    call.tool_args["rooms"].append("Bad")
    result.data.clear()
    assert messages[0].tool_calls[0].arguments == {"rooms": ["Küche"]}
    assert messages[1].result == {"rooms": ["Küche"]}


def nested(levels: int, inside: Any = 1) -> Any:
    """Return lists in lists."""
    value = inside
    for _ in range(levels):
        value = [value]
    return value


class Strange:
    """An object that is no JSON."""

    def __str__(self) -> str:
        """Return its text."""
        return "strange"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, 2.5, None, True)}, {"a": [1, 2.5, None, True]}),
        (float("nan"), None),
        (datetime(2026, 10, 1, tzinfo=UTC), "2026-10-01T00:00:00+00:00"),
        ("half a \ud83d", "half a ?"),
        ({"\ud83d": Strange(), "ok": {1}}, {"?": "strange", "ok": [1]}),
        ([Strange(), 2**80], ["strange", str(2**80)]),
        ((Strange(),), ["strange"]),
        ({Strange()}, ["strange"]),
        (UserDict({"x": 1}), {"x": 1}),
        (nested(2000), nested(MAX_LEVELS, "...")),
        ([nested(300)], nested(MAX_LEVELS, "...")),
    ],
)
def test_what_tools_return(value: Any, expected: Any) -> None:
    """Whatever a tool returns can be written."""
    assert to_plain(value) == expected
