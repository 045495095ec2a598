"""What is said never does its opposite, and nothing that could do harm moves on a guess.

The properties hold for every phrase of every language, in homes with one thing of each kind.
"""

from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.home.language import FOLDER, load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.candidates import CRITICAL, Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter
from custom_components.llamacpp.nlu.utterance import MAX_WORDS, understand
from custom_components.llamacpp.nlu.verbs import OPPOSITES

from .homes import DECLARED, HOME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from custom_components.llamacpp.home.language import Language, Phrase, Sentence
    from custom_components.llamacpp.nlu.candidates import Command
    from custom_components.llamacpp.nlu.interpret import Meaning

CODES = sorted(path.stem for path in FOLDER.glob("*.json"))
ABILITIES = frozenset(
    ("brightness", "color", "color_temp", "position", "speed", "clean_area", "temperature")
)
# In front of an order, each of these makes it something that is not to be done now.
CAUTIONS = {
    "en": ("don't", "please never", "nobody should", "if it rains", "who would", "I forgot to"),
    "de": ("bitte nicht", "nie wieder", "niemand soll", "wenn es regnet", "wer will"),
    "fr": ("ne", "ne jamais", "personne ne doit", "s'il pleut", "qui veut", "j'ai oublié de"),
    "it": ("non", "mai più", "nessuno deve", "se piove", "chi vuole", "ho dimenticato di"),
    "es": ("no", "nunca", "nadie debe", "si llueve", "quién quiere", "olvidé"),
    "nl": ("niet", "nooit meer", "niemand mag", "als het regent", "wie wil", "ik vergat"),
    "pl": ("nie", "nigdy więcej", "nikt nie powinien", "jeśli pada", "kto chce", "zapomniałem"),
}
NAME = "Xanadu"
MAX_PHRASES = 1500


def call_of(sentence: Sentence) -> tuple[str, ...]:
    """Return what a sentence calls, as OPPOSITES has it."""
    return (sentence.tool, *sentence.args.values())


def opposites_of(sentence: Sentence, language: Language) -> list[Sentence]:
    """Return the sentences that do the opposite to the same kind of thing."""
    return [
        one
        for one in language.sentences
        if one.target == sentence.target == "name"
        and one.kinds & sentence.kinds
        and frozenset((call_of(one), call_of(sentence))) in OPPOSITES
    ]


