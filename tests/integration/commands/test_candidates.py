"""What a sentence can mean in a home: the commands among which a model chooses."""

from dataclasses import replace

import pytest

from custom_components.llamacpp.home.things import ExposedEntity, Home, Place

from .homes import HOME, commands, heard, parts_of


@pytest.mark.parametrize(
    "words",
    [
        "turn on the stove lamp",
        "Switch the STOVE LAMP on, please!",
        "turn on the cooker light",
        "turn on the stofe lamp",
        "turn on the stove lapm",
        "turn the stove lamps on",
    ],
)
def test_names(words: str) -> None:
    """Names, aliases and slips of the tongue all mean the thing by its name."""
    assert heard(words) == {"turn on the Stove Lamp"}


def test_a_whole_name_is_stronger_than_kind_and_place() -> None:
    """Another light in the kitchen is not the kitchen light."""
    assert heard("turn on the kitchen light") == {"turn on the Kitchen Light"}


def test_the_opposite_cannot_be_chosen() -> None:
    """What was ordered is all that there is to choose; without a verb the model decides."""
    assert {one.text for one in commands("turn on the kettle")} == {"turn on the Kettle"}
    assert {one.text for one in commands("the kettle")} == {
        "turn on the Kettle",
        "turn off the Kettle",
    }


@pytest.mark.parametrize(
    ("words", "command", "args"),
    [
        (
            "turn off the kettle",
            "turn off the Kettle",
            {"name": "Kettle", "domain": ["switch"]},
        ),
        (
            "close the blind in the bedroom",
            "close the Roller Blind",
            {"name": "Roller Blind", "domain": ["cover"]},
        ),
        (
            "activate cosy evening",
            "activate the scene Cosy Evening",
            {"name": "Cosy Evening", "domain": ["scene"]},
        ),
        (
            "turn off all lights in the kitchen",
            "turn off all lights in the Kitchen",
            {"area": "Kitchen", "domain": ["light"]},
        ),
        (
            "turn off the lights in the lounge",
            "turn off all lights in the Living Room",
            {"area": "Living Room", "domain": ["light"]},
        ),
        (
            "turn on all lights upstairs",
            "turn on all lights on the Upper Floor",
            {"floor": "Upper Floor", "domain": ["light"]},
        ),
        ("turn off all the lights", "turn off all lights", {"domain": ["light"]}),
        (
            "close the blinds in the bedroom",
            "close all blinds in the Bedroom",
            {"area": "Bedroom", "domain": ["cover"], "device_class": ["blind"]},
        ),
        ("louder on the telly", "turn up the volume of the Telly", None),
        (
            "what is on the shopping list",
            "read out the Shopping List",
            {"todo_list": "Shopping List"},
        ),
    ],
)
def test_calls(words: str, command: str, args: dict[str, object] | None) -> None:
    """A command stands for a call with the home's own names."""
    found = {one.text: one for one in commands(words)}
    assert command in found
    assert found[command].is_heard
    if args is not None:
        assert found[command].args == args


@pytest.mark.parametrize(
    ("words", "area"),
    [
        ("turn on the ceiling light in the bedroom", "Bedroom"),
        ("turn on the light in the bedroom", "Bedroom"),
        ("turn on the ceiling light in the lounge", "Living Room"),
    ],
)
def test_a_kind_in_a_place(words: str, area: str) -> None:
    """Of two things with one name it is the one in the place, and the call names the place."""
    (command,) = [one for one in commands(words) if one.is_heard and "name" in one.args]
    assert command.args == {"name": "Ceiling Light", "domain": ["light"], "area": area}
    assert command.text == f"turn on the Ceiling Light ({area})"


def test_one_name_twice() -> None:
    """Without a place both can be meant, and are told apart."""
    found = [one for one in commands("turn on the ceiling light") if one.is_heard]
    assert [one.args["area"] for one in found] == ["Living Room", "Bedroom"]
    assert len({one.text for one in found}) == 2


