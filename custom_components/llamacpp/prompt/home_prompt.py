"""Describe the home in as few tokens as possible: names by area, without states."""

from typing import TYPE_CHECKING

from ..home.things import name_words, remembered
from ..home.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..home.language import Language
    from ..home.things import ExposedEntity, Home

# A longer list would take too much of a small model's context, at about four characters per token:
# then only the named entities go with the user's message.
MAX_LIST_CHARACTERS = 6000


def home_prompt(home: Home, language: Language, here: str | None) -> str:
    """Return the description of the home and of the commands.

    here: id of the speaker's area; its sentence is the last line.
    """
    texts = language.texts
    lines = _lines(home) if is_listed(home) else []
    area = home.areas.get(here) if here else None
    return "\n".join(
        (
            texts["protocol"],
            *((texts["home"], *lines) if lines else ()),
            *((texts["here"].format(area=area.name),) if area else ()),
        )
    )


@remembered
def is_listed(home: Home) -> bool:
    """Return whether the home is short enough for a prompt."""
    # Counting the names alone is fast.
    if sum(map(len, {thing.name for thing in home.things})) > MAX_LIST_CHARACTERS:
        return False
    return sum(map(len, _lines(home))) <= MAX_LIST_CHARACTERS


def examples(home: Home, language: Language) -> list[tuple[str, str]]:
    """Return pairs of user message and answer: commands of this home, then a chat.

    Without them a small model hardly knows what to do with a command; it infers the other half of
    an answer from their form.
    """
    known = _examples(home)
    if language.code not in known:
        known[language.code] = _find_examples(home, language)
    return known[language.code]


@remembered
def _examples(home: Home) -> dict[str, list[tuple[str, str]]]:  # noqa: ARG001 - one for each home
    """Return the examples of a home by language code."""
    return {}


def _find_examples(home: Home, language: Language) -> list[tuple[str, str]]:
    asked = language.texts["examples"]
    found: dict[str, str] = {}
    # Kinds and abilities without a further example.
    done: set[tuple[tuple[str, ...], frozenset[str]]] = set()
    for thing in home.things:
        if len(found) == len(asked):
            break
        if (seen := (thing.kinds, thing.abilities)) in done:
            continue
        for sentence in language.fitting(thing):
            if sentence.tool not in found and not sentence.slots:
                found[sentence.tool] = sentence.say.format(name=thing.name)
                break
        else:
            done.add(seen)
    commands = list(found.values())
    return [
        *((form.format(command=one), one) for form, one in zip(asked, commands, strict=False)),
        tuple(language.texts["talk"]),
    ]


@remembered
def _lines(home: Home) -> list[str]:
    """Return a line for entities without an area, then one for each area."""
    words = {area_id: set(words_of(area.name)) for area_id, area in home.areas.items()}
    unplaced: list[ExposedEntity] = []
    placed: dict[str, list[ExposedEntity]] = {area_id: [] for area_id in home.areas}
    for thing in home.things:
        # The name may contain the area.
        area = words.get(thing.area) if thing.area else None
        needs_place = area is not None and not area <= set(name_words(thing.name))
        (placed[thing.area] if thing.area and needs_place else unplaced).append(thing)
    areas = sorted(home.areas.items(), key=lambda one: one[1].name)
    return [
        *filter(None, (_names(unplaced),)),
        *(f"{area.name}: {_names(placed[one])}" for one, area in areas if placed[one]),
    ]


def _names(things: Iterable[ExposedEntity]) -> str:
    # Two entities of one device often have one name.
    return ", ".join(dict.fromkeys(thing.name for thing in things))
