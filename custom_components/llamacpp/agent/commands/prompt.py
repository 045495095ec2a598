"""The home in as few tokens as possible: names by area, without states."""

from typing import TYPE_CHECKING

from .words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .home import Home, Thing
    from .language import Language

# A longer list would take too much of a small model's context, at four characters or so a token:
# then only what was named is told, with the words of the user.
MAX_LIST_CHARACTERS = 6000


def home_prompt(home: Home, language: Language, here: str | None) -> str:
    """Return what a model is told of the home, and how it does something in it.

    here: id of the area in which somebody speaks; its sentence is the last line.
    """
    texts = language.texts
    lines = list(_lines(home))
    area = home.areas.get(here) if here else None
    return "\n".join(
        (
            texts["protocol"],
            *((texts["home"], *lines) if lines and is_listed(home) else ()),
            *((texts["here"].format(area=area.name),) if area else ()),
        )
    )


def is_listed(home: Home) -> bool:
    """Tell whether the home is short enough for a prompt."""
    return sum(map(len, _lines(home))) <= MAX_LIST_CHARACTERS


def examples(home: Home, language: Language) -> list[tuple[str, str]]:
    """Return words and answers that show how it is done: commands of this home, then a chat.

    Without them a small model hardly knows what to make of a command; the other half of an answer
    is read off their form.
    """
    asked = language.texts["examples"]
    found: dict[str, str] = {}
    for thing in home.things:
        for sentence in language.sentences:
            if sentence.tool not in found and not sentence.slots and sentence.fits(thing):
                found[sentence.tool] = sentence.say.format(name=thing.name)
                break
    commands = list(found.values())[: len(asked)]
    return [
        *((form.format(command=one), one) for form, one in zip(asked, commands, strict=False)),
        tuple(language.texts["talk"]),
    ]


def _lines(home: Home) -> Iterator[str]:
    """Yield a line for what needs no place, then one for each area."""
    placed = {thing.entity_id for thing in home.things if _needs_place(thing, home)}
    if names := _names(thing for thing in home.things if thing.entity_id not in placed):
        yield names
    for area_id, area in sorted(home.areas.items(), key=lambda one: one[1].name):
        here = (one for one in home.things if one.area == area_id and one.entity_id in placed)
        if names := _names(here):
            yield f"{area.name}: {names}"


def _needs_place(thing: Thing, home: Home) -> bool:
    """Tell whether a thing is somewhere, and its name does not say where."""
    area = home.areas.get(thing.area) if thing.area else None
    return area is not None and not set(words_of(area.name)) <= set(words_of(thing.name))


def _names(things: Iterable[Thing]) -> str:
    # Two entities of one device often have one name.
    return ", ".join(dict.fromkeys(thing.name for thing in things))
