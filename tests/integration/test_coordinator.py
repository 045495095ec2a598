"""Polls of a server, and the status that they give."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.helpers import device_registry as dr

from custom_components.llamacpp.server_state import ServerStatus
from dev.processes import free_port
from tests.conftest import serving

from .entities import (
    CRASHED,
    LOADING,
    OK,
    REFUSED,
    Pretender,
    entity_id_of,
    routing,
    sensor,
)

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.coordinator import LlamaCppCoordinator
    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.3


async def until(coordinator: LlamaCppCoordinator, status: ServerStatus) -> set[ServerStatus]:
    """Poll until the server has this status; return all statuses until then."""
    seen = set()
    async with asyncio.timeout(WAIT_SECONDS):
        while coordinator.status is not status:
            await coordinator.async_refresh()
            seen.add(coordinator.status)
            await asyncio.sleep(POLL_SECONDS)
    return seen


def interval(entry: ConfigEntry[Any]) -> float:
    """Return the seconds until the next poll."""
    return float(entry.runtime_data.coordinator.update_interval.total_seconds())


@pytest.mark.parametrize(
    ("health", "status"),
    [
        (LOADING, ServerStatus.LOADING),
        (REFUSED, ServerStatus.WRONG_KEY),
        (CRASHED, ServerStatus.ERROR),
        ((404, {"message": "not found"}), ServerStatus.ERROR),
        ((200, {}), ServerStatus.ERROR),
    ],
)
async def test_status_of_a_server_that_cannot_answer(
    assist: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    health: tuple[int, Any],
    status: ServerStatus,
) -> None:
    """The status has the reason, also if it changes; other sensors are unavailable."""
    server = Pretender()
    entry = await add_server(await server.start(peers))
    assert sensor(assist, entry, "status") == "ok"
    for server.health, expected in (
        (CRASHED, ServerStatus.ERROR),
        (LOADING, ServerStatus.LOADING),
        (health, status),
    ):
        await entry.runtime_data.coordinator.async_refresh()
        assert sensor(assist, entry, "status") == expected
        assert sensor(assist, entry, "model") == STATE_UNAVAILABLE
    server.health = OK
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(assist, entry, "status") == "ok"
    assert sensor(assist, entry, "model") == "apple"


async def test_away_and_back(
    assist: HomeAssistant,
    add_server: AddServer,
    own_server: LlamaServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unreachable server is polled less and less, with one log line each way."""
    caplog.set_level(logging.INFO, "custom_components.llamacpp")
    entry = await add_server(own_server.base_url)
    coordinator = entry.runtime_data.coordinator
    assert interval(entry) == 30
    own_server.kill()
    caplog.clear()
    intervals = []
    for _ in range(7):
        await coordinator.async_refresh()
        assert sensor(assist, entry, "status") == "unreachable"
        intervals.append(interval(entry))
    assert intervals == [5, 10, 20, 40, 60, 60, 60]

    own_server.start()
    seen = await until(coordinator, ServerStatus.OK)
    assert seen <= {ServerStatus.UNREACHABLE, ServerStatus.LOADING, ServerStatus.OK}
    assert interval(entry) == 30
    lines = [one for one in caplog.records if one.name == "custom_components.llamacpp"]
    assert [one.levelname for one in lines] == ["ERROR", "INFO"]
    assert "recovered" in lines[1].message

    own_server.kill()
    await coordinator.async_refresh()
    assert interval(entry) == 5


