"""What German-speaking families say: compounds, parted verbs, floors."""

import pytest

from custom_components.llamacpp.home.things import ExposedEntity, Home, Place

from .homes import commands, heard

HOME = Home(
    things=(
        ExposedEntity("light.ceiling", ("Deckenlampe",), area="kitchen"),
        ExposedEntity("light.desk", ("Schreibtischlampe",), area="study"),
        ExposedEntity("light.bed", ("Bettlicht",), area="bedroom"),
        ExposedEntity("climate.study", ("Heizung Arbeitszimmer",), area="study"),
        ExposedEntity("climate.bedroom", ("Heizkörper",), area="bedroom"),
        ExposedEntity("cover.study", ("Rollladen",), device_class="shutter", area="study"),
        ExposedEntity("cover.garage", ("Garagentor",), device_class="garage"),
        ExposedEntity("valve.garden", ("Bewässerung",), area="garden"),
        ExposedEntity("switch.pump", ("Brunnenpumpe",), area="garden"),
        ExposedEntity("media_player.radio", ("Radio",), area="kitchen"),
        ExposedEntity("vacuum.robot", ("Saugroboter",)),
        ExposedEntity("todo.shopping", ("Einkaufsliste",)),
    ),
    areas={
        "kitchen": Place(("Küche",), floor="ground"),
        "study": Place(("Arbeitszimmer",), floor="upper"),
        "bedroom": Place(("Schlafzimmer",), floor="upper"),
        "garden": Place(("Garten",)),
    },
    floors={"ground": Place(("Erdgeschoss", "unten")), "upper": Place(("Obergeschoss", "oben"))},
)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("Mach die Küchenlampe an", "Deckenlampe einschalten"),
        ("Arbeitszimmerheizung auf 19 Grad", "Heizung Arbeitszimmer auf 19 Grad stellen"),
        ("Heiz das Schlafzimmer auf 20 Grad", "Heizkörper auf 20 Grad stellen"),
        ("Stopp die Brunnenpumpe", "Brunnenpumpe ausschalten"),
        ("Kannst du den Rollladen runterlassen?", "Rollladen schließen"),
        ("Garagentor auf", "Garagentor öffnen"),
        ("Dreh die Bewässerung zu", "Bewässerung schließen"),
        ("Bewässerung an", "Bewässerung öffnen"),
        ("Lass den Saugroboter los", "Saugroboter starten"),
        ("Nimm Mehl von der Einkaufsliste runter", "Mehl von Einkaufsliste streichen"),
        ("Mach oben das Licht aus", "alle Lichter auf der Etage Obergeschoss ausschalten"),
    ],
)
def test_what_is_said(words: str, command: str) -> None:
    """The right command is heard, alone, and what it is about is clear."""
    assert heard(words, code="de", home=HOME) == {command}
    (found,) = [one for one in commands(words, code="de", home=HOME) if one.is_heard]
    assert found.is_named


def test_the_radio_is_paused() -> None:
    """`Stopp` turns off what cannot be paused."""
    assert heard("Stopp das Radio", code="de", home=HOME) == {"Radio pausieren"}
