"""Orders that name nothing: what was named before is meant, or it is asked."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.conversation import UserContent

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.coreference import MAX_TURNS, Coreference
from custom_components.llamacpp.nlu.interpret import Interpreter
from tests.integration.talk import ask, contents, speech, state_of

from .homes import DECLARED, HOME

if TYPE_CHECKING:
    from .conftest import Talk

LIGHT = "light.kitchen_light"
WHAT = load("en").texts["what"]
PAIR = Home(
    (
        ExposedEntity("light.left", ("Left Lamp",), area="bedroom"),
        ExposedEntity("light.right", ("Right Lamp",), area="bedroom"),
        ExposedEntity("light.hall", ("Hall Light",), area="hall"),
        ExposedEntity("lock.front", ("Front Door",), area="hall"),
        ExposedEntity("lock.back", ("Back Door",), area="hall"),
    ),
    {"bedroom": Place(("Bedroom",)), "hall": Place(("Hall",))},
)


@pytest.mark.parametrize(
    ("text", "is_bare"),
    [
        ("turn it off", True),
        ("Switch everything off, please!", True),
        ("Could you turn on", True),
        ("turn off the kitchen light", False),
        ("turn off the light", False),
        ("make it blue", False),
        ("start cooking", False),
        ("is it off?", False),
        ("it is off", True),
        ("thanks", False),
    ],
)
def test_only_a_verb(text: str, *, is_bare: bool) -> None:
    """It is told from what names something, of the home or not, and from a question."""
    assert Coreference(HOME, load("en")).is_bare(text) is is_bare


THERE = [
    ("de", "und mach da alle Lichter aus"),
    ("en", "and turn off all the lights there"),
    ("es", "y apaga todas las luces ahí"),
    ("fr", "et éteins toutes les lumières là"),
    ("it", "e spegni tutte le luci lì"),
    ("nl", "en doe daar alle lampen uit"),
    ("pl", "i wyłącz tam wszystkie światła"),
]


@pytest.mark.parametrize(("code", "text"), THERE)
def test_there(code: str, text: str) -> None:
    """It is the room of what was named last; without one, it is neither here nor everywhere."""
    language = load(code)
    before = Coreference(HOME, language)
    for here in (None, "kitchen"):
        interpreter = Interpreter(Candidates(HOME, language, DECLARED, here), language)
        assert not interpreter.meaning(text).is_plain
        for named in ("Roller Blind", "Bedroom"):
            (part,) = interpreter.meaning(before.with_place(text, [named])).parts
            assert part[0].is_plain
            assert part[0].args.get("area", part[0].thing).count("Bedroom")
    for unclear in ("Roller Blind, Kettle", "Cosy Evening", ""):
        assert before.with_place(text, [unclear]) == text
    assert before.with_place(f"{text} Kitchen", ["Bedroom"]) == f"{text} Kitchen"


@pytest.mark.parametrize(
    ("before", "text", "whole"),
    [
        (["turn on the floor lamp"], "make it blue", "make it blue Floor Lamp"),
        (["is the kettle on?"], "turn it off", "turn it off Kettle"),
        (["turn on the kettle", "what is that?"], "turn it off", "turn it off Kettle"),
        (["turn on the kettle", "turn on the telly"], "turn it off", "turn it off Telly"),
        (["turn on the kettle and the telly"], "turn it off", "turn it off"),
        (["turn on the kettle"], "turn everything off", "turn everything off"),
        (["turn on the kettle"], "turn off the light", "turn off the light"),
        (["turn on the kettle"], "is it on?", "is it on?"),
        (["turn on the kettle"], "thanks", "thanks"),
        (["turn on the kettle", *["hm"] * MAX_TURNS], "turn it off", "turn it off"),
        ([], "turn it off", "turn it off"),
    ],
)
def test_what_was_named_before(before: list[str], text: str, whole: str) -> None:
    """The newest thing is meant, if it was one, and if nothing is named now."""
    assert Coreference(HOME, load("en")).with_name(text, before) == whole


async def test_it(talk: Talk) -> None:
    """What was switched on can be switched off again without its name."""
    first = await ask(talk.hass, "Turn on the kitchen light")
    assert state_of(talk.hass, LIGHT).state == "on"
    result = await ask(talk.hass, "Turn it off again", first.conversation_id)
    assert speech(result) == "Turned off Kitchen Light."
    assert state_of(talk.hass, LIGHT).state == "off"
    (said,) = (
        one.content for one in contents(talk.hass, result)[-4:-3] if isinstance(one, UserContent)
    )
    assert said == "Turn it off again"


@pytest.mark.parametrize("words", ["Turn it on", "Turn everything on"])
async def test_it_is_asked_what_is_meant(talk: Talk, words: str) -> None:
    """The model would say that it had done it; the name alone is enough then."""
    result = await ask(talk.hass, words)
    assert speech(result) == WHAT
    assert result.continue_conversation
    assert not talk.requests
    result = await ask(talk.hass, "The kitchen light", result.conversation_id)
    assert speech(result) == "Turned on Kitchen Light."
    assert state_of(talk.hass, LIGHT).state == "on"


async def test_a_script_is_not_run_at_once_instead_of_later(talk: Talk) -> None:
    """Where there are no timers, it is not run at all."""
    result = await ask(talk.hass, "Run good night in 10 minutes")
    assert speech(result) == load("en").texts["no_timers"]
    assert not talk.requests


@pytest.mark.parametrize(
    ("before", "text", "whole"),
    [
        ("turn on the left lamp", "and the other one too", "turn on the Right Lamp"),
        ("turn on the left lamp", "no, the right one", "turn on the Right Lamp"),
        ("turn off the right lamp", "the left lamp as well please", "turn off the Left Lamp"),
        ("turn on the left lamp", "the hall light", "turn on the Hall Light"),
        ("turn on the left lamp", "the hall light never", "turn on the Hall Light never"),
        ("turn on the hall light", "the other one", ""),
        ("turn on the left lamp", "the right lamp?", ""),
        ("turn on the left lamp", "turn off the right lamp", ""),
        ("turn on the left lamp", "thanks", ""),
        ("turn on the left lamp", "yes", ""),
        ("turn on the left lamp", "why is the sky blue", ""),
        ("turn on the left lamp", "and not the other one", "turn on the Right Lamp not"),
        ("turn on the left lamp", "the other one no", "turn on the Right Lamp no"),
        ("turn on the left lamp", "no, not the right lamp", "turn on the Right Lamp not"),
        ("unlock the front door", "no, the back door", ""),
        ("unlock the front door", "the back door too", ""),
        ("unlock the front door", "the other one", ""),
    ],
)
def test_the_same_for_something_else(before: str, text: str, whole: str) -> None:
    """An order is repeated for what is named, or for the other of two, but for locks."""
    language = load("en")
    interpreter = Interpreter(Candidates(PAIR, language, DECLARED), language)
    commands = [part[0] for part in interpreter.meaning(before).parts]
    found = Coreference(PAIR, language).same_for(text, commands)
    assert found == whole
    if whole and whole.rsplit(maxsplit=1)[-1] not in {"Lamp", "Light"}:
        assert not interpreter.meaning(found).is_plain


@pytest.mark.parametrize(
    ("before", "text", "whole"),
    [
        ("set the radiator to 21 degrees", "22 please", "set the Radiator to 22 degrees"),
        ("set the radiator to 21 degrees", "no, 22.5", "set the Radiator to 22.5 degrees"),
        ("set the radiator to 21 degrees", "not 22", "set the Radiator to 22 degrees not"),
        ("set the radiator to 21 degrees", "two degrees less", ""),
        ("set the radiator to 21 degrees", "22 for the telly", ""),
        ("set the radiator to 21 degrees", "is it 22?", ""),
        ("turn on the kettle", "22", ""),
        (
            "turn on all the lights in the lounge",
            "and in the kitchen",
            "turn on all lights in the Kitchen",
        ),
        (
            "turn on all the lights in the lounge",
            "not in the kitchen",
            "turn on all lights in the Kitchen not",
        ),
        ("turn on the kettle", "and in the bedroom", ""),
        ("turn on the lounge ceiling light", "and in the bedroom", "turn on the Ceiling Light"),
    ],
)
def test_the_same_with_another_value_or_elsewhere(before: str, text: str, whole: str) -> None:
    """What is only a value, or a room, is about the order before; other words stay behind it."""
    language = load("en")
    interpreter = Interpreter(Candidates(HOME, language, DECLARED), language)
    commands = [part[0] for part in interpreter.meaning(before).parts]
    assert Coreference(HOME, language).same_for(text, commands) == whole


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("no, turn it off", "turn it off"),
        ("no, the left one", "the left one"),
        ("no", "no"),
        ("no turn it off", "no turn it off"),
        ("turn it off, no", "turn it off, no"),
    ],
)
def test_a_no_before_an_order(text: str, rest: str) -> None:
    """It is left out only where a mark ends it."""
    assert Coreference(HOME, load("en")).without_no(text) == rest


@pytest.mark.parametrize(
    ("code", "text", "is_all"),
    [
        ("en", "both", True),
        ("en", "both of them please", True),
        ("en", "not both", False),
        ("en", "both are broken", False),
        ("de", "alle beide bitte", True),
        ("de", "nicht beide", False),
        ("it", "tutte e due", True),
        ("it", "non entrambe", False),
        ("es", "los dos", True),
        ("es", "ninguno de los dos", False),
        ("pl", "oba", True),
        ("pl", "nie oba", False),
    ],
)
def test_both(code: str, text: str, *, is_all: bool) -> None:
    """It is all that is said: what takes it back makes it something else."""
    assert Coreference(PAIR, load(code)).is_for_all(text) is is_all


@pytest.mark.parametrize(
    ("code", "before", "text"),
    [
        ("de", "schalte Left Lamp ein", "nicht die andere"),
        ("fr", "allume Left Lamp", "pas l'autre"),
        ("it", "accendi Left Lamp", "non l'altra"),
        ("nl", "zet Left Lamp aan", "niet de andere"),
        ("es", "enciende Left Lamp", "la otra no"),
        ("pl", "włącz Left Lamp", "ale nie drugą"),
    ],
)
def test_not_the_other_one(code: str, before: str, text: str) -> None:
    """The opposite is never done."""
    language = load(code)
    interpreter = Interpreter(Candidates(PAIR, language, DECLARED), language)
    commands = [part[0] for part in interpreter.meaning(before).parts]
    assert [one.thing for one in commands] == ["Left Lamp"]
    found = Coreference(PAIR, language).same_for(text, commands)
    assert not (found and interpreter.meaning(found).is_plain)


@pytest.mark.parametrize(
    ("text", "is_order"),
    [
        ("turn on the pool", True),
        ("please unlock the poarch", True),
        ("could you dim the moon", True),
        ("tell me a joke", False),
        ("why is the sky blue", False),
        ("my son turned on the pool", False),
    ],
)
def test_what_begins_with_an_order(text: str, *, is_order: bool) -> None:
    """What fits nothing of the home is no chat for all that: the model would say it is done."""
    assert Coreference(HOME, load("en")).begins_with_order(text) is is_order


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("left lamp off, hall light on", [{"turn off the Left Lamp"}, {"turn on the Hall Light"}]),
        (
            "left lamp off, right lamp off and hall light on",
            [{"turn off the Left Lamp"}, {"turn off the Right Lamp"}, {"turn on the Hall Light"}],
        ),
    ],
)
def test_several_between_commas(text: str, expected: list[set[str]]) -> None:
    """Each piece has an order of its own."""
    language = load("en")
    meant = Interpreter(Candidates(PAIR, language, DECLARED), language).meaning(text)
    assert meant.is_plain
    assert [{one.text for one in part if one.is_plain} for part in meant.parts] == expected


@pytest.mark.parametrize(
    "text",
    [
        "left lamp off, nonsense and hall light on",
        "left lamp off, and the gribble too, hall light on",
        "left lamp off and then the front door",
    ],
)
def test_nothing_is_lost_of_several(text: str) -> None:
    """Where one of the pieces is not understood, none of them is done at once."""
    language = load("en")
    meant = Interpreter(Candidates(PAIR, language, DECLARED), language).meaning(text)
    assert not meant.is_plain
