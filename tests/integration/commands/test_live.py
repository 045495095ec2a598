"""What the model is told of the home beside a question."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.setup import async_setup_component

from custom_components.llamacpp.agent.commands.home import Home, Place, Thing
from custom_components.llamacpp.agent.commands.language import load
from custom_components.llamacpp.agent.commands.live import (
    MAX_LOOKED_AT,
    MAX_THINGS,
    async_read_states,
    live_note,
    meant_by,
)
from custom_components.llamacpp.agent.commands.said import understand

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

AREAS = {"kitchen": Place(("Kitchen",)), "garage": Place(("Garage",))}


@pytest.fixture
async def hass(hass: HomeAssistant) -> HomeAssistant:
    """Return Home Assistant, set up as far as it has to be."""
    assert await async_setup_component(hass, "homeassistant", {})
    return hass


async def told(
    hass: HomeAssistant, text: str, *things: tuple[Thing, str], language: str = "en"
) -> list[str]:
    """Return what is told of things, each with its state."""
    for thing, state in things:
        attributes: dict[str, Any] = {"device_class": thing.device_class}
        hass.states.async_set(thing.entity_id, state, attributes if thing.device_class else {})
    home, words = Home(tuple(thing for thing, _ in things), AREAS), load(language)
    said = understand(text, words)
    await async_read_states(hass, words, meant_by(home, words, said))
    note = live_note(hass, home, words, said)
    before = words.texts["states"].format(states="")
    return note.removeprefix(before).split(", ") if note else []


def window(number: int, state: str = "off") -> tuple[Thing, str]:
    """Return a window with a contact."""
    return Thing(f"binary_sensor.w{number}", (f"Window {number}",), "window"), state


LIGHTS = (
    (Thing("light.one", ("Lights",), area="kitchen"), "on"),
    (Thing("light.two", ("Lights",), area="garage"), "off"),
    (Thing("light.dog_house", ("Dog House",)), "on"),
)


@pytest.mark.parametrize(
    ("thing", "state", "words"),
    [
        (Thing("binary_sensor.it", ("Pantry",), "window"), "on", "open"),
        (Thing("binary_sensor.it", ("Pantry",), "door"), "off", "closed"),
        (Thing("binary_sensor.it", ("Pantry",), "moisture"), "on", "wet"),
        (Thing("binary_sensor.it", ("Pantry",)), "on", "on"),
        (Thing("cover.it", ("Pantry",), "window"), "closed", "closed"),
        (Thing("lock.it", ("Pantry",)), "locked", "locked"),
        (Thing("sensor.it", ("Pantry",), "temperature"), "4.2", "4.2"),
        (Thing("binary_sensor.it", ("Pantry",), "window"), "unavailable", "unavailable"),
    ],
)
async def test_states_in_words(hass: HomeAssistant, thing: Thing, state: str, words: str) -> None:
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
    roof = Thing("cover.roof", ("Roof Window",), "window")
    contact = Thing("binary_sensor.contact", ("Bathroom Contact",), "window")
    assert set(await told(hass, text, (roof, "open"), (contact, "on"))) == {
        "Roof Window: open",
        "Bathroom Contact: open",
    }


async def test_a_lock_and_its_contact(hass: HomeAssistant) -> None:
    """A lock does not tell whether its door is open."""
    lock = Thing("lock.front", ("Front Door",))
    contact = Thing("binary_sensor.front", ("Front Door Contact",), "door")
    garage = Thing("binary_sensor.garage", ("Garage Door",), "garage_door")
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
