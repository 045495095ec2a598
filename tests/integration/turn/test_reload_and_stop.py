"""A reload, a removal or a stop of Home Assistant during an answer."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CoreState

from tests.integration.history.samples import damage, mend
from tests.integration.slow_servers import WaitingServer
from tests.integration.talk import act, ask, speech

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

pytestmark = pytest.mark.usefixtures("home")
WAIT_SECONDS = 10.0


@pytest.fixture
async def slow(add_server: AddServer, peers: Peers) -> WaitingServer:
    """Return such a server, set up in Home Assistant."""
    server = WaitingServer()
    await add_server(await peers.http(server.answer))
    return server


def entry_of(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the entry of the only server."""
    (entry,) = hass.config_entries.async_entries("llamacpp")
    return entry


def files(tmp_path: Path) -> list[Path]:
    """Return the files of all conversations."""
    return list(tmp_path.glob("config/.storage/llamacpp.history/*/*.json"))


async def test_reloaded_while_it_answers(
    home: HomeAssistant, slow: WaitingServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer comes, is stored, and the reloaded entry knows it."""
    entry = entry_of(home)
    started_id = {"conversation_id": (await act(home, "start"))["conversation_id"]}
    said = home.async_create_task(ask(home, "Hello"))
    sent = home.async_create_task(act(home, "send", **started_id, message="Hello"))
    for _ in range(2):
        await slow.asked.acquire()
    await asyncio.gather(*(home.config_entries.async_reload(entry.entry_id) for _ in range(2)))
    assert entry.state is ConfigEntryState.LOADED
    slow.go_on.set()
    result, response = await said, await sent
    assert speech(result) == response["response"] == "Hi."
    for conversation_id in (result.conversation_id, started_id["conversation_id"]):
        told = await act(home, "history", conversation_id=conversation_id)
        assert [one["content"] for one in told["messages"]] == ["Hello", "Hi."]
        more = await act(home, "send", conversation_id=conversation_id, message="Again")
        assert more["message_count"] == 4
    assert not [
        one.getMessage()
        for one in caplog.records
        if one.levelno >= logging.ERROR and "llamacpp" in f"{one.name} {one.getMessage()}"
    ]


async def test_unloaded_after_it_has_answered(
    home: HomeAssistant, slow: WaitingServer, tmp_path: Path
) -> None:
    """Assist's pending turn is written."""
    slow.go_on.set()
    await ask(home, "Hello")
    assert not files(tmp_path)
    assert await home.config_entries.async_unload(entry_of(home).entry_id)
    assert len(files(tmp_path)) == 1


async def test_removed_while_it_answers(
    home: HomeAssistant, slow: WaitingServer, tmp_path: Path
) -> None:
    """The user still gets the answer, and no file is left."""
    turn = home.async_create_task(ask(home, "Hello"))
    await slow.asked.acquire()
    await home.config_entries.async_remove(entry_of(home).entry_id)
    slow.go_on.set()
    assert speech(await turn) == "Hi."
    await home.async_block_till_done()
    assert not files(tmp_path)


async def test_home_assistant_ends_while_it_answers(
    home: HomeAssistant, slow: WaitingServer, tmp_path: Path
) -> None:
    """A turn after the final write is written immediately."""
    turn = home.async_create_task(ask(home, "Hello"))
    await slow.asked.acquire()
    home.set_state(CoreState.final_write)
    home.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await asyncio.sleep(0)
    slow.go_on.set()
    assert speech(await turn) == "Hi."
    assert len(files(tmp_path)) == 1
    home.set_state(CoreState.running)


async def test_a_folder_that_cannot_be_read(home: HomeAssistant, slow: WaitingServer) -> None:
    """Set-up is retried, and the entry shows the reason."""
    entry = entry_of(home)
    path = Path(home.config.path(".storage", "llamacpp.history", entry.entry_id))
    assert await home.config_entries.async_unload(entry.entry_id)
    damage(path)
    await home.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "history_unreadable"
    assert entry.state is ConfigEntryState.SETUP_RETRY
    mend(path)
    assert await home.config_entries.async_reload(entry.entry_id)
    slow.go_on.set()
    assert speech(await ask(home, "Hello")) == "Hi."
