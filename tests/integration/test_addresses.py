"""Addresses of servers: one that moves, one with two addresses, and redirections."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    SubentryFlowContext,
)
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.data_entry_flow import FlowResultType

from custom_components.llamacpp import config_flow
from custom_components.llamacpp.const import DOMAIN
from dev.processes import LOOPBACK
from tests.conftest import serving

from .certificates import write_certificate
from .conftest import agent_of
from .entities import LOADING, OK, Pretender
from .flows import reconfigure, suggested
from .talk import PROPS

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

FLAGS = ("--ctx-size", "512")


async def test_a_server_that_moves(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The entry keeps its agents at the new address; mistakes on the way change nothing."""
    with serving(tmp_path / "1.txt", *FLAGS, model=scripted_model) as server:
        entry = await add_server(server.base_url)
    agent = agent_of(entry)
    with serving(tmp_path / "2.txt", *FLAGS, model=scripted_model, api_key="key") as server:
        step = await reconfigure(assist, entry)
        assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "reconfigure")
        step = await assist.config_entries.flow.async_configure(
            step["flow_id"], {CONF_URL: server.base_url}
        )
        assert (step["step_id"], step["errors"]) == ("reconfigure", {CONF_API_KEY: "invalid_auth"})
        step = await assist.config_entries.flow.async_configure(
            step["flow_id"], {CONF_URL: server.base_url, CONF_API_KEY: "key"}
        )
        assert step["reason"] == "reconfigure_successful"
        await assist.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        assert entry.data == {CONF_URL: server.base_url, CONF_API_KEY: "key"}
        assert entry.title == f"{LOOPBACK}:{server.port}"
        assert agent_of(entry) == agent


async def test_a_server_that_stays(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Sending the form unchanged does not clash with the entry itself."""
    entry = await add_server(scripted_server.base_url)
    step = await reconfigure(assist, entry)
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: scripted_server.base_url}
    )
    assert step["reason"] == "reconfigure_successful"


async def test_one_server_by_two_addresses(
    assist: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    peers: Peers,
    session: aiohttp.ClientSession,
) -> None:
    """The same running server is recognised at another address, here behind a proxy."""

    async def forward(request: web.Request) -> web.Response:
        async with session.get(scripted_server.base_url + request.path) as answer:
            return web.json_response(await answer.json(), status=answer.status)

    await add_server(scripted_server.base_url)
    step = await assist.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}, data={CONF_URL: await peers.http(forward)}
    )
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")


async def begin(hass: HomeAssistant, url: str) -> ConfigFlowResult:
    """Send the form with this address."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}, data={CONF_URL: url}
    )


