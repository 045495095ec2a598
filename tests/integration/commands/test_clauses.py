"""What stands beside an order: reasons, what is missing, what stays as it is."""

from itertools import product
from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.home.language import FOLDER, load
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter
from custom_components.llamacpp.nlu.utterance import understand
from tests.integration.talk import ask, speech

from .homes import DECLARED, HOME

if TYPE_CHECKING:
    from custom_components.llamacpp.nlu.interpret import Meaning

    from .conftest import Talk

CODES = sorted(path.stem for path in FOLDER.glob("*.json"))
# An order in each language, and a clause that tells why without naming anything of the home.
ORDERS = {
    "en": ("turn off the Kettle", "I cannot hear a thing"),
    "de": ("mach den Kettle aus", "ich nichts mehr höre"),
    "fr": ("éteins le Kettle", "je n'entends rien"),
    "it": ("spegni il Kettle", "non sento niente"),
    "es": ("apaga el Kettle", "no oigo nada"),
    "nl": ("zet de Kettle uit", "ik niets meer hoor"),
    "pl": ("wyłącz Kettle", "nic nie słyszę"),
}
ITEM = "Xanadu"
# How somebody says that there is none, and what is to be written down.
MISSING = {
    "en": ("we're out of Xanadu", "put it on the shopping list"),
    "de": ("Xanadu ist alle", "schreib es auf die Shopping List"),
    "fr": ("il n'y a plus de Xanadu", "ajoute-le à la Shopping List"),
    "it": ("è finito Xanadu", "mettilo nella Shopping List"),
    "es": ("no queda Xanadu", "apúntalo en la Shopping List"),
    "nl": ("Xanadu is op", "zet het op de Shopping List"),
    "pl": ("skończył się Xanadu", "dopisz do Shopping List"),
}


def meaning(text: str, code: str) -> Meaning:
    """Return what a text means in the home of these tests."""
    language = load(code)
    return Interpreter(Candidates(HOME, language, DECLARED), language).meaning(text)


def calls(meant: Meaning) -> list[tuple[str, object, object]]:
    """Return the calls of the first command of each part."""
    firsts = [part[0] for part in meant.parts]
    return [(one.tool, one.args.get("name"), one.args.get("item")) for one in firsts]


@pytest.mark.parametrize("code", CODES)
def test_a_reason(code: str) -> None:
    """Each word such as `because` ends the order, which is what it is without a reason."""
    language = load(code)
    order, reason = ORDERS[code]
    alone = calls(meaning(order, code))
    assert [name for _, name, _ in alone] == ["Kettle"]
    written = {" ".join(one) for one in language.lists["because"]}
    behind_comma = {" ".join(one) for one in language.lists["because_behind_comma"]}
    texts = [
        *(f"{order} {word} {reason}" for word in written),
        *(f"{order}, {word} {reason}" for word in written | behind_comma),
    ]
    for text in texts:
        meant = meaning(text, code)
        assert (meant.is_plain, calls(meant)) == (True, alone), text


@pytest.mark.parametrize("code", CODES)
def test_a_reason_for_what_must_not_be_done(code: str) -> None:
    """It makes no order of its opposite, nor of one that would do harm."""
    language = load(code)
    order, reason = ORDERS[code]
    no = " ".join(language.lists["not_now"][0])
    for word in language.lists["because"]:
        because = " ".join(word)
        assert not meaning(f"{no} {order} {because} {reason}", code).is_plain
    assert not meaning(f"unlock the front door because {reason}", "en").is_plain


def test_a_reason_with_a_place() -> None:
    """Where a reason names a room, the order may be about that one: it is asked back."""
    meant = meaning("turn on the light, because the kitchen is so dark", "en")
    assert not meant.is_plain


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("grandma is at the gate and never has a key, unlock the front door", "unlock the Front"),
        ("guests arrive tonight, turn on the radiator", "turn on the Radiator"),
    ],
)
def test_a_clause_that_may_change_the_order(text: str, command: str) -> None:
    """The order of the other clause is asked back, instead of being refused."""
    meant = meaning(text, "en")
    assert meant.parts
    assert not meant.is_plain
    assert meant.parts[0][0].text.startswith(command)
    assert not meant.held_back


