"""Servers with a self-signed certificate: rejected with a reason, or accepted by the user."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_URL, CONF_VERIFY_SSL
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir

from custom_components.llamacpp.client import CertificateError
from custom_components.llamacpp.const import DOMAIN

from .certificates import write_certificate
from .entities import REFUSED, Pretender
from .flows import reconfigured, start, suggested
from .script import THINK
from .talk import ask

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .peers import Peers


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with an untrusted certificate."""
    return write_certificate(tmp_path / "own.pem")


async def test_a_certificate_of_its_own(
    assist: HomeAssistant, scripted_server: LlamaServer, peers: Peers, certificate: Path
) -> None:
    """The form names the problem; without verification the server is set up."""
    url = await peers.tls(scripted_server.base_url, certificate)
    step = await start(assist, url)
    assert step["errors"] == {"base": "certificate"}
    assert (step["description_placeholders"] or {})["message"] == "self-signed certificate"
    assert suggested(step) == {CONF_URL: url}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: url, CONF_VERIFY_SSL: False}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY
    await assist.async_block_till_done()
    entry = step["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data == {CONF_URL: url, CONF_VERIFY_SSL: False}
    assert "Mostly cheese" in (await ask(assist, THINK)).response.speech["plain"]["speech"]
    await assist.config_entries.async_unload(entry.entry_id)


async def test_a_certificate_that_is_too_old(peers: Peers, tmp_path: Path) -> None:
    """The reason is found among several."""
    url = await peers.tls("http://127.0.0.1:1", write_certificate(tmp_path / "old.pem", days=-1))
    with pytest.raises(CertificateError):
        await peers.client(url).health()


async def test_no_https(assist: HomeAssistant, scripted_server: LlamaServer) -> None:
    """`https://` for a server that only speaks HTTP."""
    step = await start(assist, scripted_server.base_url.replace("http:", "https:"))
    assert step["errors"] == {"base": "no_tls"}


async def test_no_http(
    assist: HomeAssistant, scripted_server: LlamaServer, peers: Peers, certificate: Path
) -> None:
    """`http://` for a server that only speaks HTTPS."""
    url = await peers.tls(scripted_server.base_url, certificate)
    step = await start(assist, url.removeprefix("https://"))
    assert step["errors"] == {"base": "needs_tls"}


async def test_something_else_by_https(assist: HomeAssistant, peers: Peers) -> None:
    """A server that speaks no TLS is reported as such."""
    url = await peers.answering(404, "404 page not found")
    step = await start(assist, url.replace("http:", "https:"))
    assert step["errors"] == {"base": "no_tls"}


async def test_a_certificate_that_is_not_trusted_any_more(
    assist: HomeAssistant, peers: Peers, certificate: Path
) -> None:
    """An issue says what to do, and is deleted when it is solved."""
    url = await peers.tls(await Pretender().start(peers), certificate)
    step = await start(assist, url, **{CONF_VERIFY_SSL: False})
    await assist.async_block_till_done()
    entry = step["result"]
    issue_id = f"certificate_{entry.entry_id}"
    registry = ir.async_get(assist)
    assert registry.async_get_issue(DOMAIN, issue_id) is None

    assist.config_entries.async_update_entry(entry, data={CONF_URL: url})
    await assist.async_block_till_done()
    failed: ConfigEntryState = entry.state
    assert failed is ConfigEntryState.SETUP_RETRY
    assert "self-signed certificate" in (entry.reason or "")
    issue = registry.async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.translation_placeholders == {
        "server": entry.title,
        "message": "self-signed certificate",
    }

    step = await reconfigured(assist, entry, **{CONF_URL: url, CONF_VERIFY_SSL: True})
    assert step["errors"] == {"base": "certificate"}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: url, CONF_VERIFY_SSL: False}
    )
    assert step["reason"] == "reconfigure_successful"
    await assist.async_block_till_done()
    assert registry.async_get_issue(DOMAIN, issue_id) is None
    again: ConfigEntryState = entry.state
    assert again is ConfigEntryState.LOADED
    assert await assist.config_entries.async_remove(entry.entry_id)


async def test_a_key_and_a_certificate(
    assist: HomeAssistant, peers: Peers, certificate: Path
) -> None:
    """Reauthentication can switch the verification off, too."""
    server = Pretender()
    url = await peers.tls(await server.start(peers), certificate)
    step = await start(assist, url, **{CONF_VERIFY_SSL: False})
    await assist.async_block_till_done()
    entry = step["result"]
    server.health = REFUSED
    await entry.runtime_data.coordinator.async_refresh()
    await assist.async_block_till_done()
    (flow,) = assist.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    form = await assist.config_entries.flow.async_configure(flow["flow_id"])
    assert suggested(form) == {CONF_VERIFY_SSL: False}
    step = await assist.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: "new", CONF_VERIFY_SSL: True}
    )
    assert step["errors"] == {"base": "certificate"}
    server.health = (200, {"status": "ok"})
    step = await assist.config_entries.flow.async_configure(
        flow["flow_id"], {CONF_API_KEY: "new", CONF_VERIFY_SSL: False}
    )
    assert step["reason"] == "reauth_successful"
    await assist.async_block_till_done()
    assert entry.data == {CONF_URL: url, CONF_API_KEY: "new", CONF_VERIFY_SSL: False}
    await assist.config_entries.async_unload(entry.entry_id)
