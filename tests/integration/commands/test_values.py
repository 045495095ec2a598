"""Values of calls come from what was said, and only from there."""

from typing import Any

import pytest

from custom_components.llamacpp.home.language import FOLDER, load

from .homes import commands, parts_of

CODES = sorted(path.stem for path in FOLDER.glob("*.json"))


def values(words: str, argument: str, code: str = "en") -> list[Any]:
    """Return what an argument can be, over all commands whose verb was said."""
    return [
        one.args[argument]
        for part in parts_of(words, code=code)
        for one in part
        if one.is_heard and argument in one.args
    ]


@pytest.mark.parametrize(
    ("words", "argument", "value"),
    [
        ("dim the stove lamp to 30 percent", "brightness", 30),
        ("dim the stove lamp to 30%", "brightness", 30),
        ("dim the stove lamp to thirty five", "brightness", 35),
        ("set the brightness of the stove lamp to half", "brightness", 50),
        ("dim the stove lamp to 0 percent", "brightness", 0),
        ("set the radiator to 21.5 degrees", "temperature", 21.5),
        ("set the radiator to twenty degrees", "temperature", 20),
        ("set the floor lamp to 2700 kelvin", "temperature", 2700),
        ("make the floor lamp blue", "color", "blue"),
        ("set the roller blind to 40 percent", "position", 40),
        ("set the speed of the bedroom fan to 66 percent", "percentage", 66),
        ("set the volume of the telly to 15", "volume_level", 15),
        ("have dusty clean the kitchen", "area", "Kitchen"),
    ],
)
def test_values(words: str, argument: str, value: object) -> None:
    """They are found by their units, as numbers or as names."""
    assert values(words, argument) == [value]


@pytest.mark.parametrize(
    ("words", "argument"),
    [
        ("dim the stove lamp", "brightness"),
        ("dim the stove lamp to 250 percent", "brightness"),
        ("dim the stove lamp to 2.5 percent", "brightness"),
        ("set the radiator to 90 degrees", "temperature"),
        ("set the floor lamp to 20 kelvin", "temperature"),
        ("make the floor lamp plaid", "color"),
        ("set the volume of the telly", "volume_level"),
        ("start a timer", "minutes"),
        ("add to the shopping list", "item"),
    ],
)
def test_no_value(words: str, argument: str) -> None:
    """What was not said, or cannot be, is not made up."""
    assert not [one for part in parts_of(words) for one in part if argument in one.args]


def test_a_number_of_a_name_is_no_value() -> None:
    """Only what is left of a sentence without the name can be a value."""
    words = "set the ceiling light in the bedroom to 20 percent"
    assert set(values(words, "brightness")) == {20}


def test_a_value_goes_before() -> None:
    """Who gives a value does not want the thing just to be turned on."""
    assert {one.tool for one in commands("set the stove lamp to 30 percent")} == {
        "test__HassLightSet"
    }


@pytest.mark.parametrize(
    ("words", "items"),
    [
        ("add milk to the shopping list", ["milk"]),
        ("note down butter on the shopping list", ["butter"]),
        ("add oat milk to my shopping list please", ["oat milk"]),
        ("add salt and vinegar crisps to the shopping list", ["salt and vinegar crisps"]),
        ("add mac and cheese to the shopping list", ["mac and cheese"]),
        ("we need bread on the shopping list", ["bread"]),
        ("please put a kettle on the shopping list", ["kettle"]),
    ],
)
def test_items(words: str, items: list[str]) -> None:
    """What goes on a list is what is left, also if it is called like a thing of the home."""
    assert values(words, "item") == items


@pytest.mark.parametrize(
    ("code", "words", "items"),
    [
        ("de", "setz Brot und Käse auf die Shopping List", ["Brot", "Käse"]),
        ("en", "add milk and eggs to the shopping list", ["milk", "eggs"]),
        ("en", "add milk, eggs and bread to the shopping list", ["milk", "eggs", "bread"]),
        ("en", "add bin bags and toothpaste to the shopping list", ["bin bags", "toothpaste"]),
        ("en", "we need bread and cheese, put them on the shopping list", ["bread", "cheese"]),
        ("es", "mete arroz y tomate frito en la Shopping List", ["arroz", "tomate frito"]),
        ("fr", "note du café et du savon sur la Shopping List", ["café", "savon"]),
        ("it", "segna pane e mozzarella sulla Shopping List", ["pane", "mozzarella"]),
        ("it", "segna sale e pepe sulla Shopping List", ["sale e pepe"]),
        ("it", "segna patatine sale e aceto sulla Shopping List", ["patatine sale e aceto"]),
        ("nl", "zet brood en kaas op de Shopping List", ["brood", "kaas"]),
        ("pl", "dodaj chleb i ser do Shopping List", ["chleb", "ser"]),
    ],
)
def test_several_items(code: str, words: str, items: list[str]) -> None:
    """Two things are two items, as who shops with the list ticks them off one by one.

    What may be the name of one thing stays one item.
    """
    parts = parts_of(words, code=code)
    assert [part[0].args["item"] for part in parts] == items
    assert all(part[0].is_plain for part in parts)


@pytest.mark.parametrize(
    ("code", "words", "given"),
    [
        ("en", "start a timer of ten minutes", {"minutes": 10}),
        ("en", "set a timer for an hour", {"hours": 1}),
        ("en", "timer for 90 seconds", {"seconds": 90}),
        ("en", "set a timer for 2 hours 15 minutes", {"hours": 2, "minutes": 15}),
        ("it", "imposta un timer di dieci minuti", {"minutes": 10}),
        ("it", "un timer di un'ora", {"hours": 1}),
        ("de", "stelle einen Timer auf fünf Minuten", {"minutes": 5}),
        ("fr", "mets un minuteur de dix minutes", {"minutes": 10}),
    ],
)
def test_lengths_of_time(code: str, words: str, given: dict[str, int]) -> None:
    """Numbers with their units."""
    found = [one.args for one in commands(words, code=code) if one.tool == "test__HassStartTimer"]
    assert found == [given]


@pytest.mark.parametrize("code", CODES)
def test_all_colors(code: str) -> None:
    """Each word for a colour is understood, and is a colour that Home Assistant knows."""
    language = load(code)
    (sentence,) = (one for one in language.sentences if "color" in one.slots)
    verb = " ".join(sentence.hear[0])
    for word, color in language.colors.items():
        assert color in values(f"{verb} floor lamp {word}", "color", code), word