@pytest.mark.parametrize(
    "text",
    [
        "if it rains, turn on the kettle",
        "turn on the kettle, if it rains",
        "turn on the kettle, no, leave it",
        "never mind, turn on the kettle, not now",
        "when I come home, turn on the kettle",
    ],
)
def test_a_clause_that_takes_the_order_back(text: str) -> None:
    """What begins with `if` or `no` is a condition, or takes it back: nothing is offered."""
    assert not meaning(text, "en").parts


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "turn off the kettle, because no, leave it"),
        ("de", "mach den Kettle aus, weil nein, lass ihn"),
        ("es", "apaga Kettle, que no, déjalo"),
        ("it", "spegni Kettle, che no, lascialo"),
        ("nl", "zet de Kettle uit want nee laat maar"),
        ("de", "der Kettle kann aus sein"),
        ("nl", "de Kettle kan uit zijn"),
        ("en", "we're not out of milk, put it on the shopping list"),
        ("it", "non è finito il latte, mettilo nella Shopping List"),
    ],
)
def test_what_only_looks_like_it(code: str, text: str) -> None:
    """A reason that takes the order back, or what is not missing, makes nothing plain."""
    assert not meaning(text, code).is_plain


@pytest.mark.parametrize("code", CODES)
def test_what_is_missing(code: str) -> None:
    """It is what the list is to have, though the order itself only says `it`."""
    missing, order = MISSING[code]
    meant = meaning(f"{missing}, {order}", code)
    assert meant.is_plain
    assert [item for *_, item in calls(meant)] == [ITEM]
    # The order alone does not say what.
    assert not any(item for *_, item in calls(meaning(order, code)))


@pytest.mark.parametrize("code", CODES)
def test_an_item_has_nothing_around_it(code: str) -> None:
    """Neither the verb, nor the list, nor what stands between belongs to it, in any order."""
    language = load(code)
    (sentence,) = (one for one in language.sentences if one.tool == "HassListAddItem")
    lists = [" ".join(one) for one in language.kinds["todo"].words[:3]]
    prepositions = [" ".join(one) for one in language.lists["prepositions"][:6]]
    verbs = [" ".join(one) for one in sentence.hear if len(one) == 1]
    wrong = {
        text: found
        for verb, preposition, listed in product(verbs[:8], prepositions, lists)
        for text in (
            f"{verb} {ITEM} {preposition} {listed}",
            f"{verb} {preposition} {listed} {ITEM}",
            f"{ITEM} {preposition} {listed} {verb}",
        )
        if (found := {item for *_, item in calls(meaning(text, code)) if item}) - {ITEM}
    }
    assert not wrong


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "turn off all the lights, only leave the kitchen light on"),
        ("en", "except the kitchen light, turn off all the lights"),
        ("en", "except the kitchen light turn off all the lights"),
        ("de", "mach alle Lichter aus, nur Kitchen Light bleibt an"),
        ("de", "bis auf Kitchen Light alle Lichter ausmachen"),
        ("fr", "éteins toutes les lumières, mais laisse la Kitchen Light allumée"),
        ("it", "spegni tutte le luci, lascia accesa Kitchen Light"),
        ("it", "a parte Kitchen Light, spegni tutte le luci"),
        ("es", "apaga todas las luces, solo deja encendida Kitchen Light"),
        ("nl", "doe alle lampen uit, alleen Kitchen Light blijft aan"),
        ("pl", "zgaś wszystkie światła, tylko Kitchen Light zostaw"),
    ],
)
def test_what_stays_as_it_is(code: str, text: str) -> None:
    """It is never among what an order is for, whether that is done or asked back."""
    meant = meaning(text, code)
    names = {one.args.get("name") for part in meant.parts for one in part}
    assert "Kitchen Light" not in names
    assert not meant.is_plain or names == {"Stove Lamp", "Floor Lamp", "Ceiling Light"}


def test_all_locks_but_one() -> None:
    """What could do harm is asked about, without what was excepted."""
    meant = meaning("turn off everything in the kitchen, only keep the kettle", "en")
    assert not meant.is_plain
    assert not any("Kettle" in one.text for part in meant.parts for one in part)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "kettle off, telly too, thanks"),
        ("de", "Kettle aus, Telly auch"),
        ("fr", "éteins Kettle, Telly aussi"),
        ("it", "spegni Kettle, anche Telly"),
        ("nl", "Kettle uit, Telly ook"),
    ],
)
def test_too(code: str, text: str) -> None:
    """A piece with a word such as `too` has the verb of the one before it."""
    meant = meaning(text, code)
    assert meant.is_plain
    assert [name for _, name, _ in calls(meant)] == ["Kettle", "Telly"]


def test_too_takes_no_verb_of_its_own() -> None:
    """Where the second piece says what to do, what the first one says is not done to it."""
    assert not meaning("kettle off, unmute the telly too", "en").is_plain


