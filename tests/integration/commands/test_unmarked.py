"""Orders as they are spoken: nobody says a comma, and whoever speaks may correct themselves."""

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.coreference import Coreference
from custom_components.llamacpp.nlu.corrections import after_all
from custom_components.llamacpp.nlu.interpret import Interpreter
from custom_components.llamacpp.nlu.verbs import is_order

from .homes import DECLARED

if TYPE_CHECKING:
    from custom_components.llamacpp.nlu.interpret import Meaning

NAMES = ("Aroha", "Bodrum", "Cusco")
MAX_SPOKEN = 12
ROOMS = ("Kitchen", "Hall", "Loft")
HOME = Home(
    (
        *(ExposedEntity(f"light.{name.lower()}", (name,), area="kitchen") for name in NAMES),
        ExposedEntity("media_player.fukui", ("Fukui",), device_class="tv", area="hall"),
        ExposedEntity("lock.genk", ("Genk",), area="hall"),
        ExposedEntity("climate.dakar", ("Dakar",), area="kitchen"),
        ExposedEntity("climate.esbjerg", ("Esbjerg",), area="hall"),
        ExposedEntity("light.zoe", ("Hobart",), area="zoe"),
    ),
    {
        "kitchen": Place(("Kitchen",)),
        "hall": Place(("Hall",)),
        "zoe": Place(("Zoe Xanadu",)),
    },
)
# How to switch something on, in the order of words of each language.
ON = {
    "en": "turn on {}",
    "de": "mach {} an",
    "fr": "allume {}",
    "it": "accendi {}",
    "es": "enciende {}",
    "nl": "doe {} aan",
    "pl": "włącz {}",
}
OFF = {
    "en": "turn off {}",
    "de": "mach {} aus",
    "fr": "éteins {}",
    "it": "spegni {}",
    "es": "apaga {}",
    "nl": "doe {} uit",
    "pl": "wyłącz {}",
}


def interpreter(code: str, home: Home = HOME) -> Interpreter:
    """Return what understands a language in a home."""
    language = load(code)
    return Interpreter(Candidates(home, language, DECLARED), language)


def done(meaning: Meaning) -> list[tuple[str, str]]:
    """Return the tools and things of what is done at once, none if it is asked back."""
    if not meaning.is_plain:
        return []
    return [(part[0].tool.partition("__")[2], part[0].thing) for part in meaning.parts]


def corrected(text: str, code: str) -> list[tuple[str, str]]:
    """Return what is done by a text in which somebody may have corrected themselves."""
    understood = interpreter(code)
    meant = after_all(text, load(code), understood, Coreference(HOME, load(code)))
    return done(understood.meaning(meant))


@pytest.mark.parametrize("code", ON)
@pytest.mark.parametrize("order", [*permutations(NAMES), *permutations(NAMES, 2)])
def test_names_in_a_row(code: str, order: tuple[str, ...]) -> None:
    """All of them are meant, in any order, with or without a word before the last one."""
    language = load(code)
    expected = [("HassTurnOn", name) for name in order]
    also = " ".join(language.lists["also"][0])
    *first, last = order
    assert done(interpreter(code).meaning(ON[code].format(" ".join(order)))) == expected
    joined = ON[code].format(f"{' '.join(first)} {also} {last}")
    assert done(interpreter(code).meaning(joined)) == expected


@pytest.mark.parametrize("code", ON)
def test_orders_in_a_row(code: str) -> None:
    """Each order keeps its own verb."""
    texts = [ON[code].format("Aroha"), OFF[code].format("Bodrum"), ON[code].format("Cusco")]
    assert done(interpreter(code).meaning(" ".join(texts))) == [
        ("HassTurnOn", "Aroha"),
        ("HassTurnOff", "Bodrum"),
        ("HassTurnOn", "Cusco"),
    ]


@pytest.mark.parametrize("code", ON)
@pytest.mark.parametrize("place", range(4))
def test_a_word_that_is_not_explained(code: str, place: int) -> None:
    """Nothing is done at once then, wherever it stands, and nothing else is moved."""
    words = ON[code].format("Aroha Bodrum Cusco").split()
    text = " ".join((*words[:place], "qwghlm", *words[place:]))
    meant = interpreter(code).meaning(text)
    assert not meant.is_plain
    assert {one.thing for part in meant.parts for one in part} <= {*NAMES}


