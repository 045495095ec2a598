"""Older servers restore slot files, but cannot continue from them with every model."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.llamacpp.client import Usage
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from custom_components.llamacpp.serving.slot_files import SlotFiles
from dev.model_kinds import KINDS
from dev.scripted_model import write_scripted_model
from tests.integration.prefill import keeping_slots, processed, set_options, until_prefilled
from tests.integration.serving.short_day import DAY_SECONDS, FEW_TOKENS, Day, script_for
from tests.integration.talk import recording

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    from aiohttp import web
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from dev.scripted_model import Vocabulary
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

# Newer servers write checkpoints behind the tokens of a slot file; older ones do
# not, and newer ones accept a file without.
GOING_ON = b"SCKP"
HOME_TOKENS = 1000
SLOT = "/slots/"


class Older:
    """Turns slot files into those of an older server. n_read: how many were restored."""

    def __init__(self, folder: Path) -> None:
        """Start. folder: of the slot files."""
        self._folder = folder
        self.n_read = 0

    def answered(self, request: web.Request, answer: aiohttp.ClientResponse) -> None:
        """Look at an answer about a slot."""
        action = request.query.get("action") if request.path.startswith(SLOT) else None
        if action == "save":
            for file in self._folder.iterdir():
                file.write_bytes(file.read_bytes().partition(GOING_ON)[0])
        self.n_read += action == "restore" and answer.ok


async def restart(hass: HomeAssistant, entry: ConfigEntry[Any], server: LlamaServer) -> int:
    """Restart the server; return how many tokens it has processed once all is quiet."""
    await until_prefilled(hass)
    server.kill()
    await entry.runtime_data.coordinator.async_refresh()
    server.start()
    server.wait_ready()
    await entry.runtime_data.coordinator.async_refresh()
    await until_prefilled(hass)
    return int(await processed(entry.runtime_data.coordinator))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("n_slots", [1, 3])
@pytest.mark.parametrize("kind", ["sliding", "delta net", "recurrent"])
async def test_what_is_of_no_use_is_read_once(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    vocabulary: Vocabulary,
    tmp_path: Path,
    kind: str,
    n_slots: int,
) -> None:
    """It is found out before a user waits; from then on no file is restored."""
    path = tmp_path / "scripted.gguf"
    write_scripted_model(path, vocabulary, script_for("tools"), "I was not told.", kind=KINDS[kind])
    older = Older(tmp_path / "slots")
    with keeping_slots(tmp_path, path, n_slots=n_slots) as server:
        url, _ = await recording(peers, session, server, older.answered)
        entry = await add_server(url)
        await set_options(home, entry, **{CONF_TOOL_CALLS: ToolCalls.NATIVE})
        day = Day(home, entry, server)
        async with asyncio.timeout(DAY_SECONDS):
            await day.everybody_is_prefilled()
            await day.change()
            await day.everybody_is_prefilled()
            await restart(home, entry, server)
            await day.everybody_is_prefilled()
            assert older.n_read == 1
            n_tokens = await restart(home, entry, server)
            await day.everybody_is_prefilled()
            await day.talk()
            # No file was restored, and the home was prefilled once.
            assert older.n_read == 1
            usage = entry.runtime_data.coordinator.last_answer.completion.usage
            assert HOME_TOKENS < n_tokens < usage.prompt_tokens + FEW_TOKENS


@pytest.mark.usefixtures("soon")
async def test_a_model_that_goes_on_anyway(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    vocabulary: Vocabulary,
    tmp_path: Path,
) -> None:
    """Models with full attention continue from files of older servers, too."""
    path = tmp_path / "scripted.gguf"
    write_scripted_model(path, vocabulary, script_for("tools"), "I was not told.")
    older = Older(tmp_path / "slots")
    with keeping_slots(tmp_path, path, n_slots=3) as server:
        url, _ = await recording(peers, session, server, older.answered)
        entry = await add_server(url)
        await until_prefilled(home)
        assert older.n_read == 2
        n_tokens = await restart(home, entry, server)
        assert older.n_read == 5
        assert n_tokens < HOME_TOKENS
        await Day(home, entry, server).everybody_is_prefilled()


def used(cached: int) -> Usage:
    """Return the usage of a request with this many cached tokens."""
    return Usage(prompt_tokens=4000, completion_tokens=1, total_tokens=4001, cached_tokens=cached)


def test_what_is_known_of_a_model() -> None:
    """One failure is enough until a restore has worked; another build or model resets it."""
    saved = SlotFiles()
    saved.served_by("b1")
    saved.note_use("a", used(3999), is_same=True)
    assert (saved.supports("a"), saved.is_proven("a")) == (None, False)
    saved.note_use("a", used(3990), is_same=False)
    saved.note_use("b", used(0), is_same=True)
    # Another user was there in between.
    saved.note_use("a", used(0), is_same=False)
    assert (saved.supports("a"), saved.is_proven("a")) == (None, True)
    assert (saved.supports("b"), saved.is_proven("b")) == (False, False)
    saved.served_by("b1")
    assert saved.supports("b") is False
    saved.served_by("b2")
    assert (saved.supports("b"), saved.is_proven("a")) == (None, False)