async def test_an_item_that_is_on_the_list(talk: Talk) -> None:
    """It is found by what is on the list, wherever in the sentence it was named."""
    hass = talk.hass
    await hass.services.async_call(
        "todo",
        "add_item",
        {"entity_id": "todo.shopping_list", "item": "Xanadu jam"},
        blocking=True,
    )
    result = await ask(hass, "Grandma brings Xanadu jam, so cross it off the shopping list")
    assert "Xanadu jam" in speech(result)
    items = await hass.services.async_call(
        "todo",
        "get_items",
        {"entity_id": "todo.shopping_list", "status": "needs_action"},
        blocking=True,
        return_response=True,
    )
    assert items
    listed = items["todo.shopping_list"]
    assert isinstance(listed, dict)
    assert "Xanadu jam" not in str(listed)


def test_clauses_of_a_text() -> None:
    """Words such as `because` begin a clause of their own, also without a mark."""
    said = understand("turn it on because it is dark, and I am cold", load("en"))
    assert [(" ".join(one.words), one.is_reason) for one in said.clauses] == [
        ("turn it on", False),
        ("because it is dark", True),
        ("and i am cold", False),
    ]


def test_a_denial_that_is_a_reason() -> None:
    """It is about something else than the order: the speaker cannot see."""
    meant = meaning("I can't see a thing, turn on the kettle", "en")
    assert meant.is_plain


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "ich sehe nichts, mach den Kettle an"),
        ("de", "ich brauche keinen Tee mehr, mach den Kettle aus"),
        ("es", "no veo nada, enciende el Kettle"),
        ("fr", "je ne vois rien, allume le Kettle"),
        ("it", "non vedo niente, accendi il Kettle"),
        ("nl", "ik zie niks, zet de Kettle aan"),
        ("nl", "niemand heeft thee, zet de Kettle aan"),
        ("pl", "nic nie widzę, włącz Kettle"),
    ],
)
def test_a_denial_before_an_order(code: str, text: str) -> None:
    """It says what is not, which is why something is to be done."""
    assert meaning(text, code).is_plain


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "niemals, Kettle an"),
        ("en", "never, kettle on"),
        ("es", "nunca, enciende el Kettle"),
        ("fr", "jamais, allume le Kettle"),
        ("it", "mai, accendi il Kettle"),
        ("nl", "nooit, Kettle aan"),
        ("pl", "nigdy, włącz Kettle"),
        ("en", "I don't want to, kettle on"),
        ("de", "ich denke nicht, dass der Kettle an soll"),
        ("nl", "ik denk niet, dat de Kettle aan mag"),
        ("de", "ich sage nicht, mach den Kettle an"),
        ("en", "I'm not saying, turn on the kettle"),
        ("es", "no digo, enciende el Kettle"),
        ("fr", "je ne dis pas, allume le Kettle"),
        ("it", "non dico, accendi il Kettle"),
        ("nl", "ik zeg niet, zet de Kettle aan"),
        ("pl", "nie mówię, włącz Kettle"),
    ],
)
def test_a_denial_of_an_order(code: str, text: str) -> None:
    """What denies the order itself, and nothing else, is no reason for it."""
    assert not meaning(text, code).is_plain


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("de", "mach den Kettle an, lieber den Tod"),
        ("de", "mach den Kettle an, eher sterbe ich"),
        ("de", "mach den Kettle an, stattdessen die Musik"),
        ("de", "mach den Kettle an, vorher die Musik"),
        ("de", "mach den Kettle an, zuerst die Musik"),
        ("de", "mach den Kettle an, lieber nicht"),
        ("de", "mach den Kettle an, besser die Musik"),
        ("de", "mach den Kettle an, eher die Musik"),
        ("de", "mach den Kettle an, davor Musik"),
        ("de", "mach den Kettle an, im Gegenteil"),
        ("en", "turn on the Kettle, rather death"),
        ("en", "turn on the Kettle, I'd rather die"),
        ("en", "turn on the Kettle, or rather the moon"),
        ("en", "turn on the Kettle, instead the music"),
        ("en", "turn on the Kettle, first the music"),
        ("en", "turn on the Kettle, before that some music"),
        ("en", "turn on the Kettle, I'd prefer to sleep"),
        ("en", "turn on the Kettle, better the radio"),
        ("en", "turn on the Kettle, over my dead body"),
        ("en", "turn on the Kettle, actually the opposite"),
        ("es", "enciende el Kettle, antes la muerte"),
        ("es", "enciende el Kettle, antes muerto"),
        ("es", "enciende el Kettle, mejor la música"),
        ("es", "enciende el Kettle, más bien la música"),
        ("es", "enciende el Kettle, en su lugar la música"),
        ("es", "enciende el Kettle, primero la música"),
        ("es", "enciende el Kettle, en vez de eso música"),
        ("es", "enciende el Kettle, prefiero dormir"),
        ("es", "enciende el Kettle, al contrario"),
        ("fr", "allume le Kettle, plutôt la mort"),
        ("fr", "allume le Kettle, plutôt mourir"),
        ("fr", "allume le Kettle, à la place la musique"),
        ("fr", "allume le Kettle, avant ça la musique"),
        ("fr", "allume le Kettle, d'abord la musique"),
        ("fr", "allume le Kettle, au lieu de ça la musique"),
        ("fr", "allume le Kettle, mieux la musique"),
        ("fr", "allume le Kettle, je préfère dormir"),
        ("fr", "allume le Kettle, au contraire"),
        ("it", "accendi il Kettle, piuttosto la morte"),
        ("it", "accendi il Kettle, piuttosto muoio"),
        ("it", "accendi il Kettle, piuttosto no"),
        ("it", "accendi il Kettle, invece niente"),
        ("it", "accendi il Kettle, prima la musica"),
        ("it", "accendi il Kettle, anzi la morte"),
        ("it", "accendi il Kettle, prima di tutto il caffè"),
        ("it", "accendi il Kettle, al suo posto la radio"),
        ("it", "accendi il Kettle, piuttosto il contrario"),
        ("it", "accendi il Kettle, preferirei dormire"),
        ("nl", "zet de Kettle aan, liever de dood"),
        ("nl", "zet de Kettle aan, eerder de dood"),
        ("nl", "zet de Kettle aan, in plaats daarvan de muziek"),
        ("nl", "zet de Kettle aan, eerst de muziek"),
        ("nl", "zet de Kettle aan, daarvoor de muziek"),
        ("nl", "zet de Kettle aan, beter de muziek"),
        ("nl", "zet de Kettle aan, ik slaap liever"),
        ("nl", "zet de Kettle aan, integendeel"),
        ("pl", "włącz Kettle, raczej śmierć"),
        ("pl", "włącz Kettle, prędzej umrę"),
        ("pl", "włącz Kettle, zamiast tego muzyka"),
        ("pl", "włącz Kettle, najpierw muzyka"),
        ("pl", "włącz Kettle, przedtem muzyka"),
        ("pl", "włącz Kettle, lepiej muzyka"),
        ("pl", "włącz Kettle, wolę spać"),
        ("pl", "włącz Kettle, przeciwnie"),
    ],
)
def test_something_else_instead_or_before(code: str, text: str) -> None:
    """Who wants something else behind a comma, or that first, is asked."""
    assert not meaning(text, code).is_plain


