"""What the model has to know beside the words of a user: the states of what is asked about."""

from typing import TYPE_CHECKING

from homeassistant.util import dt as dt_util

from .prompt import is_listed
from .shortlist import Shortlist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import HomeAssistant, State

    from .home import Home, Thing
    from .language import Language
    from .said import Said

MAX_THINGS = 12
ATTRIBUTES = ("current_temperature", "temperature", "brightness", "percentage", "volume_level")


def live_note(hass: HomeAssistant, home: Home, language: Language, said: Said) -> str:
    """Return what a question is about as it is now, empty if it is about nothing here.

    Of a home that is too large for the prompt, what was named is told of other sentences as well.
    """
    meant = meant_by(home, language, said)
    texts = language.texts
    lines = []
    if said.is_question:
        found = ((thing, hass.states.get(thing.entity_id)) for thing in meant)
        states = [f"{thing.name}: {_words(state)}" for thing, state in found if state]
        lines += [texts["states"].format(states=", ".join(states))] if states else []
        now = f"{dt_util.now():%A %Y-%m-%d %H:%M}"
        lines += [texts["time"].format(time=now)] if said.is_about_time else []
    elif meant:
        lines.append(f"{texts['home']} {', '.join(thing.name for thing in meant)}")
    return "\n".join(lines)


def meant_by(home: Home, language: Language, said: Said) -> list[Thing]:
    """Return what is told: the things that were named, else all of the place or of the kind.

    Empty if nothing has to be.
    """
    if not said.is_question and is_listed(home):
        return []
    shortlist = Shortlist.of(home, language, said.words)
    things = [one.thing for one in shortlist.things]
    if not any(one.is_sure for one in shortlist.things):
        # A question seldom names a sensor: it asks how warm it is somewhere.
        there = [one for one in home.things if one.area in shortlist.areas]
        things = list(dict.fromkeys((*there, *things)))
    if not things and shortlist.kinds:
        things = shortlist.of_kinds(shortlist.kinds)
    return things[:MAX_THINGS]


def _words(state: State) -> str:
    return " ".join((state.state, *_details(state)))


def _details(state: State) -> Iterator[str]:
    if unit := state.attributes.get("unit_of_measurement"):
        yield str(unit)
    for name in ATTRIBUTES:
        if (value := state.attributes.get(name)) is not None:
            yield f"({name.replace('_', ' ')} {value})"
