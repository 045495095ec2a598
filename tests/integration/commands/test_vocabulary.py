"""The words that our files add: each is in a sentence that wants it, and does what it says."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmarks.lib.assist_set.cases import load_set
from custom_components.llamacpp.home.language import FOLDER, help_phrases, load
from custom_components.llamacpp.home.templates import texts_of
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.home.words import has_phrase, words_of
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter
from custom_components.llamacpp.nlu.relative import Now
from custom_components.llamacpp.nlu.utterance import understand
from custom_components.llamacpp.turn.help import MAX_WORDS
from tests.benchmarks.test_sets import SETS

from .homes import DECLARED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.nlu.candidates import Command

# For each language, by what they do in the home below, sentences that no set has.
VOCABULARY = Path(__file__).with_name("vocabulary")
CODES = sorted(path.stem for path in FOLDER.glob("*.json"))
# What asks for help, and what does nothing.
HELP = "help"
TALK = {"question": "is_question", "chat": "is_chat", "time": "is_about_time"}
# Behind a call that is asked about.
ASKED = "?"
# Names and rooms that are no words of any language.
HERE, CURTAINS, AWNINGS, GARAGE = "zzyzx", "qwghlm", "llareggub", "sylvania"
OPENS = frozenset(("position",))
HOME = Home(
    things=(
        ExposedEntity(
            "light.xanadu",
            ("Xanadu",),
            area=HERE,
            abilities=frozenset(("brightness", "color", "color_temp")),
        ),
        ExposedEntity("switch.laputa", ("Laputa",), "outlet", HERE),
        ExposedEntity("fan.lilliput", ("Lilliput",), area=HERE, abilities=frozenset(("speed",))),
        ExposedEntity("cover.brigadoon", ("Brigadoon",), "blind", HERE, OPENS),
        ExposedEntity("cover.camelot", ("Camelot",), "curtain", CURTAINS, OPENS),
        ExposedEntity("cover.avalon", ("Avalon",), "awning", AWNINGS, OPENS),
        ExposedEntity("cover.erewhon", ("Erewhon",), "garage", GARAGE),
        ExposedEntity("lock.ruritania", ("Ruritania",), area=HERE),
        ExposedEntity("climate.elbonia", ("Elbonia",), area=HERE),
        ExposedEntity("media_player.atlantis", ("Atlantis",), area=HERE),
        ExposedEntity("media_player.narnia", ("Narnia",), "tv", HERE),
        ExposedEntity(
            "vacuum.utopia", ("Utopia",), area=HERE, abilities=frozenset(("clean_area",))
        ),
        ExposedEntity("lawn_mower.arcadia", ("Arcadia",), area=HERE),
        ExposedEntity("scene.shangrila", ("Shangrila",), area=HERE),
        ExposedEntity("todo.eldorado", ("Eldorado",), area=HERE),
        ExposedEntity("valve.lemuria", ("Lemuria",), area=HERE),
        ExposedEntity("humidifier.agartha", ("Agartha",), area=HERE),
        ExposedEntity("siren.hyperborea", ("Hyperborea",), area=HERE),
        ExposedEntity("water_heater.thule", ("Thule",), area=HERE),
        ExposedEntity("button.ithaca", ("Ithaca",), area=HERE),
    ),
    areas={one: Place((one.title(),)) for one in (HERE, CURTAINS, AWNINGS, GARAGE)},
)
TARGET = ("name", "area", "floor")
TOOLS = {
    **DECLARED,
    **{
        name: (f"test__{name}", TARGET)
        for name in (
            *("HassMediaNext", "HassMediaPrevious", "HassMediaPlayerMute"),
            *("HassMediaPlayerUnmute", "HassLawnMowerStartMowing", "HassLawnMowerDock"),
        )
    },
    "HassHumidifierSetpoint": ("test__HassHumidifierSetpoint", ("name", "humidity")),
}
# What is set when each sentence is said: the half of everything, and 20 degrees.
VALUES = {
    **dict.fromkeys(("percentage", "current_position", "humidity"), 50),
    "brightness": 127.5,
    "volume_level": 0.5,
    "temperature": 20,
}
STARTS = ("HassVacuumStart", "HassLawnMowerStartMowing", "HassTurnOn")
# Whose values tell no more than its name does.
OF_KINDS = ("domain", "device_class")


@cache
def vocabulary(code: str) -> dict[str, list[str]]:
    """Return sentences by what they do."""
    found: dict[str, list[str]] = yaml.safe_load((VOCABULARY / f"{code}.yaml").read_text("utf-8"))
    return found


@cache
def said(code: str) -> tuple[tuple[str, ...], ...]:
    """Return the words of all sentences of a language: of its set, and of its vocabulary."""
    of_set = (
        text
        for home in load_set(SETS / code)
        for case in home.cases
        for text in (*case.before, case.sentence)
    )
    own = (text for texts in vocabulary(code).values() for text in texts)
    return tuple(words_of(text) for text in (*of_set, *own))


def told(command: Command) -> str:
    """Return a call in short: `HassLightSet Xanadu 30`."""
    values = (value for name, value in command.args.items() if name not in OF_KINDS)
    return " ".join((command.tool.rpartition("__")[2], *map(str, values)))


@pytest.mark.parametrize("code", CODES)
async def test_what_is_said(hass: HomeAssistant, code: str) -> None:
    """Each sentence does what it stands under, at once or when asked back, and nothing else."""
    language = load(code)
    for thing in HOME.things:
        hass.states.async_set(thing.entity_id, "unknown", VALUES)
    now = Now(hass)
    wrong = []
    for expected, texts in vocabulary(code).items():
        for text in texts:
            if expected == HELP:
                is_right = words_of(text) in help_phrases(code)
            elif expected in TALK:
                is_right = getattr(understand(text, language), TALK[expected])
            else:
                meaning = Interpreter(Candidates(HOME, language, TOOLS, now=now), language).meaning(
                    text
                )
                firsts = [part[0] for part in meaning.parts]
                is_asked = not all(one.is_plain or one.reads for one in firsts)
                is_right = expected == ", ".join(map(told, firsts)) + ASKED * is_asked
            if not is_right:
                wrong.append((expected, text))
    assert not wrong


def entries(code: str) -> Iterator[tuple[str, str]]:
    """Yield the templates of a file of ours, and where each is.

    They are for verbs, kinds of things, and requests for help.
    """
    raw: dict[str, Any] = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
    for name, texts in raw["hear"].items():
        yield from ((name, text) for text in texts)
    yield from ((HELP, text) for text in raw[HELP])
    for name, one in raw["kinds"].items():
        yield from ((name, text) for text in (*one.get("plurals", ()), *one.get("words", ())))


@pytest.mark.parametrize("code", CODES)
def test_every_word_is_wanted(code: str) -> None:
    """Each word for a verb, a kind or help is there for a sentence that has its phrase."""
    unwanted = []
    for name, template in entries(code):
        phrases = [words_of(text) for text in texts_of(template)]
        found = {
            word
            for phrase in phrases
            if any(has_phrase(phrase, words) for words in said(code))
            for word in phrase
        }
        if rest := {word for phrase in phrases for word in phrase} - found:
            unwanted.append((name, template, sorted(rest)))
    assert not unwanted


@pytest.mark.parametrize("code", CODES)
def test_help_is_no_order(code: str) -> None:
    """Where somebody asks for help, nothing else is understood that could be done."""
    language = load(code)
    assert help_phrases(code)
    for phrase in help_phrases(code):
        assert len(phrase) <= MAX_WORDS
        meaning = Interpreter(Candidates(HOME, language, TOOLS), language).meaning(" ".join(phrase))
        assert not any(one.is_heard and one.is_plain for part in meaning.parts for one in part)


@pytest.mark.parametrize("code", CODES)
def test_off_starts_nothing(code: str) -> None:
    """Whatever switches a light off, in whatever order of words, starts no vacuum and no mower."""
    language = load(code)
    off = {
        phrase
        for sentence in language.sentences
        if sentence.tool == "HassTurnOff" and "light" in sentence.kinds
        for phrase in sentence.hear
        if len(phrase) <= 2
    }
    assert off
    interpreter = Interpreter(Candidates(HOME, language, TOOLS), language)
    for name in ("Utopia", "Arcadia"):
        for first, *rest in off:
            last = " ".join(rest)
            for text in (
                f"{first} {last} {name}",
                f"{first} {name} {last}",
                f"{name} {first} {last}",
            ):
                meaning = interpreter.meaning(text)
                tools = {part[0].tool for part in meaning.parts} if meaning.is_plain else set()
                assert not [one for one in tools if one.endswith(STARTS)], text
