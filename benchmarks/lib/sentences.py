"""Random sentences of Home Assistant for the entities of a home."""

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Self

import home_assistant_intents as intents
import yaml
from hassil import parse_sentence
from hassil.expression import (
    Alternative,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.util import normalize_whitespace

from .errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hassil.expression import Expression

EVERYTHING = frozenset(
    (
        *("light", "switch", "fan", "cover", "lock", "climate", "media_player", "vacuum"),
        *("todo", "sensor", "binary_sensor", "scene"),
    )
)
PLAYERS = frozenset({"media_player"})
# The domains of each intent, where the sentences themselves do not name them.
DOMAINS = {
    **dict.fromkeys(("HassTurnOn", "HassTurnOff", "HassGetState"), EVERYTHING),
    "HassLightSet": frozenset({"light"}),
    "HassSetPosition": frozenset({"cover"}),
    "HassClimateGetTemperature": frozenset({"climate"}),
    "HassClimateSetTemperature": frozenset({"climate"}),
    "HassFanSetSpeed": frozenset({"fan"}),
    **dict.fromkeys(("HassSetVolume", "HassSetVolumeRelative"), PLAYERS),
    **dict.fromkeys(("HassMediaNext", "HassMediaPrevious"), PLAYERS),
    **dict.fromkeys(("HassMediaPause", "HassMediaUnpause"), PLAYERS),
    **dict.fromkeys(("HassMediaPlayerMute", "HassMediaPlayerUnmute"), PLAYERS),
    **dict.fromkeys(("HassVacuumStart", "HassVacuumReturnToBase"), frozenset({"vacuum"})),
    **dict.fromkeys(("HassListAddItem", "HassListCompleteItem"), frozenset({"todo"})),
    "HassListRemoveItem": frozenset({"todo"}),
}
# Values of wildcard lists.
ANYTHING = {"todo_list_item": ("Milk", "Bread", "Eggs")}
# Bounds that the entities accept: the lists have 0 to 100 degrees, and up to 10,000 K.
BOUNDS = {"temperature": (10, 30), "color_temperature": (2000, 6500)}
# An intent gets one more turn in a round for each of these numbers of blocks.
BLOCKS_PER_TURN = 10
# Draws per wanted sentence: many blocks have only few different ones.
TRIES = 20


class Misfit(Exception):  # noqa: N818 - it is no error
    """The drawn sentence does not fit the thing."""


@dataclass(frozen=True, slots=True)
class Thing:
    """An exposed entity of the home, with its area and floor."""

    domain: str
    device_class: str | None
    name: str
    area: str
    floor: str


@dataclass(frozen=True, slots=True)
class DrawnSentence:
    """A sentence with the intent and the block that it was drawn from."""

    text: str
    intent: str
    block: str


def things_of(path: Path) -> list[Thing]:
    """Return the exposed entities of a home's file. Raises OSError."""
    home = yaml.safe_load(path.read_text())
    areas = {one["id"]: one for one in home["areas"]}
    floors = {one["id"]: one["name"] for one in home["floors"]}
    return [
        Thing(
            one["id"].partition(".")[0],
            one.get("attributes", {}).get("device_class"),
            one["name"],
            areas[one["area"]]["name"],
            floors[areas[one["area"]]["floor"]],
        )
        for one in home["entities"]
        if one.get("expose", True)
    ]


class LanguageSentences:
    """The sentences of one language."""

    def __init__(self, code: str, things: Sequence[Thing], here: str, seed: int) -> None:
        """Read them. here: the area of the speaker. Raises BenchmarkError."""
        data = intents.get_intents(code)
        if data is None:
            raise BenchmarkError(f"Home Assistant has no sentences in {code}")
        self._data = data
        self._things = things
        self._here = here
        # With a text as seed, the numbers are the same in every process.
        self._random = Random(f"{code} {seed}")  # noqa: S311 - nothing is secret
        self._rules: dict[str, Expression] = {}

    def draw(self, n_sentences: int) -> list[DrawnSentence]:
        """Return different sentences, at most this number."""
        found: dict[str, DrawnSentence] = {}
        for n_tries, (intent, block) in enumerate(self._blocks()):
            if len(found) >= n_sentences or n_tries >= n_sentences * TRIES:
                break
            try:
                text = self._sentence(intent, block)
            except Misfit:
                continue
            combination = block.get("metadata", {}).get("slot_combination", "")
            found.setdefault(text.casefold(), DrawnSentence(text, intent, combination))
        return list(found.values())

    def _blocks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield intents, each with a block of its sentences, in turn and without end."""
        waiting: dict[str, list[Mapping[str, Any]]] = {}
        names = [name for name in DOMAINS if self._fitting_blocks(name)]
        while names:
            turns = []
            for name in names:
                blocks = self._fitting_blocks(name)
                for _ in range(1 + len(blocks) // BLOCKS_PER_TURN):
                    if not waiting.get(name):
                        waiting[name] = self._random.sample(blocks, len(blocks))
                    turns.append((name, waiting[name].pop()))
            self._random.shuffle(turns)
            yield from turns

    def _fitting_blocks(self, intent: str) -> list[Mapping[str, Any]]:
        blocks = self._data["intents"].get(intent, {}).get("data", ())
        return [block for block in blocks if self._fitting(intent, block)]

    def _fitting(self, intent: str, block: Mapping[str, Any]) -> list[Thing]:
        """Return the things that fit a block of sentences."""
        context, given = block.get("requires_context", {}), block.get("slots", {})
        wanted = context.get("domain") or given.get("domain") or DOMAINS[intent]
        domains = {wanted} if isinstance(wanted, str) else {*wanted}
        return [
            thing
            for thing in self._things
            if thing.domain in domains and ("area" not in context or thing.area == self._here)
        ]

    def _sentence(self, intent: str, block: Mapping[str, Any]) -> str:
        """Return one of a block's sentences about one thing; raises Misfit."""
        thing = self._random.choice(self._fitting(intent, block))
        template = self._random.choice(block["sentences"])
        text = self._text(parse_sentence(template).expression, thing)
        return normalize_whitespace(text).strip()

    def _text(self, expression: Expression, thing: Thing) -> str:
        """Return a random text of a template, or of a part of it."""
        match expression:
            case TextChunk():
                return expression.original_text
            case Alternative():
                return self._text(self._random.choice(expression.items), thing)
            case Permutation():
                items = self._random.sample(expression.items, len(expression.items))
                return "".join(self._text(item, thing) for item in items)
            case Group():
                return "".join(self._text(item, thing) for item in expression.items)
            case RuleReference():
                return self._text(self._rule(expression.rule_name), thing)
            case ListReference():
                return self._value(expression.list_name, thing)
        raise BenchmarkError(f"unknown part of a template: {expression}")

    def _rule(self, name: str) -> Expression:
        if name not in self._rules:
            self._rules[name] = parse_sentence(self._data["expansion_rules"][name]).expression
        return self._rules[name]

    def _value(self, name: str, thing: Thing) -> str:
        """Return a text for a slot."""
        if name in ("name", "area", "floor"):
            said: str = getattr(thing, name)
            return said
        if name in ANYTHING:
            return self._random.choice(ANYTHING[name])
        values = self._data["lists"].get(name, {})
        if between := values.get("range"):
            lowest, highest = BOUNDS.get(name, (between["from"], between["to"]))
            return str(self._random.randrange(lowest, highest + 1, between.get("step", 1)))
        fitting = [
            one["in"]
            for one in values.get("values", ())
            if name != "cover_classes" or one["out"] == thing.device_class
        ]
        if not fitting:
            raise Misfit
        return self._text(parse_sentence(self._random.choice(fitting)).expression, thing)

    @classmethod
    def read(cls, code: str, home: Path, here: str, seed: int) -> Self:
        """Return the sentences for the home of a file. Raises BenchmarkError and OSError."""
        return cls(code, things_of(home), here, seed)
