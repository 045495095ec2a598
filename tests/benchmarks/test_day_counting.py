"""Counts, verdicts and picture of the benchmark `day`."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.lib.day.exchange import Exchange, PrefillProgress
from benchmarks.lib.day.measures import DayCase
from benchmarks.lib.day.picture import PANEL, length, picture
from benchmarks.lib.day.play import Played, Prefilled, Taken
from benchmarks.lib.day.prompts import OTHER_WORDS, shared, with_other_words
from benchmarks.lib.day.report import document, table
from benchmarks.lib.day.script import DAY, Change, DayAsk, Restart, Task, Where

if TYPE_CHECKING:
    from benchmarks.lib.day.measures import Measure

BATCH = 512
SVG = "{http://www.w3.org/2000/svg}"


def prefill(*reports: tuple[float, int], ended: float | None, whole: bool = False) -> Exchange:
    """Return a prefill of 2,100 tokens, 100 of them cached, that started at 10.0."""
    progress = [PrefillProgress(at, 2100, 100, processed) for at, processed in reports]
    timings = {"prompt_n": 2000, "cache_n": 100} if whole else {}
    body = {"max_tokens": 1}
    return Exchange(
        "/v1/chat/completions", body, 10.0, ended=ended, progress=progress, timings=timings
    )


@pytest.mark.parametrize(
    ("exchange", "since", "until", "tokens"),
    [
        pytest.param(prefill((10, 100), (12, 2100), ended=13, whole=True), 14, 20, 0, id="before"),
        pytest.param(prefill((10, 100), (12, 2100), ended=13, whole=True), 5, 9, 0, id="after"),
        pytest.param(prefill((10, 100), (12, 2100), ended=13, whole=True), 9, 20, 2000, id="in it"),
        pytest.param(prefill((10, 100), (11, 612), ended=11.5), 11.2, 20, 512, id="one batch"),
        pytest.param(
            prefill((10, 100), (11, 612), (12, 1124), ended=12.5), 11.2, 20, 1024, id="two batches"
        ),
        pytest.param(prefill((10, 100), (11, 2000), ended=11.5), 11.2, 20, 100, id="the rest"),
        pytest.param(prefill(ended=11), 9, 20, 0, id="never begun"),
    ],
)
def test_overlap(exchange: Exchange, since: float, until: float, tokens: int) -> None:
    """A prefill delays a question by the server's work then, including the current batch."""
    assert exchange.is_prefill
    assert exchange.overlap(since, until, BATCH) == tokens


def test_counts_of_an_exchange() -> None:
    """The end of an answer has the counts; an aborted one is counted by its progress."""
    whole = prefill((10, 100), ended=13, whole=True)
    assert (whole.complete, whole.processed, whole.n_prompt) == (True, 2000, 2100)
    assert whole.most_processed(BATCH) == 2000
    broken = prefill((10, 100), (11, 612), ended=11.5)
    assert (broken.complete, broken.processed, broken.n_prompt) == (False, 512, 2100)
    assert broken.most_processed(BATCH) == 1024
    assert (broken.queued, broken.batch_seconds(BATCH)) == (0.0, [1.0])
    assert prefill((10.5, 100), (11, 300), ended=12).queued == 0.5
    assert prefill((10.5, 100), (11, 300), ended=12).batch_seconds(BATCH) == []
    assert not Exchange("/v1/chat/completions", {"max_tokens": 32}, 0.0).is_prefill


def test_shared() -> None:
    """The shared part of two prompts ends at the first difference."""
    assert shared([1, 2, 3], [1, 2, 4, 3]) == 2
    assert shared([1, 2], [1, 2, 3]) == 2
    assert shared([], [1]) == 0


SYSTEM = {"role": "system", "content": "Lamp"}
FIRST = {"role": "user", "content": "Lamp on"}
CALLED: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": []}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([SYSTEM, FIRST], [SYSTEM, {"role": "user", "content": OTHER_WORDS}]),
        (
            [SYSTEM, {"role": "user", "content": "In the hall.\nLamp on"}],
            [SYSTEM, {"role": "user", "content": f"In the hall.\n{OTHER_WORDS}"}],
        ),
        (
            [SYSTEM, {"role": "user", "content": [{"type": "text", "text": "Lamp on"}]}],
            [SYSTEM, {"role": "user", "content": [{"type": "text", "text": OTHER_WORDS}]}],
        ),
        (
            [FIRST, CALLED, {"role": "tool", "content": "a"}, {"role": "tool", "content": "b"}],
            [FIRST, CALLED, *[{"role": "tool", "content": OTHER_WORDS}] * 2],
        ),
        (
            [FIRST, CALLED, SYSTEM, FIRST],
            [FIRST, CALLED, SYSTEM, {"role": "user", "content": OTHER_WORDS}],
        ),
    ],
)
def test_with_other_words(messages: list[Any], expected: list[Any]) -> None:
    """Only messages after the model's last one are replaced, and only the user's words."""
    before = {"messages": messages, "tools": [1]}
    assert with_other_words(before, "Lamp on") == {"messages": expected, "tools": [1]}
    assert before["messages"] is messages
    assert messages[-1]["content"] != OTHER_WORDS


