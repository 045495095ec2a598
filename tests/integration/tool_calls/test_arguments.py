"""Arguments in the types of a tool's schema."""

from typing import Any

import pytest

from custom_components.llamacpp.tool_calls.arguments import converted, converted_arguments, fits

INTEGER, NUMBER, TEXT, YES = ({"type": one} for one in ("integer", "number", "string", "boolean"))
PERCENT = {"allOf": [INTEGER, {"type": "number", "minimum": 0, "maximum": 100}]}
TEXTS = {"type": "array", "items": TEXT}
DOMAINS = {"type": "array", "items": {"type": "string", "enum": ["light", "media_player"]}}
STEP = {"anyOf": [{"type": "string", "enum": ["up", "down"]}, INTEGER]}
ANY_DOMAIN = {"anyOf": [TEXT, TEXTS]}
COLOR = {"type": "array", "items": INTEGER, "minItems": 3}
THING = {"type": "object", "properties": {"level": INTEGER}}


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ("50", INTEGER, 50),
        ("50%", INTEGER, 50),
        ("+50 percent", INTEGER, 50),
        ("-5", INTEGER, -5),
        (50.0, INTEGER, 50),
        ("50.0", INTEGER, 50),
        ([50], INTEGER, 50),
        ("21.5", NUMBER, 21.5),
        ("21,5°", NUMBER, 21.5),
        ("21", NUMBER, 21),
        ("50 %", PERCENT, 50),
        (50.0, PERCENT, 50),
        ("true", YES, True),
        (" False", YES, False),
        (5, TEXT, "5"),
        (1.5, TEXT, "1.5"),
        (True, TEXT, "true"),
        (["Lamp"], TEXT, "Lamp"),
        ("light", TEXTS, ["light"]),
        (5, TEXTS, ["5"]),
        ('["light", "fan"]', TEXTS, ["light", "fan"]),
        ("[255, 0, 0]", COLOR, [255, 0, 0]),
        (["255", "0", "0"], COLOR, [255, 0, 0]),
        ("Light", DOMAINS, ["light"]),
        (["lights", "media player"], DOMAINS, ["light", "media_player"]),
        ('{"level": "5"}', THING, {"level": 5}),
        ({"level": "5", "more": ""}, THING, {"level": 5}),
        ("+10", STEP, 10),
        ("Up", STEP, "up"),
        ("5", {"type": ["integer", "null"]}, 5),
    ],
)
def test_what_is_no_guess_is_converted(value: Any, schema: dict[str, Any], expected: Any) -> None:
    """A value of a wrong type is converted if it can mean only one thing."""
    found = converted(value, schema)
    assert (found, type(found)) == (expected, type(expected))
    assert fits(found, schema)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        # Already right
        (50, INTEGER),
        (0.5, NUMBER),
        ("50", TEXT),
        ("light", ANY_DOMAIN),
        (["light"], ANY_DOMAIN),
        ("down", STEP),
        (None, {"type": ["integer", "null"]}),
        ("anything", {}),
        # Ambiguous
        ("half", INTEGER),
        ("1,000", NUMBER),
        ("1e999", NUMBER),
        ("9" * 400, NUMBER),
        (0.5, INTEGER),
        ("50 or 60", INTEGER),
        (True, INTEGER),
        (1, YES),
        ("on", YES),
        ([1, 2], INTEGER),
        ([[1]], INTEGER),
        (["a", "b"], TEXT),
        ({"a": 1}, TEXT),
        (5, ANY_DOMAIN),
        ("", TEXTS),
        ("[" * 5000, THING),
        ("{", THING),
        ("[1]", THING),
        ("sideways", STEP),
    ],
)
def test_what_is_right_or_a_guess_stays(value: Any, schema: dict[str, Any]) -> None:
    """A right or ambiguous value stays."""
    found = converted(value, schema)
    assert (found, type(found)) == (value, type(value))


def test_what_is_empty_is_left_out() -> None:
    """Unless the tool declares the argument and it is not null."""
    parameters = {
        "properties": {
            "name": TEXT,
            "area": TEXT,
            "note": {"type": ["string", "null"]},
            "n": INTEGER,
        }
    }
    given: dict[str, Any] = {
        "name": "",
        "area": None,
        "note": None,
        "n": "0",
        "a": "",
        "b": [],
        "c": {},
        "d": None,
    }
    assert converted_arguments(given, parameters) == {"name": "", "note": None, "n": 0}
    kept = {"x": 0, "y": False, "z": "no"}
    assert converted_arguments(kept, parameters) == kept