async def test_one_server_that_had_to_be_waited_for(
    assist: HomeAssistant, add_server: AddServer, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is compared with others only after the wait."""
    monkeypatch.setattr(config_flow, "LOADING_POLL_SECONDS", 0.01)
    first, second = Pretender(), Pretender()
    first.props["media_marker"] = second.props["media_marker"] = "the same"
    await add_server(await first.start(peers))
    second.health = LOADING
    step = await begin(assist, await second.start(peers))
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {"next_step_id": "wait"}
    )
    assert step["type"] is FlowResultType.SHOW_PROGRESS
    second.health = OK
    await assist.async_block_till_done()
    step = await assist.config_entries.flow.async_configure(step["flow_id"])
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_one_server_in_two_forms(assist: HomeAssistant, peers: Peers) -> None:
    """The form that is answered first gets the server."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/props":
            return web.json_response(PROPS)
        if not asked.is_set():
            asked.set()
            await go_on.wait()
        return web.json_response({"status": "ok"})

    url = await peers.http(handle)
    slow = assist.async_create_task(begin(assist, url))
    await asked.wait()
    assert (await begin(assist, url))["type"] is FlowResultType.CREATE_ENTRY
    go_on.set()
    step = await slow
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert len(assist.config_entries.async_entries(DOMAIN)) == 1


async def test_a_name_of_ones_own_stays(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A renamed server keeps its name when it moves."""
    entry = await add_server(await Pretender().start(peers))
    assist.config_entries.async_update_entry(entry, title="The one in the cellar")
    step = await reconfigure(assist, entry)
    url = await Pretender().start(peers)
    step = await assist.config_entries.flow.async_configure(step["flow_id"], {CONF_URL: url})
    assert step["reason"] == "reconfigure_successful"
    assert (entry.data[CONF_URL], entry.title) == (url, "The one in the cellar")


async def redirecting(peers: Peers, where: str) -> tuple[str, list[str | None]]:
    """Start a server that redirects everything; return its address and the keys it has received.

    where: the new address, up to the path of the request.
    """
    keys: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        keys.append(request.headers.get("Authorization"))
        raise web.HTTPMovedPermanently(f"{where}{request.path}")

    return await peers.http(answer), keys


async def test_an_address_that_points_elsewhere_on_the_host(
    assist: HomeAssistant, scripted_server: LlamaServer, peers: Peers
) -> None:
    """The address that answers is stored, after several redirects."""
    first, _ = await redirecting(peers, scripted_server.base_url)
    second, _ = await redirecting(peers, first)
    step = await begin(assist, second)
    assert step["type"] is FlowResultType.CREATE_ENTRY
    assert step["result"].data == {CONF_URL: scripted_server.base_url}
    step = await begin(assist, second)
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_an_address_that_points_to_https(
    assist: HomeAssistant, scripted_server: LlamaServer, peers: Peers, tmp_path: Path
) -> None:
    """The certificate there is checked like any."""
    secure = await peers.tls(scripted_server.base_url, write_certificate(tmp_path / "own.pem"))
    url, _ = await redirecting(peers, secure)
    step = await begin(assist, url)
    assert step["errors"] == {"base": "certificate"}
    assert suggested(step) == {CONF_URL: secure}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: url, CONF_VERIFY_SSL: False}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY
    assert step["result"].data == {CONF_URL: secure, CONF_VERIFY_SSL: False}


async def test_an_address_that_points_to_another_host(assist: HomeAssistant, peers: Peers) -> None:
    """The form shows it; the host gets neither a request nor the key."""
    keys: list[str | None] = []

    async def target(request: web.Request) -> web.Response:
        keys.append(request.headers.get("Authorization"))
        return web.json_response({"status": "ok"})

    other = (await peers.http(target)).replace(LOOPBACK, "localhost")
    url, _ = await redirecting(peers, other)
    step = await assist.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}, data={CONF_URL: url, CONF_API_KEY: "secret"}
    )
    assert step["errors"] == {"base": "redirected"}
    assert (step["description_placeholders"] or {})["address"].startswith(other)
    assert keys == []


async def test_addresses_that_point_to_each_other(assist: HomeAssistant, peers: Peers) -> None:
    """The client gives up."""
    where: list[str] = []
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        here = f"http://{request.host}"
        other = next(one for one in where if one != here)
        raise web.HTTPTemporaryRedirect(f"{other}{request.path}")

    where += [await peers.http(answer), await peers.http(answer)]
    step = await begin(assist, where[0])
    assert step["errors"] == {"base": "redirected"}
    assert len(asked) == config_flow.MAX_REDIRECTS + 1


@pytest.mark.usefixtures("assist")
async def test_an_address_that_points_elsewhere_later(add_server: AddServer, peers: Peers) -> None:
    """The client does not follow a redirect of a configured server; the error says what to do."""
    server = Pretender()
    entry = await add_server(await server.start(peers))
    server.moved_to = "http://elsewhere:8080"
    await entry.runtime_data.coordinator.async_refresh()
    assert not entry.runtime_data.coordinator.last_update_success
    assert "http://elsewhere:8080/" in str(entry.runtime_data.coordinator.last_exception)


async def test_two_servers(assist: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """Their agents have the server in their names, also those added later."""
    first = await add_server(await Pretender().start(peers))
    url = await Pretender().start(peers)
    second = await add_server(url)
    host = url.removeprefix("http://")
    assert [one.title for one in first.subentries.values()] == [
        "House Llama",
        "House Llama AI Task",
    ]
    assert [one.title for one in second.subentries.values()] == [
        f"House Llama ({host})",
        f"House Llama AI Task ({host})",
    ]
    names = {one.name for one in assist.states.async_all("conversation")}
    assert {"House Llama", f"House Llama ({host})"} <= names
    step = await assist.config_entries.subentries.async_init(
        (first.entry_id, "conversation"), context=SubentryFlowContext(source=SOURCE_USER)
    )
    assert step["data_schema"] is not None
    shown = {str(key): key.description for key in step["data_schema"].schema}
    assert shown["name"] == {"suggested_value": f"House Llama ({first.title})"}
