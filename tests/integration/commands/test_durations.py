"""Lengths of time as people say them, in every language, and what is to be done after one."""

import pytest

from custom_components.llamacpp.home.durations import duration_text, lengths
from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.words import words_of
from custom_components.llamacpp.nlu.utterance import understand

HALF_HOUR = {"minutes": 30}
QUARTER = {"minutes": 15}
THREE_QUARTERS = {"minutes": 45}
ONE_THIRTY = {"hours": 1, "minutes": 30}
TWO_THIRTY = {"hours": 2, "minutes": 30}


@pytest.mark.parametrize(
    ("code", "words", "found"),
    [
        ("en", "one hour and 30 minutes", [ONE_THIRTY]),
        ("en", "2 hrs 5 mins", [{"hours": 2, "minutes": 5}]),
        ("en", "twenty five minutes and thirty seconds", [{"minutes": 25, "seconds": 30}]),
        ("en", "half an hour", [HALF_HOUR]),
        ("en", "a half hour", [HALF_HOUR]),
        ("en", "an hour and a half", [ONE_THIRTY]),
        ("en", "one and a half hours", [ONE_THIRTY]),
        ("en", "1.5 hours", [ONE_THIRTY]),
        ("en", "one hour thirty", [ONE_THIRTY]),
        ("en", "an hour and half a minute", [{"hours": 1, "seconds": 30}]),
        ("en", "a quarter of an hour", [QUARTER]),
        ("en", "three quarters of an hour", [THREE_QUARTERS]),
        ("en", "5 minutes and 10 minutes", [{"minutes": 5}, {"minutes": 10}]),
        ("en", "half brightness in an hour", [{"hours": 1}]),
        ("en", "one hour 30 percent", [{"hours": 1}]),
        ("en", "0 minutes", []),
        ("en", "the hour of the day", []),
        ("it", "un'ora e mezza", [ONE_THIRTY]),
        ("it", "due ore e mezzo", [TWO_THIRTY]),
        ("it", "mezz'ora", [HALF_HOUR]),
        ("it", "un quarto d'ora", [QUARTER]),
        ("it", "tre quarti d'ora", [THREE_QUARTERS]),
        ("it", "un'ora e trenta", [ONE_THIRTY]),
        ("it", "un'ora, 20 minuti e 5 secondi", [{"hours": 1, "minutes": 20, "seconds": 5}]),
        ("de", "eine halbe Stunde", [HALF_HOUR]),
        ("de", "anderthalb Stunden", [ONE_THIRTY]),
        ("de", "zweieinhalb Stunden", [TWO_THIRTY]),
        ("de", "eine Viertelstunde", [QUARTER]),
        ("de", "eine Dreiviertelstunde", [THREE_QUARTERS]),
        ("de", "eine Stunde dreißig", [ONE_THIRTY]),
        ("fr", "une demi-heure", [HALF_HOUR]),
        ("fr", "une heure et demie", [ONE_THIRTY]),
        ("fr", "un quart d'heure", [QUARTER]),
        ("fr", "trois quarts d'heure", [THREE_QUARTERS]),
        ("fr", "1h30", [ONE_THIRTY]),
    ],
)
def test_lengths(code: str, words: str, found: list[dict[str, int]]) -> None:
    """Numbers, halves and quarters with their units, the larger units first."""
    assert [one.units for one in lengths(words_of(words), load(code))] == found


def test_lengths_in_words() -> None:
    """One of a unit is told in the singular."""
    language = load("en")
    assert duration_text({"hours": 1, "minutes": 30}, language) == "1 hour 30 minutes"
    assert duration_text({"seconds": 2}, language) == "2 seconds"


@pytest.mark.parametrize(
    ("code", "text", "delay", "at_once"),
    [
        ("en", "turn off the lamp in 10 minutes", {"minutes": 10}, "turn off the lamp"),
        ("en", "in about half an hour close the blinds", HALF_HOUR, "close the blinds"),
        ("it", "tra un'ora e mezza spegni la luce", ONE_THIRTY, "spegni la luce"),
        ("it", "spegni la luce dopo mezz'ora", HALF_HOUR, "spegni la luce"),
        ("de", "mach in einer Viertelstunde das Licht aus", QUARTER, "mach das licht aus"),
        ("fr", "éteins la lampe dans une demi-heure", HALF_HOUR, "eteins la lampe"),
        ("fr", "d'ici 5 minutes éteins la lampe", {"minutes": 5}, "eteins la lampe"),
    ],
)
def test_delays(code: str, text: str, delay: dict[str, int], at_once: str) -> None:
    """A length of time behind `in` tells when; the rest is what is to be done."""
    said = understand(text, load(code))
    assert said.delay == delay
    assert said.at_once
    assert " ".join(said.at_once.words) == at_once


@pytest.mark.parametrize(
    "text",
    ["turn on the fan for 10 minutes", "a timer of 5 minutes", "in 5 minutes", "lamp in kitchen"],
)
def test_no_delay(text: str) -> None:
    """Other lengths of time, or one alone, put nothing off."""
    said = understand(text, load("en"))
    assert not said.delay
    assert said.at_once is None


def test_an_and_within_a_length_joins_no_orders() -> None:
    """It is a part of the length; another one joins."""
    said = understand("a timer of an hour and 30 minutes and turn off the lamp", load("en"))
    assert [" ".join(one) for one in said.parts] == [
        "a timer of an hour and 30 minutes",
        "turn off the lamp",
    ]
