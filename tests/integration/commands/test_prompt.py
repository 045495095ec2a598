"""The home in a prompt for a small model."""

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.prompt.home_prompt import examples, home_prompt, is_listed

from .homes import HOME

ENGLISH = load("en")


def test_names_by_area() -> None:
    """Each name is there once; one that says where it is needs no area."""
    lines = home_prompt(HOME, ENGLISH, None).splitlines()
    assert lines[:2] == [ENGLISH.texts["protocol"], ENGLISH.texts["home"]]
    plain = lines[2].split(", ")
    assert {"Kitchen Light", "Bedroom Fan", "Hall Temperature", "Cosy Evening"} <= set(plain)
    assert "Kitchen: Stove Lamp, Kettle, Shopping List" in lines
    assert not any(" Light" in line for line in lines if line.startswith("Kitchen:"))


def test_who_speaks_where_comes_last() -> None:
    """All that differs from satellite to satellite is behind what is the same."""
    prompts = [home_prompt(HOME, ENGLISH, here).splitlines() for here in (None, "kitchen", "hall")]
    assert prompts[1][:-1] == prompts[2][:-1] == prompts[0]
    assert prompts[1][-1] == "You are in the Kitchen."


def test_a_large_home_is_not_listed() -> None:
    """A list that would fill the context is left out."""
    things = tuple(
        ExposedEntity(f"light.{i}", (f"Lamp number {i}",), area="hall") for i in range(600)
    )
    home = Home(things, {"hall": Place(("Hall",))})
    assert is_listed(HOME)
    assert not is_listed(home)
    assert home_prompt(home, ENGLISH, None) == ENGLISH.texts["protocol"]


def test_examples_are_of_this_home() -> None:
    """They show commands of several kinds, then a chat, and are few."""
    *commands, chat = examples(HOME, ENGLISH)
    assert chat == tuple(ENGLISH.texts["talk"])
    assert len(commands) == len(ENGLISH.texts["examples"])
    names = [thing.name for thing in HOME.things]
    for asked, answer in commands:
        assert answer in asked
        assert any(answer.endswith(name) for name in names)
    assert len({answer for _, answer in commands}) == len(commands)
