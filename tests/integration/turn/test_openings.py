"""Windows and doors with a sensor are counted like covers."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.cover import CoverDeviceClass
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import entity_registry as er

from tests.integration.entities import rename
from tests.integration.talk import ask, llama_peer, piece, speech, state_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

CONTACT, MOTION = "binary_sensor.side_door", "binary_sensor.garden_motion"
OWN = "I only talk."
TALK = [piece(content=OWN), piece("stop")]


@pytest.fixture(autouse=True)
def _model_first() -> None:
    """Try Home Assistant's sentences first, which is the default."""


@pytest.fixture
async def home(home: HomeAssistant) -> HomeAssistant:
    """Return the demo home with two window sensors: the kitchen's is open, the other closed."""
    kitchen = ar.async_get(home).async_get_area_by_name("Kitchen")
    assert kitchen is not None
    entities = er.async_get(home)
    for entity_id, name, state in (
        (CONTACT, "Kitchen Window", "on"),
        (MOTION, "Bath Window", "off"),
    ):
        rename(home, entity_id, name)
        await set_state(home, entity_id, state)
        entities.async_update_entity(entity_id, device_class=BinarySensorDeviceClass.WINDOW)
    entities.async_update_entity(CONTACT, area_id=kitchen.id)
    await home.async_block_till_done()
    return home


async def set_state(home: HomeAssistant, entity_id: str, state: str) -> None:
    """Set the state of an entity."""
    fields = {"entity_id": entity_id, "state": state}
    await home.services.async_call("virtual_home", "set_state", fields, blocking=True)


async def answer(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str, language: str = "en"
) -> str:
    """Return the answer without the model, which would only talk."""
    url, _ = await llama_peer(peers, TALK)
    await add_server(url)
    return speech(await ask(home, text, language=language))


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("is any window open?", "en", "Yes, Kitchen Window"),
        ("are any windows open in the kitchen", "en", "Yes, Kitchen Window"),
        ("are all windows closed?", "en", "No, Kitchen Window is not closed"),
        ("are all windows closed in the kitchen?", "en", "No, Kitchen Window is not closed"),
        ("which windows are open?", "en", "Kitchen Window"),
        ("which windows are closed?", "en", "Bath Window"),
        ("how many windows are open?", "en", "1"),
        ("ist irgendein Fenster offen?", "de", "Ja, Kitchen Window"),
        ("quali finestre sono aperte?", "it", "Kitchen Window"),
        ("is the kitchen window open?", "en", "Yes"),
    ],
)
async def test_sensors_tell(  # noqa: PLR0913, PLR0917 - fixtures and what is said
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str, language: str, said: str
) -> None:
    """Home Assistant's sentences are for covers alone: no window would be open."""
    assert await answer(home, add_server, peers, text, language) == said


async def test_covers_and_sensors(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """Both are counted."""
    blind = add_cover(home)
    await set_state(home, blind, "open")
    told = await answer(home, add_server, peers, "which windows are open?")
    assert told == "Bedroom Blind and Kitchen Window"


@pytest.mark.parametrize("device_class", [CoverDeviceClass.GATE, CoverDeviceClass.DOOR])
async def test_covers_alone(
    home: HomeAssistant, add_server: AddServer, peers: Peers, device_class: CoverDeviceClass
) -> None:
    """Home Assistant answers."""
    await set_state(home, add_cover(home, device_class), "open")
    text = f"is any {device_class} open?"
    assert await answer(home, add_server, peers, text) == "Yes, Bedroom Blind"


async def test_what_may_be_counted_twice(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A window may be a cover and have a sensor."""
    await set_state(home, add_cover(home), "open")
    assert await answer(home, add_server, peers, "how many windows are open?") == OWN


async def test_an_opening_may_be_anything(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model gets its name, and may know its kind."""
    entities = er.async_get(home)
    entities.async_update_entity(CONTACT, device_class=BinarySensorDeviceClass.OPENING)
    await home.async_block_till_done()
    assert await answer(home, add_server, peers, "is any window open?") == OWN


@pytest.mark.parametrize("text", ["is any gate open?", "are all doors closed?"])
async def test_what_nothing_tells_of(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str
) -> None:
    """Without any gate, the answer is not that all are closed."""
    assert await answer(home, add_server, peers, text) == OWN


@pytest.mark.parametrize("state", ["unavailable", "unknown"])
async def test_a_sensor_that_does_not_know(
    home: HomeAssistant, add_server: AddServer, peers: Peers, state: str
) -> None:
    """The answer is not that all are closed."""
    home.states.async_set(CONTACT, state, state_of(home, CONTACT).attributes)
    assert await answer(home, add_server, peers, "is any window open?") == OWN


def add_cover(home: HomeAssistant, device_class: str = CoverDeviceClass.WINDOW) -> str:
    """Give the blind this device class; return its id."""
    entity_id = "cover.bedroom_blind"
    er.async_get(home).async_update_entity(entity_id, device_class=device_class)
    return entity_id