def test_what_is_not_taken_apart() -> None:
    """An order for one thing stays one, and a thing is not ordered twice."""
    assert done(interpreter("en").meaning("turn on Aroha in the kitchen")) == [
        ("HassTurnOn", "Aroha")
    ]
    meant = interpreter("en").meaning("somebody turned on Aroha turn off Aroha")
    assert not meant.is_plain
    assert len(meant.parts) == 1


def test_long_texts_are_not_taken_apart() -> None:
    """The time that it takes has a bound."""
    text = " ".join(["turn on", *NAMES, *["qwghlm"] * 40])
    assert not interpreter("en").meaning(text).is_plain


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "turn on Aroha no sorry I meant Bodrum"),
        ("en", "turn on Aroha oh wait Bodrum"),
        ("de", "mach Aroha an äh nein Quatsch Bodrum mein ich"),
        ("de", "schalte Aroha ein ich meine Bodrum"),
        ("fr", "allume Aroha euh non pardon Bodrum"),
        ("it", "accendi Aroha no aspetta volevo dire Bodrum"),
        ("es", "enciende Aroha ay no perdona Bodrum"),
        ("nl", "doe Aroha aan o nee wacht ik bedoel Bodrum"),
        ("pl", "włącz Aroha nie czekaj chodziło mi o Bodrum"),
    ],
)
def test_a_correction(code: str, text: str) -> None:
    """What was named last is meant, with the verb that was said first."""
    assert corrected(text, code) == [("HassTurnOn", "Bodrum")]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        # In these languages `no` is `not`, too.
        ("es", "enciende Aroha no Bodrum"),
        ("es", "enciende Aroha perdona no enciendas Bodrum"),
        ("pl", "włącz Aroha nie Bodrum"),
        ("it", "accendi Aroha no Bodrum"),
        ("de", "mach Aroha an nicht die Bodrum"),
        ("nl", "doe Aroha aan niet die Bodrum"),
        ("en", "turn on Aroha not Bodrum"),
        ("en", "turn on Aroha wait not Bodrum"),
        ("de", "mach Aroha an warte nicht die Bodrum"),
        ("pl", "włącz Aroha przepraszam nie Bodrum"),
        ("en", "turn on Aroha sorry to wake Bodrum"),
        ("en", "somebody turned on Aroha I meant Bodrum"),
    ],
)
def test_no_correction(code: str, text: str) -> None:
    """What is not to be on is not switched on."""
    assert ("HassTurnOn", "Bodrum") not in corrected(text, code)


@pytest.mark.parametrize("code", ON)
def test_two_orders_of_which_the_second_counts(code: str) -> None:
    """What was ordered before words such as `I mean` is not done."""
    meant = " ".join(load(code).lists["meant"][0])
    text = f"{ON[code].format('Aroha')} {meant} {OFF[code].format('Bodrum')}"
    assert corrected(text, code) == [("HassTurnOff", "Bodrum")]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "no don't turn off Fukui just pause it"),
        ("de", "den Fukui nicht ausmachen nur auf Pause stellen"),
        ("it", "Fukui non spegnerla mettila solo in pausa"),
        ("es", "no apagues Fukui solo ponla en pausa"),
        ("nl", "niet uitzetten Fukui maar alleen op pauze"),
    ],
)
def test_one_order_instead_of_another(code: str, text: str) -> None:
    """What is not to be done says what the other order is about."""
    tools = {tool for tool, _ in corrected(text, code)}
    assert tools <= {"HassMediaPause"}
    if code in ("en", "de", "it"):
        assert corrected(text, code) == [("HassMediaPause", "Fukui")]


