"""Messages as chat templates want them: ids, one call a message, and turns."""

from typing import TYPE_CHECKING, Any

import pytest

from custom_components.llamacpp.model.fitting import SAID, Fitting, short_id

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG = "01K0Q2Z7W8X9Y0A1B2C3D4E5F6"
SYSTEM = {"role": "system", "content": "s"}
NOTHING = {"role": "user", "content": ""}
SILENCE = {"role": "assistant", "content": SAID}
PICTURE = {"type": "image_url", "image_url": {"url": "data:"}}


def user(words: Any) -> dict[str, Any]:
    """Return a user message."""
    return {"role": "user", "content": words}


def model(words: str) -> dict[str, Any]:
    """Return an answer of the model."""
    return {"role": "assistant", "content": words}


def calls(*ids: str, words: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return calls of a tool."""
    functions = [
        {"id": one, "type": "function", "function": {"name": f"t_{one}", "arguments": "{}"}}
        for one in ids
    ]
    return {"role": "assistant", "content": words, **fields, "tool_calls": functions}


def result(of: str) -> dict[str, Any]:
    """Return a tool result."""
    return {"role": "tool", "tool_call_id": of, "content": f"r_{of}"}


@pytest.mark.parametrize("call_id", [LONG, "C3DTQXHF18FT88VFllTgoVczTRxmgHso", "functions.a:0", ""])
def test_short_ids(call_id: str) -> None:
    """Nine letters and digits, the same for call and result; short ids stay as they are."""
    call, told = Fitting().fitted([calls(call_id), result(call_id)])
    short = call["tool_calls"][0]["id"]
    assert short == told["tool_call_id"] == short_id(call_id)
    assert len(short) == 9
    assert short.isalnum()
    assert short.isascii()
    assert call == {
        **calls(call_id),
        "tool_calls": [{**calls(call_id)["tool_calls"][0], "id": short}],
    }
    assert Fitting().fitted([call, told]) == [call, told]
    assert short_id(call_id) != short_id(f"{call_id}x")
    assert Fitting(has_short_ids=False).fitted([calls(call_id)]) == [calls(call_id)]


def test_one_call_at_a_time() -> None:
    """Each call is followed by its result; words and thoughts come once."""
    fitting = Fitting(has_short_ids=False, has_single_calls=True)
    first = calls("a", "b", words="Both.", reasoning_content="Hm.")
    rest = [model("Done."), user("And c"), calls("a"), result("a"), model("Yes.")]
    assert fitting.fitted([SYSTEM, user("Do"), first, result("b"), result("a"), *rest]) == [
        SYSTEM,
        user("Do"),
        calls("a", words="Both.", reasoning_content="Hm."),
        result("a"),
        calls("b"),
        result("b"),
        *rest,
    ]
    # A result without its call is kept.
    assert fitting.fitted([calls("a", "b"), result("z")]) == [calls("a"), calls("b"), result("z")]


def test_words_and_calls() -> None:
    """Calls without words, or as words, if a template shows nothing else."""
    messages = [user("Do"), calls("a", "b", words="Both."), result("a"), model("Done.")]
    fitting = Fitting(has_short_ids=False, has_silent_calls=True)
    assert fitting.fitted(messages) == [user("Do"), calls("a", "b"), *messages[2:]]
    fitting = Fitting(has_short_ids=False, has_written_calls=True)
    written = '{"name": "t_a", "arguments": {}}\n{"name": "t_b", "arguments": {}}'
    wanted = [user("Do"), calls("a", "b", words=f"Both.\n{written}"), *messages[2:]]
    assert fitting.fitted(messages) == wanted
    assert fitting.fitted([calls("a")])[0]["content"] == written.partition("\n")[0]


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ([SYSTEM, user("a"), model("b"), user("")], None),
        ([SYSTEM, user("a"), calls("x"), result("x")], None),
        ([SYSTEM, user("a"), calls("x"), result("x"), calls("y"), result("y"), model("b")], None),
        ([user("a"), calls("x", words="I do it."), result("x"), model("b"), user("c")], None),
        ([SYSTEM, SYSTEM, user("a")], [{"role": "system", "content": "s\ns"}, user("a")]),
        ([SYSTEM, user("a"), user("b")], [SYSTEM, user("a\nb")]),
        ([user("a"), model("b"), model("c")], [user("a"), model("b\nc")]),
        ([SYSTEM, model("Hi."), user("a")], [SYSTEM, NOTHING, model("Hi."), user("a")]),
        (
            [user("a"), user([PICTURE]), user("b")],
            [user([{"type": "text", "text": "a"}, PICTURE, {"type": "text", "text": "b"}])],
        ),
        (
            [user("a"), calls("x"), result("x"), user("b")],
            [user("a"), calls("x"), result("x"), SILENCE, user("b")],
        ),
        (
            [SYSTEM, calls("x"), result("x"), model("Hi."), user("a")],
            [SYSTEM, NOTHING, calls("x"), result("x"), model("Hi."), user("a")],
        ),
        (
            [user("a"), model("b"), calls("x"), result("x"), model("c")],
            [user("a"), model("b"), calls("x"), result("x"), NOTHING, model("c")],
        ),
    ],
)
def test_turns(messages: Sequence[dict[str, Any]], wanted: Sequence[dict[str, Any]] | None) -> None:
    """User and assistant alternate, and no words are lost."""
    fitting = Fitting(has_short_ids=False, has_turns=True)
    before = [dict(one) for one in messages]
    assert fitting.fitted(messages) == (before if wanted is None else wanted)
    assert messages == before
    assert Fitting(has_short_ids=False).fitted(messages) == before