def phrases(code: str) -> list[tuple[str, Sentence, Phrase]]:
    """Return every phrase of a language with each kind of thing that it can be about.

    Home Assistant has tens of thousands in some: of these some are taken, the same each time.
    """
    found = list(_phrases(code))
    return found[:: 1 + len(found) // MAX_PHRASES]


def _phrases(code: str) -> Iterator[tuple[str, Sentence, Phrase]]:
    for sentence in load(code).sentences:
        if sentence.target == "name" and not sentence.reads and not sentence.slots:
            for kind in sorted(sentence.kinds):
                for phrase in sentence.hear:
                    yield kind, sentence, phrase


def home_with(kind: str) -> Home:
    """Return a home whose only thing is of this kind, with a name that says nothing of it."""
    domain, _, device_class = kind.partition(".")
    thing = ExposedEntity(f"{domain}.it", (NAME,), device_class or None, "here", ABILITIES)
    return Home((thing,), {"here": Place(("Zzyzx",))})


def meaning(text: str, code: str = "en", home: Home = HOME, here: str | None = None) -> Meaning:
    """Return what a text means."""
    language = load(code)
    return Interpreter(Candidates(home, language, DECLARED, here), language).meaning(text)


def possible(text: str, code: str = "en", home: Home = HOME) -> list[Command]:
    """Return all commands that change something among which a model could choose."""
    return [one for part in meaning(text, code, home).parts for one in part if not one.reads]


def done(text: str, code: str = "en", home: Home = HOME, here: str | None = None) -> list[str]:
    """Return the commands that are run without a further question, if the model does not err."""
    meant = meaning(text, code, home, here)
    if not meant.is_plain:
        return []
    return [one.text for part in meant.parts for one in part if one.is_plain and not one.reads]


@pytest.mark.parametrize("code", CODES)
def test_no_phrase_is_heard_as_its_opposite(code: str) -> None:
    """Every phrase, alone with a name: the opposite is not even there to choose."""
    language = load(code)
    wrong = set()
    for kind, sentence, phrase in phrases(code):
        opposite = {
            one.say.format(name=NAME)
            for one in opposites_of(sentence, language)
            if kind in one.kinds and phrase not in one.hear
        }
        text = f"{' '.join(phrase)} {NAME}"
        found = {one.text for one in possible(text, code, home_with(kind)) if one.is_heard}
        if found & opposite:
            wrong.add((text, kind))
    assert not wrong


@pytest.mark.parametrize("code", CODES)
def test_an_order_that_is_taken_back_is_none(code: str) -> None:
    """Behind `don't`, `never`, `if` or `who` no phrase leaves a command that is run."""
    wrong = {
        text
        for kind, _, phrase in phrases(code)
        for caution in CAUTIONS[code]
        if (text := f"{caution} {' '.join(phrase)} {NAME}")
        and any(one.is_plain for one in possible(text, code, home_with(kind)))
    }
    assert not wrong


@pytest.mark.parametrize("code", CODES)
def test_a_word_more_is_asked_about(code: str) -> None:
    """Whatever word is added to an order for what could do harm, it is not run at once."""
    wrong = {
        text
        for kind, _, phrase in phrases(code)
        if kind in CRITICAL
        for text in (
            f"gribble {' '.join(phrase)} {NAME}",
            f"{' '.join(phrase)} gribble {NAME}",
            f"{' '.join(phrase)} {NAME} gribble",
        )
        if done(text, code, home_with(kind))
    }
    assert not wrong


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("en", "unlock the front door", "unlock the Front Door"),
        ("en", "please lock the front door now", "lock the Front Door"),
        ("en", "could you open the garage door?", "open the Garage Door"),
        ("en", "I'd like you to close the garden tap", "close the Garden Tap"),
        ("de", "kannst du bitte die Front Door abschließen", "Front Door abschließen"),
        ("de", "ich will dass du die Front Door abschließt", "Front Door abschließen"),
        ("fr", "je voudrais que tu verrouilles la Front Door", "verrouiller Front Door"),
        ("it", "potresti bloccare la Front Door", "chiudi a chiave Front Door"),
        ("it", "bloccala la Front Door", "chiudi a chiave Front Door"),
    ],
)
def test_plain_orders(code: str, text: str, expected: str) -> None:
    """What is said in so many words is done, or asked back, but never turned round."""
    assert [one.text for one in possible(text, code) if one.is_heard] == [expected]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "don't unlock the front door"),
        ("en", "please never open the garage door"),
        ("en", "no need to unlock the front door"),
        ("en", "I did not say unlock the front door"),
        ("en", "the neighbour unlocked the front door"),
        ("en", "I forgot to open the garage door yesterday"),
        ("en", "open the garage door tomorrow at 7"),
        ("en", "unlock the front door only if Emma is there"),
        ("en", "unlock the front door when Anna comes home"),
        ("en", "should I open the garage"),
        ("en", "leo wants to open the garage door"),
        ("en", "the garage door is open"),
        ("en", "garage door open"),
        ("en", "my son left all the lights on again yesterday"),
        ("en", "I never asked you to turn on the kettle"),
        ("en", "turn on the kettle at sunset"),
        ("en", "turn on the kettle no wait the telly"),
        ("de", "Schließ die Front Door nicht auf"),
        ("de", "Mach den Kettle nicht aus"),
        ("fr", "ne déverrouille pas la Front Door"),
        ("fr", "n'éteins pas le Kettle"),
        ("it", "non aprire la Front Door"),
        ("it", "non spegnere il Kettle"),
        ("it", "la Front Door è aperta"),
    ],
)
def test_what_is_no_order(code: str, text: str) -> None:
    """Refusals, reports, conditions, other times and other people's wishes move nothing."""
    assert not done(text, code)


@pytest.mark.parametrize(
    "text",
    ["turn on the pool lights", "turn off the lights here", "turn on the lights in the attic"],
)
def test_an_unknown_place_never_widens_an_order(text: str) -> None:
    """What names a place that is not known is not for the whole home."""
    assert not done(text)
    assert not [one.text for one in possible(text) if "name" not in one.args]


