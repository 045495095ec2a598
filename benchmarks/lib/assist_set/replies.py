"""What a reply says: whether it asks back, claims what is not so, or is in another language.

Only what is sure is judged, and nothing else: a reply in words of its own is not understood here.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from home_assistant_intents import get_intents

from custom_components.llamacpp.home.language import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .cases import AssistCase

# As they end a question: in Latin, full width, Arabic and Greek.
QUESTION_MARKS = ("?", "？", "؟", ";", "\N{GREEK QUESTION MARK}")  # noqa: RUF001 - other scripts' marks
CLOSING = " \t\n\"'»”’)"  # noqa: RUF001 - quotation marks

# Home Assistant's sentences for these tell what is, not what was done.
NO_CLAIMS = ("Get", "HassRespond", "HassNevermind", "HassTimerStatus")
# Letters of a sentence beside the names in it: with fewer it fits what is no claim.
MIN_LETTERS = 5
_PLACE = re.compile(r"\{\{?[^{}]*\}\}?")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:[.,]\d+)?(?!\w)")

# Words that hardly a sentence does without.
FUNCTION_WORDS: Mapping[str, frozenset[str]] = {
    code: frozenset(words.split())
    for code, words in {
        "de": "der das und ist nicht ich ein eine auf mit für dem den wird sind kann bitte es sie"
        " zu im von habe",
        "en": "the and is are you to of it that have this can with for please your not what do as"
        " was be",
        "es": "el los las está que por con una pero para es lo del puedo como más y",
        "fr": "le les est je vous pas une pour des avec dans du que cette ne et au",
        "it": "il gli che è sono non della per con una questo posso di ho nel si",
        "nl": "het een en is niet ik van op dat de voor met zijn kan naar wat je",
        "pl": "nie jest się to na w i czy mogę że z do jak o są",
    }.items()
}
# So many words a reply needs to be judged, and so many different ones of the other language.
MIN_WORDS, MIN_FOREIGN = 6, 3

# Of each only one can be true.
OPPOSITES = (
    *(("on", "off"), ("open", "closed"), ("locked", "unlocked"), ("home", "away"), ("yes", "no")),
)


class Fault(StrEnum):
    """What is wrong with a reply."""

    CLAIM = "claims what was not done"
    LANGUAGE = "in another language"
    FACT = "names another value"


def is_question(reply: str) -> bool:
    """Tell whether a reply ends as a question."""
    return reply.rstrip(CLOSING).endswith(QUESTION_MARKS)


@dataclass(frozen=True, slots=True)
class Speech:
    """How it is spoken in a language.

    yes: the word for it, None if we have none. claims: what tells that something was done.
    """

    language: str
    yes: str | None
    claims: re.Pattern[str]

    def claims_success(self, reply: str) -> bool:
        """Tell whether one of a reply's sentences says that something was done.

        That are our own sentences for it, and those of Home Assistant.
        """
        return any(
            self.claims.fullmatch(sentence.strip(" .!"))
            for sentence in _SENTENCE_END.split(reply)
            if not is_question(sentence)
        )

    def is_foreign(self, reply: str, known: Iterable[str] = ()) -> bool:
        """Tell whether a reply is surely in another language.

        It has none of the words that hardly a sentence does without, and several of those of
        another language. known: texts whose words do not count, as they are names.
        """
        own = FUNCTION_WORDS.get(self.language.partition("-")[0])
        names = set(_words(" ".join(known)))
        words = [word for word in _words(reply) if word not in names]
        if own is None or len(words) < MIN_WORDS or own.intersection(words):
            return False
        return any(
            len(others.intersection(words)) >= MIN_FOREIGN for others in FUNCTION_WORDS.values()
        )


def faults_of(
    case: AssistCase, reply: str, speech: Speech | None, names: Sequence[str], *, is_done: bool
) -> list[Fault]:
    """Return what is surely wrong with a reply.

    speech: of the language that is spoken, None: claims and languages are not judged. names: of
    what is in the home. is_done: something was done, right or not.
    """
    found: list[Fault] = []
    if names_another_value(reply, case.replies):
        found.append(Fault.FACT)
    if speech is None:
        return found
    if case.is_command and not is_done and speech.claims_success(reply):
        found.append(Fault.CLAIM)
    if speech.is_foreign(reply, (case.sentence, *case.before, *names)):
        found.append(Fault.LANGUAGE)
    return found


def names_another_value(reply: str, expected: Sequence[str]) -> bool:
    """Tell whether a reply has another value than the expected ones, of which it has none.

    It is sure of numbers, and of words that exclude each other.
    """
    lowered = reply.lower()
    wanted = [one.lower() for one in expected]
    if not wanted or any(one in lowered for one in wanted):
        return False
    if all(_NUMBER.fullmatch(one) for one in wanted):
        return _NUMBER.search(lowered) is not None
    words = set(_words(reply))
    return any(
        one in wanted and other in words and other not in wanted
        for pair in OPPOSITES
        for one, other in (pair, pair[::-1])
    )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


@lru_cache
def speech_of(code: str) -> Speech:
    """Return how it is spoken in a language, by its code. Reads files; may take seconds."""
    language = load(code)
    yes = language.lists["yes"]
    templates = [one.done for one in language.sentences if one.done]
    templates += [str(language.texts["done"]), *_home_assistants(code)]
    patterns = [pattern for one in dict.fromkeys(templates) if (pattern := _pattern(one))]
    return Speech(
        code,
        " ".join(yes[0]) if yes else None,
        re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE),
    )


def _home_assistants(code: str) -> Iterable[str]:
    """Yield what Home Assistant says when it has done something, without what is computed."""
    found: Mapping[str, Any] = get_intents(code) or get_intents(code.partition("-")[0]) or {}
    for intent, texts in found.get("responses", {}).get("intents", {}).items():
        if not any(part in intent for part in NO_CLAIMS):
            yield from (text for text in texts.values() if "{%" not in text)


def _pattern(template: str) -> str:
    """Return a pattern for a sentence with places for names, nothing if it fits too much."""
    parts = _PLACE.split(template.strip(" .!\n"))
    if sum(len(word) for part in parts for word in _WORD.findall(part)) < MIN_LETTERS:
        return ""
    return ".+".join(map(re.escape, parts))
