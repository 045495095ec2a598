"""Tool calls that a model prints as text."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.llamacpp.tool_calls.from_text import MAX_CALLS, MAX_CHARS, PrintedCalls
from custom_components.llamacpp.tool_calls.text_formats import MARKS, PrintedCall

TURN_ON, LIGHT_SET, CLOCK = "intent__HassTurnOn", "light__HassLightSet", "llm__GetDateTime"
NAMES = (TURN_ON, LIGHT_SET, CLOCK, "one__same", "other__same", "script__movie-night")
# The same examples each time; none are saved.
SETTINGS: dict[str, Any] = {"deadline": None, "database": None, "derandomize": True}
LAMP = {"name": "Floor Lamp"}
ON = (TURN_ON, LAMP)
SET = (LIGHT_SET, {"brightness": 50, "name": "Floor Lamp"})


def calls_of(parser: PrintedCalls) -> list[tuple[str, object]]:
    """Return the calls; arguments that are valid JSON are parsed."""
    found: list[tuple[str, object]] = []
    for call in parser.calls:
        try:
            found.append((call.name, json.loads(call.arguments)))
        except ValueError:
            found.append((call.name, call.arguments))
    return found


def taken(*pieces: str, is_cut: bool = False) -> tuple[str, list[tuple[str, object]]]:
    """Return the remaining text of an answer in these pieces, and its calls."""
    parser = PrintedCalls(NAMES)
    text = "".join([*map(parser.feed, pieces), parser.end(is_cut=is_cut)])
    return text, calls_of(parser)


CALLS = {
    # JSON
    '{"name": "intent__HassTurnOn", "arguments": {"name": "Floor Lamp"}}': [ON],
    '{"name": "HassTurnOn", "parameters": {"name": "Floor Lamp"}}': [ON],
    "{'name': 'HassTurnOn', 'arguments': {'name': 'Floor Lamp'}}": [ON],
    '{"type": "function", "function": {"name": "HassTurnOn", '
    '"arguments": {"name": "Floor Lamp"}}}': [ON],
    '{"id": "1", "function": {"name": "HassTurnOn", '
    '"arguments": "{\\"name\\": \\"Floor Lamp\\"}"}}': [ON],
    '{"arguments": {"name": "Floor Lamp"}, "name": "HassTurnOn"}': [ON],
    '{"function": "HassTurnOn", "parameters": {"name": "Floor Lamp"}}': [ON],
    '{"tool_calls": [{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}]}': [ON],
    '{"HassTurnOn": {"name": "Floor Lamp"}}': [ON],
    '{"name": "GetDateTime"}': [(CLOCK, {})],
    '{"name": "GetDateTime", "arguments": null}': [(CLOCK, {})],
    '[{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}, '
    '{"name": "HassLightSet", "arguments": {"name": "Floor Lamp", "brightness": 50}}]': [ON, SET],
    '{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}\n'
    '{"name": "HassLightSet", "arguments": {"name": "Floor Lamp", "brightness": 50}}': [ON, SET],
    '```json\n{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}\n```': [ON],
    '```\n[{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}]\n```\n': [ON],
    # Qwen, Hermes
    '<tool_call>\n{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}\n</tool_call>': [ON],
    '<tool_call>{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}</tool_call>'
    '<tool_call>{"name": "GetDateTime", "arguments": {}}</tool_call>': [ON, (CLOCK, {})],
    '```xml\n<tool_call>{"name": "HassTurnOn", '
    '"arguments": {"name": "Floor Lamp"}}</tool_call>\n```': [ON],
    "<tool_call>\n<function=HassLightSet>\n<parameter=name>\nFloor Lamp\n</parameter>\n"
    "<parameter=brightness>50</parameter>\n</function>\n</tool_call>": [
        (LIGHT_SET, {"brightness": "50", "name": "Floor Lamp"})
    ],
    # Llama
    '<|python_tag|>{"name": "HassTurnOn", "parameters": {"name": "Floor Lamp"}}<|eom_id|>': [ON],
    '<|python_tag|>HassTurnOn.call(name="Floor Lamp")': [ON],
    '<function=HassTurnOn>{"name": "Floor Lamp"}</function>': [ON],
    "<function=GetDateTime></function>": [(CLOCK, {})],
    '[HassTurnOn(name="Floor Lamp")]': [ON],
    "[HassTurnOn(name='Floor Lamp'), HassLightSet(brightness=50, name='Floor Lamp')]": [ON, SET],
    # Mistral
    '[TOOL_CALLS][{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}]': [ON],
    '[TOOL_CALLS] HassTurnOn[ARGS]{"name": "Floor Lamp"}': [ON],
    '[TOOL_CALLS]HassTurnOn{"name": "Floor Lamp"}': [ON],
    # Gemma, and others that know Python
    'HassTurnOn(name="Floor Lamp")': [ON],
    'intent__HassTurnOn(name="Floor Lamp"); GetDateTime()': [ON, (CLOCK, {})],
    'HassTurnOn({"name": "Floor Lamp"})': [ON],
    '```tool_code\nHassTurnOn(name="Floor Lamp")\n```': [ON],
    '```python\nprint(default_api.HassTurnOn(name="Floor Lamp"))\nprint(GetDateTime())\n```': [
        ON,
        (CLOCK, {}),
    ],
    '```HassTurnOn(name="Floor Lamp")```': [ON],
    "HassLightSet(name='x', color=[1, -2.5], on=true, off=False, no=null, to={'a': ('b',)})": [
        (
            LIGHT_SET,
            {
                "name": "x",
                "color": [1, -2.5],
                "on": True,
                "off": False,
                "no": None,
                "to": {"a": ["b"]},
            },
        )
    ],
    "script__movie-night()": [("script__movie-night", {})],
    # Too many brackets, and brackets in strings
    '{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}}\n': [ON],
    '{"name": "HassTurnOn", "arguments": {"name": "}] \\" )"}}': [(TURN_ON, {"name": '}] " )'})],
    # A mark makes it a call, whether there is such a tool or not
    '<tool_call>{"name": "fly", "arguments": {}}</tool_call>': [("fly", {})],
    '[TOOL_CALLS][{"name": "fly", "arguments": {}}]': [("fly", {})],
    # So does a line of its own: a name with arguments
    '{"name": "Anna", "arguments": {}}': [("Anna", {})],
    '{"name": "same", "arguments": {}}': [("same", {})],
    '{"name":"HassLightTurnOn","parameters":{"entity_id":"lukes_lamp"}}': [
        ("HassLightTurnOn", {"entity_id": "lukes_lamp"})
    ],
    '[{"id": "1", "name": "fly", "args": {"to": "Moon"}}]': [("fly", {"to": "Moon"})],
    '```homeassistant\n{"name": "light.turn_off", "parameters": '
    '{"target_device": "light.bed_lamp"}}\n```': [
        ("light.turn_off", {"target_device": "light.bed_lamp"})
    ],
    '```yaml\n{"name": "fly", "arguments": {}}\n```': [("fly", {})],
    # Glaive
    '<functioncall {"name": "HassTurnOn", "arguments": {"domain": "light"}}>': [
        (TURN_ON, {"domain": "light"})
    ],
    '<functioncall> {"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}} </functioncall>': [
        ON
    ],
    # Names that are slightly wrong
    '{"name": "hassturnon", "arguments": {"name": "Floor Lamp"}}': [ON],
    '{"name": "functions.intent__HassTurnOn", "arguments": {"name": "Floor Lamp"}}': [ON],
    'hass_turn_on(name="Floor Lamp")': [ON],
    'functions.HassTurnOn(name="Floor Lamp")': [ON],
    # Home Assistant's actions
    '{"name": "light.turn_on", "arguments": {"entity_id": "light.a", "brightness_pct": 40}}': [
        ("light.turn_on", {"entity_id": "light.a", "brightness_pct": 40})
    ],
    'light.turn_on(entity_id="light.a")': [("light.turn_on", {"entity_id": "light.a"})],
    '{"service": "light.turn_on", "target_device": "light.a"}': [
        ("light.turn_on", {"target_device": "light.a"})
    ],
    '{"action": "switch.turn_off", "target": {"entity_id": "switch.a"}}': [
        ("switch.turn_off", {"target": {"entity_id": "switch.a"}})
    ],
    # It goes back to the model, which may correct it
    "HassTurnOn(name=Floor Lamp)": [(TURN_ON, "(name=Floor Lamp)")],
    'HassTurnOn("Floor Lamp")': [(TURN_ON, '("Floor Lamp")')],
    "{'name': 'HassTurnOn', 'arguments': {name: 1}}": [
        (TURN_ON, "{'name': 'HassTurnOn', 'arguments': {name: 1}}")
    ],
}
TEXTS = (
    "The light is on.",
    "",
    "\n\n  Hello \n",
    '{"answer": 42}',
    '{"name": "Anna", "age": 3}',
    '{"name": "Anna"}',
    '{"name": "Anna", "arguments": 3}',
    '{"name": "Anna", "arguments": {}} is what I mean',
    '{"action": "think", "target": {}}',
    "light.shine(name='x')",
    "lock.unlock(entity_id='lock.door')",
    "light.turn_on is an action",
    "<functioncalls are fun",
    "{}",
    "[1] says so, and [2](https://example.org) too",
    "[]\n[[]]",
    "<b>bold</b> and <tool_box> or <function>",
    "<function=>no</function>",
    "<function= x",
    "HassTurnOn is a tool, HassTurnOn (this one)",
    "Hass",
    "fly(name='x')",
    "home__HassTurnOn(name='x')",
    "tools.HassTurnOn(name='x')",
    'I would say HassTurnOn(name="Floor Lamp") here',
    "print(HassTurnOn())",
    "```python\nprint('Hello')\n```",
    "```yaml\nname: x\n```",
    '```json\n{"a": 1}\n```\nAnd `code`, ``more``',
    "```",
    "<tool_call> is a mark",
    "<tool_call>",
    "[TOOL_CALLS]",
    "[TOOL_CALLS]fly[ARGS",
    '["HassTurnOn"]',
    '{"name": ["HassTurnOn"]}',
    "2 < 3 [sic]\n- a\n- b",
)


@pytest.mark.parametrize("text", CALLS)
@pytest.mark.parametrize(("before", "after"), [("", ""), ("Sure!\n", "Done."), ("\n\n", "")])
def test_calls(text: str, before: str, after: str) -> None:
    """Each format is recognised, and the text around it stays."""
    assert taken(before + text + "\n" + after) == (before + after, CALLS[text])


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("before", ["", "Well,\n"])
def test_texts(text: str, before: str) -> None:
    """Text without a call stays unchanged."""
    assert taken(before + text) == (before + text, [])


@pytest.mark.parametrize("text", [*CALLS, *TEXTS])
def test_where_there_are_no_tools(text: str) -> None:
    """Without tools only an answer that starts with a call is one: the user may want JSON."""
    parser = PrintedCalls(None)
    words = "".join((*map(parser.feed, text), parser.end()))
    marks = (*MARKS, "<function=")
    is_call = bool(CALLS.get(text)) and any(one in text for one in marks)
    assert bool(parser.calls) is is_call
    assert is_call or words == text


@pytest.mark.parametrize("answer", [*CALLS, *TEXTS])
def test_letter_by_letter(answer: str) -> None:
    """Letter by letter, an answer gives the same calls and text as in one piece."""
    assert taken(*answer) == taken(answer)


PIECES = st.sampled_from(
    [
        *CALLS,
        *TEXTS,
        *("{", "}", "[", "]", "(", ")", '"', "'", ",", ":", " ", "\n", "\\", "`", "<", ">"),
        *('"name"', '"arguments"', "HassTurnOn", "Hass", "print(", "<tool_call>", "<function="),
        *('{"name": "Anna"', ', "arguments": {}', "<functioncall", "light.turn_on", "(a=1)"),
        *("<parameter=a>", "</parameter>", "</function>", "[ARGS]", "[TOOL_CALLS]", "```json"),
    ]
)


@given(
    pieces=st.lists(PIECES, max_size=12), cuts=st.lists(st.integers(0, 400)), is_cut=st.booleans()
)
@settings(max_examples=400, **SETTINGS)
def test_any_split(pieces: list[str], cuts: list[int], *, is_cut: bool) -> None:
    """The split of an answer into pieces does not matter."""
    answer = "".join(pieces)
    places = sorted({0, *(cut for cut in cuts if cut < len(answer)), len(answer)})
    split = [answer[one:other] for one, other in pairwise(places)]
    assert taken(*split, is_cut=is_cut) == taken(answer, is_cut=is_cut)
    text, calls = taken(answer, is_cut=is_cut)
    if not calls:
        assert text == answer


@given(text=st.text(alphabet=st.characters(exclude_characters="<[{`"), max_size=200))
@settings(max_examples=200, **SETTINGS)
def test_plain_text_is_never_changed(text: str) -> None:
    """Text without the signs of a call is passed on in full."""
    assert taken(*text.replace("(", " ")) == (text.replace("(", " "), [])


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("The light", ""),
        ("One\nTwo", ""),
        ("Well, {", ""),
        ("[1", ""),
        ('{"a', '{"a'),
        ('{"answer"', ""),
        ('{"name": "An', '{"name": "An'),
        ('{"name": "Anna", "arg', '{"name": "Anna", "arg'),
        ('{"name": "Anna", "age', ""),
        ('{"name": "Anna"}', ""),
        ("light.t", "light.t"),
        ("light.s", ""),
        ("a <", "<"),
        ("a <b", ""),
        ("Has", "Has"),
        ("Hat", ""),
        ("HassTurnOn", "HassTurnOn"),
        ("HassTurnOn ", ""),
        ("``", "``"),
        ("```ya", "```ya"),
        ("```yaml\n", "```yaml\n"),
        ("```yaml\nname:", ""),
    ],
)
def test_only_what_may_become_a_call_is_held_back(text: str, held: str) -> None:
    """Text that cannot become a call is passed on immediately."""
    assert PrintedCalls(NAMES).feed(text) == text.removesuffix(held)
    assert text.endswith(held)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}', LAMP),
        ('<tool_call>\n{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"', LAMP),
        ('[HassTurnOn(name="Floor Lamp"', LAMP),
        ('```json\n{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}', LAMP),
        ('<function=HassTurnOn>{"name": "Floor Lamp"', LAMP),
        ("<function=HassTurnOn><parameter=name>Floor Lamp</parameter>", LAMP),
        # Within a string the missing part is unknown.
        ('{"name": "HassTurnOn", "arguments": {"name": "Flo', None),
        ('<function=HassTurnOn>{"name": "Flo', None),
        ('<tool_call>HassTurnOn(name="Flo', None),
    ],
)
def test_a_call_that_is_not_ended(text: str, arguments: object) -> None:
    """It is a call; the model gets an error unless only brackets are missing."""
    left, ((name, found),) = taken(text)
    assert (left, name) == ("", TURN_ON)
    if arguments is None:
        assert isinstance(found, str)
        assert text.endswith(found)
    else:
        assert found == arguments
    # A stopped model may have had more to write.
    _, ((name, found),) = taken(text, is_cut=True) if "<parameter" not in text else taken(text)
    assert name == TURN_ON
    assert isinstance(found, str) or "<parameter" in text


@pytest.mark.parametrize("name", ["light.turn_on", "fly"])
@pytest.mark.parametrize("rest", ['{"entity_id": "light.a"}}', '{"entity_id": "light.a"', '{"enti'])
@pytest.mark.parametrize("is_cut", [True, False])
def test_a_call_of_another_name_that_is_not_ended(name: str, rest: str, *, is_cut: bool) -> None:
    """It is not spoken either, once it has arguments."""
    text = f'{{"name": "{name}", "arguments": {rest}'
    left, ((found, _),) = taken(text, is_cut=is_cut)
    assert (left, found) == ("", name)


def test_what_is_printed_twice_is_called_once() -> None:
    """A model that repeats itself does not switch twice."""
    text = '{"name": "HassTurnOn", "arguments": {"name": "Floor Lamp"}}\n'
    assert taken(text * 50 + "Done.") == ("Done.", [ON])
    many = "\n".join(f'HassTurnOn(name="{number}")' for number in range(2 * MAX_CALLS))
    assert len(taken(many)[1]) == MAX_CALLS


def test_what_is_held_back_has_a_bound() -> None:
    """A call that never ends is passed on as text."""
    parser = PrintedCalls(NAMES)
    text = 'HassTurnOn(name="'
    given_out = parser.feed(text)
    while len(text) < 2 * MAX_CHARS:
        text += "and so on "
        given_out += parser.feed("and so on ")
        assert len(text) - len(given_out) <= MAX_CHARS
    assert given_out + parser.end() == text
    assert parser.calls == []


@pytest.mark.parametrize("bracket", ["[", "{'a':", "("])
def test_deep_brackets(bracket: str) -> None:
    """Deep nesting raises no error."""
    for form in ('{"name": "HassTurnOn", "arguments": {"a": %s', "HassTurnOn(a=%s"):
        text = form % (bracket * (MAX_CHARS // len(bracket) - 40))
        closing = {"[": "]", "{'a':": "1}", "(": ")"}[bracket]
        for answer in (text, text + closing * (MAX_CHARS // 4)):
            taken(answer)


def test_a_call_is_its_name_and_arguments() -> None:
    """The order of arguments does not matter."""
    parser = PrintedCalls(NAMES)
    parser.feed("HassLightSet(name='a', brightness=1)\nHassLightSet(brightness=1, name='a')\n")
    assert parser.calls == [PrintedCall(LIGHT_SET, '{"brightness": 1, "name": "a"}')]
