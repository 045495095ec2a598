"""All plain commands of a home, and the one that shares most words with a sentence.

The commands are from the integration's sentence files. Nothing else of its understanding is used,
except for values, such as numbers, which are copied from the sentence.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from custom_components.llamacpp.home.words import words_of
from custom_components.llamacpp.nlu.entity_linking import EntityLinker
from custom_components.llamacpp.nlu.relative import Now
from custom_components.llamacpp.nlu.values import Values
from custom_components.llamacpp.nlu.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from custom_components.llamacpp.home.language import Language, Sentence
    from custom_components.llamacpp.home.things import ExposedEntity, Home, Place

# Minimum share of common words to carry out a command.
MIN_OVERLAP = 0.5
# The kind of value that takes all remaining words.
FREE = "item"


@dataclass(frozen=True, slots=True)
class PlainCommand:
    """A plain command. tool: name without the namespace. free: words copied from the sentence."""

    text: str
    tool: str
    args: Mapping[str, Any]
    free: frozenset[str] = frozenset()


def overlap(one: set[str], other: set[str]) -> float:
    """Return the overlap of two sentences: twice the shared words, divided by the words of both."""
    whole = len(one) + len(other)
    return 2 * len(one & other) / whole if whole else 0.0


def choose(text: str, home: Home, language: Language) -> PlainCommand | None:
    """Return the command with the largest overlap, the first of several; None below the limit."""
    words = words_of(text)
    best, best_overlap = None, 0.0
    for command in commands(words, home, language):
        # Copied words would make the sentence similar to any command.
        found = overlap(set(words) - command.free, set(words_of(command.text)) - command.free)
        if found > best_overlap:
            best, best_overlap = command, found
    return best if best_overlap >= MIN_OVERLAP else None


def commands(words: Sequence[str], home: Home, language: Language) -> Iterator[PlainCommand]:
    """Yield all commands of a home, with the values in these words."""
    heard = {one.sentence: one for one in Verbs(language).found(words)}
    values = Values(words, EntityLinker(home, language, words), heard, None, Now())
    for sentence in language.sentences:
        if sentence.reads:
            continue
        for thing, texts, args in _targets(sentence, home, language):
            slots = [
                [(slot, *one) for one in values.of(kind, sentence, thing)]
                for slot, kind in sentence.slots.items()
            ]
            for filled in product(*slots):
                given = {**sentence.args, **args}
                for slot, _, value in filled:
                    given.update(value if isinstance(value, dict) else {slot: value})
                said = texts | {slot: word for slot, word, _ in filled}
                free = (
                    words_of(said[slot]) for slot, kind in sentence.slots.items() if kind == FREE
                )
                yield PlainCommand(
                    sentence.say.format_map(said),
                    sentence.tool,
                    given,
                    frozenset(word for one in free for word in one),
                )


def _targets(
    sentence: Sentence, home: Home, language: Language
) -> Iterator[tuple[ExposedEntity | None, dict[str, str], dict[str, Any]]]:
    """Yield the targets of a sentence: a thing or None, its words and arguments."""
    match sentence.target:
        case "name":
            for thing in home.things:
                if sentence in language.fitting(thing):
                    args = {sentence.name_arg: thing.name, "domain": [thing.domain]}
                    for name in thing.names:
                        yield thing, {"name": name}, args
        case "area" | "floor":
            for place, there in _places(sentence.target, home):
                yield from _of_kinds(sentence, language, there, {sentence.target: place.name})
        case "home":
            yield from _of_kinds(sentence, language, home.things, {})
        case "none":
            yield None, {}, {}


def _places(kind: str, home: Home) -> Iterator[tuple[Place, list[ExposedEntity]]]:
    """Yield all areas, or all floors, with the things there."""
    places = home.areas if kind == "area" else home.floors
    for place_id, place in places.items():
        areas = {
            area_id for area_id, area in home.areas.items() if place_id in {area_id, area.floor}
        }
        yield place, [one for one in home.things if one.area in areas]


def _of_kinds(
    sentence: Sentence,
    language: Language,
    things: Sequence[ExposedEntity],
    where: Mapping[str, str],
) -> Iterator[tuple[None, dict[str, str], dict[str, Any]]]:
    """Yield all kinds of things in a place. where: the argument with its name."""
    there = {kind for thing in things for kind in thing.kinds}
    for kind in sorted(sentence.kinds & there & set(language.kinds)):
        domain, _, device_class = kind.partition(".")
        of_class = {"device_class": [device_class]} if device_class else {}
        words = {**where, "things": language.kinds[kind].all}
        yield None, words, {**where, "domain": [domain], **of_class}
