"""What is said in French: elisions, small words in names, and verbs that are other words too."""

import pytest

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.utterance import understand

from .homes import parts_of

DIMMABLE = frozenset(("brightness",))
MOVABLE = frozenset(("position",))
HOME = Home(
    things=(
        ExposedEntity("light.ceiling", ("Plafonnier cuisine",), area="kitchen", abilities=DIMMABLE),
        ExposedEntity("light.sink", ("Réglette de l'évier",), area="kitchen"),
        ExposedEntity("light.reading", ("Lampe de lecture",), area="lounge", abilities=DIMMABLE),
        ExposedEntity("switch.washer", ("Lave-linge",), area="kitchen"),
        ExposedEntity("climate.heater", ("Radiateur salon",), area="lounge"),
        ExposedEntity(
            "cover.shutter",
            ("Volet du salon",),
            device_class="shutter",
            area="lounge",
            abilities=MOVABLE,
        ),
        ExposedEntity(
            "cover.curtain", ("Rideaux du bureau",), device_class="curtain", area="study"
        ),
        ExposedEntity("cover.garage", ("Porte de garage",), device_class="garage", area="garage"),
        ExposedEntity("lock.front", ("Porte d'entrée",), area="hall"),
        ExposedEntity("lock.cellar", ("Porte de la cave",), area="cellar"),
        ExposedEntity("valve.sprinkler", ("Arrosage automatique",), device_class="water"),
        ExposedEntity("media_player.tv", ("Télé",), device_class="tv", area="lounge"),
        ExposedEntity("scene.evening", ("Soirée raclette",)),
        ExposedEntity("todo.shopping", ("Liste de courses",), area="kitchen"),
    ),
    areas={
        "kitchen": Place(("Cuisine",)),
        "lounge": Place(("Salon",)),
        "study": Place(("Bureau",)),
        "garage": Place(("Garage",)),
        "hall": Place(("Entrée",)),
        "cellar": Place(("Cave",)),
    },
)


def heard(words: str) -> list[list[str]]:
    """Return for each part of what was said the commands whose verb and thing were."""
    return [
        [one.text for one in part if one.is_heard and one.is_named]
        for part in parts_of(words, code="fr", home=HOME)
    ]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("On rentre tard, éteins la lampe de lecture", "éteindre Lampe de lecture"),
        ("On n'a plus besoin de la lampe de lecture", "éteindre Lampe de lecture"),
        ("Tout le monde dort, éteins la télé", "éteindre Télé"),
        ("Ferme les rideaux du bureau, le monde nous voit", "fermer Rideaux du bureau"),
        ("Tire les rideaux du bureau", "fermer Rideaux du bureau"),
        ("Remonte le volet du salon", "ouvrir Volet du salon"),
        ("Mets le volet du salon à mi-hauteur", "régler Volet du salon à 50 pour cent"),
        ("Ferme le volet du salon aux trois quarts", "régler Volet du salon à 75 pour cent"),
        ("Fais tourner le lave-linge", "allumer Lave-linge"),
        ("Mets l'arrosage en marche", "ouvrir Arrosage automatique"),
        ("Coupe l'arrosage", "fermer Arrosage automatique"),
        ("Ferme la porte de la cave à clé", "verrouiller Porte de la cave"),
        ("On va se coucher, ferme la cave à clé", "verrouiller Porte de la cave"),
        ("Prépare la soirée raclette", "activer la scène Soirée raclette"),
        (
            "Mets le radiateur du salon à vingt et un degrés",
            "régler Radiateur salon à 21 degrés",
        ),
        (
            "Éteins toutes les lumières de la cuisine",
            "éteindre toutes les lumières dans la pièce Cuisine",
        ),
    ],
)
def test_only_what_was_meant(words: str, command: str) -> None:
    """There is one command with the verb that was said."""
    assert heard(words) == [[command]]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("Note de l'huile d'olive sur la liste de courses", "ajouter huile d'olive à"),
        ("Note de l\u2019huile d\u2019olive sur la liste de courses", "ajouter huile d\u2019olive"),
        ("Ajoute du pain de mie à la liste de courses", "ajouter pain de mie à"),
        ("Coche les œufs de ma liste de courses", "cocher œufs sur Liste"),
        ("Coche les pommes de terre de la liste de courses", "cocher pommes de terre sur Liste"),
    ],
)
def test_items(words: str, command: str) -> None:
    """An item is written as it was said, and ends where the list begins."""
    ((found,),) = parts_of(words, code="fr", home=HOME)
    assert found.text.startswith(command)


def test_sound_is_not_the_player() -> None:
    """`coupe` alone turns it off, but not where it is a part of another verb."""
    assert heard("Coupe la télé") == [["éteindre Télé"]]
    assert heard("Coupe le son de la télé") == [[]]


@pytest.mark.parametrize(
    "words",
    [
        "La porte d'entrée est-elle fermée ?",
        "J'ai bien fermé le garage ?",
        "T'as fermé le garage ?",
        "Le volet du salon est baissé ?",
        "Les volets sont bien fermés ?",
        "Il reste des lumières allumées ?",
        "Tu sais si la porte d'entrée est fermée à clé",
        "Je voudrais savoir si le garage est fermé",
        "Tu peux regarder si le garage est fermé ?",
        "A-t-on fermé le garage ?",
    ],
)
def test_questions(words: str) -> None:
    """What is asked is not done."""
    assert understand(words, load("fr")).is_question


@pytest.mark.parametrize(
    "words",
    [
        "Est-ce que tu veux bien fermer le volet du salon ?",
        "Ça te dérange de fermer le volet du salon ?",
        "Tu as raison, ferme le volet du salon",
        "Merci de fermer le volet du salon",
    ],
)
def test_polite_orders(words: str) -> None:
    """What is asked for is done."""
    said = understand(words, load("fr"))
    assert not said.is_question
    assert not said.is_chat
    assert heard(words) == [["fermer Volet du salon"]]


def test_thanks_are_a_chat() -> None:
    """They speak of what was done already."""
    assert understand("Merci d'avoir éteint la télé", load("fr")).is_chat
