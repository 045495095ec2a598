"""What the model is told of the home beside a question."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.setup import async_setup_component

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.utterance import understand
from custom_components.llamacpp.turn.commands.state_context import (
    MAX_LOOKED_AT,
    MAX_THINGS,
    async_read_states,
    live_note,
    match_name,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

AREAS = {"kitchen": Place(("Kitchen",)), "garage": Place(("Garage",))}


@pytest.fixture
async def hass(hass: HomeAssistant) -> HomeAssistant:
    """Return Home Assistant, set up as far as it has to be."""
    assert await async_setup_component(hass, "homeassistant", {})
    return hass


async def told(
    hass: HomeAssistant, text: str, *things: tuple[ExposedEntity, str], language: str = "en"
) -> list[str]:
    """Return what is told of things, each with its state."""
    for thing, state in things:
        attributes: dict[str, Any] = {"device_class": thing.device_class}
        hass.states.async_set(thing.entity_id, state, attributes if thing.device_class else {})
    home, words = Home(tuple(thing for thing, _ in things), AREAS), load(language)
    said = understand(text, words)
    await async_read_states(hass, words, match_name(home, words, said))
    note = live_note(hass, home, words, said)
    before = words.texts["states"].format(states="")
    return note.removeprefix(before).split(", ") if note else []


def window(number: int, state: str = "off") -> tuple[ExposedEntity, str]:
    """Return a window with a contact."""
    return ExposedEntity(f"binary_sensor.w{number}", (f"Window {number}",), "window"), state


LIGHTS = (
    (ExposedEntity("light.one", ("Lights",), area="kitchen"), "on"),
    (ExposedEntity("light.two", ("Lights",), area="garage"), "off"),
    (ExposedEntity("light.dog_house", ("Dog House",)), "on"),
)


@pytest.mark.parametrize(
    ("thing", "state", "words"),
    [
        (ExposedEntity("binary_sensor.it", ("Pantry",), "window"), "on", "open"),
        (ExposedEntity("binary_sensor.it", ("Pantry",), "door"), "off", "closed"),
        (ExposedEntity("binary_sensor.it", ("Pantry",), "moisture"), "on", "wet"),
        (ExposedEntity("binary_sensor.it", ("Pantry",)), "on", "on"),
        (ExposedEntity("cover.it", ("Pantry",), "window"), "closed", "closed"),
        (ExposedEntity("lock.it", ("Pantry",)), "locked", "locked"),
        (ExposedEntity("sensor.it", ("Pantry",), "temperature"), "4.2", "4.2"),
        (ExposedEntity("binary_sensor.it", ("Pantry",), "window"), "unavailable", "unavailable"),
    ],
)
async def test_states_in_words(
    hass: HomeAssistant, thing: ExposedEntity, state: str, words: str
) -> None:
    """Nobody calls a window `on`."""
    assert await told(hass, "what about the pantry?", (thing, state)) == [f"Pantry: {words}"]


async def test_in_the_language_of_the_speaker(hass: HomeAssistant) -> None:
    """They are Home Assistant's words."""
    found = await told(hass, "Ist das Window 1 offen?", window(1, "on"), language="de")
    assert found == ["Window 1: geöffnet"]


async def test_things_of_one_name(hass: HomeAssistant) -> None:
    """They are told with their rooms, and with all else of their kind."""
    assert await told(hass, "which of the lights are on?", *LIGHTS) == [
        "Lights (Kitchen): on",
        "Lights (Garage): off",
        "Dog House: on",
    ]


async def test_only_those_of_a_room(hass: HomeAssistant) -> None:
    """Nobody asks for the others."""
    assert await told(hass, "are the lights in the garage on?", *LIGHTS) == ["Lights: off"]


@pytest.mark.parametrize("text", ["is a window open?", "which of the windows are open?"])
async def test_sensors_beside_covers(hass: HomeAssistant, text: str) -> None:
    """A window is one, whatever tells of it, and whatever it is called."""
    roof = ExposedEntity("cover.roof", ("Roof Window",), "window")
    contact = ExposedEntity("binary_sensor.contact", ("Bathroom Contact",), "window")
    assert set(await told(hass, text, (roof, "open"), (contact, "on"))) == {
        "Roof Window: open",
        "Bathroom Contact: open",
    }


async def test_a_lock_and_its_contact(hass: HomeAssistant) -> None:
    """A lock does not tell whether its door is open."""
    lock = ExposedEntity("lock.front", ("Front Door",))
    contact = ExposedEntity("binary_sensor.front", ("Front Door Contact",), "door")
    garage = ExposedEntity("binary_sensor.garage", ("Garage Door",), "garage_door")
    found = await told(
        hass, "is the front door open?", (lock, "locked"), (contact, "on"), (garage, "on")
    )
    assert found == ["Front Door: locked", "Front Door Contact: open"]


async def test_of_many_those_that_differ(hass: HomeAssistant) -> None:
    """None that is open is left out, and how many others there are is said."""
    windows = [*(window(one) for one in range(19)), window(19, "on")]
    first, *others, rest = await told(hass, "is a window open?", *windows)
    assert first == "Window 19: open"
    assert len(others) == MAX_THINGS - 1
    assert all(one.endswith(": closed") for one in others)
    assert rest == f"+{20 - MAX_THINGS}: closed"


async def test_of_very_many(hass: HomeAssistant) -> None:
    """A note stays short, and the event loop free."""
    found = await told(hass, "is a window open?", *map(window, range(2 * MAX_LOOKED_AT)))
    assert len(found) == MAX_THINGS


async def test_other_sentences(hass: HomeAssistant) -> None:
    """No states are told where nothing is asked."""
    assert await told(hass, "nice windows", window(1)) == []
