"""Values that are told as a difference are computed from what is so now."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM

from custom_components.llamacpp.home.exposed import async_exposed, exposed_home
from custom_components.llamacpp.home.language import FOLDER, load
from custom_components.llamacpp.home.numbers import numbers_in
from custom_components.llamacpp.home.words import words_of
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter
from custom_components.llamacpp.nlu.relative import (
    Difference,
    Now,
    difference,
    direction,
    step,
)

from .homes import DECLARED

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


@pytest.mark.parametrize(
    ("code", "text", "sign"),
    [
        ("en", "two degrees less", -1),
        ("en", "turn the heating down by ten degrees", -1),
        ("en", "make it 3 degrees warmer", 1),
        ("en", "turn the heating up 2 degrees", 1),
        ("en", "half a degree warmer", 1),
        ("en", "turn the heating up to 21 degrees", None),
        ("en", "turn the heating down to 5 degrees", None),
        ("en", "set it to 21 degrees", None),
        ("de", "zwei Grad wärmer", 1),
        ("de", "die Heizung um zwei Grad runter", -1),
        ("de", "die Heizung runter auf 18 Grad", None),
        ("it", "abbassa di due gradi", -1),
        ("it", "due gradi in più", 1),
        ("it", "alza a 21 gradi", None),
        ("fr", "baisse de deux degrés", -1),
        ("fr", "un demi-degré de moins", -1),
        ("fr", "monte à 21 degrés", None),
        ("nl", "twee graden lager", -1),
        ("nl", "zet op 21 graden", None),
        ("es", "sube grado y medio", 1),
        ("es", "tres grados menos", -1),
        ("es", "sube a 21 grados", None),
        ("es", "sube un 5 por ciento", 1),
        ("it", "abbassa del 5 percento", -1),
        ("pl", "o dwa stopnie cieplej", 1),
        ("pl", "ustaw na 21 stopni", None),
        ("en", "change it by 2 degrees", 0),
        ("en", "close it 20 percent more", 0),
        ("en", "please dim it 20 percent more", 0),
        ("en", "turn it up 2 degrees less", 0),
        ("en", "it is cold down here, two degrees more", 1),
        ("de", "zwei Grad mehr, es ist zu kalt", 1),
        ("it", "abbassa ancora di due gradi", 0),
        ("fr", "baisse de deux degrés de plus", 0),
        ("es", "baja dos grados más", 0),
    ],
)
def test_differences(code: str, text: str, sign: int | None) -> None:
    """Less, more, the value itself, or a difference of which the direction is not known."""
    found = difference(words_of(text), load(code), is_degrees=True)
    assert (found.sign if found else None) == sign


@pytest.mark.parametrize(
    ("code", "text", "way"),
    [
        ("en", "up 30 percent", 1),
        ("en", "up to 30 percent", 0),
        ("en", "down 30 percent", -1),
        ("de", "hoch 30 Prozent", 1),
        # `Auf` is `up` for a cover, and `to` for all else.
        ("de", "auf Lautstärke 30 Prozent", 0),
        ("it", "metti su volume 30", 0),
    ],
)
def test_directions(code: str, text: str, way: int) -> None:
    """A word that also says `to` is no way up."""
    assert direction(words_of(text), load(code)) == way


@pytest.mark.parametrize(
    ("code", "text", "number"),
    [
        ("en", "sixteen and a half", 16.5),
        ("de", "einundzwanzigeinhalb", 21.5),
        ("de", "anderthalb", 1.5),
        ("it", "ventitré gradi e mezzo", 23.5),
        ("fr", "vingt et un et demi", 21.5),
        ("nl", "twintig en een half", 20.5),
        ("es", "veintiuno y medio", 21.5),
        ("pl", "dwadzieścia jeden i pół", 21.5),
    ],
)
def test_halves(code: str, text: str, number: float) -> None:
    """Half a degree more is said in many ways."""
    assert numbers_in(words_of(text), load(code)) == [number]


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("make the thermostat two degrees warmer", {"temperature": 22}),
        ("thermostat one and a half degrees less", {"temperature": 18.5}),
        ("turn the kitchen light up by 20 percent", {"brightness": 60}),
        ("dim the kitchen light by 90 percent", {"brightness": 0}),
        ("set the thermostat to 25", {"temperature": 25}),
        ("make the kitchen light brighter", {"brightness": 60}),
        ("turn the kitchen light down a bit", {"brightness": 20}),
        ("dim the kitchen light", {"brightness": 20}),
        ("turn up the thermostat", {"temperature": 21}),
        ("make the thermostat cooler", {"temperature": 19}),
        ("make the thermostat half a degree warmer", {"temperature": 20.5}),
        ("make the thermostat ten degrees warmer", {"temperature": 30}),
        ("turn the thermostat up by 2 degrees", {"temperature": 22}),
        ("turn it up ten degrees in the living room", {"temperature": 30}),
        ("two degrees colder in the living room", {"temperature": 18}),
        ("set the living room to 25 degrees", {"temperature": 25}),
        ("turn the television up 10 percent", {"volume_level": 40}),
        ("turn the television up to 10 percent", {"volume_level": 10}),
        ("open the bedroom blind to 40 percent", {"position": 40}),
        ("open the bedroom blind 40 percent", {"position": 40}),
        ("turn the television up by 10 percent", {"volume_level": 40}),
        ("increase the kitchen light by 20 percent", {"brightness": 60}),
        ("lower the bedroom blind by 20 percent", {"position": 80}),
    ],
)
async def test_from_what_is_so_now(home: HomeAssistant, text: str, args: dict[str, float]) -> None:
    """The command has the new value, within its bounds."""
    climate = next(one for one in home.states.async_all("climate"))
    home.states.async_set(
        climate.entity_id, climate.state, {**climate.attributes, "temperature": 20}
    )
    light = home.states.get("light.kitchen_light")
    assert light is not None
    home.states.async_set("light.kitchen_light", "on", {**light.attributes, "brightness": 102})
    for entity_id, state, attribute, value in (
        ("media_player.television", "on", "volume_level", 0.3),
        ("cover.bedroom_blind", "open", "current_position", 100),
    ):
        thing = home.states.get(entity_id)
        assert thing is not None
        home.states.async_set(entity_id, state, {**thing.attributes, attribute: value})
    await async_exposed(home, "conversation").async_read()
    candidates = Candidates(exposed_home(home, "conversation"), load("en"), DECLARED, now=Now(home))
    meant = Interpreter(candidates, load("en")).meaning(text)
    (part,) = meant.parts
    (command,) = (one for one in part if one.is_plain)
    assert args.items() <= command.args.items()


@pytest.mark.parametrize("code", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_every_word_for_more_is_a_step_up(code: str) -> None:
    """And every word for less one down; what says neither is no step, nor is both."""
    language = load(code)
    (sentence,) = [
        one
        for one in language.sentences
        if one.tool == "HassClimateSetTemperature" and one.target == "name"
    ]
    signs = {"more": 1, "less": -1}
    found = {
        (phrase, sign): step(phrase, sentence, language)
        for name, sign in signs.items()
        for phrase in language.lists[name]
    }
    assert not [key for key, told in found.items() if told is None or told.sign != key[1]]
    both = (*language.lists["more"][0], *language.lists["less"][0])
    assert step(both, sentence, language) is None
    assert step(("xanadu",), sentence, language) is None


async def test_what_gets_darker_does_not_go_off(home: HomeAssistant) -> None:
    """A step down ends at one percent, one up at a hundred; a lamp that is there has no step."""
    light = home.states.get("light.kitchen_light")
    assert light is not None
    candidates = Candidates(exposed_home(home, "conversation"), load("en"), DECLARED, now=Now(home))
    for brightness, text, expected in (
        (26, "dim the kitchen light", 1),
        (250, "make the kitchen light brighter", 100),
    ):
        attributes = {**light.attributes, "brightness": brightness}
        home.states.async_set("light.kitchen_light", "on", attributes)
        meant = Interpreter(candidates, load("en")).meaning(text)
        assert {one.args["brightness"] for part in meant.parts for one in part} == {expected}
    home.states.async_set("light.kitchen_light", "on", {**light.attributes, "brightness": 255})
    meant = Interpreter(candidates, load("en")).meaning("make the kitchen light brighter")
    assert not meant.is_plain


def test_it_is_not_known() -> None:
    """Where nothing is known of a thing, a difference is no value."""
    assert Now().value("light.kitchen", "brightness") is None
    assert difference(("twenty",), load("en")) is None
    assert difference((), load("en")) is None
    assert isinstance(difference(("by", "20", "percent", "less"), load("en")), Difference)


async def test_fahrenheit(home: HomeAssistant) -> None:
    """Where it is measured in Fahrenheit, 70 degrees are a temperature, and 20 Celsius were not."""
    assert Now(home).max_degrees == 40
    home.config.units = US_CUSTOMARY_SYSTEM
    assert Now(home).max_degrees == 110
