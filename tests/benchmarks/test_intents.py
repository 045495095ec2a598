"""The sentences of the benchmark `intents`."""

import re

import pytest

from benchmarks.intents import HERE, HOME, IntentsCase, IntentsRow, Reply
from benchmarks.lib.errors import BenchmarkError
from benchmarks.lib.sentences import BOUNDS, DOMAINS, DrawnSentence, LanguageSentences, things_of


def draw(code: str = "en", n_sentences: int = 100, seed: int = 1) -> list[DrawnSentence]:
    """Return sentences about the home of the benchmark."""
    return LanguageSentences.read(code, HOME, HERE, seed).draw(n_sentences)


def test_a_seed_draws_the_same_sentences_again() -> None:
    """One seed always draws the same, another one draws others."""
    assert draw() == draw()
    assert draw() != draw(seed=2)


@pytest.mark.parametrize("code", ["en", "de", "pt-BR", "zh-CN"])
def test_sentences_are_whole_different_and_of_many_intents(code: str) -> None:
    """No slot or rule is left unfilled, and no intent has most of the sentences."""
    found = draw(code)
    assert len({one.text.casefold() for one in found}) == len(found) == 100
    assert all(one.text and not set("{}<>[]|") & set(one.text) for one in found)
    intents = [one.intent for one in found]
    assert len(set(intents)) >= 15
    assert all(intents.count(intent) <= 40 for intent in DOMAINS)


def test_things_are_named_where_they_fit() -> None:
    """A name is that of a suitable entity, and a number is within the range."""
    found = draw(n_sentences=500)
    players = {thing.name for thing in things_of(HOME) if thing.domain == "media_player"}
    named = [one for one in found if one.intent == "HassSetVolume" and one.block == "name_only"]
    assert named
    assert all(any(name in one.text for name in players) for one in named)
    lowest, highest = BOUNDS["temperature"]
    for one in found:
        if one.intent == "HassClimateSetTemperature":
            assert all(lowest <= int(text) <= highest for text in re.findall(r"\d+", one.text))


def test_a_language_with_few_sentences_ends() -> None:
    """No more can be drawn than there are."""
    assert 0 < len(draw("mn", 500)) < 500


def test_an_unknown_language_is_an_error() -> None:
    """The error names it."""
    with pytest.raises(BenchmarkError, match="xx"):
        LanguageSentences.read("xx", HOME, HERE, 1)


def test_ours_counts_only_if_it_does_the_same() -> None:
    """The answer's words may differ; the changes, the type and the agent may not."""
    sentence = DrawnSentence("turn on the lamp", "HassTurnOn", "name_only")
    done = Reply("action_done", "Turned on", {"light.lamp": "on"}, is_asking=False)
    replies = [
        Reply("action_done", "Done", {"light.lamp": "on"}, is_asking=False),
        Reply("action_done", "Turned on", {"light.lamp": "on"}, is_asking=True),
        Reply("query_answer", "Turned on", {"light.lamp": "on"}, is_asking=False),
        Reply("action_done", "Turned on", {"light.other": "on"}, is_asking=False),
        Reply("error", "Sorry", {}, is_asking=False),
    ]
    cases = [IntentsCase(sentence, done, reply) for reply in replies]
    failed = Reply("error", "Sorry", {}, is_asking=False)
    cases.append(IntentsCase(sentence, failed, done))
    assert IntentsRow.of("en", cases) == IntentsRow("en", 6, 5, 1, 2)
