"""Languages without a file of ours: their words are those of Home Assistant."""

import json
from string import Formatter
from typing import TYPE_CHECKING, Any

import home_assistant_intents as intents
import pytest

from custom_components.llamacpp.home.language import (
    FALLBACK,
    load,
    with_own,
)
from custom_components.llamacpp.home.language import (
    FORM as FORM_FILE,
)
from custom_components.llamacpp.home.pack import kept_pack, make_pack
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.home.words import words_of
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter

from .homes import DECLARED

if TYPE_CHECKING:
    from pathlib import Path

FORM: dict[str, Any] = json.loads(FORM_FILE.read_text(encoding="utf-8"))
# Of all families of languages and scripts that Home Assistant has.
CODES = ("es", "nl", "pl", "sv", "ru", "cs", "fi", "hu", "el", "pt-BR", "ro", "ca", "da", "uk")
NOT = {
    "es": "no",
    "nl": "niet",
    "pl": "nie",
    "sv": "inte",
    "ru": "не",
    "cs": "ne",
    "fi": "älä",
    "hu": "ne",
    "el": "μην",
    "pt-BR": "não",
    "ro": "nu",
    "ca": "no",
    "da": "ikke",
    "uk": "не",
}
HOME = Home(
    (
        ExposedEntity("light.one", ("Xanadu",), area="here"),
        ExposedEntity("lock.one", ("Ruritania",), area="here"),
        ExposedEntity("cover.one", ("Brigadoon",), "blind", "here", frozenset(("position",))),
    ),
    {"here": Place(("Zzyzx",))},
)