@pytest.mark.parametrize(
    "text",
    [
        "I didn't turn off Fukui I just paused it",
        "if you don't turn off Fukui just pause it",
        "dad would never turn off Fukui he would just pause it",
        "don't turn off Fukui just because I pause it",
        "don't turn off Fukui but don't pause it",
    ],
)
def test_no_order_instead(text: str) -> None:
    """A report, a condition and a second refusal move nothing."""
    assert corrected(text, "en") == []


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "set all the heating in the house to 17"),
        ("en", "set all thermostats to 17 degrees"),
        ("de", "stell alle Heizungen im Haus auf 17 Grad"),
        ("fr", "mets tous les chauffages de la maison à 17 degrés"),
        ("it", "metti tutti i termosifoni di casa a 17 gradi"),
        ("es", "pon toda la calefacción de la casa a 17 grados"),
        ("nl", "zet alle verwarming in huis op 17 graden"),
    ],
)
def test_all_of_a_kind(code: str, text: str) -> None:
    """Where Home Assistant has no call for all of them, each has its own."""
    found = done(interpreter(code).meaning(text))
    assert found == [("HassClimateSetTemperature", name) for name in ("Dakar", "Esbjerg")]


def test_all_of_a_kind_in_a_room() -> None:
    """Those of other rooms are not meant."""
    found = done(interpreter("en").meaning("set all the heating in the hall to 17"))
    assert found == [("HassClimateSetTemperature", "Esbjerg")]


def test_whose_it_is() -> None:
    """A word of a room's name that no other room has says whose lamp it is; a lock takes more."""
    understood = interpreter("en")
    assert done(understood.meaning("turn on Zoe's Hobart")) == [("HassTurnOn", "Hobart")]
    assert done(understood.meaning("turn on Zoe's Aroha")) == []
    things = (
        ExposedEntity("light.first", ("Reading Lamp",), area="zoe"),
        ExposedEntity("light.second", ("Paper Lamp",), area="zoe"),
    )
    understood = interpreter("en", Home(things, {"zoe": Place(("Zoe Xanadu",))}))
    assert done(understood.meaning("turn on Zoe's reading lamp")) == [
        ("HassTurnOn", "Reading Lamp")
    ]
    assert done(understood.meaning("turn on Zoe's lamp")) == []


@pytest.mark.parametrize(
    ("code", "said", "name", "room"),
    [
        ("it", "accendi le luci in cucina", "Lucina", "Cucina"),
        ("it", "accendi le luci in cucina", "Luce della Cappa", "Cucina"),
        ("de", "mach die Lampen in der Küche an", "Lampenschirm", "Küche"),
    ],
)
def test_a_plural_of_a_kind_is_no_name(code: str, said: str, name: str, room: str) -> None:
    """All of the room are meant, not the one that is called nearly like it."""
    things = (
        ExposedEntity("light.own", (name,), area="room"),
        ExposedEntity("light.other", ("Bodrum",), area="room"),
    )
    home = Home(things, {"room": Place((room,))})
    (part,) = interpreter(code, home).meaning(said).parts
    assert part[0].is_plain
    assert part[0].args["area"] == room
    assert "name" not in part[0].args


@pytest.mark.parametrize("code", ON)
def test_a_caution_is_no_slip_of_a_verb(code: str) -> None:
    """Dutch `morgen` is not `mogen`: no order is done with such a word in it, wherever it is."""
    language, understood = load(code), interpreter(code)
    # `Stop` is an order itself, Spanish `luego` joins two, and without its accent `he wants` is
    # `I want` in Polish.
    others = {*language.lists["also"], *language.lists["orders"]}
    cautions = [
        " ".join(one)
        for one in language.lists["not_now"]
        if one not in others and not is_order(one, language)
    ]
    words = ON[code].format("Aroha").split()
    wrong = [
        text
        for caution in cautions
        for place in range(len(words) + 1)
        if understood.meaning(text := " ".join((*words[:place], caution, *words[place:]))).is_plain
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("fr", "personne n'est là donc personne n'allume Aroha"),
        ("en", "turn on Aroha, she snapped, and I left"),
        ("de", "Aroha einschalten, von wegen"),
        ("es", "enciende Aroha, me soltó, y yo me reí"),
        ("pl", "włącz Aroha, dobre sobie"),
    ],
)
def test_a_denial_or_a_report_around_an_order(code: str, text: str) -> None:
    """Who tells of an order, or rejects it, gives none."""
    assert not interpreter(code).meaning(text).is_plain
