"""What somebody means: commands that can be run, one that must not be, or nothing."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..home.durations import lengths
from .explained import beside, cautions_in, phrase_places
from .generic import generic_commands
from .grammar import writable
from .utterance import n_begin, understand
from .verbs import is_order

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..home.language import Language, Phrase
    from .candidates import Candidates, Command
    from .utterance import Utterance


class Meaning(NamedTuple):
    """The commands of each part of what was said, none if it means nothing here.

    held_back: one that was heard, but with words such as `don't` or `if`; empty if there is none.
    """

    parts: Sequence[Sequence[Command]]
    held_back: str = ""

    @property
    def is_plain(self) -> bool:
        """Return whether each part has a command that explains all of its words."""
        return bool(self.parts) and all(any(one.is_plain for one in part) for part in self.parts)


class Interpreter:
    """Interprets what is said in one turn, and remembers it for the turn."""

    def __init__(
        self,
        candidates: Candidates,
        language: Language,
        tools: Sequence[Mapping[str, Any]] = (),
        reading: Collection[str] = (),
    ) -> None:
        """Begin with nothing said.

        candidates: of the home. tools: in OpenAI's format. reading: names of those that change
        nothing.
        """
        self._candidates = candidates
        self._language = language
        self._tools = tools
        self._reading = reading
        self._known: dict[str, Meaning] = {}
        self._refusals: dict[str, bool] = {}
        # What Home Assistant's own agent understands of commands that it is to run later.
        self._later: Mapping[str, str] | None = None

    def meaning(self, text: str) -> Meaning:
        """Return what a text means."""
        if text not in self._known:
            self._known[text] = self._find(understand(text, self._language))
        return self._known[text]

    def is_refusal(self, text: str) -> bool:
        """Tell whether a text only says what is not to be done: `don't turn off the telly`."""
        parts = self._candidates.for_said(understand(text, self._language))
        return any(
            one.is_heard and bool(one.rest) and not beside(one.rest, self._language, "not", "no")
            for part in parts
            for one in part
        )

    def to_be_delayed(self, text: str) -> Sequence[Sequence[Command]]:
        """Return the commands of each part that are to be run later; none if not later."""
        said = understand(text, self._language)
        if said.is_chat or not (self._candidates.is_delayed(said) and said.at_once):
            return []
        generic = self._generic(said.at_once)
        return [generic] if generic else self._candidates.for_said_at_once(said.at_once)

    def allow_later(self, sentences: Mapping[str, str]) -> None:
        """Run commands later by what Home Assistant's own agent understands, and no others.

        sentences: for the words of a command what that agent is to be told.
        """
        self._later = sentences
        self._known.clear()

    def _find(self, said: Utterance) -> Meaning:
        if said.is_chat:
            return Meaning([])
        meaning = Meaning(self._possible(said))
        if not meaning.is_plain and (clause := self._order_in(said)):
            return clause
        for one in (one for part in meaning.parts for one in part if not one.reads):
            if cautions_in(one.rest, self._language):
                # Not even by consent: `don't` and `if` say something else.
                heard = (each.text for part in meaning.parts for each in part if each.is_heard)
                return Meaning([], next(heard, ""))
        return meaning

    def _possible(self, said: Utterance) -> list[list[Command]]:
        """Return the commands of each part without what is never done.

        A question changes nothing, and nothing that does harm is done without a word for it.
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
                if (one.reads or not said.is_question) and (one.is_heard or not one.is_critical)
            ]
            for part in parts
        ]
        # What is left is not all that was said.
        lost = tuple(
            part[0].thing for part, rest in zip(parts, kept, strict=True) if part and not rest
        )
        return [[replace(one, rest=(*one.rest, *lost)) for one in part] for part in kept if part]

    def _generic(self, said: Utterance) -> list[Command]:
        """Return the commands of tools that no sentence of the language is about."""
        of_home = self._candidates.known_words
        return generic_commands(self._tools, self._reading, said, self._language, of_home)

    def _order_in(self, said: Utterance) -> Meaning | None:
        """Return what the one clause means that is an order: `turn it off, it is late`.

        It is to be asked back where another clause has words that may take it back, or where a
        wrong guess would do harm. None if another one is about something else, or begins with words
        such as `if` and `no`.
        """
        clauses = [*said.clauses]
        found = [(one, Meaning(self._possible(one))) for one in clauses if not one.is_chat]
        orders = [(one, meaning) for one, meaning in found if meaning.is_plain]
        if len(orders) != 1 or said.delay or said.but:
            return None
        ((order, meaning),) = orders
        place = clauses.index(order)
        others = [*clauses[:place], *clauses[place + 1 :]]
        things = {one.thing for part in meaning.parts for one in part}
        if any(self._is_other(one, things) for one in others):
            return None
        is_alone = not any(
            self._candidates.names_place(one.words)
            if one.is_reason
            else self._may_change(
                one.words,
                things,
                # `Well, ...` is no condition, but behind an order `nonsense` takes it back.
                is_exclamation=clauses.index(one) < place and len(one.words) == 1,
            )
            for one in others
        )
        is_critical = any(one.is_critical for part in meaning.parts for one in part)
        if is_alone and not is_critical:
            return meaning
        beside = tuple(word for one in others for word in one.words)
        return Meaning([[replace(one, rest=beside) for one in part] for part in meaning.parts])

    def _is_other(self, clause: Utterance, things: Collection[str]) -> bool:
        """Return whether a clause beside an order is about something else, or whether to obey it.

        things: of that order, an empty name for all of a kind.
        """
        lists = self._language.lists
        taken_back = (*lists["no"], *lists["keep"])
        if phrase_places(taken_back, clause.words) and not beside(
            clause.words, self._language, "because", "because_behind_comma", "no", "keep"
        ):
            # `Because no`, or `leave it`.
            return True
        if clause.is_reason:
            return False
        named = self._candidates.named(clause.words)
        is_for_several = "" in things or len(things) > 1
        return (
            n_begin(clause.words, self._language.lists["not_now"]) > 0
            or (bool(named) and is_for_several)
            or any(one.is_whole and one.thing.name not in things for one in named)
        )

    def _may_change(
        self, words: Phrase, things: Collection[str], *, is_exclamation: bool = False
    ) -> bool:
        """Return whether a clause may change the order beside it: take it back, or be one, too.

        things: of that order, an empty name for all of a kind. Where verbs come first in conditions
        (`regnet es, ...`), only what begins otherwise is none, or an exclamation. `It is too warm`
        is no order to warm something, but where articles can begin an order (`die rechte aus`), it
        is taken for one.
        """
        language = self._language
        lists = language.lists
        named = self._candidates.named(words)
        begins = n_begin(words, lists["subjects"]) and not n_begin(words, lists["orders"])
        is_statement = begins and not (language.has_inversion or named)
        is_for_several = "" in things or len(things) > 1
        return bool(
            (language.has_inversion and not (begins or is_exclamation))
            or (
                not is_statement
                and is_order(words, language, is_clear=not (named or is_for_several))
            )
            or cautions_in(words, language)
            or lengths(words, language)
        )
