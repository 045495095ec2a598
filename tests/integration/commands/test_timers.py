"""Timers, and commands that are to be done later, as candidates and in a real Home Assistant."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.intent.const import TIMER_DATA
from homeassistant.core import Context
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import intent, llm

from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.utterance import understand
from custom_components.llamacpp.turn.commands.later import async_sentences
from tests.integration.talk import ask, speech, state_of

from .homes import DECLARED, HOME, heard, parts_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import Talk

LIGHT = "light.kitchen_light"
NO_TIMERS = "That takes timers, and this device has none."


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("set a timer for an hour and a half", "start a timer of 1 hour 30 minutes"),
        ("remind me in 10 minutes", "start a timer of 10 minutes"),
        ("wake me in half an hour", "start a timer of 30 minutes"),
        ("add 5 minutes to the timer", "add 5 minutes to the timer"),
        ("make the timer 5 minutes longer", "add 5 minutes to the timer"),
        ("take a minute off the timer", "take 1 minute off the timer"),
        ("pause the timer", "pause the timer"),
        ("resume the timer", "resume the timer"),
        ("cancel all the timers", "cancel all timers"),
    ],
)
def test_timers(words: str, command: str) -> None:
    """Each is heard alone: the music is not paused with the timer, and no second one started."""
    assert heard(words) == {command}


def test_one_or_all() -> None:
    """Of several timers, all may be meant; nobody is started with the length of another one."""
    assert heard("cancel the 5 minute timer") == {"cancel the timer", "cancel all timers"}


def test_a_timer_on_a_list() -> None:
    """What is called like a timer can be bought."""
    assert heard("add a kitchen timer to the shopping list") == {
        "add kitchen timer to the Shopping List"
    }


def test_two_timers() -> None:
    """Two lengths of time are two timers."""
    parts = parts_of("set a timer for 5 minutes and another timer for 10 minutes")
    assert [[one.text for one in part if one.is_heard] for part in parts] == [
        ["start a timer of 5 minutes"],
        ["start a timer of 10 minutes"],
    ]


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ("turn off the stove lamp in 10 minutes", ["turn off the Stove Lamp in 10 minutes"]),
        ("in half an hour lock the front door", ["lock the Front Door in 30 minutes"]),
        (
            "after one hour turn off all lights and the kettle",
            ["turn off all lights in 1 hour", "turn off the Kettle in 1 hour"],
        ),
    ],
)
def test_later(words: str, texts: list[str]) -> None:
    """A timer says the command; nothing is done at once."""
    found = [one for part in parts_of(words) for one in part if one.is_heard]
    assert [one.text for one in found] == texts
    assert {one.tool for one in found} == {"test__HassStartTimer"}
    for one in found:
        command, _, _ = one.text.rpartition(" in ")
        assert one.args["conversation_command"] == command


def test_nothing_later_without_timers() -> None:
    """It is not done at once instead, and it is known why; a question puts nothing off."""
    declared = {name: one for name, one in DECLARED.items() if name != "HassStartTimer"}
    candidates = Candidates(HOME, load("en"), declared)
    later = understand("turn off the stove lamp in 10 minutes", load("en"))
    assert candidates.for_said(later) == []
    assert candidates.needs_timers(later)
    question = understand("is the stove lamp on after 10 minutes?", load("en"))
    assert not candidates.needs_timers(question)
    assert not candidates.needs_timers(understand("turn off the stove lamp", load("en")))


class Timers:
    """A device with timers. events: what they have told it."""

    def __init__(self, hass: HomeAssistant, device_id: str) -> None:
        """Begin with none."""
        self.device_id = device_id
        self.events: list[tuple[str, Any]] = []
        self.manager = hass.data[TIMER_DATA]
        self.manager.register_handler(
            device_id, lambda event, timer: self.events.append((str(event), timer))
        )


@pytest.fixture
def timers(talk: Talk) -> Timers:
    """Return a device that knows timers."""
    device = dr.async_get(talk.hass).async_get_or_create(
        config_entry_id=talk.entry.entry_id, identifiers={("test", "satellite")}
    )
    return Timers(talk.hass, device.id)


async def test_a_timer(talk: Talk, timers: Timers) -> None:
    """It runs for as long as was said, is made longer, paused, and cancelled."""

    async def say(words: str) -> str:
        return speech(await ask(talk.hass, words, device_id=timers.device_id))

    assert await say("Set a timer for an hour and a half") == "The timer runs: 1 hour 30 minutes."
    (timer,) = timers.manager.timers.values()
    assert timer.created_seconds == 5400
    assert await say("Add five minutes to the timer") == "Added 5 minutes to the timer."
    # It counts from now on, and a busy machine takes its time.
    assert 5400 < timer.seconds <= 5700
    assert await say("Pause the timer") == "Paused the timer."
    assert not timer.is_active
    assert await say("Cancel the timer") == "Cancelled the timer."
    assert not timers.manager.timers


async def test_a_command_is_done_later(talk: Talk, timers: Timers) -> None:
    """The light stays as it is until its time has come, and then it goes on."""
    words = "Turn on the kitchen light in 1 second"
    result = await ask(talk.hass, words, device_id=timers.device_id)
    assert speech(result) == "In 1 second: turn on the Kitchen Light."
    (timer,) = timers.manager.timers.values()
    assert timer.conversation_command == "turn on the Kitchen Light"
    assert state_of(talk.hass, LIGHT).state == "off"
    await talk.hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(talk.hass, LIGHT).state == "on"


@pytest.mark.parametrize(
    "words", ["Turn on the kitchen light in 10 minutes", "Set a timer for 10 minutes"]
)
async def test_no_timers(talk: Talk, words: str) -> None:
    """Who has none hears that, instead of a promise or of a light that goes on now."""
    assert speech(await ask(talk.hass, words)) == NO_TIMERS
    assert state_of(talk.hass, LIGHT).state == "off"
    assert not talk.requests


@pytest.mark.parametrize(
    "words",
    [
        "Turn on the kitchen light in 10 minutes",
        "Set a timer for 10 minutes",
        "Cancel the timer",
        "Add five minutes to the timer",
    ],
)
async def test_no_timers_here_but_elsewhere(talk: Talk, words: str) -> None:
    """It is the device that is spoken to which has them, or not: a satellite's are no phone's."""
    satellite = er.async_get(talk.hass).async_get("assist_satellite.kitchen")
    assert satellite
    assert satellite.device_id
    timers = Timers(talk.hass, satellite.device_id)
    # Its tools are those of all who may ask from here on.
    await talk.set_options()
    result = await ask(talk.hass, "Set a timer for 10 minutes", device_id=timers.device_id)
    assert speech(result) == "The timer runs: 10 minutes."
    n_requests = len(talk.requests)
    phone = dr.async_get(talk.hass).async_get_or_create(
        config_entry_id=talk.entry.entry_id, identifiers={("test", "phone")}
    )
    for device_id in (None, phone.id):
        assert speech(await ask(talk.hass, words, device_id=device_id)) == NO_TIMERS
    assert len(talk.requests) == n_requests
    assert state_of(talk.hass, LIGHT).state == "off"
    result = await ask(talk.hass, "Cancel the timer", device_id=timers.device_id)
    assert speech(result) == "Cancelled the timer."


@pytest.mark.parametrize("code", ["de", "en", "fr", "it"])
async def test_what_is_promised_is_understood(home: HomeAssistant, code: str) -> None:
    """Home Assistant's own agent does each command that is accepted for later: it is told so here.

    One that it would not understand is not accepted, as nobody would be there to hear that.
    """
    language = load(code)
    exposed = exposed_home(home, conversation.DOMAIN)
    candidates = Candidates(exposed, language, DECLARED)
    context = llm.LLMContext("test", Context(), code, conversation.DOMAIN, None)
    said = {
        sentence.say.format(name=thing.name)
        for thing in exposed.things
        for sentence in language.fitting(thing)
        if not sentence.slots
    }
    n_accepted = 0
    for text in sorted(said):
        commands = [one for part in candidates.for_said(understand(text, language)) for one in part]
        plain = [one for one in commands if one.is_plain and not one.reads]
        accepted = await async_sentences(home, plain, text, context)
        assert accepted.keys() <= {one.text for one in plain}
        for sentence in accepted.values():
            n_accepted += 1
            result = await conversation.async_converse(
                home, sentence, None, Context(), code, conversation.HOME_ASSISTANT_AGENT
            )
            # That there is nothing to stop or to resume just now is no lack of understanding.
            assert result.response.error_code not in {
                intent.IntentResponseErrorCode.NO_INTENT_MATCH,
                intent.IntentResponseErrorCode.UNKNOWN,
            }, sentence
    # Lights, covers, locks and switches at least, on and off.
    assert n_accepted >= 20


async def test_what_is_not_understood_is_not_promised(talk: Talk, timers: Timers) -> None:
    """No timer is started whose command would come to nothing."""
    words = "Set the alarm of the kitchen light in 10 minutes"
    await ask(talk.hass, words, device_id=timers.device_id)
    assert not timers.manager.timers
    words = "Turn on the kitchen light if it is dark in 10 minutes"
    await ask(talk.hass, words, device_id=timers.device_id)
    assert not timers.manager.timers
    assert state_of(talk.hass, LIGHT).state == "off"
