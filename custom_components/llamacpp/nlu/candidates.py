"""Find the commands that an utterance can mean in this home, for the model to choose from."""

from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from ..home.durations import duration_text
from ..home.spoken import command_text, sentence_of
from ..home.words import words_of
from .entity_linking import EntityLinker, NameIndex
from .explained import Explained, small_places
from .relative import Now
from .utterance import is_any, joins_in
from .values import Values
from .verbs import DURATION, EXACT, Verbs, has_opposites

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ..home.language import Language, Phrase, Sentence
    from ..home.things import ExposedEntity, Home, Place
    from .entity_linking import EntityMatch
    from .utterance import Utterance
    from .verbs import Heard

# Kinds that must not move by mistake: ask back unless the utterance is clear.
CRITICAL = frozenset(
    ("lock", "valve", "alarm_control_panel", "siren", "cover.door", "cover.garage", "cover.gate")
)
MAX_COMMANDS = 48
# In the place of a word that is not to be a verb.
NO_WORD = "-"
# Maximum number of entities of an utterance about all of them, or all but some.
MAX_TOGETHER = 12
# Maximum number of words in a part that is searched for the start of a second order.
MAX_DIVIDED = 20


@dataclass(frozen=True, slots=True)
class Command:
    """A sentence that the model can choose, and its tool call.

    done: confirmation after success. is_heard: the utterance has its verb. is_named: it names the
    target. is_critical: it must not run by mistake. thing: name of its entity, empty for several.
    reads: it changes nothing. has_value: it takes a value from the utterance. is_item: the value is
    an item of a list. rest: words that it does not explain; with any left, the user may mean
    something else. rank: quality of the verb's match. items: to put on a list one by one.
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
    rest: tuple[str, ...] = ()
    rank: tuple[int, ...] = ()
    items: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Return whether the utterance has its verb and target and no unexplained word."""
        return self.is_heard and self.is_named and not self.rest