def test_the_room_of_who_speaks() -> None:
    """`Here` is the room of the satellite, if that is known."""
    assert done("turn off the lights here", here="kitchen") == [
        "turn off all lights in the Kitchen"
    ]


def test_the_only_lock_is_another_one() -> None:
    """Who names another door does not get the one that there is."""
    home = Home(
        (ExposedEntity("lock.cellar", ("Cellar Door",), area="cellar"),),
        {"cellar": Place(("Cellar",))},
    )
    for text in ("unlock the front door", "unlock the bedroom door", "unlock the door"):
        assert not done(text, home=home)
    for text in ("unlock the cellar door", "unlock the door in the cellar", "unlock the cellar"):
        assert done(text, home=home) == ["unlock the Cellar Door"]


def test_a_thing_that_is_called_like_its_kind() -> None:
    """`Lights` in the garage do not take the orders for another room."""
    lights = ExposedEntity("light.garage", ("Lights",), area="garage")
    home = Home((lights, *HOME.things), HOME.areas, HOME.floors)
    assert done("turn on the lights in the lounge", home=home) == [
        "turn on all lights in the Living Room"
    ]
    assert done("turn on the lights", home=home, here="kitchen") == [
        "turn on all lights in the Kitchen"
    ]
    assert done("turn on the lights in the garage", home=home) == ["turn on the Lights"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "turn off all the lights except the kitchen"),
        ("en", "turn off all lights but not in the kitchen"),
        ("en", "turn off all the lights apart from the kitchen"),
        ("de", "Schalte alle Lichter aus außer Kitchen"),
        ("fr", "éteins toutes les lumières sauf Kitchen"),
        ("it", "spegni tutte le luci tranne Kitchen"),
    ],
)
def test_an_exception(code: str, text: str) -> None:
    """All but the kitchen is each of the others, and nothing in the kitchen."""
    meant = meaning(text, code)
    assert meant.is_plain
    calls = [one.args for part in meant.parts for one in part]
    assert [(one["name"], one.get("area")) for one in calls] == [
        ("Floor Lamp", None),
        ("Ceiling Light", "Living Room"),
        ("Ceiling Light", "Bedroom"),
    ]


@pytest.mark.parametrize(
    ("code", "text", "excepted"),
    [
        ("en", "turn off everything upstairs but leave the bedroom fan on", "Bedroom Fan"),
        ("en", "turn off all the lights except the pool", "pool"),
        (
            "en",
            "turn on the lights in the living room but not the floor lamp and the moon",
            "Floor Lamp",
        ),
        ("en", "turn off everything in the kitchen but the kettle", "Kettle"),
        ("en", "turn on all lights except the garden", "Garden"),
        ("de", "alles aus außer Kettle", "Kettle"),
        ("fr", "éteins tout sauf Kettle", "Kettle"),
        ("it", "spegni tutto tranne Kettle", "Kettle"),
    ],
)
def test_an_exception_that_is_not_clear(code: str, text: str, excepted: str) -> None:
    """It is asked back; in no case it is done to what was excepted."""
    assert not done(text, code)
    assert not [one.text for one in possible(text, code) if excepted in one.text]


@pytest.mark.parametrize(
    ("code", "text", "is_yes"),
    [
        ("en", "yes", True),
        ("en", "Yes, please!", True),
        ("en", "ok, do it", True),
        ("en", "ok never mind", False),
        ("en", "sure not", False),
        ("en", "yes but not now", False),
        ("en", "right, forget it", False),
        ("en", "yes the other one", False),
        ("en", "please", False),
        ("de", "ja bitte", True),
        ("de", "ja aber nicht jetzt", False),
        ("fr", "oui vas-y, s'il te plaît", True),
        ("fr", "oui mais pas maintenant", False),
        ("it", "sì, grazie", True),
        ("it", "sì ma non adesso", False),
    ],
)
def test_only_a_whole_yes_is_one(code: str, text: str, *, is_yes: bool) -> None:
    """What only begins like an agreement is none."""
    assert understand(text, load(code)).is_yes is is_yes


def test_a_reason_changes_nothing() -> None:
    """A clause without an order beside one with an order is passed over, but not for a door."""
    assert done("turn on the kettle, I am thirsty") == ["turn on the Kettle"]
    assert not done("unlock the front door, grandma is here")
    assert not done("turn on the kettle, if you like")
    assert not done("give me two minutes, then turn on the kettle")
    assert not done("turn on all the lights, except the sauna")


