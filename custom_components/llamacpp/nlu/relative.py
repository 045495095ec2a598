"""Compute relative values, such as `two degrees less`, from the present state."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeassistant.components.todo.const import DATA_COMPONENT, TodoItemStatus
from homeassistant.const import UnitOfTemperature

from ..home.numbers import half_degrees, is_article, number_at, one_degree
from ..home.words import PERCENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from homeassistant.core import HomeAssistant

    from ..home.language import Language, Phrase, Sentence

# Up to this many degrees are a difference, not a target temperature.
MAX_DIFFERENCE = 8
# By slot: the entity's attribute, and its value at 100 percent.
ATTRIBUTES = {
    "brightness": ("brightness", 255),
    "percentage": ("percentage", 100),
    "position": ("current_position", 100),
    "volume_level": ("volume_level", 1),
    "humidity": ("humidity", 100),
    "temperature": ("temperature", 100),
}
# By slot: the step of a bare `brighter` or `warmer`, in percent or degrees.
STEPS = {"brightness": 20, "percentage": 20, "temperature": 1, "humidity": 5}
# By tool and domain: the state after success.
SWITCHED = {
    "HassTurnOn": {"": "on", "cover": "open", "valve": "open", "lock": "locked"},
    "HassTurnOff": {"": "off", "cover": "closed", "valve": "closed", "lock": "unlocked"},
}
MAX_DEGREES = {UnitOfTemperature.CELSIUS: 40, UnitOfTemperature.FAHRENHEIT: 110}


class Now:
    """Present states of the home; thread-safe."""

    def __init__(self, hass: HomeAssistant | None = None) -> None:
        """Initialize. hass: None if no states are known."""
        self._hass = hass
        unit = hass.config.units.temperature_unit if hass else UnitOfTemperature.CELSIUS
        self.max_degrees = MAX_DEGREES[UnitOfTemperature(unit)]

    def value(self, entity_id: str, slot: str) -> float | None:
        """Return the present value of a slot in percent or degrees, None if unknown."""
        name, whole = ATTRIBUTES.get(slot, ("", 0))
        state = self._hass.states.get(entity_id) if self._hass else None
        value = state.attributes.get(name) if state else None
        if value is None and slot == "brightness" and state and state.state == "off":
            return 0
        return value * 100 / whole if isinstance(value, (int, float)) else None

    def items(self, entity_id: str, *, is_open: bool) -> list[str]:
        """Return the items of a to-do list. is_open: only those not completed."""
        component = self._hass.data.get(DATA_COMPONENT) if self._hass else None
        entity = component.get_entity(entity_id) if component else None
        return [
            one.summary
            for one in (entity and entity.todo_items) or ()
            if one.summary and not (is_open and one.status == TodoItemStatus.COMPLETED)
        ]

    def is_done(self, tool: str, entity_id: str) -> bool:
        """Return whether this tool would not change the entity's state."""
        state = self._hass.states.get(entity_id) if self._hass else None
        if state is None or tool not in SWITCHED:
            return False
        return state.state == SWITCHED[tool].get(state.domain, SWITCHED[tool][""])


@dataclass(frozen=True, slots=True)
class Difference:
    """A relative value. sign: 1 for more, -1 for less, 0: unclear.

    places: of its words in the utterance.
    """

    sign: int
    places: frozenset[int]


def difference(
    words: Sequence[str], language: Language, *, is_degrees: bool = False
) -> Difference | None:
    """Return the first number in the words as a difference, None if it is an absolute value."""
    words = tuple(words)
    found = _first_number(words, language) or (
        half_degrees(words, language) or one_degree(words, language) if is_degrees else None
    )
    if found is None:
        return None
    value, start, end = found
    lists = language.lists
    units = (*lists["degrees"], *lists["points"], (PERCENT,))
    unit = _longest(units, words, end)
    behind = end + unit
    before = words[:start]
    if _ends(before, lists["to"]):
        return None
    more, less = _more_or_less(words, language)
    more |= _at(lists["up"], words, behind)
    less |= _at(lists["down"], words, behind)
    ups = more | _places(lists["up"], words)
    downs = less | _places(lists["down"], words)
    is_by = _ends(before, lists["by"]) or is_article(before[-1:], words[start:], language.numbers)
    is_points = bool(_longest(lists["points"], words, end))
    is_few = is_degrees and value <= MAX_DIFFERENCE
    sign = _sign(more, less) or _sign(ups, downs)
    if not (is_by or is_points or is_few or more or less):
        return None
    if not sign and not (is_by or is_points or is_few):
        return None
    places = ups | downs | {*range(start - is_by, behind)}
    # A leading `close` and `more` contradict each other: `Close it 20 percent more`.
    is_clear = not _begins(downs if sign > 0 else ups if sign < 0 else set(), words, language)
    return Difference(sign if is_clear else 0, frozenset(places))


