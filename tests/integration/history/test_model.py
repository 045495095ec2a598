"""The data of a conversation, and its JSON."""

import json
from datetime import datetime
from typing import Any

import pytest
from homeassistant.helpers.json import json_bytes
from hypothesis import given
from hypothesis import strategies as st

from custom_components.llamacpp.history import Conversation, FormatError, StoredUsage, Summary
from custom_components.llamacpp.history.model import MAX_TITLE, title_of

from .samples import AGENT, THEN, conversation, turn, turn_with_tools

FULL = conversation(
    "one",
    turn_with_tools(),
    turn(),
    user_id="user1",
    agent_id=AGENT,
    system_prompt="Be brief.",
    closed=THEN,
)


def document() -> dict[str, Any]:
    """Return the JSON of a conversation with everything."""
    value: dict[str, Any] = json.loads(json.dumps(FULL.to_json()))
    return value


def test_round_trip() -> None:
    """It is read as it was written; empty fields are not written."""
    assert Conversation.from_json(document()) == FULL
    plain = conversation("two")
    assert Conversation.from_json(plain.to_json()) == plain
    assert document()["turns"][1]["messages"][1] == {
        "role": "assistant",
        "created": THEN.isoformat(),
        "content": "Hi.",
    }


def test_unknown_fields_are_left_alone() -> None:
    """A newer minor version may have added some."""
    value = document()
    value["new"] = value["turns"][0]["new"] = value["turns"][0]["messages"][0]["new"] = 1
    value["turns"][0]["usage"]["new"] = value["turns"][0]["messages"][1]["tool_calls"][0]["new"] = 1
    assert Conversation.from_json(value) == FULL


def test_usage_that_nobody_told() -> None:
    """Unknown cached tokens are not zero."""
    usage = StoredUsage(1, 2, 3)
    assert StoredUsage.from_json(usage.to_json()) == usage


WRONG: list[tuple[list[str | int], Any, str]] = [
    ([], [], "an object was expected, not list"),
    (["id"], 5, "id: str was expected, not int"),
    (["id"], None, "id: is missing"),
    (["source"], "elsewhere", "source: 'elsewhere' is not a valid Source"),
    (["created"], "yesterday", "created: Invalid isoformat string: 'yesterday'"),
    (["updated"], "2026-10-01T12:00:00", "updated: 2026-10-01T12:00:00 has no time zone"),
    (["closed"], True, "closed: str was expected, not bool"),
    (["turns"], {}, "turns: list was expected, not dict"),
    (["turns", 0], "x", "turns[0]: an object was expected, not str"),
    (["turns", 0, "usage"], [], "turns[0]: an object was expected, not list"),
    (["turns", 0, "usage", "total_tokens"], True, "turns[0]: total_tokens: int was expected"),
    (["turns", 1, "messages", 1, "role"], "god", "turns[1]: messages[1]: role: 'god' is not"),
    (["turns", 0, "messages", 0, "attachments", 0], {}, "media_content_id: is missing"),
    (["turns", 0, "messages", 1, "tool_calls", 0, "arguments"], "{}", "arguments: dict was"),
    (["turns", 0, "messages", 1, "tool_calls", 0, "external"], 1, "external: bool was expected"),
    (["turns", 0, "messages", 2, "result"], None, "a tool's message without call, name or result"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_wrong_shape(path: list[str | int], value: Any, message: str) -> None:
    """The error names the field."""
    wrong: Any = document()
    if path:
        parent = wrong
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = value
    else:
        wrong = value
    with pytest.raises(FormatError) as err:
        Conversation.from_json(wrong)
    assert message in str(err.value)


def test_summary() -> None:
    """A summary counts messages, not turns."""
    summary = Summary.of(FULL, 321, 5.0)
    assert summary == Summary(
        id="one",
        source=FULL.source,
        user_id="user1",
        agent_id=AGENT,
        title="Kitchen on",
        created=THEN,
        updated=THEN,
        closed=THEN,
        turn_count=2,
        message_count=7,
        size=321,
        stamp=5.0,
    )
    assert isinstance(summary.created, datetime)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Kitchen on", "Kitchen on"),
        ("  What\n\tcould I   cook? ", "What could I cook?"),
        ("x" * MAX_TITLE, "x" * MAX_TITLE),
        ("x" * (MAX_TITLE + 1), "x" * (MAX_TITLE - 1) + "…"),
        ("four " * 13, "four " * 11 + "four…"),
        ("sevens " * 9, "sevens " * 7 + "sevens…"),
        ("a " * 1000, "a " * 29 + "a…"),
        ("\ud83d lost half", "? lost half"),
        (" \n", None),
    ],
)
def test_title(text: str, title: str | None) -> None:
    """A title is the first words in one line, cut between words."""
    assert title_of([turn(text)]) == title


@given(st.text(st.characters(codec=None)) | st.text(" a\n", min_size=50, max_size=400))
def test_title_of_any_text(text: str) -> None:
    """It is short, in one line, can be stored, and starts as the text does."""
    title = title_of([turn(text)])
    words = " ".join(text.split()).encode("utf-8", "replace").decode()
    if not words:
        assert title is None
        return
    assert title
    assert len(title) <= MAX_TITLE
    assert json.loads(json_bytes(title)) == title == " ".join(title.split())
    if len(words) <= MAX_TITLE:
        assert title == words
    else:
        assert title.endswith("…")
        assert words.startswith(title[:-1])


def test_title_stays() -> None:
    """It is of the first turn with words, also after that turn was dropped or stored without."""
    started = conversation("one")
    assert started.title is None
    begun = started.with_turn(turn(" "), AGENT, THEN).with_turn(turn("First"), AGENT, THEN)
    gone_on = begun.with_turn(turn("Second"), AGENT, THEN)
    assert gone_on.title == "First"
    value = gone_on.to_json()
    del value["turns"][:2]
    assert Conversation.from_json(value).title == "First"
    del value["title"]
    assert Conversation.from_json(value).title == "Second"
