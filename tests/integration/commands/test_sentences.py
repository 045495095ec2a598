"""The sentences of all languages: they stand for the same calls, and can be filled and heard."""

import json
from collections import Counter
from itertools import combinations
from string import Formatter
from typing import Any

import pytest

from custom_components.llamacpp.agent.commands.language import FALLBACK, FOLDER, LISTS, load
from custom_components.llamacpp.agent.commands.numbers import numbers_in
from custom_components.llamacpp.agent.commands.said import is_any, understand
from custom_components.llamacpp.agent.commands.words import words_of

# The files that stand alone; the others add to Home Assistant's words.
CODES = sorted(
    path.stem
    for path in FOLDER.glob("*.json")
    if "commands" in json.loads(path.read_text(encoding="utf-8"))
)
OTHERS = [code for code in CODES if code != FALLBACK]
# What a sentence can be filled with, beside its slots.
PLACES = {
    "name": {"name"},
    "area": {"things", "area"},
    "floor": {"things", "floor"},
    "home": {"things"},
    "none": set[str](),
}
KEYS = {
    *("tool", "kinds", "say", "hear"),
    *("done", "target", "needs", "slots", "args", "reads", "name_arg"),
}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose keys are all different."""
    assert not [key for key, n in Counter(key for key, _ in pairs).items() if n > 1]
    return dict(pairs)


def _raw(code: str) -> dict[str, Any]:
    text = (FOLDER / f"{code}.json").read_text(encoding="utf-8")
    raw: dict[str, Any] = json.loads(text, object_pairs_hook=_unique)
    return raw


def _places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _calls(command: dict[str, Any]) -> set[str]:
    """Return what a command stands for, once for each kind of things."""
    rest = {
        key: value for key, value in command.items() if key not in ("kinds", "say", "done", "hear")
    }
    rest["is told"] = "done" in command
    return {json.dumps({**rest, "kind": kind}, sort_keys=True) for kind in command["kinds"] or [""]}


@pytest.mark.parametrize("code", CODES)
def test_fallback_has_the_same_calls(code: str) -> None:
    """No language has more or fewer than English; it may say them in other pieces."""
    calls, expected = (
        Counter(call for command in _raw(one)["commands"] for call in _calls(command))
        for one in (code, FALLBACK)
    )
    assert calls == expected


@pytest.mark.parametrize("code", OTHERS)
def test_fallback_has_the_same_keys(code: str) -> None:
    """Kinds, units and texts are there, and each text has the same places."""
    raw, fallback = _raw(code), _raw(FALLBACK)
    assert list(raw) == list(fallback)
    for name in ("kinds", "units", "texts"):
        assert set(raw[name]) == set(fallback[name])
    for name, text in fallback["texts"].items():
        texts, others = (
            [one] if isinstance(one, str) else one for one in (text, raw["texts"][name])
        )
        assert len(texts) == len(others)
        assert [_places(one) for one in texts] == [_places(one) for one in others]
    assert _calls(raw["later"]) == _calls(fallback["later"])
    assert set(fallback["colors"].values()) <= set(raw["colors"].values())


@pytest.mark.parametrize("code", CODES)
def test_sentences_can_be_filled(code: str) -> None:
    """A command names all that tells it from others, and its result nothing that is not known."""
    raw = _raw(code)
    for command in (*raw["commands"], raw["later"]):
        assert set(command) <= KEYS
        places = PLACES[command.get("target", "name")] | set(command.get("slots", ()))
        assert _places(command["say"]) == places
        assert _places(command.get("done", "")) <= places


@pytest.mark.parametrize("code", CODES)
def test_calls_have_sentences_of_their_own(code: str) -> None:
    """Two calls that one thing can get are never said with the same words."""
    for one, other in combinations(_raw(code)["commands"], 2):
        if one["say"] == other["say"]:
            assert not set(one["kinds"]) & set(other["kinds"])
            domains = [{kind.partition(".")[0] for kind in each["kinds"]} for each in (one, other)]
            assert not domains[0] & domains[1]


@pytest.mark.parametrize("code", CODES)
def test_words_can_be_heard(code: str) -> None:
    """No phrase is empty, and none is there twice."""
    raw = _raw(code)
    phrases = {
        **{f"command {i}": one["hear"] for i, one in enumerate(raw["commands"])},
        **{
            name: [one["all"], *one.get("plurals", ()), *one["words"]]
            for name, one in raw["kinds"].items()
        },
        **{name: raw[name] for name in LISTS},
        **raw["units"],
        "numbers": list(raw["numbers"]),
        "ones": raw["ones"],
        "parts": list(raw["parts"]),
        "later": raw["later"]["hear"],
        "colors": list(raw["colors"]),
    }
    for name, texts in phrases.items():
        words = [words_of(text) for text in texts]
        assert words, name
        assert all(words), name
        doubles = [one for one, n in Counter(words).items() if n > 1]
        assert not doubles, (name, doubles)


@pytest.mark.parametrize("code", CODES)
def test_kinds_are_those_of_the_commands(code: str) -> None:
    """What is called by a kind of its own is something that a command is for."""
    raw = _raw(code)
    domains = {kind.partition(".")[0] for one in raw["commands"] for kind in one["kinds"]}
    assert {kind.partition(".")[0] for kind in raw["kinds"]} <= domains


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
    """What may be a slip of the pen elsewhere is not one where it is the opposite.

    That is why some verbs are listed in a form that few people use.
    """
    language = load(code)
    for word, tool in ((on, "HassTurnOn"), (off, "HassTurnOff")):
        heard = {
            one.tool
            for one in language.sentences
            if kind in one.kinds and not one.slots and is_any(one.hear, words_of(word), language)
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
    sentences = [one for one in language.sentences if kind in one.kinds]
    assert not [one.say for one in sentences if is_any(one.hear, words_of(text), language)]


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