@pytest.fixture(scope="module", params=CODES)
def pack(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the pack of a language, with its code."""
    made = make_pack(request.param, FORM)
    assert made is not None
    return {"code": request.param, **made}


def hear(pack: dict[str, Any], tool: str, kind: str) -> set[str]:
    """Return the phrases for things of a kind that are named."""
    return {
        text
        for one in pack["commands"]
        if one["tool"] == tool and kind in one["kinds"] and one.get("target", "name") == "name"
        for text in one["hear"]
    }


def test_on_and_off_are_told_apart(pack: dict[str, Any]) -> None:
    """There are phrases for lights on and off, and none of them is for both."""
    for kind in ("light", "cover"):
        on, off = (hear(pack, tool, kind) for tool in ("HassTurnOn", "HassTurnOff"))
        assert on
        assert off
        assert not on & off


def test_not_is_no_small_word(pack: dict[str, Any]) -> None:
    """A word that turns an order round never counts as one that changes nothing, nor as a verb."""
    for name in ("small", "fillers", "prepositions", "orders", "thanks", "all"):
        assert words_of(NOT[pack["code"]]) not in map(words_of, pack[name]), name
    for one in pack["commands"]:
        assert words_of(NOT[pack["code"]]) not in map(words_of, one["hear"])


def test_commands_can_be_said(pack: dict[str, Any]) -> None:
    """Each that can be said at all names what it is about, and nothing that it does not know."""
    for command in pack["commands"]:
        known = {"name", *command.get("slots", ())}
        for text in (command["say"], command.get("done", "")):
            places = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
            assert places <= known, command
        assert "{name}" in command["say"] or not command["say"]


def test_a_pack_is_of_bounded_size(pack: dict[str, Any]) -> None:
    """It stays small however many sentences Home Assistant gets."""
    assert len(json.dumps(pack, ensure_ascii=False)) < 300_000


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("nl", "zou je Xanadu aan willen doen", {"light.one"}),
        ("nl", "doe Xanadu aan", {"light.one"}),
        ("es", "enciende Xanadu por favor", {"light.one"}),
        ("pl", "proszę włącz Xanadu", {"light.one"}),
        ("sv", "tänd Xanadu", {"light.one"}),
        ("ru", "включи Xanadu", {"light.one"}),
        ("nl", "open Brigadoon", {"cover.one"}),
        ("cs", "otevři Brigadoon", {"cover.one"}),
        ("fi", "avaa Brigadoon", {"cover.one"}),
    ],
)
def test_orders(code: str, text: str, expected: set[str]) -> None:
    """A verb of Home Assistant's sentences, and a name, is an order of ours."""
    language = load(code)
    meant = Interpreter(Candidates(HOME, language, DECLARED), language).meaning(text)
    names = {one.names[0] for one in HOME.things if one.entity_id in expected}
    heard = [one for part in meant.parts for one in part if one.is_heard]
    assert {one.thing for one in heard} == names
    assert {one.tool for one in heard} == {"test__HassTurnOn"}


@pytest.mark.parametrize("code", ["sv", "ru", "fi", "pt-BR"])
def test_words_that_are_not_known(code: str) -> None:
    """Behind a word of which nothing is known no order is done at once, for any phrase."""
    language = load(code)
    interpreter = Interpreter(Candidates(HOME, language, DECLARED), language)
    wrong = {
        text
        for sentence in language.sentences
        for phrase in sentence.hear[::5]
        for name in ("Xanadu", "Ruritania", "Brigadoon")
        if sentence.target == "name" and "todo" not in sentence.kinds
        for text in (f"gribble {' '.join(phrase)} {name}",)
        if interpreter.meaning(text).is_plain
    }
    assert not wrong


def test_it_is_kept(tmp_path: Path) -> None:
    """A pack is made once, made again where its file is damaged, and for another form."""
    folder = tmp_path / "words"
    made = kept_pack("da", FORM, folder)
    (path,) = folder.iterdir()
    kept = json.loads(path.read_text(encoding="utf-8"))
    kept["pack"]["kinds"]["light"]["all"] = "kept"
    path.write_text(json.dumps(kept), encoding="utf-8")
    assert kept_pack("da", FORM, folder)["kinds"]["light"]["all"] == "kept"
    path.write_text("{", encoding="utf-8")
    assert kept_pack("da", FORM, folder) == made
    other = {**FORM, "commands": FORM["commands"][:3]}
    assert len(kept_pack("da", other, folder)["commands"]) <= 3


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    """It only costs time."""
    (tmp_path / "file").write_text("")
    assert kept_pack("da", FORM, tmp_path / "file" / "folder")["commands"]


def test_no_sentences() -> None:
    """Home Assistant has none in Latin: English is used."""
    assert make_pack("la", FORM) is None
    assert load("la").code == FALLBACK
    with pytest.raises(ValueError, match="la"):
        kept_pack("la", FORM, None)


def test_own_words_are_added() -> None:
    """Lists grow, entries are replaced, and phrases go to the commands that a key is for."""
    command = {"tool": "HassTurnOn", "kinds": ["lock"], "hear": [], "say": "{name}"}
    kinds = {"light": {"all": "lamp", "words": ["lamp"]}}
    texts = {"done": "OK.", "what": "?"}
    pack = {"small": ["a"], "kinds": kinds, "texts": texts, "commands": [command]}
    own = {
        "small": ["(b|c)[d]"],
        "kinds": {"light": {"all": "lamps", "words": ["bulb[s]"]}},
        "texts": {"done": "Ready."},
        "colors": {"re(d|ds)": "red"},
        "hear": {"HassTurnOn lock": ["bolt"], "HassTurnOn light": ["light up"]},
        "is_verb_first": True,
    }
    assert with_own(pack, own) == {
        "small": ["a", "bd", "b", "cd", "c"],
        "kinds": {"light": {"all": "lamps", "words": ["lamp", "bulbs", "bulb"]}},
        "texts": {"done": "Ready.", "what": "?"},
        "colors": {"red": "red", "reds": "red"},
        "commands": [{**command, "hear": ["bolt"], "say": "bolt {name}"}],
        "is_verb_first": True,
    }


def test_own_words_take_the_place_of_others() -> None:
    """Lists, words for kinds and verbs can be replaced, and verbs with some words left out."""
    on = {"tool": "HassTurnOn", "hear": ["on", "in"], "say": "on {name}", "done": "OK."}
    light, scene = {**on, "kinds": ["light"]}, {**on, "kinds": ["scene"]}
    kinds = {"fan": {"all": "fan", "words": ["fan", "all"]}}
    pack = {"small": ["a"], "kinds": kinds, "texts": {}, "commands": [light, scene]}
    own = {
        "instead": ["small", "kinds fan", "HassTurnOn scene"],
        "kinds": {"fan": {"words": ["fan"]}},
        "without": ["(in|at)"],
        "small": ["b"],
        "hear": {"scene": ["activate"]},
    }
    found = with_own(pack, own)
    assert found["small"] == ["b"]
    assert found["kinds"] == {"fan": {"all": "fan", "words": ["fan"]}}
    assert [one["hear"] for one in found["commands"]] == [["on"], ["activate"]]


def test_what_is_told() -> None:
    """The last fitting sentence counts; `{name}` stands for all things of a place, too."""
    on = {"tool": "HassTurnOn", "kinds": ["light"], "hear": [], "say": "", "done": "OK."}
    of_area = {**on, "target": "area"}
    silent = {**on, "tool": "HassTurnOff", "kinds": ["lock"]}
    pack = {"kinds": {}, "texts": {}, "commands": [on, of_area, silent]}
    own = {
        "texts": {"area": "{things} in the {area}"},
        "told": {"HassTurnOn": ["on {name}", "{name}: on."], "light all": ["all on: {name}"]},
    }
    said = [(one["say"], one["done"]) for one in with_own(pack, own)["commands"]]
    assert said == [
        ("on {name}", "{name}: on."),
        ("all on: {things} in the {area}", "{things} in the {area}: on."),
    ]


@pytest.mark.parametrize("code", sorted(intents.get_languages()))
def test_every_language(code: str) -> None:
    """Whatever Home Assistant's data look like, there are words, or none."""
    pack, data = make_pack(code, FORM), intents.get_intents(code)
    assert pack is not None
    assert data is not None
    assert pack["commands"] or not data["intents"]
