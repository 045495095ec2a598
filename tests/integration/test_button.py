"""Buttons of a server."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE
from homeassistant.exceptions import HomeAssistantError

from custom_components.llamacpp import coordinator as coordinator_module

from .entities import Pretender, entity_id_of, entity_of, routing, sensor

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers


async def press(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Press the button."""
    target = {ATTR_ENTITY_ID: entity_id_of(hass, entry, "button", "unload_model")}
    await hass.services.async_call("button", "press", target, blocking=True)


async def test_unload(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The button unloads the model, and is available while one is loaded."""
    with routing(tmp_path, scripted_model) as router:
        entry = await add_server(router.base_url)
        assert entity_of(assist, entry, "button", "unload_model").state == STATE_UNAVAILABLE
        coordinator = entry.runtime_data.coordinator
        await coordinator.async_load_model("apple")
        assert entity_of(assist, entry, "button", "unload_model").state != STATE_UNAVAILABLE
        await press(assist, entry)
        models = await coordinator.client.models()
        assert {one.status.value for one in models} == {"unloaded"}
        assert sensor(assist, entry, "status") == "ok"
        assert entity_of(assist, entry, "button", "unload_model").state == STATE_UNAVAILABLE
        # A press before the next poll does no harm.
        await coordinator.async_unload_model()


async def test_a_model_that_stays(
    assist: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wait for the router has a limit."""
    monkeypatch.setattr(coordinator_module, "UNLOADING_SECONDS", 0.05)
    monkeypatch.setattr(coordinator_module, "LOADING_POLL_SECONDS", 0.01)
    server = Pretender()
    server.become_router(apple={"value": "loaded"})
    entry = await add_server(await server.start(peers))
    with pytest.raises(HomeAssistantError, match="did not answer in time"):
        await press(assist, entry)
    assert "/models/unload" in server.asked


async def test_a_single_model_stays(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A server with one model cannot unload it, so there is no button."""
    entry = await add_server(scripted_server.base_url)
    assert entity_id_of(assist, entry, "button", "unload_model") is None