def test_one_name_for_different_kinds() -> None:
    """A lock is not a contact of the same name: the domain tells them apart."""
    home = Home(
        (ExposedEntity("lock.door", ("Door",)), ExposedEntity("binary_sensor.door", ("Door",)))
    )
    (command,) = [one for one in commands("lock the door", home=home) if one.is_heard]
    assert command.args == {"name": "Door", "domain": ["lock"]}


def test_where_somebody_speaks() -> None:
    """Without a place, those of the satellite's area are meant, if there are any."""
    assert heard("turn on the light", here="kitchen") == {"turn on all lights in the Kitchen"}
    assert heard("turn on the light", here="bedroom") == {
        "turn on the Ceiling Light (Bedroom)",
    }
    assert "turn off all lights in the Kitchen" in heard("turn off the lights", here="kitchen")
    assert "turn off all lights" not in heard("turn off the lights", here="kitchen")
    assert heard("close the blind", here="kitchen") == {"close the Roller Blind"}


def test_a_named_place_is_stronger_than_where_somebody_speaks() -> None:
    """Who asks for another room gets it."""
    found = heard("turn off all lights in the bedroom", here="kitchen")
    assert "turn off all lights in the Bedroom" in found
    assert not [one for one in found if "Kitchen" in one]


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        (
            "turn off the kettle and close the roller blind",
            "turn off the Kettle",
            "close the Roller Blind",
        ),
        ("turn off the kettle and the telly", "turn off the Kettle", "turn off the Telly"),
        (
            "dim the stove lamp to 20 percent and set the radiator to 19 degrees",
            "set the brightness of the Stove Lamp to 20 percent",
            "set the Radiator to 19 degrees",
        ),
    ],
)
def test_two_things_in_one_sentence(words: str, first: str, second: str) -> None:
    """Each part has its own commands; a verb holds for all that follows without one."""
    parts = [{one.text for one in part if one.is_heard} for part in parts_of(words)]
    assert parts == [{first}, {second}]


@pytest.mark.parametrize(
    "words",
    [
        *("hello there", "turn on the moon", "I am tired", "so dark in here", ""),
        *("what do you think of poetry", "on", "ok"),
    ],
)
def test_nothing_is_meant(words: str) -> None:
    """What names nothing of the home has no commands."""
    assert parts_of(words) == []


def test_only_what_the_tools_can_do() -> None:
    """A thing that cannot be dimmed, or has no colour, is not offered that."""
    assert not [one for one in commands("make the kettle red") if "color" in one.args]
    assert not [one for one in commands("make the kitchen light red") if "color" in one.args]
    assert heard("make the floor lamp red") == {"make the Floor Lamp red"}


def test_nothing_for_sensors() -> None:
    """They have no commands."""
    assert parts_of("turn on the hall temperature") == []


CRITICAL = ("front door", "garage door", "garden tap")


@pytest.mark.parametrize("name", CRITICAL)
def test_what_could_do_harm(name: str) -> None:
    """It is marked, and without a verb nothing of it counts as heard."""
    found = commands(f"the {name}")
    assert found
    assert all(one.is_critical for one in found)
    assert not any(one.is_heard for one in found)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("lock the front door", "lock the Front Door"),
        ("please unlock the front door", "unlock the Front Door"),
        ("open the garage door", "open the Garage Door"),
        ("close the garage door", "close the Garage Door"),
        ("close the garden tap", "close the Garden Tap"),
    ],
)
def test_harm_is_heard(words: str, command: str) -> None:
    """Only the verb that was said counts, never its opposite."""
    critical = [one for one in commands(words) if one.is_critical and one.is_heard]
    assert [one.text for one in critical] == [command]


def test_something_else_is_no_harm() -> None:
    """A gate is no door: what was named is another thing, so it is asked back."""
    for words, is_plain in (("unlock the front door", True), ("unlock the front gate", False)):
        (command,) = [one for one in commands(words) if one.is_critical and one.is_heard]
        assert (command.text, command.is_plain) == ("unlock the Front Door", is_plain)


