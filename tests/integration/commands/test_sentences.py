"""The sentences of all languages: they stand for the same calls, and can be filled and heard."""

import json
import re
from collections import Counter
from itertools import combinations
from string import Formatter
from typing import Any

import pytest

from custom_components.llamacpp.home.language import (
    FALLBACK,
    FOLDER,
    FORM,
    LISTS,
    Sentence,
    load,
    phrases,
)
from custom_components.llamacpp.home.numbers import numbers_in
from custom_components.llamacpp.home.pack import make_pack
from custom_components.llamacpp.home.templates import MAX_CHOICES, texts_of
from custom_components.llamacpp.home.words import words_of
from custom_components.llamacpp.nlu.utterance import is_any, understand
from custom_components.llamacpp.nlu.verbs import Verbs

CODES = sorted(path.stem for path in FOLDER.glob("*.json"))
# Those in which every command is told in sentences of ours.
TOLD = ("de", "en", "fr", "it")
OTHERS = [code for code in TOLD if code != FALLBACK]
# What a sentence can be filled with, beside its slots.
PLACES = {
    "name": {"name"},
    "area": {"things", "area"},
    "floor": {"things", "floor"},
    "home": {"things"},
    "none": set[str](),
}
WORTH = ("numbers", "levels", "parts", "colors")
_GROUP = re.compile(r"[(\[]([^()\[\]]*)[)\]]")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose keys are all different."""
    assert not [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
    return dict(pairs)


def _raw(code: str) -> dict[str, Any]:
    text = (FOLDER / f"{code}.json").read_text(encoding="utf-8")
    raw: dict[str, Any] = json.loads(text, object_pairs_hook=_unique)
    return raw


def _form() -> dict[str, Any]:
    form: dict[str, Any] = json.loads(FORM.read_text(encoding="utf-8"))
    return form


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _call(sentence: Sentence) -> str:
    """Return what a sentence stands for."""
    parts = (sentence.tool, sorted(sentence.kinds), sentence.target, sentence.needs)
    rest = (dict(sentence.slots), dict(sentence.args), sentence.reads, sentence.name_arg)
    return json.dumps([*parts, *rest, sentence.done is not None])


@pytest.mark.parametrize("code", TOLD)
def test_every_command_is_there(code: str) -> None:
    """Each of the form can be said, and told unless it only reads."""
    expected = Counter(
        _call(Sentence.of({**one, "say": "", "hear": [], "done": None if one.get("reads") else ""}))
        for one in _form()["commands"]
    )
    assert Counter(map(_call, load(code).sentences)) == expected


@pytest.mark.parametrize("code", OTHERS)
def test_fallback_has_the_same_texts(code: str) -> None:
    """Units and texts are there, and each text has the same places."""
    language, fallback = load(code), load(FALLBACK)
    assert set(language.units) == set(fallback.units)
    assert set(language.kinds) == set(fallback.kinds) == {*_form()["kinds"]}
    assert set(language.texts) == set(fallback.texts) == set(_raw(code)["texts"])
    for name, text in fallback.texts.items():
        texts, others = (
            [one] if isinstance(one, str) else one for one in (text, language.texts[name])
        )
        assert len(texts) == len(others)
        assert [_places(one) for one in texts] == [_places(one) for one in others]
    assert set(fallback.colors.values()) <= set(language.colors.values())


@pytest.mark.parametrize("code", CODES)
def test_sentences_can_be_filled(code: str) -> None:
    """A command names all that tells it from others, and its result nothing that is not known."""
    language = load(code)
    for sentence in (*language.sentences, language.later):
        places = PLACES[sentence.target] | set(sentence.slots)
        said = _places(sentence.say)
        assert said == places or (code not in TOLD and said <= places), sentence.say
        assert _places(sentence.done or "") <= places


@pytest.mark.parametrize("code", TOLD)
def test_calls_have_sentences_of_their_own(code: str) -> None:
    """Two calls that one thing can get are never said with the same words."""
    for one, other in combinations(load(code).sentences, 2):
        if one.say == other.say:
            domains = [{kind.partition(".")[0] for kind in each.kinds} for each in (one, other)]
            assert not domains[0] & domains[1]


def _of_file(raw: dict[str, Any]) -> dict[str, list[str]]:
    """Return the templates of a file, by where they are."""
    return {
        **{
            name: raw[name] for name in (*LISTS, "ones", "common", "without", "help") if name in raw
        },
        **{name: list(raw[name]) for name in WORTH if name in raw},
        **{f"hear {name}": texts for name, texts in raw["hear"].items()},
        **{
            f"kinds {name}": [*one.get("plurals", ()), *one.get("words", ())]
            for name, one in raw.get("kinds", {}).items()
        },
        **raw.get("units", {}),
        "later": raw.get("later", {}).get("hear", []),
    }


@pytest.mark.parametrize("code", CODES)
def test_words_can_be_heard(code: str) -> None:
    """No phrase is empty, none is there twice, and no group of choices is cut."""
    for name, templates in _of_file(_raw(code)).items():
        words = [words_of(text) for one in templates for text in texts_of(one)]
        assert all(words), name
        doubles = [one for one, n in Counter(words).items() if n > 1]
        assert not doubles, (name, doubles)
        for one in templates:
            assert all(group.count("|") < MAX_CHOICES for group in _GROUP.findall(one)), one


@pytest.mark.parametrize("code", CODES)
def test_only_what_home_assistant_lacks(code: str) -> None:
    """No list has a phrase that is in the pack, unless it takes the place of that."""
    raw, pack = _raw(code), make_pack(code, _form())
    assert pack is not None
    for name in LISTS:
        if name not in raw.get("instead", ()):
            known = {*phrases(pack.get(name, ()))}
            known_here = [one for one in raw.get(name, ()) if known.issuperset(_words(one))]
            assert not known_here, name


def _words(template: str) -> tuple[tuple[str, ...], ...]:
    return phrases(texts_of(template))


@pytest.mark.parametrize("code", CODES)
def test_what_is_named_is_there(code: str) -> None:
    """Keys for commands fit one, and what is replaced is a list, a kind or a command."""
    raw, form = _raw(code), _form()
    commands = [
        {
            *(one["tool"], *one["kinds"], one.get("target", "name"), *one.get("slots", ())),
            *(*one.get("slots", {}).values(), *one.get("args", {}).values()),
            *(kind.partition(".")[0] for kind in one["kinds"]),
            *(("all",) if one.get("target") in ("area", "floor", "home") else ()),
        }
        for one in form["commands"]
    ]
    others = {*LISTS, *(f"kinds {kind}" for kind in form["kinds"])}
    replaced = [one for one in raw.get("instead", ()) if one not in others]
    for key in (*raw["hear"], *raw.get("told", {}), *replaced):
        for one in key.split(","):
            assert any(marks.issuperset(one.split()) for marks in commands), key


@pytest.mark.parametrize(
    ("code", "text", "number"),
    [
        ("en", "set it to thirteen", 13),
        ("en", "twenty five percent", 25),
        ("en", "21.5 degrees", 21.5),
        ("it", "ventidue gradi", 22),
        ("it", "ventitré", 23),
        ("it", "trenta per cento", 30),
        ("en", "half brightness", 50),
        ("fr", "quatre-vingt-dix-sept pour cent", 97),
        ("it", "al trentotto percento", 38),
        ("it", "21,5 gradi", 21.5),
        ("de", "auf fünfundzwanzig Prozent", 25),
        ("de", "dreißig", 30),
        ("fr", "vingt-deux degrés", 22),
        ("fr", "à la moitié", 50),
    ],
)
def test_numbers(code: str, text: str, number: float) -> None:
    """Numbers are understood as they are said."""
    language = load(code)
    assert numbers_in(words_of(text), language, language.levels) == [number]


@pytest.mark.parametrize(
    ("code", "text", "tool"),
    [
        ("it", "Mi accendi la luce in cucina?", "HassTurnOn"),
        ("it", "puoi spegnere la tele", "HassTurnOff"),
        ("it", "Fai partire la lavatrice", "HassTurnOn"),
        ("it", "tira su la tapparella", "HassTurnOn"),
        ("it", "Metti la luce al 30%", "HassLightSet"),
        ("it", "porta il termostato a 21 gradi", "HassClimateSetTemperature"),
        ("it", "alza un po' la radio", "HassSetVolumeRelative"),
        ("it", "passa l'aspirapolvere in salotto", "HassVacuumCleanArea"),
        ("de", "Mach bitte das Licht an", "HassTurnOn"),
        ("de", "Licht aus", "HassTurnOff"),
        ("de", "Fahr die Rollläden runter", "HassTurnOff"),
        ("de", "Stell die Heizung auf 21 Grad", "HassClimateSetTemperature"),
        ("de", "Kannst du die Haustür abschließen?", "HassTurnOn"),
        ("de", "Füge Milch zur Einkaufsliste hinzu", "HassListAddItem"),
        ("fr", "Éteins la lumière du salon", "HassTurnOff"),
        ("fr", "Tu peux allumer la lampe ?", "HassTurnOn"),
        ("fr", "Ferme les volets", "HassTurnOff"),
        ("fr", "Mets le chauffage à 20 degrés", "HassClimateSetTemperature"),
        ("fr", "monte le son de la télé", "HassSetVolumeRelative"),
    ],
)
def test_verbs_are_heard(code: str, text: str, tool: str) -> None:
    """What people say at home hints at the right command."""
    language = load(code)
    heard = {one.tool for one in language.sentences if is_any(one.hear, words_of(text), language)}
    assert tool in heard


@pytest.mark.parametrize(
    ("code", "kind", "on", "off"),
    [
        ("en", "lock", "lock", "unlock"),
        ("it", "lock", "blocca", "sblocca"),
        ("it", "lock", "bloccare", "sbloccare"),
        ("it", "cover", "aprire", "chiudere"),
        ("it", "light", "attiva", "disattiva"),
        ("de", "lock", "abschließen", "aufschließen"),
        ("de", "lock", "absperren", "aufsperren"),
        ("de", "lock", "verriegle", "entriegle"),
        ("de", "lock", "verriegeln", "entriegeln"),
        ("de", "light", "einschalten", "ausschalten"),
        ("de", "light", "anschalten", "abschalten"),
        ("de", "light", "anmachen", "ausmachen"),
        ("de", "light", "aktivieren", "deaktivieren"),
        ("de", "light", "aktiviere", "deaktiviere"),
        ("de", "cover", "aufmachen", "zumachen"),
        ("fr", "lock", "verrouille", "déverrouille"),
        ("fr", "lock", "verrouiller", "déverrouiller"),
        ("fr", "lock", "bloque", "débloque"),
        ("fr", "light", "active", "désactive"),
    ],
)
def test_opposites_are_not_confused(code: str, kind: str, on: str, off: str) -> None:
    """What may be a slip of the pen elsewhere is not one where it is the opposite."""
    language = load(code)
    for word, tool in ((on, "HassTurnOn"), (off, "HassTurnOff")):
        heard = {
            one.tool
            for one in Verbs(language).heard(words_of(word))
            if kind in one.kinds and not one.slots
        }
        assert heard & {"HassTurnOn", "HassTurnOff"} == {tool}


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("it", "la porta chiusa", "lock"),
        ("it", "un attimo", "light"),
        ("it", "le scale", "light"),
        ("de", "das Fenster offen", "cover"),
    ],
)
def test_other_words_are_not_verbs(code: str, text: str, kind: str) -> None:
    """A word that only looks like a verb is none."""
    language = load(code)
    heard = Verbs(language).heard(words_of(text))
    assert not [one.say for one in heard if kind in one.kinds]


@pytest.mark.parametrize(
    ("code", "text", "is_question"),
    [
        ("en", "Is the door locked?", True),
        ("en", "Could you turn on the light?", False),
        ("en", "Can you tell me if the door is open?", True),
        ("it", "È accesa la luce in cucina?", True),
        ("it", "E' accesa la luce in cucina", True),
        ("it", "e spegni anche la luce", False),
        ("it", "È tardi, spegni le luci", False),
        ("it", "C'è troppa luce, chiudi le tende", False),
        ("it", "La porta è chiusa?", True),
        ("it", "Hai chiuso il garage?", True),
        ("it", "Ho chiuso casa, attiva l'allarme", False),
        ("it", "Mi accendi la luce?", False),
        ("it", "Puoi spegnere la tele?", False),
        ("it", "Puoi dirmi se la porta è chiusa?", True),
        ("de", "Ist das Fenster offen?", True),
        ("de", "Kannst du das Licht ausmachen?", False),
        ("fr", "Est-ce que la porte est fermée ?", True),
        ("fr", "Est-ce que tu peux allumer la lumière ?", False),
        ("fr", "La lumière est allumée ?", True),
    ],
)
def test_questions(code: str, text: str, *, is_question: bool) -> None:
    """A question is told from an order, also from one that is asked for politely."""
    assert understand(text, load(code)).is_question is is_question


@pytest.mark.parametrize(
    ("code", "text", "n_parts"),
    [
        ("en", "turn off the light and close the blinds", 2),
        ("it", "spegni la luce e chiudi le tende", 2),
        ("it", "la luce è accesa", 1),
        ("it", "la luce e' accesa", 1),
        ("it", "La luce e\u0300 accesa", 1),
        ("it", "è al 30% e la porta è chiusa", 2),
        ("it", "metti la luce a ½ e chiudi", 2),
    ],
)
def test_parts(code: str, text: str, n_parts: int) -> None:
    """What joins two orders is told from the same letters with an accent."""
    assert len(understand(text, load(code)).parts) == n_parts


@pytest.mark.parametrize(
    ("code", "text", "is_chat"),
    [
        ("en", "Thanks, that was nice of you", True),
        ("en", "Thanks, now turn off the light", False),
        ("it", "Grazie mille", True),
        ("it", "Grazie, e adesso spegni la luce", False),
        ("it", "Raccontami una barzelletta", True),
    ],
)
def test_chat(code: str, text: str, *, is_chat: bool) -> None:
    """Thanks are a chat, unless something is to be done besides."""
    assert understand(text, load(code)).is_chat is is_chat
