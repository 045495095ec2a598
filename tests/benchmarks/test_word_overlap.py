"""The agent without a model: the command with the most words of a sentence."""

import pytest

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from dev.custom_components.word_overlap.overlap import choose, commands, overlap

HOME = Home(
    things=(
        ExposedEntity(
            "light.lamp", ("Floor Lamp",), area="den", abilities=frozenset(("brightness",))
        ),
        ExposedEntity("light.spot", ("Spot",), area="den"),
        ExposedEntity("cover.door", ("Garage Door", "gate"), "garage", area="garage"),
        ExposedEntity("todo.shopping", ("Shopping List",)),
    ),
    areas={"den": Place(("Den",), "ground"), "garage": Place(("Garage",))},
    floors={"ground": Place(("Ground Floor",))},
)


def test_overlap_is_a_share_of_both() -> None:
    """Twice the shared words divided by those of both sentences."""
    assert overlap({"a", "b"}, {"a", "b"}) == 1
    assert overlap({"a", "b", "c"}, {"a"}) == 0.5
    assert overlap({"a"}, {"b"}) == 0
    assert overlap(set(), set()) == 0


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("Please turn on the floor lamp", "turn on the Floor Lamp"),
        ("Close the gate!", "close the gate"),
        ("turn off all lights in the den", "turn off all lights in the Den"),
        (
            "set the brightness of the floor lamp to 30%",
            "set the brightness of the Floor Lamp to 30 percent",
        ),
        ("Add green apples to the shopping list", "add green apples to the Shopping List"),
        ("Why is the sky blue?", None),
        ("", None),
    ],
)
def test_command_with_most_words_is_chosen(text: str, command: str | None) -> None:
    """With too few shared words there is none."""
    chosen = choose(text, HOME, load("en"))

    assert (chosen.text if chosen else None) == command


def test_command_stands_for_a_call() -> None:
    """An alias gives the name; a number is copied."""
    gate = choose("open the gate", HOME, load("en"))
    dimmed = choose("set the brightness of the floor lamp to 30%", HOME, load("en"))

    assert gate is not None
    assert (gate.tool, gate.args) == ("HassTurnOn", {"name": "Garage Door", "domain": ["cover"]})
    assert dimmed is not None
    assert dimmed.args == {"name": "Floor Lamp", "domain": ["light"], "brightness": 30}


def test_commands_are_those_of_the_home() -> None:
    """Only existing entities, and no reading commands."""
    found = [one.text for one in commands((), HOME, load("en"))]

    assert "turn off the Spot" in found
    assert "turn on all lights on the Ground Floor" in found
    assert "turn on all lights in the Garage" not in found
    assert not any("percent" in one or "read" in one for one in found)