def direction(words: Sequence[str], language: Language) -> int:
    """Return the direction of a number without a word such as `to` before it, 0: neither."""
    said = tuple(words)
    found = _first_number(said, language)
    to = language.lists["to"]
    if found is None or _ends(said[: found[1]], to):
        return 0
    # German `auf` is `to` even if the kind of value comes before the number.
    ways = ([one for one in language.lists[name] if one not in to] for name in ("up", "down"))
    ups, downs = (_places(one, said) for one in ways)
    return _sign(ups, downs)


def _begins(places: set[int], words: Phrase, language: Language) -> bool:
    """Return whether the utterance begins with one of these places, ignoring small words."""
    small = language.lists["small"]
    first = next((index for index, word in enumerate(words) if (word,) not in small), len(words))
    return min(places, default=len(words)) <= first


def step(words: Sequence[str], sentence: Sentence, language: Language) -> Difference | None:
    """Return the direction of a change without an amount, None if there is none.

    Words such as `up` count only as the sentence's verb, which `open` is not.
    """
    slot = next(iter(sentence.slots), "")
    words = tuple(words)
    is_told = (
        _first_number(words, language)
        or half_degrees(words, language)
        or one_degree(words, language)
    )
    if slot not in STEPS or is_told:
        return None
    lists = language.lists
    verbs = {*sentence.hear}
    more, less = _more_or_less(words, language)
    more |= _apart(verbs.intersection(lists["up"]), words)
    less |= _apart(verbs.intersection(lists["down"]), words)
    sign = _sign(more, less)
    return Difference(sign, frozenset(more | less)) if sign else None


def _more_or_less(words: Phrase, language: Language) -> tuple[set[int], set[int]]:
    """Return the places of words for more and for less: Spanish `más frío` is less, not `más`."""
    more, less = (
        {
            (start, start + len(phrase))
            for phrase in language.lists[name]
            for start in range(len(words))
            if words[start : start + len(phrase)] == phrase
        }
        for name in ("more", "less")
    )
    return _without_parts(more, less), _without_parts(less, more)


def _without_parts(found: set[tuple[int, int]], others: set[tuple[int, int]]) -> set[int]:
    """Return the places of phrases that are not part of a longer one of the others."""
    return {
        place
        for start, end in found
        if not any(
            begin <= start and end <= stop and stop - begin > end - start for begin, stop in others
        )
        for place in range(start, end)
    }


def _first_number(words: Phrase, language: Language) -> tuple[float, int, int] | None:
    for start in range(len(words)):
        value, end = number_at(words, start, language)
        if value is not None:
            return value, start, end
    return None


def _sign(more: set[int], less: set[int]) -> int:
    return bool(more) - bool(less)


def _longest(phrases: Iterable[Phrase], words: Phrase, start: int) -> int:
    """Return the length in words of the longest phrase at `start`."""
    return max((len(one) for one in phrases if words[start : start + len(one)] == one), default=0)


def _ends(words: Phrase, phrases: Iterable[Phrase]) -> int:
    """Return the length in words of the longest phrase at the end of the words."""
    return max((len(one) for one in phrases if words[-len(one) :] == one), default=0)


def _at(phrases: Iterable[Phrase], words: Phrase, start: int) -> set[int]:
    return {*range(start, start + _longest(phrases, words, start))}


def _places(phrases: Iterable[Phrase], words: Phrase) -> set[int]:
    return {
        place
        for phrase in phrases
        for start in range(len(words))
        if words[start : start + len(phrase)] == phrase
        for place in range(start, start + len(phrase))
    }


def _apart(phrases: Iterable[Phrase], words: Phrase) -> set[int]:
    """Return the places of phrases, also with words in between: `turn it down`."""
    found: set[int] = set()
    for phrase in phrases:
        start, places = 0, []
        for word in phrase:
            if word not in words[start:]:
                break
            places.append(words.index(word, start))
            start = places[-1] + 1
        else:
            found.update(places)
    return found
