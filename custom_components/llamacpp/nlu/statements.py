"""Tell statements from orders and conditions: `the soup is ready` changes no order beside it."""

from typing import TYPE_CHECKING

from .explained import cautions_in, phrase_places, small_places
from .utterance import n_begin
from .verbs import is_order

if TYPE_CHECKING:
    from ..home.language import Language, Phrase
    from .utterance import Utterance

# A statement has its verb within so many words: `the new lamp is`.
MAX_SUBJECT = 5
# Shorter words are no verbs in the past: Polish `sala`.
MIN_PAST = 5
# In Germanic languages a finite verb that begins a condition ends in one of these, or an article or
# a pronoun follows it: `regnet es`, `geh ich`.
ENDINGS = ("t", "e", "en")


def is_statement(words: Phrase, language: Language) -> bool:
    """Return whether the words say what is: with a word such as `is` behind their subject.

    Or with a subject that can be nothing else: German `ich`, but not `die`.
    """
    lists = language.lists
    if n_begin(words, lists["orders"]) or n_begin(words, lists["copulas"]):
        return False
    return (
        _copula_in(words, language) > 0
        or n_begin(words, lists["speakers"]) > 0
        or _has_past(words, language)
    )


def _has_past(words: Phrase, language: Language) -> bool:
    """Return whether a word has the ending of a verb that tells the past: Polish `zostawiła`."""
    endings = tuple(one[0] for one in language.lists["past"])
    return any(word.endswith(endings) and len(word) > MIN_PAST for word in words) and not (
        is_order(words, language)
    )


def ends_statement(words: Phrase, language: Language) -> bool:
    """Return whether an order can follow the words, a statement, without a comma.

    `She is about to` is none, and neither is `he has`: what follows belongs to it.
    """
    return (
        is_statement(words, language)
        and 0 < _copula_in(words, language) < len(words) - 1
        and not small_places(words[-1:], language)
        # `Who is upstairs turns off the lamp`.
        and not phrase_places(language.lists["because_or_which"], words)
    )


def can_begin_order(words: Phrase, language: Language) -> bool:
    """Return whether the first word can be the verb of an order behind a statement.

    It is no particle of a verb before it, `he is busy turning | off the lamp`, and no infinitive.
    """
    lists = language.lists
    endings = tuple(one[0] for one in lists["infinitives"])
    return bool(words) and words[:1] not in lists["prepositions"] and not words[0].endswith(endings)


def _copula_in(words: Phrase, language: Language) -> int:
    """Return the place of a word such as `is` behind a subject, 0 if there is none."""
    copulas = language.lists["copulas"]
    places = range(1, min(len(words), MAX_SUBJECT))
    place = next((one for one in places if n_begin(words[one:], copulas)), 0)
    return 0 if is_order(words[:place], language) else place


def begins_remark(words: Phrase, language: Language) -> bool:
    """Return whether the words, behind an order, begin a remark on it: `I am cold`.

    Italian and Spanish have one word for a reason and for `which`; with `is` behind it, or a place,
    it tells which thing is meant: `che sta in soffitta`.
    """
    lists = language.lists
    if n_begin(words, lists["speakers"]):
        return len(words) > 1 and not phrase_places(lists["within"], words)
    n_words = n_begin(words, lists["because_or_which"])
    rest = words[n_words:]
    return (
        n_words > 0
        and len(rest) > 1
        and not n_begin(rest, lists["copulas"])
        and not phrase_places(lists["within"], rest)
    )


def warns(words: Phrase, language: Language, *, is_before: bool) -> bool:
    """Return whether a clause beside an order has words that may revoke it, such as `not`.

    is_before: the order follows. In `I can't see a thing` the denial is about the seeing, and
    before an order it is the reason for it: `nobody is here, turn off the lamp`. The beginning of
    a statement by the speaker is none either: Italian `devo uscire`.
    """
    lists = language.lists
    rest = words[n_begin(words, (*lists["because"], *lists["because_or_which"])) :]
    rest = rest[n_begin(rest, lists["speakers"]) :]
    if is_before or phrase_places(language.lists["senses"], words):
        rest = without_denials(rest, language)
    return cautions_in(rest, language)


def prefers_another(words: Phrase, language: Language) -> bool:
    """Return whether a clause behind an order wants something in its place, or before it.

    `Rather the radio`, `first the coffee`; but not `it is rather cold`.
    """
    lists = language.lists
    is_first = n_begin(words, lists["rather"]) > 0
    return is_first or bool(phrase_places(lists["preferred"], words))


def without_denials(words: Phrase, language: Language) -> Phrase:
    """Return the words without those that only deny: `not`, but not in `not saying`."""
    denials = language.lists["denials"]
    longer = (one for one in language.lists["not_now"] if len(one) > 1 and one not in denials)
    places = phrase_places(denials, words) - phrase_places(tuple(longer), words)
    return tuple(word for index, word in enumerate(words) if index not in places)


def tells_done(said: Utterance, language: Language) -> bool:
    """Return whether words behind an order say that it is done: `I have already turned it on`.

    `It is already dark` is no such statement: it has no verb of an order.
    """
    if said.clauses:
        return any(_tells_done(one.words, 0, language) for one in said.clauses[1:])
    return any(
        is_order(part[:index], language, is_clear=True) and _tells_done(part, index, language)
        for part in said.parts
        for index in range(1, len(part))
    )


def _tells_done(words: Phrase, start: int, language: Language) -> bool:
    lists = language.lists
    places = phrase_places(lists["already"], words[start:])
    if start and 0 not in places:
        return False
    rest = words[start:]
    return bool(places) and (
        is_order(rest, language) or bool(phrase_places(lists["finished"], rest))
    )


def may_begin_with_verb(words: Phrase, language: Language) -> bool:
    """Return whether the words may be a condition by their order alone: `regnet es`."""
    if not language.has_inversion or not words:
        return False
    lists = language.lists
    return (
        words[0].endswith(ENDINGS)
        or n_begin(words, lists["copulas"]) > 0
        or n_begin(words[1:], lists["subjects"]) > 0
    )