class Candidates:
    """Finds the commands of one home in one language.

    tools: full name and argument names by short name. here: area id of the speaker. now: states of
    the entities, None: unknown.
    """

    def __init__(
        self,
        home: Home,
        language: Language,
        tools: Mapping[str, tuple[str, Collection[str]]],
        here: str | None = None,
        *,
        now: Now | None = None,
    ) -> None:
        """Initialize for a home."""
        self._now = now or Now()
        self._home = home
        self._language = language
        self._verbs = Verbs(language)
        self._tools = tools
        self._here = here
        self._index = NameIndex.of(home, language)

    def for_said(
        self, said: Utterance, sentences: Mapping[str, str] | None = None
    ) -> list[list[Command]]:
        """Return the commands of each part of the utterance, none if it means nothing here.

        Delayed commands become timers, if the speaker's device has any. sentences: as in `put_off`.
        """
        if not self.is_delayed(said):
            return self.for_said_at_once(said)
        at_once = self.for_said_at_once(said.at_once) if said.at_once else []
        return self.put_off(at_once, said, sentences)

    def needs_timers(self, said: Utterance) -> bool:
        """Return whether the utterance needs timers and the speaker's device has none."""
        if self.is_delayed(said):
            return not self._can_wait
        heard = self._verbs.heard(said.words)
        return any(one.target == "none" and one.tool not in self._tools for one in heard)

    def put_off(
        self,
        parts: Sequence[Sequence[Command]],
        said: Utterance,
        sentences: Mapping[str, str] | None = None,
    ) -> list[list[Command]]:
        """Return delayed commands as timer commands; none if the speaker's device has no timers.

        sentences: what the timer is to run, by the command's text; others are left out. None: the
        text itself.
        """
        if not self._can_wait:
            return []
        return [
            [
                self._later(one, said.delay, one.text if sentences is None else sentences[one.text])
                for one in part
                if sentences is None or one.text in sentences
            ]
            for part in parts
        ]

    def _later(self, command: Command, delay: Mapping[str, int], sentence: str) -> Command:
        later = self._language.later
        ((slot, _),) = (one for one in later.slots.items() if one[1] != DURATION)
        said = {slot: command.text, DURATION: duration_text(delay, self._language)}
        return replace(
            command,
            text=later.say.format_map(said),
            tool=self._tools[later.tool][0],
            args={**delay, slot: sentence},
            done=later.done.format_map(said) if later.done else None,
        )

    @property
    def _can_wait(self) -> bool:
        later = self._language.later
        return {*later.slots} - {DURATION} <= {*self._tools.get(later.tool, ("", ()))[1]}

    @property
    def known_words(self) -> frozenset[str]:
        """Return the words in the names of entities, places and kinds."""
        return self._index.known

    def named(self, words: Sequence[str]) -> Sequence[EntityMatch]:
        """Return the entities that the words may name."""
        return EntityLinker.of(self._home, self._language, words).things

    def names_place(self, words: Sequence[str]) -> bool:
        """Return whether the words name an area or a floor."""
        shortlist = EntityLinker.of(self._home, self._language, words)
        return bool(shortlist.areas or shortlist.floors)

    def place_in(self, words: Sequence[str]) -> str:
        """Return the name of the only area or floor that the words name, empty if there is none."""
        shortlist = EntityLinker.of(self._home, self._language, words)
        places = [
            *(self._home.areas[one] for one in shortlist.areas),
            *(self._home.floors[one] for one in shortlist.floors),
        ]
        return places[0].name if len(places) == 1 else ""

    def begins_with_verb(self, words: Sequence[str]) -> bool:
        """Return whether the first word is part of a verb as orders have it."""
        return any(
            0 in one.places and one.quality == EXACT and not one.sentence.reads
            for one in self._verbs.found(words)
        )

    def names_any(self, words: Sequence[str]) -> bool:
        """Return whether the words name an entity, a kind of them, an area or a floor."""
        shortlist = EntityLinker.of(self._home, self._language, words)
        is_kind = any(one.is_whole or one.is_sure for one in shortlist.things) or shortlist.kinds
        return bool(is_kind or shortlist.areas or shortlist.floors)

    def is_delayed(self, said: Utterance) -> bool:
        """Return whether the utterance asks for a delay; a duration can also be a timer's own."""
        is_for_timer = any(DURATION in one.slots.values() for one in self._verbs.heard(said.words))
        return bool(said.delay) and not said.is_question and not is_for_timer

    def for_said_at_once(self, said: Utterance) -> list[list[Command]]:
        """Return the commands of each part, ignoring any delay."""
        if said.but:
            return self._all_but(said)
        if len(said.pieces) > len(said.parts):
            each = self._for_pieces(said)
            if all(any(one.is_plain for one in commands) for commands in each):
                return each
        if len(said.parts) < 2 or self._is_item(said):  # noqa: PLR2004 - an item may have an `and`
            return self._for_each(said)
        found = [
            (part, commands)
            for before, part in pairwise(((), *said.parts))
            for commands in self._of_each(before, part, said)
        ]
        if sum(bool(commands) for _, commands in found) < 2:  # noqa: PLR2004 - not several after all
            return self._for_each(said)
        others = tuple(word for part, commands in found if not commands for word in part)
        return [
            [replace(one, rest=(*one.rest, *others)) for one in commands]
            for _, commands in found
            if commands
        ]

    def _for_pieces(self, said: Utterance) -> list[list[Command]]:
        """Return the commands of each piece by its own verb: `the lamp alone` has none.

        A piece with a word such as `too` takes the verb of the one before it. `Thanks` is skipped.
        """
        found = []
        order: Phrase = ()
        for piece in said.pieces:
            if len(small_places(piece, self._language)) == len(piece):
                continue
            is_alike = is_any(self._language.lists["too"], piece, self._language)
            order = order if is_alike and not self._verbs.heard(piece) else piece
            found.append(self.for_words(piece, replace(said, words=order)))
        return found

    def _of_each(self, before: Phrase, words: Phrase, said: Utterance) -> list[list[Command]]:
        """Return the commands of a part, or of each order in it if no word separates them."""
        found = self._of_part(before, words, said)
        if any(one.is_plain for one in found):
            return [found]
        return self._divided(words, said) or [found]

    def _divided(self, words: Phrase, said: Utterance) -> list[list[Command]]:
        """Return the commands of orders with no word between them: `turn off the telly the lamp`.

        Speech has no punctuation. None if no cut leaves each side with its own target and all of
        its words explained; only the first side may have words left over.
        """
        n_named = sum(
            one.is_whole for one in EntityLinker.of(self._home, self._language, words).things
        )
        n_verbs = len({one.places for one in self._verbs.found(words)})
        if max(n_named, n_verbs) < 2 or len(words) > MAX_DIVIDED:  # noqa: PLR2004 - nothing to divide
            return []
        # The verb may be in another part of the utterance.
        for whole in (words, said.words):
            if self._verbs.heard(whole) and (
                found := self._pieces(words, replace(said, words=whole))
            ):
                return found
        return []

    def _pieces(self, words: Phrase, said: Utterance) -> list[list[Command]]:
        """Return the commands of the pieces that the words can be cut into, none if they cannot."""
        # With both `on` and `off` in the utterance, each piece needs its own.
        is_clear = not has_opposites(said.words, self._language)
        pieces: dict[int, list[list[Command]]] = {len(words): []}
        for start in range(len(words) - 1, -1, -1):
            for end in range(start + 1, len(words) + 1):
                if end not in pieces or end - start == len(words):
                    continue
                piece = words[start:end]
                whole = said if is_clear else replace(said, words=piece)
                found = self._one_of(piece, whole, is_first=start == 0)
                if found and not any(_about(found[0]) == _about(one[0]) for one in pieces[end]):
                    pieces[start] = [found, *pieces[end]]
                    break
        return pieces.get(0, [])

    def _one_of(self, words: Phrase, said: Utterance, *, is_first: bool) -> list[Command]:
        """Return the commands if the words have one entity or place as target, else none.

        The words must name the target; a list would take any. is_first: words may be left over if
        the target is a single entity.
        """
        shortlist = EntityLinker.of(self._home, self._language, words)
        named = {one.thing.name for one in shortlist.things}
        found = [one for one in self.for_words(words, said) if one.is_heard and one.is_named]
        is_one = len(set(map(_about, found))) == 1 and len({one.tool for one in found}) == len(
            found
        )
        if not is_one or found[0].is_item:
            return []
        is_about = found[0].args.get("name") in named if found[0].thing else shortlist.kinds
        is_clear = all(one.is_plain or (is_first and one.thing) for one in found)
        return found if is_about and is_clear else []

    def _of_part(self, before: Phrase, words: Phrase, said: Utterance) -> list[Command]:
        """Return the commands of a part.

        A place alone, such as `and in the hall`, takes the kind from the part before.
        """
        found = self.for_words(words, said)
        here = EntityLinker.of(self._home, self._language, words)
        kinds = EntityLinker.of(self._home, self._language, before).kind_words
        is_place = bool(here.areas or here.floors) and not here.kinds
        if any(one.is_plain for one in found) or not (is_place and kinds):
            return found
        return self.for_words((*sorted(kinds), *words), said) or found

    def _is_item(self, said: Utterance) -> bool:
        """Return whether the whole utterance adds one item to a list, or removes it."""
        if not any("item" in one.slots for one in self._verbs.heard(said.words)):
            return False
        whole = self.for_words(said.words, said, said.joins)
        return any(one.is_item and one.is_named and one.is_heard for one in whole)

    def _for_each(self, said: Utterance) -> list[list[Command]]:
        """Return the commands as one part, or a part for each entity if several are meant."""
        commands = self.for_words(said.words, said, said.joins)
        # `Lock all doors` closes no cover, though it has the word for closing.
        best = max((one.rank[:1] for one in commands if not one.rest), default=())
        commands = [one for one in commands if not one.rest or one.rank[:1] >= best] or commands
        names = list(dict.fromkeys(one.args.get("name") for one in commands))
        is_all = is_any(self._language.lists["all"], said.words, self._language) or (
            EntityLinker.of(self._home, self._language, said.words).are_several
            # `The doors` may be a typo of `the door`.
            and not any(one.is_critical for one in commands)
        )
        if not (is_all and 1 < len(names) <= MAX_TOGETHER and all(names)):
            is_plain = any(one.is_plain for one in commands)
            divided = [] if is_plain else self._divided(said.words, said)
            return divided or self._each_item(commands)
        return [
            [replace(one, is_named=True) for one in commands if one.args["name"] == name]
            for name in names
        ]

    def _each_item(self, commands: Sequence[Command]) -> list[list[Command]]:
        """Return the commands as one part, or a part for each item that they put on a list."""
        listing = [one for one in commands if one.items]
        if not listing or not commands[0].items:
            return [[*commands]] if commands else []
        return [
            [
                self._with_item(one, one.items[index])
                for one in listing
                if one.items == commands[0].items
            ]
            for index in range(len(commands[0].items))
        ]

    def _with_item(self, command: Command, item: str) -> Command:
        args = {**command.args, "item": item}
        text = command_text(command.tool, args, self._language)
        done = command_text(command.tool, args, self._language, done=True)
        return replace(command, text=text, args=args, done=command.done and done, items=())

    def _all_but(self, said: Utterance) -> list[list[Command]]:
        """Return a command for each of several entities except some.

        None if it is unclear which ones.
        """
        words, excepted = said.but or ((), ())
        joins = joins_in(words, self._language)
        meant = [one for one in self.for_words(words, joins=joins) if one.is_plain]
        if len(meant) != 1 or meant[0].thing:
            return self._each_but(replace(said, words=words, joins=joins, but=None), excepted)
        things = self._targets(meant[0])
        without = self._excepted(excepted, things)
        sentence = sentence_of(meant[0].tool, meant[0].args, self._language)
        kept = [one for one in things if one not in without]
        if not without or sentence is None or len(kept) > MAX_TOGETHER:
            return []
        shortlist = EntityLinker.of(self._home, self._language, words)
        values = Values(words, shortlist, {}, None, self._now)
        same = [
            one
            for one in self._language.sentences
            if (one.tool, one.slots, one.args) == (sentence.tool, sentence.slots, sentence.args)
        ]
        found = [
            [
                command
                for one in self._language.fitting(thing)
                if one in same
                for command in self._filled(one, values, thing, is_heard=True, is_named=True)
            ][:1]
            for thing in kept
        ]
        return found if all(found) else []

    def _each_but(self, said: Utterance, excepted: Phrase) -> list[list[Command]]:
        """Return the commands for each of several entities, without the excepted ones."""
        parts = self._for_each(said)
        names = [part[0].thing for part in parts]
        things = [one for one in self._home.things if one.name in names]
        without = {one.name for one in self._excepted(excepted, things)}
        kept = [part for part in parts if part[0].thing not in without]
        return kept if without and len(names) > 1 and all(names) else []

    def _targets(self, command: Command) -> list[ExposedEntity]:
        """Return the entities of a command for all of a kind in a place, or everywhere."""
        args = command.args
        classes = args.get("device_class")
        return [
            thing
            for thing in self._home.things
            if thing.domain in args.get("domain", ())
            and (classes is None or thing.device_class in classes)
            and self._is_in(thing, args)
        ]

    def _is_in(self, thing: ExposedEntity, args: Mapping[str, Any]) -> bool:
        """Return whether an entity is in the area and on the floor in a command's arguments."""
        area = self._home.areas.get(thing.area) if thing.area else None
        floor = self._home.floors.get(area.floor) if area and area.floor else None
        return all(
            place is not None and place.name == args[name]
            for name, place in (("area", area), ("floor", floor))
            if name in args
        )

    def _excepted(self, words: Phrase, things: Sequence[ExposedEntity]) -> list[ExposedEntity]:
        """Return the excepted ones of the entities; none if a word stays unexplained.

        They can be named in several ways: `the string and those in the hall`.
        """
        if found := self._excepted_as(words, things):
            return found
        joins = joins_in(words, self._language)
        cuts = [-1, *sorted(joins), len(words)]
        parts = [words[start + 1 : end] for start, end in pairwise(cuts)]
        each = [self._excepted_as(one, things) for one in parts] if joins else []
        return [thing for found in each for thing in found] if all(each) else []

    def _excepted_as(self, words: Phrase, things: Sequence[ExposedEntity]) -> list[ExposedEntity]:
        """Return the excepted ones of the entities that are named in one way."""
        shortlist = EntityLinker.of(self._home, self._language, words)
        joins = joins_in(words, self._language)
        explained = Explained(words, self._language, shortlist, joins=joins)
        of_things = {kind for thing in things for kind in thing.kinds}
        places = [
            *(("area", self._home.areas[one]) for one in shortlist.areas),
            *(("floor", self._home.floors[one]) for one in shortlist.floors),
        ]
        owned = [one for one in self._home.areas if shortlist.places_of_owner(one)]
        if places or len(owned) > 1 or any(one.is_whole for one in shortlist.things):
            owned = []
        places += [("area", self._home.areas[one]) for one in owned]
        # `Those in the garage` does not mean garage doors.
        kinds = shortlist.kinds & of_things
        if whole := [one.thing for one in shortlist.things if one.is_whole]:
            found, places = whole, []
        elif places:
            found = [
                thing
                for thing in things
                if any(self._is_in(thing, {name: place.name}) for name, place in places)
                and (not kinds or kinds.intersection(thing.kinds))
            ]
        else:
            found = [one.thing for one in shortlist.things if one.is_only]
        is_clear = bool(found) and all(one in things for one in found)
        rest = explained.beside(found, [place for _, place in places], "keep")
        of_owner = {word for one in owned for word in explained.owner(one)}
        return found if is_clear and not {*rest} - of_owner else []

    def unclear(self, parts: Sequence[Sequence[Command]]) -> list[str]:
        """Return the names of entities of which one is meant, if it is unclear which; else none.

        parts: as from `for_said`.
        """
        for part in parts:
            heard = [one for one in part if one.is_heard]
            names = list(dict.fromkeys(one.thing for one in heard if one.thing))
            if len(names) > 1 and not any(one.is_named for one in heard):
                return names
        return []

    def for_words(
        self,
        words: Sequence[str],
        said: Utterance | None = None,
        joins: frozenset[int] = frozenset(),
    ) -> list[Command]:
        """Return the commands that the words can mean.

        said: their utterance. joins: places of words such as `and`. Commands that explain every
        word exclude all others, and those whose verb is in the words exclude those whose verb is
        not: an order never makes its opposite possible.
        """
        heard = self._verbs_of(words)
        found = self._found(words, heard, said, joins)
        if said and not any(one.is_heard for one in found):
            # The verb is in another part. A verb of this part makes the commands ask back.
            elsewhere = self._verbs_of(said.words)
            own = {words[index] for one in heard for index in one.places}
            # `Mach` belongs to `mach an` even if `an` is in another part.
            for one in elsewhere:
                of_verb = {said.words[index] for index in one.places}
                own -= of_verb if not of_verb <= {*words} else set()
            heard = [replace(one, places=frozenset()) for one in elsewhere]
            found = [
                replace(one, rest=(*one.rest, *sorted(own)))
                for one in self._found(words, heard, said, joins)
            ]
        if plain := [one for one in found if one.is_plain]:
            # `Turn the volume up on the TV` also has the words of `turn on`.
            return [
                one
                for one in plain
                if not any(one.thing == other.thing and one.rank < other.rank for other in plain)
            ]
        told = [one for one in found if one.is_heard]
        # What explains the most is the likeliest, and of these what has its verb to the letter.
        return sorted(told, key=lambda one: (len(one.rest), -_quality(one))) or found

    def _verbs_of(self, words: Sequence[str]) -> list[Heard]:
        """Return the matches of the verbs, without prepositions before the name of a place.

        In languages where these can be a part of a verb: `schakel de lamp in de keuken uit`.
        """
        language = self._language
        if not language.has_inversion:
            return self._verbs.found(words)
        shortlist = EntityLinker.of(self._home, language, words)
        areas, floors = self._home.areas, self._home.floors
        named = set[int]().union(
            *(shortlist.places_of_place(areas[one]) for one in shortlist.areas),
            *(shortlist.places_of_place(floors[one]) for one in shortlist.floors),
        )
        small = small_places(words, language)
        return self._verbs.found(
            [
                NO_WORD
                if (word,) in language.lists["prepositions"]
                and (index + 1 in named or (index + 1 in small and index + 2 in named))
                else word
                for index, word in enumerate(words)
            ]
        )

    def _found(
        self,
        words: Sequence[str],
        heard: Sequence[Heard],
        said: Utterance | None,
        joins: frozenset[int],
    ) -> list[Command]:
        """Return the commands that the words can mean. heard: matches of their verbs."""
        words, language = tuple(words), self._language
        shortlist = EntityLinker.of(self._home, language, words, self._verbs.implied(words))
        explained = Explained(
            words, language, shortlist, joins=joins, is_room_known=self._here is not None
        )
        by_sentence = {one.sentence: one for one in heard}
        scope = _Scope(
            shortlist,
            by_sentence,
            Values(words, shortlist, by_sentence, said, self._now),
            explained,
            is_any(language.lists["all"], words, language),
            is_any(language.lists["home"], words, language),
        )
        of_places = list(self._of_places(scope))
        meant = self._things_meant(scope)
        of_things = list(self._of_things(scope, meant))
        if not any(one.is_heard for one in (*of_things, *of_places)):
            of_things += self._of_things(scope, meant, is_told=False)
        is_one = not scope.is_all or shortlist.is_specific
        if not scope.is_all and any(
            one.is_whole and not self._is_elsewhere(one.thing, shortlist)
            for one in shortlist.things
        ):
            of_places = []
        names = {thing.name for thing, _ in meant if self._language.fitting(thing)}
        if of_places and (shortlist.is_plural_of_kind or not (is_one and len(names) == 1)):
            # Several are meant, and one command covers them all.
            of_things = []
        is_verbless = not any(one.is_heard for one in (*of_things, *of_places))
        # `Light in the kitchen` means all of them before it means one of several.
        of_home = [*of_places, *of_things] if is_verbless else [*of_things, *of_places]
        found = [*of_home, *self._of_nothing(scope)]
        unique = list({one.text: one for one in found}.values())
        return _with_values(unique)[:MAX_COMMANDS]

    def _is_elsewhere(self, thing: ExposedEntity, shortlist: EntityLinker) -> bool:
        """Return whether an entity has only the name of its kind and is in another room.

        `Lights` in the garage must not take orders for other rooms.
        """
        rooms = shortlist.areas or ([self._here] if self._here else [])
        if not rooms or thing.area in rooms:
            return False
        kinds = {word for kind in thing.kinds for word in self._words_of_kind(kind)}
        is_generic = all(word in kinds for name in thing.names for word in words_of(name))
        others = shortlist.of_kinds(frozenset(thing.kinds))
        return is_generic and any(one.area in rooms for one in others)

    def _words_of_kind(self, kind: str) -> frozenset[str]:
        known = self._language.kinds.get(kind)
        return frozenset(w for one in known.words for w in one) if known else frozenset()

    def _things_meant(self, scope: _Scope) -> list[tuple[ExposedEntity, bool]]:
        """Return the entities that may be meant, each with whether the utterance names it."""
        shortlist, heard, values = scope.shortlist, scope.heard, scope.values
        named = {one.thing.entity_id: one.is_sure or one.is_only for one in shortlist.things}
        is_named = shortlist.is_specific or any(one.is_sure for one in shortlist.things)
        # If only a kind matches names, any entity of the kind can be meant.
        things = [one.thing for one in shortlist.things]
        is_all = scope.is_all and not shortlist.is_specific
        things = things if not shortlist.kinds or (is_named and not is_all) else []
        listed = frozenset(kind for one in heard if "item" in one.slots for kind in one.kinds)
        lists = shortlist.of_kinds(listed, self._here) if listed & shortlist.kinds else []
        if lists and not any(listed.intersection(one.kinds) for one in things):
            # An item may have the name of another entity: `put the telly on it`.
            is_listed = any(self._is_listed(one, shortlist) for one in lists)
            is_other = any(one.kinds.intersection(thing.kinds) for one in heard for thing in things)
            things = lists if is_listed or not is_other else things
        if not things and shortlist.kinds:
            called = [one.thing for one in shortlist.things]
            here = None if scope.is_home else self._here
            things = (
                self._all_meant(shortlist, here)
                if is_all
                else called
                if called and not self._here
                else shortlist.of_kinds(shortlist.kinds, self._here)
            )
        by_verb, is_placed, is_told = self._by_verb(shortlist, list(heard), values)
        if not things or (
            is_placed
            and not is_named
            # `The living room` is in the names of entities without a temperature.
            and (by_verb[0] in things or (is_told and not any(map(by_verb[0].is_like, things))))
        ):
            things = by_verb
        is_placed = is_placed and things == by_verb
        is_only = len(things) == 1 and bool(shortlist.kinds.intersection(things[0].kinds))
        return [
            (
                thing,
                (is_all or named.get(thing.entity_id, is_only) or is_placed)
                and not self._is_elsewhere(thing, shortlist),
            )
            for thing in things[:MAX_COMMANDS]
        ]

    def _all_meant(self, shortlist: EntityLinker, here: str | None) -> list[ExposedEntity]:
        """Return all entities of the named kinds, in the named places, or here."""
        places = [
            *(("area", self._home.areas[one].name) for one in shortlist.areas),
            *(("floor", self._home.floors[one].name) for one in shortlist.floors),
        ]
        if here and not places:
            places = [("area", self._home.areas[here].name)]
        return [
            one
            for one in shortlist.of_kinds(shortlist.kinds)
            if not places or any(self._is_in(one, {name: place}) for name, place in places)
        ]

    def _of_things(
        self, scope: _Scope, meant: Iterable[tuple[ExposedEntity, bool]], *, is_told: bool = True
    ) -> Iterator[Command]:
        """Yield the commands for entities.

        meant: as from `_things_meant`. is_told: sentences whose verb or value may be in the
        utterance, else all others: these are only needed without any of the first.
        """
        heard = [*scope.heard.values()]
        for thing, is_meant in meant:
            is_listed = self._is_listed(thing, scope.shortlist)
            is_critical = bool(CRITICAL.intersection(thing.kinds))
            for sentence in self._language.fitting(thing):
                own = scope.heard.get(sentence)
                if is_told is (own is None and not sentence.slots):
                    continue
                if not is_told and self._now.is_done(sentence.tool, thing.entity_id):
                    # Users do not ask for the present state.
                    continue
                if "item" in sentence.slots and own is None:
                    continue
                is_own = bool(own and scope.explained.is_own(thing, own))
                items = scope.values.items
                is_known = bool(items.known(sentence, thing))
                inexact = scope.explained.inexact(thing, own, heard) if own and is_critical else ()
                for one in self._filled(
                    sentence,
                    scope.values,
                    thing,
                    is_heard=own is not None,
                    is_named=is_own
                    if is_critical
                    else is_meant and (is_listed or "item" not in sentence.slots),
                ):
                    rest = scope.explained.rest(
                        sentence,
                        own,
                        thing=thing,
                        item_end=items.end(sentence, thing) if one.is_item and not is_known else 0,
                        item=words_of(one.args["item"]) if is_known else (),
                    )
                    rank = own.rank[:-1] if own else ()
                    each = tuple(items.each(sentence, thing)) if one.is_item else ()
                    yield replace(one, rest=rest or inexact, rank=rank, items=each)

    def _is_listed(self, thing: ExposedEntity, shortlist: EntityLinker) -> bool:
        """Return whether a list is named: with a single list, any words could be its item."""
        words = frozenset[str]().union(*map(self._words_of_kind, thing.kinds))
        return bool(shortlist.places_of(words)) or any(
            one.thing is thing for one in shortlist.things
        )

    def _by_verb(
        self, shortlist: EntityLinker, heard: Sequence[Sentence], values: Values
    ) -> tuple[list[ExposedEntity], bool, bool]:
        """Return the only entity that fits a verb or a value, in the named place, here, or at all.

        Returns it with whether it is in the named place, and whether a value found it.
        """
        telling = [
            one
            for one in heard or (self._language.sentences if values.are_degrees else ())
            if shortlist.areas
            and one.slots
            and (heard or "degrees" in one.slots.values())
            and all(values.tell(kind) and values.has(kind, one) for kind in one.slots.values())
        ]
        for sentences in (telling, heard):
            kinds = frozenset(kind for one in sentences for kind in one.kinds)
            found = shortlist.of_kinds(kinds)
            there = [one for one in found if one.area in shortlist.areas]
            if things := _only(there) or _only(shortlist.of_kinds(kinds, self._here)):
                return things, things == there, sentences is telling
        return [], False, False

    def _of_places(self, scope: _Scope) -> Iterator[Command]:
        """Yield commands for all entities of a kind in a place."""
        shortlist = scope.shortlist
        here = None if scope.is_home else self._here
        for sentence in self._language.sentences:
            kinds = [kind for kind in sorted(shortlist.kinds) if kind in sentence.kinds]
            places: list[tuple[str, str]] = []
            match sentence.target:
                case "area":
                    named = shortlist.areas or ([here] if here else [])
                    places = [("area", one) for one in named]
                case "floor":
                    places = [("floor", one) for one in shortlist.floors]
                case "home":
                    is_everywhere = not (shortlist.areas or shortlist.floors or here)
                    if is_everywhere and not shortlist.is_specific:
                        places = [("", "")]
            for kind, (argument, place_id) in product(kinds, places):
                # For the whole home, a singular means several only with `all`.
                is_several = kind in shortlist.plurals or (scope.is_all and not place_id)
                n_there = self._n_in(kind, argument, place_id)
                # A singular can mean several.
                if n_there < (1 if is_several else 2) or not (is_several or place_id):
                    continue
                place = self._place(argument, place_id)
                own = scope.heard.get(sentence)
                rest = scope.explained.rest(sentence, own, kind=kind, place=place)
                if rest and place is None:
                    # An unknown place never widens an order to the whole home.
                    continue
                named_place = {argument: place.name} if place else {}
                for one in self._filled(
                    sentence,
                    scope.values,
                    None,
                    words={**named_place, "things": self._language.kinds[kind].all},
                    args={**named_place, **_kind_args(kind)},
                    is_heard=own is not None,
                    is_named=True,
                ):
                    yield replace(one, rest=rest)

    def _n_in(self, kind: str, argument: str, place_id: str) -> int:
        """Return the number of entities of a kind in an area, on a floor, or in the home."""
        if not argument:
            return len(self._index.by_kind.get(kind, ()))
        counted = self._index.n_in_area if argument == "area" else self._index.n_on_floor
        return counted[kind, place_id]

    def _place(self, argument: str, place_id: str) -> Place | None:
        if not argument:
            return None
        return (self._home.areas if argument == "area" else self._home.floors)[place_id]

    def _of_nothing(self, scope: _Scope) -> Iterator[Command]:
        for sentence, own in scope.heard.items():
            if sentence.target == "none":
                rest = scope.explained.rest(sentence, own)
                for one in self._filled(sentence, scope.values, None, is_heard=True, is_named=True):
                    yield replace(one, rest=rest)

    def _filled(  # noqa: PLR0913 - each is a part of the command
        self,
        sentence: Sentence,
        values: Values,
        thing: ExposedEntity | None,
        *,
        words: Mapping[str, str] | None = None,
        args: Mapping[str, Any] | None = None,
        is_heard: bool,
        is_named: bool,
    ) -> Iterator[Command]:
        """Yield a command for each value in the utterance."""
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
                is_heard=is_heard
                or any(map(values.tell, sentence.slots.values()))
                or any(map(values.is_more_light, sentence.slots)),
                is_named=is_named,
                is_critical=bool(thing and CRITICAL.intersection(thing.kinds)),
                thing=texts["name"] if thing else "",
                reads=sentence.reads,
                has_value=bool(sentence.slots),
                is_item="item" in sentence.slots,
            )

    def _is_ambiguous(self, thing: ExposedEntity) -> bool:
        return self._index.namesakes[thing.name, thing.domain] > 1


@dataclass(frozen=True, slots=True)
class _Scope:
    """Names, verbs by sentence, values and words of one part of an utterance.

    is_all: all of a kind are meant. is_home: the whole home is.
    """

    shortlist: EntityLinker
    heard: Mapping[Sentence, Heard]
    values: Values
    explained: Explained
    is_all: bool
    is_home: bool


def _about(command: Command) -> tuple[str, ...]:
    """Return the target of a command: the entity, or the kind and the place."""
    return command.thing, *(str(command.args.get(one)) for one in ("domain", "area", "floor"))


def _quality(command: Command) -> int:
    """Return how well its verb matches; what has none in the words is to the letter."""
    return command.rank[1] if len(command.rank) > 1 else EXACT


def _only(things: list[ExposedEntity]) -> list[ExposedEntity]:
    return things if len(things) == 1 else []


def _kind_args(kind: str) -> dict[str, list[str]]:
    domain, _, device_class = kind.partition(".")
    return {"domain": [domain], **({"device_class": [device_class]} if device_class else {})}


def _with_values(commands: list[Command]) -> list[Command]:
    """Return the commands with a value whose verb is in the utterance, if any, else all."""
    return [one for one in commands if one.has_value and one.is_heard] or commands