@pytest.mark.parametrize("text", ["fa piuttosto freddo", "ho sete"])
def test_rather_as_a_degree(text: str) -> None:
    """It is a reason like any other."""
    assert meaning(f"accendi il Kettle, {text}", "it").is_plain


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "provided that it rains, turn on the Kettle"),
        ("es", "a no ser que llueva, enciende el Kettle"),
        ("es", "siempre que llueva, enciende el Kettle"),
        ("pl", "pod warunkiem, że pada, włącz Kettle"),
        ("es", "enciende el Kettle cada lunes"),
        ("en", "fat chance, turn on the Kettle"),
        ("de", "denkste, mach den Kettle an"),
        ("fr", "tu parles, allume le Kettle"),
        ("it", "figurati, accendi il Kettle"),
        ("es", "ni hablar, enciende el Kettle"),
        ("pl", "akurat, włącz Kettle"),
        ("de", "meine Frau hofft, du machst den Kettle an"),
        ("de", "stell dir vor, du machst den Kettle an"),
        ("pl", "on chciałby, żeby Kettle był wyłączony"),
        ("de", "lass ihn den Kettle ausmachen"),
        ("nl", "laat hem de Kettle uitzetten"),
        ("pl", "sam wyłączę Kettle"),
        ("pl", "ja wyłączę Kettle"),
        ("en", "I'd like to thank you for turning off the Kettle"),
        ("en", "thanks for turning off the Kettle"),
        ("de", "danke dass du den Kettle ausmachst"),
        ("fr", "merci d'avoir éteint le Kettle"),
        ("it", "grazie di aver spento il Kettle"),
        ("es", "gracias por apagar el Kettle"),
        ("nl", "bedankt voor het uitzetten van de Kettle"),
        ("pl", "dziękuję za wyłączenie Kettle"),
        ("de", "meine Frau fragt, könnte der Kettle ausgeschaltet werden"),
    ],
)
def test_a_condition_a_mockery_and_others(code: str, text: str) -> None:
    """Conditions, rejections, thanks, and what others or the speaker do, are no orders."""
    assert not meaning(text, code).is_plain
