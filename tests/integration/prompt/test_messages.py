"""Messages of a chat log, as requests carry them."""

from homeassistant.components.conversation import (
    AssistantContent,
    SystemContent,
    ToolResultContent,
    UserContent,
)
from homeassistant.helpers import llm

from custom_components.llamacpp.prompt.messages import to_messages

AGENT = "conversation.test"

CALL = llm.ToolInput("intent__HassTurnOn", {"name": "Küche"}, id="call1")


def test_messages_of_a_conversation() -> None:
    """Every kind of content becomes a message; thoughts are sent within their turn only."""
    messages = to_messages(
        [
            SystemContent("Be brief."),
            UserContent("Hello"),
            AssistantContent(AGENT, content="Hi.", thinking_content="A greeting."),
            UserContent("Kitchen on"),
            AssistantContent(AGENT, thinking_content="Which tool?", tool_calls=[CALL]),
            ToolResultContent(AGENT, "call1", CALL.tool_name, llm.ToolResult({"ok": True})),
        ]
    )
    assert messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Kitchen on"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Which tool?",
            "tool_calls": [
                {
                    "id": "call1",
                    "type": "function",
                    "function": {"name": CALL.tool_name, "arguments": '{"name": "Küche"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call1", "content": '{"ok":true}'},
    ]


def test_messages_without_anything_to_show_are_left_out() -> None:
    """An empty system prompt, and an answer of thoughts alone, become no messages."""
    assert to_messages(
        [
            SystemContent(""),
            UserContent("Hm"),
            AssistantContent(AGENT, thinking_content="Nothing to say."),
        ]
    ) == [{"role": "user", "content": "Hm"}]
