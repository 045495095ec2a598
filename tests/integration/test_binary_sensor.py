"""The connectivity sensor of a server."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.const import EntityCategory
from homeassistant.helpers import entity_registry as er

from .entities import CRASHED, LOADING, REFUSED, Pretender, entity_id_of, entity_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers


async def test_on_while_it_runs(
    assist: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """It is on until a real server is killed."""
    entry = await add_server(own_server.base_url)
    state = entity_of(assist, entry, "binary_sensor", "connectivity")
    assert state.state == "on"
    assert state.attributes["device_class"] == "connectivity"
    assert state.name.endswith("Connectivity")
    entity_id = entity_id_of(assist, entry, "binary_sensor", "connectivity")
    registered = er.async_get(assist).async_get(entity_id or "")
    assert registered is not None
    assert registered.entity_category is EntityCategory.DIAGNOSTIC
    own_server.kill()
    await entry.runtime_data.coordinator.async_refresh()
    assert entity_of(assist, entry, "binary_sensor", "connectivity").state == "off"


@pytest.mark.parametrize(
    ("health", "state"),
    [(LOADING, "on"), (REFUSED, "on"), (CRASHED, "off"), ((404, {"message": "what?"}), "off")],
)
async def test_who_answers(
    assist: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    health: tuple[int, Any],
    state: str,
) -> None:
    """It is on while a llama-server cannot answer yet, and off with a proxy without a server."""
    server = Pretender()
    entry = await add_server(await server.start(peers))
    server.health = health
    await entry.runtime_data.coordinator.async_refresh()
    assert entity_of(assist, entry, "binary_sensor", "connectivity").state == state
