"""Set-up of the app that the Supervisor has discovered."""

from typing import TYPE_CHECKING
from unittest.mock import Mock

from aiohasupervisor import SupervisorNotFoundError
from homeassistant.components.hassio.discovery import HassIODiscovery
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
)
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.data_entry_flow import FlowResultType

from custom_components.llamacpp.const import CONF_API_PORT, DOMAIN
from dev.processes import LOOPBACK, free_port
from tests.conftest import serving

from .certificates import write_certificate
from .conftest import agent_of
from .flows import UUID, discover

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers


FLAGS = ("--ctx-size", "512")


async def test_discovery_of_the_app(
    assist: HomeAssistant, scripted_model: Path, tmp_path: Path
) -> None:
    """One click sets up the app with its key, and the entry follows an app that moves."""
    with serving(tmp_path / "1.txt", *FLAGS, model=scripted_model, api_key="one") as server:
        step = await discover(assist, server.port, api_key="one", api_port=5000)
        assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "hassio_confirm")
        (flow,) = assist.config_entries.flow.async_progress()
        assert flow["context"]["title_placeholders"] == {"name": "House Llama app"}
        step = await assist.config_entries.flow.async_configure(step["flow_id"], {})
        assert step["type"] is FlowResultType.CREATE_ENTRY
        await assist.async_block_till_done()
        entry = step["result"]
        assert entry.title == "House Llama app"
        assert entry.data == {
            CONF_URL: server.base_url,
            CONF_API_KEY: "one",
            CONF_API_PORT: 5000,
        }
    with serving(tmp_path / "2.txt", *FLAGS, model=scripted_model, api_key="two") as server:
        step = await discover(assist, server.port, api_key="two")
        assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")
        await assist.async_block_till_done()
        assert entry.data[CONF_URL] == server.base_url
        assert entry.data[CONF_API_KEY] == "two"
        assert entry.state is ConfigEntryState.LOADED


async def test_discovery_of_an_app_that_is_not_ready(assist: HomeAssistant) -> None:
    """The same small form reports it, and can be sent again."""
    step = await discover(assist, free_port())
    step = await assist.config_entries.flow.async_configure(step["flow_id"], {})
    assert (step["step_id"], step["errors"]) == ("hassio_confirm", {"base": "cannot_connect"})


async def test_discovery_of_an_app_that_was_entered_by_hand(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """It keeps its only entry, which follows the app from then on."""
    entry = await add_server(scripted_server.base_url)
    step = await discover(assist, scripted_server.port, api_port=5000)
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert entry.unique_id == f"app-{UUID}"
    assert entry.data[CONF_API_PORT] == 5000


async def test_discovery_of_an_app_that_was_entered_under_another_address(
    assist: HomeAssistant, scripted_server: LlamaServer, peers: Peers, tmp_path: Path
) -> None:
    """The running server is recognised: its entry follows the app, and no card is left."""
    url = await peers.tls(scripted_server.base_url, write_certificate(tmp_path / "own.pem"))
    step = await assist.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}, data={CONF_URL: url, CONF_VERIFY_SSL: False}
    )
    await assist.async_block_till_done()
    entry = step["result"]
    agent = agent_of(entry)
    for port in (scripted_server.port, free_port()):
        step = await discover(assist, port, api_port=5000)
        assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")
        assert assist.config_entries.flow.async_progress() == []
        assert (entry.unique_id, entry.data[CONF_API_PORT]) == (f"app-{UUID}", 5000)
        assert entry.data[CONF_URL] == f"http://{LOOPBACK}:{port}"
        assert assist.config_entries.async_entries(DOMAIN) == [entry]
        assert agent_of(entry) == agent


async def test_an_app_that_is_uninstalled(
    assist: HomeAssistant, scripted_server: LlamaServer
) -> None:
    """Its entry stays with its agents, and belongs to the app when it is installed again."""
    step = await discover(assist, scripted_server.port)
    step = await assist.config_entries.flow.async_configure(step["flow_id"], {})
    entry = step["result"]
    await assist.async_block_till_done()
    removal = HassIODiscovery.__new__(HassIODiscovery)
    removal.hass = assist
    # Home Assistant asks the Supervisor whether the app was removed.
    supervisor = Mock()
    supervisor.discovery.get.side_effect = SupervisorNotFoundError()
    vars(removal)["_supervisor_client"] = supervisor
    await removal.async_process_del({"service": DOMAIN, "uuid": UUID})
    assert assist.config_entries.async_entries(DOMAIN) == [entry]
    # An older version of the integration used the id by which it would be deleted.
    assist.config_entries.async_update_entry(entry, unique_id=UUID)
    step = await discover(assist, scripted_server.port)
    assert (step["type"], entry.unique_id) == (FlowResultType.ABORT, f"app-{UUID}")
    agent = agent_of(entry)
    step = await discover(assist, scripted_server.port, uuid="f" * 32, api_key="new")
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert (entry.unique_id, entry.data[CONF_API_KEY]) == (f"app-{'f' * 32}", "new")
    assert agent_of(entry) == agent