async def test_a_loading_server_is_asked_often(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A server that loads is polled often, however long it was away."""
    server = Pretender()
    entry = await add_server(await server.start(peers))
    intervals = []
    for server.health in (CRASHED, CRASHED, CRASHED, LOADING, LOADING, OK):
        await entry.runtime_data.coordinator.async_refresh()
        intervals.append(interval(entry))
    assert intervals == [5, 10, 20, 5, 5, 30]
    assert sensor(assist, entry, "status") == "ok"


async def test_polling_lets_a_server_sleep(
    assist: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
) -> None:
    """A polled server falls asleep, and polls do not wake it."""
    flags = ("--ctx-size", "512", "--sleep-idle-seconds", "1")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        await coordinator.client.tokenize("wake up")
        await coordinator.async_refresh()
        assert await until(coordinator, ServerStatus.SLEEPING) <= {
            ServerStatus.OK,
            ServerStatus.SLEEPING,
        }
        for _ in range(5):
            await coordinator.async_refresh()
            await asyncio.sleep(POLL_SECONDS)
            assert (await coordinator.client.props()).is_sleeping
        assert sensor(assist, entry, "status") == "sleeping"
        assert sensor(assist, entry, "generated_tokens") == "0"
        assert interval(entry) == 30


async def test_polling_loads_no_model(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A router without a loaded model is healthy, and polls load none."""
    with routing(tmp_path, scripted_model) as router:
        entry = await add_server(router.base_url)
        for _ in range(3):
            await entry.runtime_data.coordinator.async_refresh()
        models = await entry.runtime_data.client.models()
        assert {one.status.value for one in models} == {"unloaded"}
    assert sensor(assist, entry, "status") == "ok"
    assert {sensor(assist, entry, key) for key in ("model", "context_size", "slots_total")} == {
        STATE_UNKNOWN
    }


async def test_polling_lets_the_model_of_a_router_sleep(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A router's model falls asleep although the router is polled."""
    with routing(tmp_path, scripted_model, "--sleep-idle-seconds", "1") as router:
        entry = await add_server(router.base_url)
        coordinator = entry.runtime_data.coordinator
        await coordinator.async_load_model("pear")
        assert sensor(assist, entry, "model") == "pear"
        await until(coordinator, ServerStatus.SLEEPING)
        await coordinator.async_refresh()
        statuses = {one.id: one.status.value for one in await coordinator.client.models()}
        assert statuses["pear"] == "sleeping"


async def test_a_key_that_is_mended_on_the_server(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A rejected key starts reauthentication once; it ends if the server accepts the key again."""
    server = Pretender()
    entry = await add_server(await server.start(peers), api_key="k")
    coordinator = entry.runtime_data.coordinator
    flows = assist.config_entries.flow
    server.health = REFUSED
    await coordinator.async_refresh()
    assert sensor(assist, entry, "status") == "wrong_key"
    (flow,) = flows.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH

    # A dismissed flow does not return with every poll.
    flows.async_abort(flow["flow_id"])
    await coordinator.async_refresh()
    assert not flows.async_progress()

    server.health = LOADING
    await coordinator.async_refresh()
    server.health = REFUSED
    await coordinator.async_refresh()
    assert len(flows.async_progress()) == 1
    server.health = OK
    await coordinator.async_refresh()
    assert not flows.async_progress()
    assert sensor(assist, entry, "status") == "ok"


async def test_a_key_that_is_changed_on_the_server(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A real server with another key is reachable, but of no use."""
    flags = ("--ctx-size", "512")
    options: dict[str, Any] = {"model": scripted_model, "port": free_port()}
    with serving(tmp_path / "1.txt", *flags, api_key="old", **options) as server:
        entry = await add_server(server.base_url, api_key="old")
    with serving(tmp_path / "2.txt", *flags, api_key="new", **options):
        await entry.runtime_data.coordinator.async_refresh()
        assert sensor(assist, entry, "status") == "wrong_key"
        assert len(assist.config_entries.flow.async_progress()) == 1


async def test_metrics_that_do_not_come(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Without an answer of `/metrics` the last values stay."""
    server = Pretender()
    server.props["endpoint_metrics"] = True
    entry = await add_server(await server.start(peers))
    assert sensor(assist, entry, "generated_tokens") == "7"
    server.metrics = (500, "busy")
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(assist, entry, "status") == "ok"
    assert sensor(assist, entry, "generated_tokens") == "7"
    # An older server may have fewer counters.
    assert sensor(assist, entry, "cached_tokens") == STATE_UNKNOWN


async def test_no_metrics_and_no_slots_are_asked_for_in_vain(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A server without metrics gets no requests and no sensors for them."""
    server = Pretender()
    entry = await add_server(await server.start(peers))
    await entry.runtime_data.coordinator.async_refresh()
    assert not {"/metrics", "/slots"} & set(server.asked)
    assert entity_id_of(assist, entry, "sensor", "generated_tokens") is None
    assert sensor(assist, entry, "slots_total") == "3"


async def test_a_model_that_leaves_while_the_router_is_asked(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A router stays healthy when its model does not answer."""
    server = Pretender()
    server.become_router(apple={"value": "loaded"})
    entry = await add_server(await server.start(peers))
    assert sensor(assist, entry, "context_size") == "2048"
    server.model_props = (400, {"error": {"message": "model is not loaded", "code": 400}})
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(assist, entry, "status") == "ok"
    assert sensor(assist, entry, "context_size") == STATE_UNKNOWN


async def test_a_model_on_its_way(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """While a router loads a model, its status says so and it is polled often."""
    server = Pretender()
    server.become_router(apple={"value": "unloaded"}, pear={"value": "loading"})
    entry = await add_server(await server.start(peers))
    assert sensor(assist, entry, "status") == "loading"
    assert sensor(assist, entry, "model") == "pear"
    assert interval(entry) == 5
    server.models["pear"] = {"value": "loaded"}
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(assist, entry, "status") == "ok"
    assert interval(entry) == 30


async def test_another_server_at_the_address(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A newer server, now with metrics, gets its sensors and its version."""
    server = Pretender()
    entry = await add_server(await server.start(peers))
    before = entry.runtime_data.coordinator
    await before.async_refresh()
    await assist.async_block_till_done()
    assert entry.runtime_data.coordinator is before
    server.props |= {"build_info": "b2-test", "endpoint_metrics": True}
    await before.async_refresh()
    await assist.async_block_till_done()
    assert sensor(assist, entry, "generated_tokens") == "7"
    devices = dr.async_entries_for_config_entry(dr.async_get(assist), entry.entry_id)
    assert {one.sw_version for one in devices} == {"b2-test"}


async def test_a_server_that_our_app_is_about_to_start(
    assist: HomeAssistant, add_server: AddServer, own_server: LlamaServer, peers: Peers
) -> None:
    """While the app answers and its server does not, it is starting, and polled often."""
    health: dict[str, Any] = {"status": "starting", "llama_server": "starting"}

    async def app(request: web.Request) -> web.Response:
        assert request.path == "/api/health"
        assert request.headers["Authorization"] == "Bearer key of the app"
        return web.json_response(health)

    port = int((await peers.http(app)).rpartition(":")[2])
    entry = await add_server(own_server.base_url)
    # A server without a key accepts any.
    app_data = {"api_port": port, "api_key": "key of the app"}
    assist.config_entries.async_update_entry(entry, data={**entry.data, **app_data})
    await assist.async_block_till_done()
    own_server.kill()
    for _ in range(3):
        await entry.runtime_data.coordinator.async_refresh()
        assert sensor(assist, entry, "status") == "starting"
        assert interval(entry) == 5
    # Another program at that port is not our app.
    health.clear()
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(assist, entry, "status") == "unreachable"

    health["llama_server"] = "loading"
    await entry.runtime_data.coordinator.async_refresh()
    own_server.start()
    own_server.wait_ready()
    await entry.runtime_data.coordinator.async_refresh()
    assert sensor(assist, entry, "status") == "ok"
