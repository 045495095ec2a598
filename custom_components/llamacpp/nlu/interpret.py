"""Interpret an utterance: commands to run, a command held back, or nothing."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..home.durations import lengths
from ..home.numbers import numbers_in
from .explained import beside, cautions_in, phrase_places, small_places
from .gbnf import writable
from .generic import generic_commands
from .statements import (
    begins_remark,
    can_begin_order,
    ends_statement,
    is_statement,
    may_begin_with_verb,
    prefers_another,
    tells_done,
    warns,
    without_denials,
)
from .utterance import n_begin, understand
from .verbs import is_order

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..home.language import Language, Phrase
    from .candidates import Candidates, Command
    from .utterance import Utterance


# Arguments that say where, or which entity.
TARGETS = frozenset(("name", "area", "floor"))


class Meaning(NamedTuple):
    """The commands of each part of an utterance, none if it means nothing here.

    held_back: a command with words such as `don't` or `if`; empty if there is none.
    """

    parts: Sequence[Sequence[Command]]
    held_back: str = ""

    @property
    def is_plain(self) -> bool:
        """Return whether each part has a command that explains all of its words."""
        return bool(self.parts) and all(any(one.is_plain for one in part) for part in self.parts)


class Interpreter:
    """Interprets the utterances of one turn and caches the results."""

    def __init__(
        self,
        candidates: Candidates,
        language: Language,
        tools: Sequence[Mapping[str, Any]] = (),
        reading: Collection[str] = (),
    ) -> None:
        """Initialize for one turn.

        candidates: of the home. tools: in OpenAI's format. reading: names of read-only tools.
        """
        self._candidates = candidates
        self._language = language
        self._tools = tools
        self._reading = reading
        self._known: dict[str, Meaning] = {}
        self._refusals: dict[str, bool] = {}
        # Sentences that Home Assistant's own agent understands, for delayed commands.
        self._later: Mapping[str, str] | None = None

    def meaning(self, text: str) -> Meaning:
        """Return the meaning of a text."""
        if text not in self._known:
            self._known[text] = self._find(understand(text, self._language))
        return self._known[text]

    def is_refusal(self, text: str) -> bool:
        """Return whether a text is only a negated order: `don't turn off the telly`."""
        parts = self._candidates.for_said(understand(text, self._language))
        return any(
            one.is_heard and bool(one.rest) and not beside(one.rest, self._language, "not", "no")
            for part in parts
            for one in part
        )

    def to_be_delayed(self, text: str) -> Sequence[Sequence[Command]]:
        """Return the commands of each part without the delay; none if there is no delay."""
        said = understand(text, self._language)
        if said.is_chat or not (self._candidates.is_delayed(said) and said.at_once):
            return []
        generic = self._generic(said.at_once)
        return [generic] if generic else self._candidates.for_said_at_once(said.at_once)

    def allow_later(self, sentences: Mapping[str, str]) -> None:
        """Allow delayed commands only if Home Assistant's own agent understands them.

        sentences: the sentence for that agent, by the command's text.
        """
        self._later = sentences
        self._known.clear()

    def _find(self, said: Utterance) -> Meaning:
        if said.is_chat:
            return Meaning([])
        meaning = Meaning(self._possible(said))
        if tells_done(said, self._language):
            heard = (one.text for part in meaning.parts for one in part if not one.reads)
            return Meaning([], next(heard, ""))
        if not meaning.is_plain and (
            clause := self._order_for_item(said, meaning)
            or self._order_in(said)
            or self._order_about_topic(said)
            or self._order_unmarked(said)
        ):
            return clause
        for one in (one for part in meaning.parts for one in part if not one.reads):
            if cautions_in(one.rest, self._language):
                # Not even after a confirmation: `don't` and `if` mean something else.
                heard = (each.text for part in meaning.parts for each in part if each.is_heard)
                return Meaning([], next(heard, ""))
        return meaning

    def _possible(self, said: Utterance) -> list[list[Command]]:
        """Return the commands of each part that may run.

        A question changes nothing, and a critical command needs its verb in the utterance.
        """
        is_delayed = self._candidates.is_delayed(said)
        if not (generic := self._generic(said.at_once or said if is_delayed else said)):
            parts = self._candidates.for_said(said, self._later)
        elif is_delayed:
            parts = self._candidates.put_off([generic], said, self._later)
        else:
            parts = [generic]
        kept = [
            [
                replace(one, text=writable(one.text))
                for one in part
                if (one.reads or not said.is_question)
                and (one.is_heard or not one.is_critical)
                # A list is not read out on a guess.
                and (one.is_heard or not one.reads or said.is_question or not one.rest)
            ]
            for part in parts
        ]
        # The rest does not cover the whole utterance.
        lost = tuple(
            part[0].thing for part, rest in zip(parts, kept, strict=True) if part and not rest
        )
        return [[replace(one, rest=(*one.rest, *lost)) for one in part] for part in kept if part]

    def _generic(self, said: Utterance) -> list[Command]:
        """Return the commands of tools without a sentence in the language."""
        of_home = self._candidates.known_words
        return generic_commands(self._tools, self._reading, said, self._language, of_home)

    def _order_in(self, said: Utterance) -> Meaning | None:
        """Return the meaning of the only clause that is an order: `turn it off, it is late`.

        It needs a confirmation if another clause may revoke it, or if a wrong guess would do harm.
        None if another clause has a different subject, or begins with words such as `if` and `no`.
        """
        clauses = [*said.clauses]
        found = [(one, self._order_alone(one)) for one in clauses if not one.is_chat]
        orders = [(one, meaning) for one, meaning in found if meaning.is_plain]
        if len(orders) != 1 or said.delay or said.but:
            return None
        ((order, meaning),) = orders
        commands = [one for part in meaning.parts for one in part]
        if any("domain" in one.args and TARGETS.isdisjoint(one.args) for one in commands) and any(
            self._candidates.names_place(one.words) for one in clauses
        ):
            # `It is dark in the hall, turn on the lights`: not those of the whole home.
            return None
        place = clauses.index(order)
        others = [*clauses[:place], *clauses[place + 1 :]]
        things = {one.thing for part in meaning.parts for one in part}
        if any(
            self._is_other(one, things, is_before=index < place)
            or (index < place and self._denies(one, order))
            for index, one in enumerate(clauses)
            if index != place
        ):
            return None
        # `Well, ...` is no condition, but behind an order a word alone may revoke it: `nonsense`.
        is_alone = not any(
            self._candidates.names_place(one.words)
            if one.is_reason
            else self._may_change(
                one.words,
                things,
                is_before=index < place,
                is_exclamation=index < place and len(one.words) == 1,
            )
            or (
                index > place
                and len(one.words) == 1
                and beside(one.words, self._language, "thanks", "yes")
            )
            for index, one in enumerate(clauses)
            if index != place
        )
        # `Dark in our bedroom, off with the lights` is not about the whole home.
        is_alone &= not (
            "" in things and any(self._candidates.names_place(o.words) for o in others)
        )
        # `Put milk on the list, eggs and bread` goes on behind the comma.
        is_item = any(one.is_item for part in meaning.parts for one in part[:1])
        is_alone &= not is_item or all(
            one.is_reason or is_statement(one.words, self._language) for one in clauses[place + 1 :]
        )
        return _beside(meaning, others, is_alone=is_alone)

    def _order_alone(self, clause: Utterance) -> Meaning:
        """Return the meaning of a clause, which may also have a remark without a comma."""
        meaning = Meaning(self._possible(clause))
        return meaning if meaning.is_plain else self._order_unmarked(clause) or meaning

    def _order_about_topic(self, said: Utterance) -> Meaning | None:
        """Return the meaning of an order without a name behind a clause that names one entity.

        `The lamp is too bright, dim it, I am tired`: needs a confirmation unless all other clauses
        are statements.
        """
        if len(said.clauses) < 2 or said.delay or said.but:  # noqa: PLR2004 - the topic and the order
            return None
        topic, *rest = said.clauses
        named = {one.thing.name for one in self._candidates.named(topic.words) if one.is_whole}
        if not named and len(rest) == 1 and (place := self._candidates.place_in(topic.words)):
            return self._order_at_place(topic, rest[0], place)
        if len(named) != 1:
            return None
        (name,) = named
        found = [
            (one, meaning)
            for one in rest
            if not (one.is_chat or self._candidates.names_any(one.words))
            and (meaning := self._meaning_for(name, one)).is_plain
        ]
        if len(found) != 1 or self._is_other(topic, named, is_before=True):
            return None
        ((order, meaning),) = found
        others = [one for one in rest if one is not order]
        if any(self._is_other(one, named) for one in others):
            return None
        denials = phrase_places(self._language.lists["denials"], topic.words)
        before = self._candidates.named(topic.words[: min(denials, default=0)])
        # `It is not the lamp` names what is not meant.
        is_denial = any(one.is_whole and one.thing.name == name for one in before)
        is_remark = is_denial if denials else is_statement(topic.words, self._language)
        is_alone = (
            is_remark
            and not self._may_change(topic.words, named, is_before=True)
            and all(
                is_statement(one.words, self._language) and not self._may_change(one.words, named)
                for one in others
            )
        )
        return _beside(meaning, [topic, *others], is_alone=is_alone)

    def _meaning_for(self, name: str, order: Utterance) -> Meaning:
        """Return the meaning of an order for the entity of this name, none if it has another."""
        whole = understand(f"{name} {' '.join(order.words)}", self._language)
        meaning = Meaning(self._possible(whole))
        is_it = {one.thing for part in meaning.parts for one in part} == {name}
        return meaning if is_it else Meaning([])

    def _order_at_place(self, topic: Utterance, order: Utterance, place: str) -> Meaning | None:
        """Return the meaning of an order behind a statement about a place that it does not name.

        `It is dark in the hall, turn on the lights`.
        """
        if order.is_chat or self._candidates.names_place(order.words):
            return None
        meaning = Meaning(
            self._possible(understand(f"{place} {' '.join(order.words)}", self._language))
        )
        things = {one.thing for part in meaning.parts for one in part}
        if not meaning.is_plain or self._is_other(topic, things):
            return None
        return _beside(meaning, [topic], is_alone=not self._may_change(topic.words, things))

    def _order_for_item(self, said: Utterance, meaning: Meaning) -> Meaning | None:
        """Return the meaning of an order for an item that a statement names: `I have milk, ...`.

        None if words of the order itself are unexplained.
        """
        clauses = [*said.clauses]
        commands = [one for part in meaning.parts for one in part[:1]]
        if len(clauses) != 2 or said.delay or said.but or not commands:  # noqa: PLR2004
            return None
        topic, _ = clauses
        if not all(
            one.is_item and one.is_heard and one.is_named and {*one.rest} <= {*topic.words}
            for one in commands
        ):
            return None
        things = {one.thing for one in commands}
        if self._is_other(topic, things) or self._may_change(topic.words, things):
            return None
        return Meaning([[replace(one, rest=())] for one in commands])

    def _order_unmarked(self, said: Utterance) -> Meaning | None:
        """Return the meaning of an order with a statement before or behind it, without a comma.

        `It is chilly turn on the radiator`, `turn off the telly I am leaving`. None if the words
        are no order and statement, or a statement that may change it.
        """
        words, language = said.words, self._language
        if said.clauses or said.delay or said.but or said.is_question:
            return None
        for index in range(1, len(words)):
            first, last = words[:index], words[index:]
            if begins_remark(last, language):
                order, other = first, last
            elif (
                ends_statement(first, language)
                # `Nobody is here so nobody | turns on the lamp`.
                and first[-1:] not in language.lists["denials"]
                and can_begin_order(last, language)
                and self._candidates.begins_with_verb(last)
            ):
                order, other = last, first
            else:
                continue
            clauses = [understand(" ".join(one), language) for one in (order, other)]
            meaning = Meaning(self._possible(clauses[0]))
            things = {one.thing for part in meaning.parts for one in part}
            if (
                meaning.is_plain
                and not clauses[0].is_chat
                and not self._is_other(clauses[1], things, is_before=order is last)
                and not self._may_change(other, things, is_before=order is last)
                and not self._candidates.names_place(other)
            ):
                return _beside(meaning, clauses[1:], is_alone=True)
        return None

    def _denies(self, clause: Utterance, order: Utterance) -> bool:
        """Return whether an order is none because of the clause before it.

        That says no more than `never`, or the order is a part of it: `he wants, that you ...`.
        """
        lists, words = self._language.lists, clause.words
        rest = without_denials(words, self._language)
        says_more = len(small_places(rest, self._language)) < len(rest)
        is_part = n_begin(order.words, lists["that"]) > n_begin(order.words, lists["orders"])
        return is_part or (len(rest) < len(words) and not says_more)

    def _is_other(
        self, clause: Utterance, things: Collection[str], *, is_before: bool = False
    ) -> bool:
        """Return whether a clause beside an order has another subject, or says whether to obey.

        things: names of the order's entities, empty for all of a kind. is_before: the order
        follows.
        """
        lists = self._language.lists
        taken_back = (*lists["no"], *lists["keep"])
        words = without_denials(clause.words, self._language) if is_before else clause.words
        # A sensor takes no orders.
        named = [
            one
            for one in self._candidates.named(clause.words)
            if not one.thing.domain.endswith("sensor")
        ]
        if phrase_places(taken_back, clause.words) and not beside(
            clause.words, self._language, "because", "because_behind_comma", "no", "keep"
        ):
            # `Because no`, or `leave it`.
            return True
        if clause.is_reason:
            return False
        is_for_several = "" in things or len(things) > 1
        return (
            n_begin(words[n_begin(words, lists["speakers"]) :], lists["not_now"]) > 0
            or (bool(named) and is_for_several)
            or any(one.is_whole and one.thing.name not in things for one in named)
        )

    def _may_change(
        self,
        words: Phrase,
        things: Collection[str],
        *,
        is_before: bool = False,
        is_exclamation: bool = False,
    ) -> bool:
        """Return whether a clause may change the order beside it: revoke it, or be another order.

        things: names of the order's entities, empty for all of a kind. is_before: the order
        follows. Where conditions begin with
        a verb (`regnet es, ...`), only another beginning or an exclamation rules out a condition.
        `It is too warm` is no order to warm something, but where articles can begin an order (`die
        rechte aus`), it counts as one.
        """
        language = self._language
        lists = language.lists
        named = [one for one in self._candidates.named(words) if one.thing.name not in things]
        if not is_before and prefers_another(words, language):
            return True
        if len(small_places(words, language)) == len(words):
            return False
        is_request = n_begin(words, lists["orders"]) and self._candidates.names_any(words)
        begins = n_begin(words, lists["subjects"]) and not is_request
        states = is_statement(words, language)
        is_no_order = states or (begins and not (language.has_inversion or named))
        is_for_several = "" in things or len(things) > 1
        # In some languages no verb consists of prepositions alone, unless a value follows.
        has_particles = language.has_inversion or not language.declension
        is_clear = not (named or is_for_several) or not (
            has_particles or numbers_in(words, language, language.levels)
        )
        return bool(
            (may_begin_with_verb(words, language) and not (begins or states or is_exclamation))
            or (not is_no_order and is_order(words, language, is_clear=is_clear))
            or warns(words, language, is_before=is_before)
            or lengths(words, language)
        )


def _beside(meaning: Meaning, others: Sequence[Utterance], *, is_alone: bool) -> Meaning:
    """Return the meaning of an order beside other clauses.

    is_alone: these cannot change it. What could do harm needs a confirmation all the same.
    """
    if is_alone and not any(one.is_critical for part in meaning.parts for one in part):
        return meaning
    rest = tuple(word for one in others for word in one.words)
    return Meaning([[replace(one, rest=rest) for one in part] for part in meaning.parts])
