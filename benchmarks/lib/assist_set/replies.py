"""Finds faults in replies: false claims, wrong values, another language; and questions back.

Only certain faults are reported; free wording is not understood.
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

# Question marks: Latin, full width, Arabic and Greek.
QUESTION_MARKS = ("?", "？", "؟", ";", "\N{GREEK QUESTION MARK}")  # noqa: RUF001 - other scripts' marks
CLOSING = " \t\n\"'»”’)"  # noqa: RUF001 - quotation marks

# Home Assistant's responses to these report a state, not an action.
NO_CLAIMS = ("Get", "HassRespond", "HassNevermind", "HassTimerStatus")
# Letters of a sentence without its names; with fewer, it would match other sentences, too.
MIN_LETTERS = 5
_PLACE = re.compile(r"\{\{?[^{}]*\}\}?")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:[.,]\d+)?(?!\w)")

# Words that are in almost every sentence.
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
# Words that a reply needs to be judged, and different words of the other language.
MIN_WORDS, MIN_FOREIGN = 6, 3

# Of each only one can be true.
OPPOSITES = (
    *(("on", "off"), ("open", "closed"), ("locked", "unlocked"), ("home", "away"), ("yes", "no")),
)


class Fault(StrEnum):
    """A fault of a reply."""

    CLAIM = "claims what was not done"
    LANGUAGE = "in another language"
    FACT = "names another value"


def is_question(reply: str) -> bool:
    """Return whether a reply ends with a question."""
    return reply.rstrip(CLOSING).endswith(QUESTION_MARKS)


@dataclass(frozen=True, slots=True)
class Speech:
    """Phrases of a language.

    yes: the word for yes, None if we have none. claims: matches sentences that claim an action.
    """

    language: str
    yes: str | None
    claims: re.Pattern[str]

    def claims_success(self, reply: str) -> bool:
        """Return whether a sentence of a reply claims that something was done.

        The known sentences are ours and those of Home Assistant.
        """
        return any(
            self.claims.fullmatch(sentence.strip(" .!"))
            for sentence in _SENTENCE_END.split(reply)
            if not is_question(sentence)
        )

    def is_foreign(self, reply: str, known: Iterable[str] = ()) -> bool:
        """Return whether a reply is certainly in another language.

        It has no function word of this language, and several of another one. known: texts whose
        words do not count, such as names.
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
    """Return the certain faults of a reply.

    speech: of the spoken language, None: claims and languages are not judged. names: of everything
    in the home. is_done: something was done, right or not.
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
    """Return whether a reply has none of the expected values, but another one instead.

    This compares numbers, and words that exclude each other.
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
    """Return the phrases of a language, by its code. Reads files; may take seconds."""
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
    """Yield Home Assistant's responses to actions, without computed ones."""
    found: Mapping[str, Any] = get_intents(code) or get_intents(code.partition("-")[0]) or {}
    for intent, texts in found.get("responses", {}).get("intents", {}).items():
        if not any(part in intent for part in NO_CLAIMS):
            yield from (text for text in texts.values() if "{%" not in text)


def _pattern(template: str) -> str:
    """Return a pattern for a sentence with placeholders, "" if it would match too much."""
    parts = _PLACE.split(template.strip(" .!\n"))
    if sum(len(word) for part in parts for word in _WORD.findall(part)) < MIN_LETTERS:
        return ""
    return ".+".join(map(re.escape, parts))
