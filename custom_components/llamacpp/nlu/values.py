"""Extract the values of arguments from an utterance."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..home.durations import duration_text, lengths
from ..home.numbers import half_degrees, numbers_in, one_degree
from ..home.words import PERCENT, is_like
from .items import Items
from .relative import STEPS, difference, direction, step
from .utterance import is_any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..home.language import Sentence
    from ..home.things import ExposedEntity
    from .entity_linking import EntityLinker
    from .relative import Now
    from .utterance import Utterance
    from .verbs import Heard

MAX_PERCENT = 100
MIN_KELVIN, MAX_KELVIN = 1000, 10000


class Values:
    """The values in one part of an utterance."""

    def __init__(
        self,
        words: Sequence[str],
        shortlist: EntityLinker,
        heard: Mapping[Sentence, Heard],
        said: Utterance | None,
        now: Now,
    ) -> None:
        """Initialize for these words.

        shortlist: entities that they name. heard: matches of their verbs. said: their utterance.
        now: states of the entities.
        """
        self._now = now
        self._words = words
        self._shortlist = shortlist
        self._language = shortlist.index.language
        self.items = Items(words, self._language, heard, said, now)
        self._lengths = lengths(words, self._language)

    def has(self, kind: str, sentence: Sentence) -> bool:
        """Return whether the words have a value for a slot of this kind, of whatever entity.

        The result of a difference depends on the entity: `two degrees warmer` has no value alone.
        """
        if kind in {"percent", "degrees"}:
            return any(self._told(kind, self._unnamed(None)))
        return any(self.of(kind, sentence, None))

    def _unnamed(self, thing: ExposedEntity | None) -> list[str]:
        """Return the words that are in neither a name nor a duration."""
        names = self._shortlist.naming(thing)
        times = {index for one in self._lengths for index in range(*one.places)}
        return [
            word
            for index, word in enumerate(self._words)
            if word not in names and index not in times
        ]

    def of(
        self, kind: str, sentence: Sentence, thing: ExposedEntity | None
    ) -> Iterator[tuple[str, Any]]:
        """Yield the values for a slot of this kind: as text, and as the tool's argument."""
        words = self._unnamed(thing)
        match kind:
            case "percent" | "degrees":
                if by_step := step(self._words, sentence, self._language):
                    yield from self._by_step(sentence, thing, by_step.sign)
                else:
                    yield from self._numbers(kind, sentence, thing, words)
            case "kelvin":
                yield from self._kelvins(words)
            case "color":
                known = self._language.colors
                yield from ((word, known[word]) for word in words if word in known)
            case "area":
                named = (self._shortlist.home.areas[one].name for one in self._shortlist.areas)
                yield from ((name, name) for name in named)
            case "item":
                yield from ((item, item) for item in self.items.of(sentence, thing))
            case "duration":
                for one in self._lengths[:1]:
                    yield duration_text(one.units, self._language), dict(one.units)

    def _numbers(
        self, kind: str, sentence: Sentence, thing: ExposedEntity | None, words: Sequence[str]
    ) -> Iterator[tuple[str, float]]:
        """Yield absolute numbers, or differences added to the present value."""
        told = difference(words, self._language, is_degrees=kind == "degrees")
        values = self._told(kind, words)
        if told is None:
            yield from self._going(sentence, thing, values)
        elif told.sign and thing:
            yield from self._from_now(sentence, thing, told.sign, values)

    def _going(
        self, sentence: Sentence, thing: ExposedEntity | None, values: Iterable[tuple[str, float]]
    ) -> Iterator[tuple[str, float]]:
        """Yield the values, but as a difference if one contradicts the direction.

        `Up ten degrees` is no order to cool down to ten. But an open cover may `open` to less.
        """
        slot = next(iter(sentence.slots))
        way = direction(self._words, self._language)
        now = self._now.value(thing.entity_id, slot) if thing and slot != "position" else None
        for one in values:
            if thing and now is not None and way > 0 and one[1] < now:
                yield from self._from_now(sentence, thing, way, [one])
            else:
                yield one

    def _told(self, kind: str, words: Sequence[str]) -> Iterable[tuple[str, float]]:
        return self._percents(words) if kind == "percent" else self._degrees(words)

    def _from_now(
        self,
        sentence: Sentence,
        thing: ExposedEntity,
        sign: int,
        values: Iterable[tuple[str, float]],
    ) -> Iterator[tuple[str, float]]:
        """Yield values above or below the entity's present value by these amounts."""
        slot, kind = next(iter(sentence.slots.items()))
        now = self._now.value(thing.entity_id, slot)
        if now is None:
            return
        for _, value in values:
            wanted = now + sign * value
            if kind == "percent":
                wanted = min(max(round(wanted), 0), MAX_PERCENT)
            yield f"{wanted:g}", wanted

    def _by_step(
        self, sentence: Sentence, thing: ExposedEntity | None, sign: int
    ) -> Iterator[tuple[str, float]]:
        """Yield the value a step above or below the entity's present one, if it differs."""
        slot = next(iter(sentence.slots))
        now = self._now.value(thing.entity_id, slot) if thing else None
        if now is None:
            return
        wanted = now + sign * STEPS[slot]
        if sentence.slots[slot] == "percent":
            # `Darker` never turns a light off.
            wanted = min(max(round(wanted), min(round(now), 1)), MAX_PERCENT)
        if wanted != now:
            yield f"{wanted:g}", wanted

    def is_more_light(self, slot: str) -> bool:
        """Return whether the words ask for more light, or less of it, without a verb."""
        if slot != "brightness" or "light" not in self._language.kinds:
            return False
        lists = self._language.lists
        light = {one[0] for one in self._language.kinds["light"].words}
        words = [word for word in self._words if (word,) not in lists["small"]]
        return any(
            (before,) in (*lists["more"], *lists["less"])
            and any(is_like(word, one, may_slip=False) for one in light)
            for before, word in pairwise(words)
        )

    @property
    def are_degrees(self) -> bool:
        """Return whether the words have a unit of degrees."""
        return is_any(self._language.lists["degrees"], self._words, self._language)

    def tell(self, kind: str) -> bool:
        """Return whether a value of this kind implies its verb."""
        match kind:
            case "percent":
                levels = self._language.levels
                percents = ((PERCENT,), *self._language.lists["percents"], *levels)
                return is_any(percents, self._words, self._language)
            case "degrees" | "kelvin" | "color":
                return True
            case _:
                return False

    def _percents(self, words: Sequence[str]) -> Iterator[tuple[str, int]]:
        if is_any(self._language.lists["degrees"], words, self._language):
            return
        for number in numbers_in(words, self._language, self._language.levels):
            if 0 <= number <= MAX_PERCENT and number == int(number):
                yield str(int(number)), int(number)

    def _degrees(self, words: Sequence[str]) -> Iterator[tuple[str, float]]:
        numbers = numbers_in(words, self._language)
        said = tuple(words)
        if not numbers and (
            part := half_degrees(said, self._language) or one_degree(said, self._language)
        ):
            numbers = [part[0]]
        for number in numbers:
            if 0 < number <= self._now.max_degrees:
                yield f"{number:g}", number

    def _kelvins(self, words: Sequence[str]) -> Iterator[tuple[str, int]]:
        for number in numbers_in(words, self._language):
            if MIN_KELVIN <= number <= MAX_KELVIN:
                yield f"{number:g}", int(number)
