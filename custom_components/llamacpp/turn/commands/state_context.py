"""The context for a question: the states of the entities that it is about."""

from collections import Counter
from typing import TYPE_CHECKING

from homeassistant.helpers.translation import (
    async_get_cached_translations,
    async_get_translations,
)
from homeassistant.util import dt as dt_util

from ...nlu.entity_linking import EntityLinker
from ...prompt.home_prompt import is_listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from homeassistant.core import HomeAssistant, State

    from ...home.language import Language
    from ...home.things import ExposedEntity, Home
    from ...nlu.utterance import Utterance

MAX_THINGS = 12
# Maximum number of entities to compare, so that none with an unusual state is missing.
MAX_LOOKED_AT = 96
ATTRIBUTES = ("current_temperature", "temperature", "brightness", "percentage", "volume_level")
# By a cover's kind: that of its sensors; a question about windows means both.
SENSORS = {
    "cover.window": "binary_sensor.window",
    "cover.door": "binary_sensor.door",
    "cover.garage": "binary_sensor.garage_door",
}
# Translation category of the states.
STATES = "entity_component"
OPENINGS = {*SENSORS.values(), "binary_sensor.opening"}


async def async_read_states(
    hass: HomeAssistant, language: Language, things: Iterable[ExposedEntity]
) -> None:
    """Load Home Assistant's translations of the entities' states."""
    domains = {one.domain for one in things}
    await async_get_translations(hass, language.code, STATES, domains)


def live_note(hass: HomeAssistant, home: Home, language: Language, said: Utterance) -> str:
    """Return the states that a question is about, empty if it is about nothing here.

    If the home is too large for the prompt, other utterances get the names of their entities.
    """
    meant = match_name(home, language, said)
    texts = language.texts
    lines = []
    if said.is_question:
        states = _told(hass, home, language, meant)
        lines += [texts["states"].format(states=", ".join(states))] if states else []
        now = f"{dt_util.now():%A %Y-%m-%d %H:%M}"
        lines += [texts["time"].format(time=now)] if said.is_about_time else []
    elif meant:
        names = ", ".join(thing.name for thing in meant[:MAX_THINGS])
        lines.append(f"{texts['home']} {names}")
    return "\n".join(lines)


def match_name(home: Home, language: Language, said: Utterance) -> list[ExposedEntity]:
    """Return the entities for the context: those named, else all of the place or kind.

    Empty if none are needed. MAX_LOOKED_AT + 1 of them mean that there are more.
    """
    if not said.is_question and is_listed(home):
        return []
    shortlist = EntityLinker.of(home, language, said.words)
    things = [one.thing for one in shortlist.things]
    is_sure = any(one.is_sure for one in shortlist.things)
    if not is_sure:
        # A question seldom names a sensor: it asks for the temperature of a room.
        things = [*(one for one in home.things if one.area in shortlist.areas), *things]
    if said.is_question:
        things += _sensors_of(shortlist)
    if said.is_question and (not is_sure or (shortlist.plurals and not shortlist.is_specific)):
        # `Lights` may be the name of some of them, and `window` that of one.
        kinds = shortlist.kinds
        areas = shortlist.areas
        of_kinds = shortlist.of_kinds(kinds | {SENSORS[one] for one in kinds & SENSORS.keys()})
        things += [one for one in of_kinds if not areas or one.area in areas]
    if not things and shortlist.kinds:
        things = shortlist.of_kinds(shortlist.kinds)
    return list(dict.fromkeys(things))[: MAX_LOOKED_AT + 1]


def _sensors_of(shortlist: EntityLinker) -> Iterator[ExposedEntity]:
    """Yield the door and window sensors whose names contain those of the named entities.

    A `Front Door` may be a lock, which does not know whether it is open: its contact does.
    """
    by_word = shortlist.index.by_word
    for meant in shortlist.things:
        alike = [by_word[word] for word in meant.words]
        for index in sorted(set[int].intersection(*alike)) if meant.is_sure else ():
            thing = shortlist.home.things[index]
            if thing.kinds[0] in OPENINGS:
                yield thing


def _told(
    hass: HomeAssistant, home: Home, language: Language, things: Sequence[ExposedEntity]
) -> list[str]:
    """Return the names and states of entities; of many, first those in the rarest states."""
    found = [(one, state) for one in things if (state := hass.states.get(one.entity_id))]
    namesakes = Counter(thing.name for thing, _ in found)
    told = [
        (
            _name(home, thing) if namesakes[thing.name] > 1 else thing.name,
            _words(hass, language, state),
        )
        for thing, state in found
    ]
    if len(told) <= MAX_THINGS:
        return [f"{name}: {words}" for name, words in told]
    alike = Counter(words for _, words in told)
    told.sort(key=lambda one: alike[one[1]])
    is_all = len(things) <= MAX_LOOKED_AT
    rest = Counter(words for _, words in told[MAX_THINGS:] if is_all)
    return [
        *(f"{name}: {words}" for name, words in told[:MAX_THINGS]),
        *(f"+{count}: {words}" for words, count in rest.most_common(MAX_THINGS)),
    ]


def _name(home: Home, thing: ExposedEntity) -> str:
    area = home.areas.get(thing.area) if thing.area else None
    return f"{thing.name} ({area.name})" if area else thing.name


def _words(hass: HomeAssistant, language: Language, state: State) -> str:
    return " ".join((_state(hass, language, state), *_details(state)))


def _state(hass: HomeAssistant, language: Language, state: State) -> str:
    """Return a state in words: a window is open, not `on`."""
    domain = state.domain
    words = async_get_cached_translations(hass, language.code, STATES, domain)
    for kind in (state.attributes.get("device_class"), "_"):
        if told := words.get(f"component.{domain}.{STATES}.{kind}.state.{state.state}"):
            return f"{told[0].lower()}{told[1:]}"
    return state.state


def _details(state: State) -> Iterator[str]:
    if unit := state.attributes.get("unit_of_measurement"):
        yield str(unit)
    for name in ATTRIBUTES:
        if (value := state.attributes.get(name)) is not None:
            yield f"({name.replace('_', ' ')} {value})"
