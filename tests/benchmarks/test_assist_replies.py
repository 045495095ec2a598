"""The benchmark `assist` judges replies, but only clear ones."""

import pytest

from benchmarks.lib.assist_set.cases import AssistCase, Expected
from benchmarks.lib.assist_set.replies import (
    Fault,
    faults_of,
    is_question,
    names_another_value,
    speech_of,
)
from benchmarks.lib.assist_set.results import CaseOutcome


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("Which one?", True), ('Do you mean "the lamp?"', True), ("¿Quién?", True), ("Done.", False)],
)
def test_questions(reply: str, *, expected: bool) -> None:
    """They end with a question mark, even before closing signs."""
    assert is_question(reply) is expected


def test_word_for_yes() -> None:
    """From each language's data; None without any."""
    assert [speech_of(code).yes for code in ("en", "de", "fr", "pl")] == ["yes", "ja", "oui", "tak"]


@pytest.mark.parametrize(
    ("code", "reply", "expected"),
    [
        ("en", "Turned on Desk Lamp.", True),
        ("en", "Sure thing! Turned off the light", True),
        ("en", "Desk Lamp is at 30 percent.", True),
        ("en", "Shall I turn on the Desk Lamp?", False),
        ("en", "Turned on Desk Lamp?", False),
        ("en", "I have not turned on the lamp.", False),
        ("en", "The sky is blue.", False),
        ("en", "Grass is green.", False),
        ("en", "", False),
        ("de", "Licht ausgeschaltet", True),
        ("de", "Das habe ich nicht verstanden.", False),
        ("it", "Non ho capito.", False),
    ],
)
def test_claims(code: str, reply: str, *, expected: bool) -> None:
    """Our confirmations and Home Assistant's; a model's own words are not judged."""
    assert speech_of(code).claims_success(reply) is expected


@pytest.mark.parametrize(
    ("code", "reply", "expected"),
    [
        ("de", "I am sorry, but this is not something that you can do.", True),
        ("de", "Das Licht in der Küche ist jetzt an.", False),
        ("de", "Living Room Lamp, Kitchen Spot, Hall Light, Garden Path", False),
        ("de", "Sorry, the lamp", False),
        ("de", "Der Song heißt: this is the end of it and you are not here", False),
        ("en", "Das Licht in der Küche ist nicht an und ich kann es nicht.", True),
        ("en", "The light in the kitchen is not on.", False),
        ("xx", "The light in the kitchen is not on.", False),
    ],
)
def test_other_languages(code: str, reply: str, *, expected: bool) -> None:
    """Several of another language's small words, and none of its own."""
    assert speech_of(code).is_foreign(reply) is expected


def test_names_do_not_count_as_words() -> None:
    """A home in Germany may have things with English names."""
    reply = "Of The And To Lamp, That Is It Lamp"
    assert speech_of("de").is_foreign(reply)
    assert not speech_of("de").is_foreign(reply, ["Of the and to lamp", "That is it"])


@pytest.mark.parametrize(
    ("reply", "expected", "wrong"),
    [
        ("It is 18 degrees.", ["21"], True),
        ("It is 21 degrees.", ["21"], False),
        ("I do not know.", ["21"], False),
        ("The door is open.", ["closed"], True),
        ("The door is closed.", ["closed", "shut"], False),
        ("It is raining.", ["sunny"], False),
        ("It is open.", [], False),
    ],
)
def test_false_facts(reply: str, expected: list[str], *, wrong: bool) -> None:
    """Another number, or the opposite; a reply without the fact is not false."""
    assert names_another_value(reply, expected) is wrong


ON = AssistCase("home", "light", "Lamp an", expect={"light.lamp": Expected("on")})
ASKED = AssistCase("home", "question", "Ist sie an?", replies=("off",))
CHAT = AssistCase("home", "chat", "Hallo")
ENGLISH = "I am sorry, but this is not something that you can do."


@pytest.mark.parametrize(
    ("case", "reply", "faults"),
    [
        (ON, "Lamp ist eingeschaltet.", [Fault.CLAIM]),
        (ON, "Welche Lampe?", []),
        (ON, ENGLISH, [Fault.LANGUAGE]),
        (ASKED, "It is on", [Fault.FACT]),
        (ASKED, "Off", []),
        (CHAT, ENGLISH, [Fault.LANGUAGE]),
        (CHAT, "Lamp ist eingeschaltet.", []),
    ],
)
def test_faults_of_replies(case: AssistCase, reply: str, faults: list[Fault]) -> None:
    """A claim is a fault only for a command that was not done."""
    assert faults_of(case, reply, speech_of("de"), [], is_done=False) == faults
    without = [one for one in faults if one is not Fault.CLAIM]
    assert faults_of(case, reply, speech_of("de"), [], is_done=True) == without
    assert set(faults_of(case, reply, None, [], is_done=False)) <= {Fault.FACT}


def test_what_is_said_in_another_language_is_not_right() -> None:
    """Whatever else was done."""
    assert CaseOutcome(CHAT).passed
    assert not CaseOutcome(CHAT, faults=[Fault.LANGUAGE]).passed
    assert not CaseOutcome(CHAT, moved=["light.lamp"], faults=[Fault.LANGUAGE]).is_wrong
