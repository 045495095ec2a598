"""The select for the model of a router."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.const import ATTR_ENTITY_ID, ATTR_OPTION, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.exceptions import HomeAssistantError

from custom_components.llamacpp import coordinator as coordinator_module

from .conftest import agent_of
from .entities import Pretender, entity_id_of, entity_of, routing, sensor
from .talk import ask, speech

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers


async def select(hass: HomeAssistant, entry: ConfigEntry, model: str) -> None:
    """Select a model."""
    data = {ATTR_ENTITY_ID: entity_id_of(hass, entry, "select", "model"), ATTR_OPTION: model}
    await hass.services.async_call("select", "select_option", data, blocking=True)


def selected(hass: HomeAssistant, entry: ConfigEntry) -> str:
    """Return the selected model."""
    return entity_of(hass, entry, "select", "model").state


async def test_select_another(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The selected model is loaded, and the sensors show it."""
    with routing(tmp_path, scripted_model) as router:
        entry = await add_server(router.base_url)
        assert selected(assist, entry) == STATE_UNKNOWN
        options = entity_of(assist, entry, "select", "model").attributes["options"]
        assert {"apple", "pear"} <= set(options)
        for model in ("apple", "pear", "pear"):
            await select(assist, entry, model)
            assert selected(assist, entry) == sensor(assist, entry, "model") == model
            statuses = {
                one.id: one.status.value for one in await entry.runtime_data.client.models()
            }
            assert [name for name, one in statuses.items() if one == "loaded"] == [model]
            assert sensor(assist, entry, "context_size") == "512"
            assert sensor(assist, entry, "generated_tokens") == "0"


async def test_a_model_that_cannot_be_loaded(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Selecting a broken model raises an error, and the router continues with others."""
    with routing(tmp_path, scripted_model) as router:
        entry = await add_server(router.base_url)
        with pytest.raises(HomeAssistantError, match="The model broken could not be loaded"):
            await select(assist, entry, "broken")
        assert selected(assist, entry) == STATE_UNKNOWN
        await select(assist, entry, "pear")
        assert selected(assist, entry) == "pear"


async def test_a_router_that_is_gone(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Selecting a model of a dead router raises an error, and the status shows it."""
    with routing(tmp_path, scripted_model) as router:
        entry = await add_server(router.base_url)
        router.kill()
        with pytest.raises(HomeAssistantError, match="cannot reach"):
            await select(assist, entry, "pear")
    assert selected(assist, entry) == STATE_UNAVAILABLE


async def test_several_in_memory(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Of several loaded models the selected one is shown, without loading it again."""
    server = Pretender()
    server.become_router(
        apple={"value": "loaded"}, pear={"value": "sleeping"}, plum={"value": "loading"}
    )
    entry = await add_server(await server.start(peers))
    assert selected(assist, entry) == "apple"
    await select(assist, entry, "pear")
    assert selected(assist, entry) == "pear"
    assert "/models/load" not in server.asked


async def test_a_model_that_takes_too_long(
    assist: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wait for the router has a limit."""
    monkeypatch.setattr(coordinator_module, "LOADING_SECONDS", 0.05)
    monkeypatch.setattr(coordinator_module, "LOADING_POLL_SECONDS", 0.01)
    server = Pretender()
    server.become_router(apple={"value": "downloading"})
    entry = await add_server(await server.start(peers))
    with pytest.raises(HomeAssistantError, match="did not answer in time"):
        await select(assist, entry, "apple")
    assert "/models/load" not in server.asked


async def test_agents_that_name_no_model(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """They use the selected model of the router, or the first one."""
    with routing(tmp_path, scripted_model, "--ctx-size", "4096") as router:
        entry = await add_server(router.base_url)
        home.config_entries.async_update_subentry(entry, agent_of(entry), data={})
        await home.async_block_till_done()
        assert speech(await ask(home, "Hello"))
        await entry.runtime_data.coordinator.async_refresh()
        assert sensor(home, entry, "model") == "apple"
        await select(home, entry, "pear")
        assert speech(await ask(home, "Hello again"))
        await entry.runtime_data.coordinator.async_refresh()
        assert sensor(home, entry, "model") == "pear"


async def test_a_single_model_is_no_choice(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A server with one model has no select."""
    entry = await add_server(scripted_server.base_url)
    assert entity_id_of(assist, entry, "select", "model") is None
