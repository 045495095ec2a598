"""Which of several things are meant: numbers in names, plurals, places, and what must not count."""

import pytest

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter

from .homes import DECLARED

# Beside the two that are called alike, each home has so many things that a word of a name tells
# as much as it does in a real one.
OTHERS = ("Aroha", "Bodrum", "Cusco", "Dakar", "Esbjerg", "Fukui", "Genk", "Hobart")


def home_of(*names: str, kind: str = "light") -> Home:
    """Return a home with things of one kind in a room, and others elsewhere."""
    things = [
        ExposedEntity(f"{kind}.own_{n}", (name,), area="here") for n, name in enumerate(names)
    ]
    others = [ExposedEntity(f"switch.{name.lower()}", (name,), area="there") for name in OTHERS]
    return Home((*things, *others), {"here": Place(("Zzyzx",)), "there": Place(("Qwghlm",))})


def done(code: str, text: str, home: Home, here: str | None = None) -> set[str]:
    """Return the names and places that commands are about which are run without a question."""
    language = load(code)
    meant = Interpreter(Candidates(home, language, DECLARED, here), language).meaning(text)
    if not meant.is_plain:
        return set()
    return {
        str(one.args.get("name") or one.args.get("area") or one.args["domain"])
        for part in meant.parts
        for one in part
        if one.is_plain
    }


@pytest.mark.parametrize(
    ("code", "names", "text", "expected"),
    [
        ("en", "Strip 1|Strip 2", "turn on strip two", {"Strip 2"}),
        ("en", "Strip One|Strip Two", "turn on strip 2", {"Strip Two"}),
        ("en", "Strip 1|Strip 2", "turn on strip one and strip two", {"Strip 1", "Strip 2"}),
        ("en", "Strip 1|Strip 2", "turn on strip three", set()),
        ("en", "Strip 1|Strip 2", "turn the strips off", {"Strip 1", "Strip 2"}),
        ("en", "Strip 1|Strip 2", "turn the strip off", set()),
        ("en", "Strip 1|Strip 2", "turn off the strips tomorrow", set()),
        ("en", "Strip 1|Strip 2", "don't turn the strips off", set()),
        ("de", "Wolke 1|Wolke 2", "schalte Wolke zwei ein", {"Wolke 2"}),
        ("de", "Wolke 1|Wolke 2", "schalte Wolke drei ein", set()),
        ("de", "Nachtlampe links|Nachtlampe rechts", "schalte die Nachtlampen aus", "all"),
        ("de", "Nachtlampe links|Nachtlampe rechts", "schalte die Nachtlampe aus", set()),
        ("it", "Lampione 1|Lampione 2", "accendi il lampione due", {"Lampione 2"}),
        ("it", "Lampione 1|Lampione 2", "accendi i lampioni", "all"),
        ("it", "Lampione 1|Lampione 2", "accendi il lampione", set()),
        ("it", "Lampione 1|Lampione 2", "non accendere i lampioni", set()),
        ("fr", "Chevet gauche|Chevet droit", "allume les chevets", "all"),
        ("fr", "Chevet gauche|Chevet droit", "allume le chevet", set()),
        ("es", "Foco 1|Foco 2", "enciende el foco dos", {"Foco 2"}),
        ("nl", "Kooilamp links|Kooilamp rechts", "doe de kooilampen uit", "all"),
        ("nl", "Kooilamp links|Kooilamp rechts", "doe de kooilamp uit", set()),
    ],
)
def test_which_of_two(code: str, names: str, text: str, expected: set[str] | str) -> None:
    """A number in words is one in digits; a plural means both, and a singular neither."""
    listed = names.split("|")
    assert done(code, text, home_of(*listed)) == ({*listed} if expected == "all" else expected)


def test_a_plural_moves_nothing_critical() -> None:
    """`Doors` may be a slip of `door`: what could do harm takes its name."""
    home = home_of("Barn Door", "Stable Door", kind="lock")
    assert not done("en", "unlock the doors", home)
    assert done("en", "unlock the barn door", home) == {"Barn Door"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("turn off the lights in the whole house", {"['light']"}),
        ("turn off all the lights", {"Zzyzx"}),
        ("turn off the lights in the attic", set()),
        ("turn off the lights, the second one stays on", set()),
        ("turn off the lights, the strip can stay", set()),
    ],
)
def test_the_whole_house(text: str, expected: set[str]) -> None:
    """It is more than the room in which somebody speaks; a room that is not known is nothing."""
    assert done("en", text, home_of("Strip 1", "Strip 2"), "here") == expected


def test_places_that_are_joined() -> None:
    """`And in the hall` is about the kind of thing that was named before."""
    places = {"bath": Place(("Bath",)), "hall": Place(("Hall",))}
    lights = [
        ExposedEntity(f"light.{area}_{n}", (f"{area} {n}",), area=area)
        for area in places
        for n in "ab"
    ]
    home = Home(tuple(lights), places)
    assert done("en", "turn off the lights in the bath and in the hall", home) == {"Bath", "Hall"}
    assert not done("en", "turn off the lights in the bath and in the cellar", home)


def test_a_longer_verb_is_another_one() -> None:
    """`Cierra con llave` locks, and closes no valve that is called `Llave de paso`."""
    valve = ExposedEntity("valve.stop", ("Llave de paso",), area="here")
    lock = ExposedEntity("lock.flat", ("Cerradura del piso",), area="here")
    home = Home((valve, lock), {"here": Place(("Zzyzx",))})
    assert done("es", "cierra con llave la cerradura del piso", home) == {"Cerradura del piso"}
    assert not done("es", "cierra con llave el piso", Home((valve,), home.areas))
    assert done("es", "cierra la llave de paso", home) == {"Llave de paso"}


@pytest.mark.parametrize(
    ("code", "text", "is_done"),
    [
        ("en", "add milk to the groceries list", True),
        ("en", "put a word in for me", False),
        ("es", "apunta leche en la lista", True),
        ("es", "me voy a echar un rato", False),
        ("es", "me gustaría que esto pareciera un hotel", False),
    ],
)
def test_only_what_names_a_list_is_put_on_it(code: str, text: str, *, is_done: bool) -> None:
    """Whatever is said could be an item of the only list."""
    home = home_of("Groceries" if code == "en" else "Compra", kind="todo")
    assert bool(done(code, text, home)) is is_done