def taken(name: str, processed: int, seconds: float, **fields: Any) -> Taken:
    """Return a question with 10 new tokens."""
    values: dict[str, Any] = {
        "delayed": 0,
        "new": 10,
        "n_prompt": 5000,
        "n_requests": 1,
        "answer": "Yes.",
    }
    values["bodies"] = ({"messages": [FIRST]},)
    return Taken(name=name, processed=processed, seconds=seconds, **{**values, **fields})


def day(*processed: int, seconds: float) -> Played:
    """Return a day of three questions, with one change of the home."""
    names = ("first <of> the day", "talk", "after both")
    asks = [taken(*one, seconds) for one in zip(names, processed, strict=True)]
    prefills = [
        Prefilled("the start", changes_home=False, began=0.0, tokens=5000, requests=1),
        Prefilled("rename", changes_home=True, began=1.0, tokens=5200, requests=1),
    ]
    rushes = [taken("at once", 5000, seconds, delayed=400, queued=1.2)]
    return Played(BATCH, 1.0, "2026.11.0", asks, rushes, prefills)


@pytest.fixture
def case() -> DayCase:
    """Return a case in which every measure holds."""
    return DayCase(
        "model full",
        ours=day(12, 60, 74, seconds=0.1),
        core=day(5000, 60, 5000, seconds=2.0),
        judges_time=True,
        without_prefill=day(12, 60, 74, seconds=0.1).asks,
        direct={"talk": 0.09},
    )


def test_all_measures_hold(case: DayCase) -> None:
    """A good day passes."""
    measures = case.measures()
    assert [one.held for one in measures] == [True] * len(measures)
    assert measures[0].found == "146 of 10,060 (1.5%)"


def only_miss(case: DayCase) -> Measure:
    """Return the only missed measure."""
    (missed,) = (one for one in case.measures() if not one.held)
    return missed


def test_a_dear_ask_is_a_miss(case: DayCase) -> None:
    """A question above its own new tokens and the slack is named."""
    case.ours.asks[1] = taken("talk", 75, 0.1)
    assert only_miss(case).found == "1 above: talk"


def test_too_many_tokens_are_a_miss(case: DayCase) -> None:
    """The whole day counts, whatever a single question takes."""
    case.core = day(800, 60, 800, seconds=2.0)
    assert only_miss(case).name.startswith("tokens while a user waits")


@pytest.mark.parametrize("tokens", [7501, 0])
def test_prefill_is_missed(case: DayCase, tokens: int) -> None:
    """Too many prefilled tokens are a miss, and so are none."""
    case.ours.prefills[1].tokens = tokens
    assert only_miss(case).name.startswith("prefill per change")


def test_a_long_delay_is_a_miss(case: DayCase) -> None:
    """A prefill that does not yield within a batch is found."""
    case.ours.rushes[0] = taken("at once", 5000, 0.1, delayed=BATCH + 1, queued=0.5)
    assert only_miss(case).found == (
        "513 tokens at most, a batch has 512; 0.50 times as long as the longest batch"
    )


def test_a_slow_delay_is_a_miss(case: DayCase) -> None:
    """So is one that takes longer than a batch, if the model's times are meaningful."""
    case.ours.rushes[0] = taken("at once", 5000, 0.1, delayed=BATCH, queued=1.3)
    assert only_miss(case).found.endswith("1.30 times as long as the longest batch")
    case.judges_time = False
    assert not [one for one in case.measures() if one.held is False]


def test_another_slot_is_no_other_request(case: DayCase) -> None:
    """The slot does not change the model's input."""
    case.without_prefill[1] = taken("talk", 60, 0.1, bodies=({"messages": [FIRST], "id_slot": 2},))
    assert all(one.held for one in case.measures())
    case.without_prefill[1] = taken("talk", 60, 0.1, bodies=({"messages": [FIRST], "seed": 2},))
    assert only_miss(case).name == "the same requests with and without prefill"


