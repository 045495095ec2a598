"""Orders that name nothing: what was named before is meant, or it is asked."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.conversation import UserContent

from custom_components.llamacpp.agent.commands.before import MAX_TURNS, Before
from custom_components.llamacpp.agent.commands.language import load
from tests.integration.talk import ask, contents, speech, state_of

from .homes import HOME

if TYPE_CHECKING:
    from .conftest import Talk

LIGHT = "light.kitchen_light"
WHAT = load("en").texts["what"]


@pytest.mark.parametrize(
    ("text", "is_bare"),
    [
        ("turn it off", True),
        ("Switch everything off, please!", True),
        ("Could you turn on", True),
        ("turn off the kitchen light", False),
        ("turn off the light", False),
        ("make it blue", False),
        ("start cooking", False),
        ("is it off?", False),
        ("it is off", True),
        ("thanks", False),
    ],
)
def test_only_a_verb(text: str, *, is_bare: bool) -> None:
    """It is told from what names something, of the home or not, and from a question."""
    assert Before(HOME, load("en")).is_bare(text) is is_bare


@pytest.mark.parametrize(
    ("before", "text", "whole"),
    [
        (["turn on the floor lamp"], "make it blue", "make it blue Floor Lamp"),
        (["is the kettle on?"], "turn it off", "turn it off Kettle"),
        (["turn on the kettle", "what is that?"], "turn it off", "turn it off Kettle"),
        (["turn on the kettle", "turn on the telly"], "turn it off", "turn it off Telly"),
        (["turn on the kettle and the telly"], "turn it off", "turn it off"),
        (["turn on the kettle"], "turn everything off", "turn everything off"),
        (["turn on the kettle"], "turn off the light", "turn off the light"),
        (["turn on the kettle"], "is it on?", "is it on?"),
        (["turn on the kettle"], "thanks", "thanks"),
        (["turn on the kettle", *["hm"] * MAX_TURNS], "turn it off", "turn it off"),
        ([], "turn it off", "turn it off"),
    ],
)
def test_what_was_named_before(before: list[str], text: str, whole: str) -> None:
    """The newest thing is meant, if it was one, and if nothing is named now."""
    assert Before(HOME, load("en")).with_name(text, before) == whole


async def test_it(talk: Talk) -> None:
    """What was switched on can be switched off again without its name."""
    first = await ask(talk.hass, "Turn on the kitchen light")
    assert state_of(talk.hass, LIGHT).state == "on"
    result = await ask(talk.hass, "Turn it off again", first.conversation_id)
    assert speech(result) == "Turned off Kitchen Light."
    assert state_of(talk.hass, LIGHT).state == "off"
    (said,) = (
        one.content for one in contents(talk.hass, result)[-4:-3] if isinstance(one, UserContent)
    )
    assert said == "Turn it off again"


@pytest.mark.parametrize("words", ["Turn it on", "Turn everything on"])
async def test_it_is_asked_what_is_meant(talk: Talk, words: str) -> None:
    """The model would say that it had done it; the name alone is enough then."""
    result = await ask(talk.hass, words)
    assert speech(result) == WHAT
    assert result.continue_conversation
    assert not talk.requests
    result = await ask(talk.hass, "The kitchen light", result.conversation_id)
    assert speech(result) == "Turned on Kitchen Light."
    assert state_of(talk.hass, LIGHT).state == "on"


async def test_a_script_is_not_run_at_once_instead_of_later(talk: Talk) -> None:
    """Where there are no timers, it is not run at all."""
    result = await ask(talk.hass, "Run good night in 10 minutes")
    assert speech(result) == load("en").texts["no_timers"]
    assert not talk.requests
