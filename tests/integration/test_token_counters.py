"""Counters of tokens for Home Assistant's statistics: they never fall."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.const import STATE_UNAVAILABLE

from dev.processes import free_port
from tests.conftest import serving

from .conftest import FLAGS
from .entities import CRASHED, OK, Pretender, sensor
from .prefill import set_options
from .talk import ask

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .conftest import AddServer
    from .peers import Peers


def generated(count: int) -> tuple[int, str]:
    """Return metrics with this many generated tokens."""
    return (200, f"llamacpp:tokens_predicted_total {count}\n")


async def counted(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str:
    """Poll the server, and return the state of the counter."""
    await entry.runtime_data.coordinator.async_refresh()
    return sensor(hass, entry, "generated_tokens")


@pytest.mark.parametrize("again", [3, 97, 100])
async def test_a_server_that_begins_anew(
    assist: HomeAssistant, add_server: AddServer, peers: Peers, again: int
) -> None:
    """Its new count is added, whether it is small or nearly as large as before."""
    server = Pretender()
    server.props["endpoint_metrics"] = True
    server.metrics = generated(100)
    entry = await add_server(await server.start(peers))
    assert await counted(assist, entry) == "100"
    server.health = CRASHED
    assert await counted(assist, entry) == STATE_UNAVAILABLE
    server.health, server.metrics = OK, generated(0)
    assert await counted(assist, entry) == "100"
    server.metrics = generated(again)
    assert await counted(assist, entry) == str(100 + again)
    assert await counted(assist, entry) == str(100 + again)


async def test_home_assistant_begins_anew(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Home Assistant restores the counter, and counts nothing twice."""
    server = Pretender()
    server.props["endpoint_metrics"] = True
    server.metrics = generated(100)
    entry = await add_server(await server.start(peers))
    server.metrics = generated(20)
    assert await counted(assist, entry) == "120"
    for count, total in ((20, "120"), (25, "125"), (5, "130")):
        assert await assist.config_entries.async_unload(entry.entry_id)
        server.metrics = generated(count)
        assert await assist.config_entries.async_setup(entry.entry_id)
        assert await counted(assist, entry) == total


async def test_models_of_a_router(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The tokens of all models count, and those of each model once."""
    server = Pretender()
    server.become_router(apple={"value": "loaded"}, pear={"value": "unloaded"})
    server.props["endpoint_metrics"] = server.model_props[1]["endpoint_metrics"] = True
    server.generated = {"apple": 1000, "pear": 0}
    entry = await add_server(await server.start(peers))
    assert await counted(assist, entry) == "1000"
    server.models["pear"] = {"value": "loaded"}
    server.generated = {"apple": 1001, "pear": 50}
    assert await counted(assist, entry) == "1051"
    # Asleep, apple keeps its count; unloaded, it starts from zero.
    server.models["apple"] = {"value": "sleeping"}
    assert await counted(assist, entry) == "1051"
    server.models["apple"] = {"value": "unloaded"}
    server.generated["pear"] = 60
    assert await counted(assist, entry) == "1061"
    server.models["pear"] = {"value": "unloaded"}
    assert await counted(assist, entry) == "1061"
    server.models["apple"] = {"value": "loaded"}
    server.generated["apple"] = 2000
    assert await counted(assist, entry) == "3061"


async def test_a_real_server_that_is_restarted(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The counter continues with the new server's count."""
    port, totals = free_port(), []
    for number in range(2):
        with serving(tmp_path / f"{number}.txt", *FLAGS, model=scripted_model, port=port) as server:
            if not number:
                entry = await add_server(server.base_url)
                # A prefill between two polls would be counted, too.
                await set_options(home, entry, keep_warm=False)
            await entry.runtime_data.coordinator.async_refresh()
            await ask(home, "Hello")
            totals.append(int(await counted(home, entry)))
            alone = (await entry.runtime_data.client.metrics())["tokens_predicted_total"]
    assert totals[1] == totals[0] + alone > alone
