"""The commands that what was said can mean in this home, for the model to choose among."""

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from .durations import duration_text
from .said import is_any
from .shortlist import Shortlist
from .values import Values, words_for
from .verbs import DURATION, Verbs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from .home import Home, Thing
    from .language import Language, Sentence
    from .said import Said

# What must not happen by mistake: it is asked back unless it was said clearly.
CRITICAL = frozenset(
    ("lock", "valve", "alarm_control_panel", "siren", "cover.door", "cover.garage", "cover.gate")
)
MAX_COMMANDS = 48
# So many things are switched by one sentence that names them together.
MAX_TOGETHER = 6


@dataclass(frozen=True, slots=True)
class Command:
    """A sentence that the model can choose, and the call that it stands for.

    done: what is told when it has worked. is_heard: its verb was said. is_named: what it is about
    was said. is_critical: it must not happen by mistake. thing: what it is about is called, empty
    if it is about several. reads: it changes nothing. has_value: it has one from what was said.
    is_item: that is something for a list.
    """

    text: str
    tool: str
    args: Mapping[str, Any]
    done: str | None = None
    is_heard: bool = False
    is_named: bool = False
    is_critical: bool = False
    thing: str = ""
    reads: bool = False
    has_value: bool = False
    is_item: bool = False


class Candidates:
    """Finds the commands of one home in one language.

    tools: by name behind the namespace, the whole name and the names of its arguments.
    here: id of the area in which somebody speaks.
    """

    def __init__(
        self,
        home: Home,
        language: Language,
        tools: Mapping[str, tuple[str, Collection[str]]],
        here: str | None = None,
    ) -> None:
        """Begin with a home."""
        self._home = home
        self._language = language
        self._verbs = Verbs(language)
        self._tools = tools
        self._here = here

    def for_said(self, said: Said) -> list[list[Command]]:
        """Return the commands of each part of what was said, none if it means nothing here.

        What is to be done later is said by a timer then, if who speaks has timers.
        """
        if not self.is_delayed(said):
            return self._by_part(said)
        return self.put_off(self._by_part(said.at_once), said) if said.at_once else []

    def needs_timers(self, said: Said) -> bool:
        """Tell whether what was said takes timers, and who speaks has none."""
        if self.is_delayed(said):
            return not self._can_wait
        heard = self._verbs.heard(said.words)
        return any(one.target == "none" and one.tool not in self._tools for one in heard)

    def put_off(self, parts: Sequence[Sequence[Command]], said: Said) -> list[list[Command]]:
        """Return commands that are done later, as was said; none if who speaks has no timers."""
        if not self._can_wait:
            return []
        return [[self._later(one, said.delay) for one in part] for part in parts]

    def _later(self, command: Command, delay: Mapping[str, int]) -> Command:
        later = self._language.later
        ((slot, _),) = (one for one in later.slots.items() if one[1] != DURATION)
        said = {slot: command.text, DURATION: duration_text(delay, self._language)}
        return replace(
            command,
            text=later.say.format_map(said),
            tool=self._tools[later.tool][0],
            args={**delay, slot: command.text},
            done=later.done.format_map(said) if later.done else None,
        )

    @property
    def _can_wait(self) -> bool:
        later = self._language.later
        return {*later.slots} - {DURATION} <= {*self._tools.get(later.tool, ("", ()))[1]}

    def is_delayed(self, said: Said) -> bool:
        """Tell whether something is to be done later: a length of time can be a timer's own."""
        is_for_timer = any(DURATION in one.slots.values() for one in self._verbs.heard(said.words))
        return bool(said.delay) and not said.is_question and not is_for_timer

    def _by_part(self, said: Said) -> list[list[Command]]:
        whole = self.for_words(said.words, said)
        is_item = any(one.is_item and one.is_named and one.is_heard for one in whole)
        if len(said.parts) < 2 or is_item:  # noqa: PLR2004 - an item may have an `and` in it
            return self._for_each(whole, said)
        found = [self.for_words(part, said) for part in said.parts]
        if sum(map(bool, found)) < 2:  # noqa: PLR2004 - not several after all
            return self._for_each(whole, said)
        return [one for one in found if one]

    def _for_each(self, commands: list[Command], said: Said) -> list[list[Command]]:
        """Return the commands as one part; for each thing if several were meant together."""
        names = list(dict.fromkeys(one.args.get("name") for one in commands))
        is_all = is_any(self._language.lists["all"], said.words, self._language)
        if not (is_all and 1 < len(names) <= MAX_TOGETHER and all(names)):
            return [commands] if commands else []
        return [
            [replace(one, is_named=True) for one in commands if one.args["name"] == name]
            for name in names
        ]

    def unclear(self, parts: Sequence[Sequence[Command]]) -> list[str]:
        """Return the things of which one is meant, but not said which; empty if that is clear.

        parts: what was said can mean, as from `for_said`.
        """
        for part in parts:
            heard = [one for one in part if one.is_heard]
            names = list(dict.fromkeys(one.thing for one in heard if one.thing))
            if len(names) > 1 and not any(one.is_named for one in heard):
                return names
        return []

    def for_words(self, words: Sequence[str], said: Said | None = None) -> list[Command]:
        """Return the commands that these words can mean. said: what they are a part of."""
        found = self._found(words, self._verbs.heard(words), said)
        if said and not any(one.is_heard for one in found):
            # The verb was said in another part.
            return self._found(words, self._verbs.heard(said.words), said)
        return found

    def _found(
        self, words: Sequence[str], heard: Sequence[Sentence], said: Said | None
    ) -> list[Command]:
        """Return the commands that words can mean. heard: what their verbs hint at."""
        shortlist = Shortlist(self._home, self._language, words, self._verbs.implied(words))
        values = Values(words, self._language, self._home, shortlist, said.written if said else {})
        of_places = list(self._of_places(shortlist, heard, values))
        of_things = list(self._of_things(shortlist, heard, values))
        is_all = is_any(self._language.lists["all"], words, self._language)
        is_one = not is_all or shortlist.is_specific
        if not is_all and any(one.is_whole for one in shortlist.things):
            of_places = []
        if of_places and not (is_one and len({one.args.get("name") for one in of_things}) == 1):
            # Several were meant, and there is one command for all of them.
            of_things = []
        found = [*of_things, *of_places, *self._of_nothing(heard, values)]
        unique = list({one.text: one for one in found}.values())
        return _with_values(unique)[:MAX_COMMANDS]

    def _of_things(
        self, shortlist: Shortlist, heard: Sequence[Sentence], values: Values
    ) -> Iterator[Command]:
        named = {one.thing.entity_id: one.is_sure or one.is_only for one in shortlist.things}
        is_named = shortlist.is_specific or any(one.is_sure for one in shortlist.things)
        # Only a kind of things may be in the names of some: any of the kind can be meant.
        things = [one.thing for one in shortlist.things]
        things = things if is_named or not shortlist.kinds else []
        listed = frozenset(kind for one in heard if "item" in one.slots for kind in one.kinds)
        if listed & shortlist.kinds and not any(listed.intersection(one.kinds) for one in things):
            # What is put on a list may well be called like something else.
            things = shortlist.of_kinds(listed, self._here)
        if not things and shortlist.kinds:
            called = [one.thing for one in shortlist.things]
            things = (
                called
                if called and not self._here
                else shortlist.of_kinds(shortlist.kinds, self._here)
            )
        by_verb, is_placed = self._by_verb(shortlist, heard, values)
        if not things or (is_placed and not is_named and by_verb[0] in things):
            things = by_verb
        is_placed = is_placed and things == by_verb
        for thing in things:
            is_only = len(things) == 1 and bool(shortlist.kinds.intersection(thing.kinds))
            is_critical = bool(CRITICAL.intersection(thing.kinds))
            is_other = is_critical and bool(shortlist.kind_words - words_for(thing, self._language))
            is_meant = named.get(thing.entity_id, is_only) or (is_placed and not is_critical)
            for sentence in self._language.sentences:
                if "item" in sentence.slots and sentence not in heard:
                    continue
                if sentence.fits(thing):
                    yield from self._filled(
                        sentence,
                        values,
                        thing,
                        is_heard=sentence in heard,
                        is_named=is_meant and not is_other,
                    )

    def _by_verb(
        self, shortlist: Shortlist, heard: Sequence[Sentence], values: Values
    ) -> tuple[list[Thing], bool]:
        """Return what is meant where only a verb or a value was said, and whether a place was, too.

        It is if there is but one thing that this can be about, there or at all.
        """
        telling = [
            one
            for one in heard
            if shortlist.areas
            and one.slots
            and all(
                values.tell(kind) and any(values.of(kind, one, None)) for kind in one.slots.values()
            )
        ]
        for sentences in (telling, heard):
            kinds = frozenset(kind for one in sentences for kind in one.kinds)
            found = shortlist.of_kinds(kinds)
            there = [one for one in found if one.area in shortlist.areas]
            if things := _only(there) or _only(shortlist.of_kinds(kinds, self._here)):
                return things, things == there
        return [], False

    def _of_places(
        self, shortlist: Shortlist, heard: Sequence[Sentence], values: Values
    ) -> Iterator[Command]:
        """Yield commands for all things of a kind in a place."""
        for sentence in self._language.sentences:
            kinds = [kind for kind in sorted(shortlist.kinds) if kind in sentence.kinds]
            places: list[tuple[str, str]] = []
            match sentence.target:
                case "area":
                    named = shortlist.areas or ([self._here] if self._here else [])
                    places = [("area", self._home.areas[one].name) for one in named]
                case "floor":
                    places = [("floor", self._home.floors[one].name) for one in shortlist.floors]
                case "home":
                    is_everywhere = not (shortlist.areas or shortlist.floors or self._here)
                    if is_everywhere and not shortlist.is_specific:
                        places = [("", "")]
            for kind, (argument, place) in product(kinds, places):
                if kind not in shortlist.plurals and not self._are_several(kind, place):
                    continue
                yield from self._filled(
                    sentence,
                    values,
                    None,
                    words={argument: place, "things": self._language.kinds[kind].all},
                    args={**({argument: place} if argument else {}), **_kind_args(kind)},
                    is_heard=sentence in heard,
                    is_named=True,
                )

    def _are_several(self, kind: str, place: str) -> bool:
        """Tell whether a place has several things of a kind: one word can mean all of them."""
        floors = {one for one, floor in self._home.floors.items() if floor.name == place}
        areas = {
            one
            for one, area in self._home.areas.items()
            if area.name == place or area.floor in floors
        }
        return sum(kind in one.kinds and one.area in areas for one in self._home.things) > 1

    def _of_nothing(self, heard: Sequence[Sentence], values: Values) -> Iterator[Command]:
        for sentence in heard:
            if sentence.target == "none":
                yield from self._filled(sentence, values, None, is_heard=True, is_named=True)

    def _filled(  # noqa: PLR0913 - each is a part of the command
        self,
        sentence: Sentence,
        values: Values,
        thing: Thing | None,
        *,
        words: Mapping[str, str] | None = None,
        args: Mapping[str, Any] | None = None,
        is_heard: bool,
        is_named: bool,
    ) -> Iterator[Command]:
        """Yield a sentence with each value that was said."""
        if sentence.tool not in self._tools:
            return
        tool, declared = self._tools[sentence.tool]
        texts = dict(words or {})
        fixed = {**sentence.args, **(args or {})}
        if thing:
            texts["name"] = thing.name
            fixed[sentence.name_arg] = thing.name
            if "domain" in declared:
                fixed["domain"] = [thing.domain]
            if self._is_ambiguous(thing) and thing.area and "area" in declared:
                fixed["area"] = self._home.areas[thing.area].name
                texts["name"] = f"{thing.name} ({fixed['area']})"
        slots = [
            [(slot, *one) for one in values.of(kind, sentence, thing)]
            for slot, kind in sentence.slots.items()
        ]
        for filled in product(*slots):
            said = texts | {slot: text for slot, text, _ in filled}
            given = dict(fixed)
            for slot, _, value in filled:
                given.update(value if isinstance(value, dict) else {slot: value})
            yield Command(
                sentence.say.format_map(said),
                tool,
                {name: value for name, value in given.items() if name in declared},
                sentence.done.format_map(said) if sentence.done else None,
                is_heard=is_heard or any(map(values.tell, sentence.slots.values())),
                is_named=is_named,
                is_critical=bool(thing and CRITICAL.intersection(thing.kinds)),
                thing=texts["name"] if thing else "",
                reads=sentence.reads,
                has_value=bool(sentence.slots),
                is_item="item" in sentence.slots,
            )

    def _is_ambiguous(self, thing: Thing) -> bool:
        return any(
            one is not thing and one.name == thing.name and one.domain == thing.domain
            for one in self._home.things
        )


def _only(things: list[Thing]) -> list[Thing]:
    return things if len(things) == 1 else []


def _kind_args(kind: str) -> dict[str, list[str]]:
    domain, _, device_class = kind.partition(".")
    return {"domain": [domain], **({"device_class": [device_class]} if device_class else {})}


def _with_values(commands: list[Command]) -> list[Command]:
    """Return the commands that take a value from what was said, if their verb was; else all."""
    return [one for one in commands if one.has_value and one.is_heard] or commands