def test_small_words_name_nothing_else() -> None:
    """The `a` of `chiudi a chiave` is also in names of kinds, which are not meant with it."""
    home = Home((ExposedEntity("lock.cellar", ("Porta cantina",)),))
    (command,) = [
        one
        for one in commands("Chiudi a chiave la porta cantina", None, "it", home)
        if one.is_heard
    ]
    assert (command.text, command.is_named) == ("chiudi a chiave Porta cantina", True)


@pytest.mark.parametrize(
    "words",
    [
        *("turn off the kitchen light", "turn on the stove lamp", "close the roller blind"),
        *("turn off all lights", "dim the floor lamp to 10 percent", "add a lock to my shopping"),
        *("start a timer of five minutes", "pause the telly"),
    ],
)
def test_harmless_sentences_offer_no_harm(words: str) -> None:
    """A lock, a gate or a valve is not among what a sentence about something else can mean."""
    assert not [one.text for part in parts_of(words) for one in part if one.is_critical]


def test_a_name_with_signs() -> None:
    """Names are kept as they are, in the command and in the call."""
    name = 'Nonna\'s "Lume" \\ é 💡 {x}'
    home = replace(HOME, things=(ExposedEntity("light.lume", (name,)), *HOME.things))
    found = {one.text: one for one in commands("turn on nonna's lume è x", home=home)}
    assert found[f"turn on the {name}"].args["name"] == name


def test_commands_are_bounded() -> None:
    """A home of many lights does not make a grammar without end."""
    rooms = {f"room{i}": Place((f"Room {i}",)) for i in range(40)}
    lights = tuple(
        ExposedEntity(f"light.l{i}_{n}", (f"Light {n}",), area=f"room{i}")
        for i in range(40)
        for n in range(5)
    )
    found = commands("turn on the light", home=Home(lights, rooms))
    assert 0 < len(found) < 100
    assert len({one.text for one in found}) == len(found)


@pytest.mark.parametrize(
    ("words", "code", "command"),
    [
        ("accendi la luce in cucina", "it", "accendi Faretti"),
        ("spegni tutte le luci in cucina", "it", "spegni tutte le luci in Cucina"),
        ("schalte das Licht in der Cucina ein", "de", "Faretti"),
        ("allume la lampe de la Cucina", "fr", "Faretti"),
    ],
)
def test_languages(words: str, code: str, command: str) -> None:
    """Commands are in the speaker's language, names are the home's."""
    home = Home(
        (ExposedEntity("light.faretti", ("Faretti",), area="cucina"),),
        {"cucina": Place(("Cucina",))},
    )
    found = [one.text for one in commands(words, code=code, home=home) if one.is_heard]
    assert [one for one in found if command in one]


def test_a_value_in_a_place() -> None:
    """Degrees are for what can be heated there; a number of minutes is none of degrees."""
    (command,) = [one for one in commands("set 20 degrees in the living room") if one.is_heard]
    assert (command.text, command.is_named) == ("set the Radiator to 20 degrees", True)
    assert heard("in the living room set a timer for 5 minutes") == {"start a timer of 5 minutes"}


@pytest.mark.parametrize(("device_class", "is_named"), [("gate", False), ("curtain", True)])
def test_a_place_is_not_enough_for_harm(device_class: str, *, is_named: bool) -> None:
    """A gate has to be named, even if nothing else in a place could be meant."""
    thing = ExposedEntity(
        "cover.it",
        ("Xanadu",),
        device_class=device_class,
        area="garden",
        abilities=frozenset(("position",)),
    )
    home = Home((thing,), areas=HOME.areas)
    found = [one for one in commands("set 50 percent in the garden", home=home) if one.is_heard]
    assert [(one.text, one.is_named) for one in found] == [
        ("set the Xanadu to 50 percent", is_named)
    ]


def test_several_on_a_floor() -> None:
    """One word means all that there are on a floor with several rooms."""
    assert "turn off all lights on the Ground Floor" in heard("turn the light off downstairs")