def test_the_time_of_day_is_no_other_request(case: DayCase) -> None:
    """A task has the time in its prompt, which may change the answer."""
    told = [{"messages": [{"role": "user", "content": f"It is 12:30:0{n}."}]} for n in (1, 2)]
    case.ours.asks[1] = taken("talk", 60, 0.1, bodies=(told[0],))
    case.without_prefill[1] = taken("talk", 60, 0.1, bodies=(told[1],), answer="Later.")
    assert all(one.held for one in case.measures())
    case.without_prefill[1] = taken("talk", 60, 0.1, bodies=(told[0],), answer="Later.")
    assert only_miss(case).name.startswith("the same answers")


def test_another_answer_is_a_miss(case: DayCase) -> None:
    """Prefills must not change a word."""
    case.without_prefill[1] = taken("talk", 60, 0.1, answer="No.")
    assert only_miss(case).found == "1 differ: talk"
    assert only_miss(case).name.startswith("the same answers")
    case.judges_time = False
    assert not [one for one in case.measures() if one.held is False]


def test_another_request_is_a_miss(case: DayCase) -> None:
    """Prefills must not change a request; earlier answers in it may differ."""
    said = {"messages": [FIRST, {"role": "assistant", "content": "Well."}, FIRST]}
    case.ours.asks[1] = taken("talk", 60, 0.1, bodies=(said,))
    said = {"messages": [FIRST, {"role": "assistant", "content": "No."}, FIRST]}
    case.without_prefill[1] = taken("talk", 60, 0.1, bodies=(said,))
    assert all(one.held for one in case.measures())
    case.without_prefill[1] = taken("talk", 60, 0.1, bodies=({**said, "seed": 1},))
    assert only_miss(case).name.startswith("the same requests")


@pytest.mark.parametrize("seconds", [0.2, math.inf])
def test_slow_answers_are_a_miss(case: DayCase, seconds: float) -> None:
    """Both ratios of time are judged, but not with a model of fewer layers."""
    case.ours.asks = [replace(one, seconds=seconds) for one in case.ours.asks]
    assert any(one.held is False for one in case.measures()[-2:])
    case.judges_time = False
    assert [one.held for one in case.measures()[-2:]] == [None, None]


def test_table_and_document(case: DayCase) -> None:
    """All figures are there, for people and for programs, without the requests' texts."""
    text = table(case)
    assert (
        "all 3 (times: median)                   10,060     146    30     2,000       100" in text
    )
    assert "after rename                             5,200         1" in text
    assert text.count("held") == len(case.measures())
    found = document(case)
    assert found["core"]["tokens_while_waiting"] == 10_060
    assert found["ours"]["tokens_ahead"] == 10_200
    assert "bodies" not in found["ours"]["asks"][0]


def test_picture(case: DayCase) -> None:
    """The picture is well-formed, and its bars match the counts."""
    root = ET.fromstring(picture(case))  # noqa: S314 - we have just written it
    bars = {
        kind: [
            float(one.attrib["width"])
            for one in root.iter(f"{SVG}rect")
            if kind in one.attrib["class"]
        ]
        for kind in ("core", "ours")
    }
    # The last one is the sample in the legend, which comes first.
    assert bars["core"][1:] == [round(length(one), 1) for one in (5000, 60, 5000)]
    assert bars["ours"][1:] == [round(length(one), 1) for one in (12, 60, 74)]
    words = [one.text for one in root.iter(f"{SVG}text")]
    assert "first <of> the day" in words
    assert "core llama_cpp: 10,060" in words
    assert "prefers-color-scheme:dark" in picture(case)


def test_length() -> None:
    """The scale is logarithmic and ends within the picture."""
    assert [length(one) for one in (0, 1, 100, 10_000, 10**6)] == [0, 0, PANEL / 2, PANEL, PANEL]


def test_the_day_is_what_was_asked_for() -> None:
    """It has all events of a home, and its questions have unique names."""
    asks = [one for one in DAY if isinstance(one, DayAsk | Task)]
    assert len(asks) >= 40
    assert len({one.name for one in asks}) == len(asks)
    assert {one.where for one in asks if not isinstance(one, Task)} == set(Where)
    assert any(isinstance(one, Task) for one in asks)
    assert any(one.guest for one in asks if not isinstance(one, Task))
    assert len([one for one in DAY if isinstance(one, Change)]) == 3
    restarts = {(one.home_assistant, one.server) for one in DAY if isinstance(one, Restart)}
    assert restarts == {(True, False), (False, True), (True, True)}
