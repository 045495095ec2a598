"""Tell statements from orders and conditions: `the soup is ready` changes no order beside it."""

from typing import TYPE_CHECKING

from .utterance import n_begin
from .verbs import is_order

if TYPE_CHECKING:
    from ..home.language import Language, Phrase

# A statement has its verb within so many words: `the new lamp is`.
MAX_SUBJECT = 5
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
    places = range(1, min(len(words), MAX_SUBJECT))
    place = next((one for one in places if n_begin(words[one:], lists["copulas"])), 0)
    has_copula = place > 0 and not is_order(words[:place], language)
    return has_copula or n_begin(words, lists["speakers"]) > 0


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