@pytest.mark.parametrize(
    "text",
    [
        "turn on the kettle and turn down the floor lamp",
        "turn on the kettle and mute the floor lamp",
        "open the roller blind and lock the garage door",
    ],
)
def test_a_verb_does_not_hold_where_there_is_another(text: str) -> None:
    """What cannot be done to the second thing is not replaced by what is done to the first."""
    assert not done(text)


@pytest.mark.parametrize("n_words", [MAX_WORDS + 1, 1000, 6000])
def test_a_long_text_is_talk(n_words: int) -> None:
    """Nobody orders something in so many words, whatever words they are."""
    text = " ".join(("turn on the kettle and",) * (n_words // 5 + 1))
    assert understand(text, load("en")).is_chat
    assert not possible(text)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "Regnet es, mach den Kettle aus"),
        ("de", "Mach den Kettle an, wird es dunkel"),
        ("nl", "Regent het, zet de Kettle uit"),
        ("nl", "Mocht het regenen, zet de Kettle uit"),
        ("de", "Sollte es regnen, mach den Kettle aus"),
        ("en", "turn off all the lights, the floor lamp can stay"),
        ("en", "turn off all the lights, the floor one stays on"),
        ("en", "my sister said: turn on the kettle"),
        ("es", "el del anuncio decía: enciende el Kettle"),
        ("fr", "S'il pleut, allume le Kettle"),
        ("de", "Mach den Kettle an, Quatsch"),
        ("de", "Mach den Kettle an, Unsinn"),
        ("en", "turn on the kettle, nonsense"),
        ("it", "accendi il Kettle, sciocchezze"),
        ("nl", "Zet de Kettle aan, onzin"),
        ("de", "Mach den Kettle an, das ist ein Scherz"),
        ("en", "turn on the kettle I am joking"),
        ("es", "enciende el Kettle, es broma"),
        ("fr", "allume le Kettle, je plaisante"),
        ("it", "accendi il Kettle, è uno scherzo"),
        ("nl", "Zet de Kettle aan, ik maak maar een grapje"),
        ("pl", "włącz Kettle, to jest żart"),
        ("de", "Mach den Kettle an, die andere aus"),
        ("nl", "Zet de Kettle aan, de andere uit"),
        ("de", "Mach den Kettle an, ich hab ihn schon angemacht"),
        ("de", "Mach den Kettle an, das ist schon erledigt"),
        ("en", "turn on the kettle, I have already turned it on"),
        ("en", "turn on the kettle. It is already done."),
        ("en", "turn on the kettle I already did it"),
        ("es", "enciende el Kettle, ya lo he encendido"),
        ("es", "enciende el Kettle ya está encendido"),
        ("fr", "allume le Kettle, je l'ai déjà allumé"),
        ("fr", "allume le Kettle, c'est déjà fait"),
        ("it", "accendi il Kettle, l'ho già acceso"),
        ("it", "accendi il Kettle, anzi è già acceso"),
        ("nl", "Zet de Kettle aan, die is al aan"),
        ("nl", "Zet de Kettle aan, dat heb ik al gedaan"),
        ("pl", "włącz Kettle, już jest włączony"),
        ("pl", "włącz Kettle, już to zrobiłem"),
    ],
)
def test_a_clause_that_changes_the_order(code: str, text: str) -> None:
    """A condition without a word for it, or what is left out, makes it no plain order."""
    assert not done(text, code)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "Mach den Kettle aus, wir gehen ins Bett"),
        ("nl", "Zet de Kettle uit, we gaan eten"),
        ("en", "it's getting late, turn off all the lights"),
        ("en", "it's too warm, turn on the bedroom fan"),
        ("en", "um, turn on the kettle"),
        ("de", "Also, mach den Kettle aus"),
        ("de", "Mach die Floor Lamp an, es ist schon dunkel"),
        ("en", "turn off the kettle, it is already late"),
    ],
)
def test_a_clause_that_changes_nothing(code: str, text: str) -> None:
    """A reason beside an order leaves it as it is."""
    assert done(text, code)
