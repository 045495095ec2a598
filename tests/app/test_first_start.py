"""The first start where the model cannot be had: everybody is told why, and soon."""

import asyncio
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from llamacpp_app import transfer
from llamacpp_app.download import Downloader, DownloadError
from llamacpp_app.model_names import ModelSource
from tests.app.running_app import RunningApp
from tests.app.supervisor import TOKEN, Supervisor
from tests.conftest import sockets

if TYPE_CHECKING:
    from pathlib import Path

    from llamacpp_app.download import Progress
    from tests.app.file_server import FileServer

pytestmark = pytest.mark.usefixtures("socket_enabled")
# A name that no name server knows (RFC 2606).
NOWHERE = "http://hub.invalid/smol.gguf"
SOON_SECONDS = 15.0


async def test_without_a_name_server(tmp_path: Path) -> None:
    """Within seconds the API says so, and Home Assistant learns at once where the app is."""
    async with Supervisor() as supervisor:
        with sockets():
            app = RunningApp(
                tmp_path,
                {"SUPERVISOR_URL": supervisor.url, "SUPERVISOR_TOKEN": TOKEN},
                model_url=NOWHERE,
                model_name="smol",
            )
            app.start()
        try:
            async with asyncio.timeout(60):
                await supervisor.heard.wait()
            await asyncio.to_thread(app.wait_ready, "error")
            _, health = await asyncio.to_thread(app.ask, "GET", "/api/health")
            assert health["message"] == (
                "The model smol cannot be downloaded just now: no name server (DNS) of the network "
                "knows hub.invalid. It is tried again soon."
            )
            (download,) = health["downloads"]
            assert download["error"].endswith("knows hub.invalid")
            assert download["retry_seconds"] is not None
            assert health["failed_downloads"] == []
        finally:
            await asyncio.to_thread(app.stop)


def test_nothing_is_waited_for_long() -> None:
    """The first attempt ends in time, whatever the network does."""
    assert transfer.CONNECT_SECONDS < SOON_SECONDS


async def told_while_away(session: aiohttp.ClientSession, url: str, folder: Path) -> Progress:
    """Return what is told first of a download that fails, until it is given up."""
    told: list[Progress] = []

    async def sleep(_seconds: float) -> None:
        """Wait for nothing."""

    downloader = Downloader(session, sleep=sleep)
    with pytest.raises(DownloadError, match="cannot be had"):
        await downloader.fetch(ModelSource(url, "m.gguf", None), folder, told.append)
    return next(one for one in told if one.fault)


async def test_what_is_said_of_the_network(
    session: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name, a machine that refuses, and one that is silent have each their sentence."""
    monkeypatch.setattr(transfer, "CONNECT_SECONDS", 0.2)
    told = await told_while_away(session, NOWHERE, tmp_path)
    assert told.fault == "no name server (DNS) of the network knows hub.invalid"
    told = await told_while_away(session, "http://127.0.0.1:1/m.gguf", tmp_path)
    assert told.fault == "127.0.0.1 cannot be reached (Connection refused)"
    # Whoever comes after a full queue gets no answer at all, as in a black hole.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for one in (first, second):
            one.setblocking(False)  # noqa: FBT003 - that is its name
            one.connect_ex(("127.0.0.1", port))
        told = await told_while_away(session, f"http://127.0.0.1:{port}/m.gguf", tmp_path)
    assert told.fault == "there was no connection within 0 s"


async def test_a_name_server_that_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and not taken for a machine that is silent."""

    async def forever(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(transfer, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(transfer, "LOOK_UP_SECONDS", 0.1)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", forever)
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector) as session:
        told = await told_while_away(session, NOWHERE, tmp_path)
    assert told.fault == "no name server (DNS) tells where hub.invalid is"


async def test_a_fault_ends_with_the_next_byte(
    file_server: FileServer, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It is told while nothing comes, not for a break in between, and not when all is there."""
    told: list[Progress] = []

    async def sleep(_seconds: float) -> None:
        """Wait for nothing."""

    async def away(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    server = file_server
    server.script = [away, server.cut(1024), away]
    downloader = Downloader(session, sleep=sleep)
    source = ModelSource(f"{server.url}/m.gguf", "m.gguf", None)
    await downloader.fetch(source, tmp_path, told.append)
    faults = [(one.done_bytes, one.fault) for one in told if one.fault]
    assert {fault for _, fault in faults} == {"the server answers with the status 503"}
    assert {done for done, _ in faults} == {0, 1024}
    assert told[-1].fault is None
    assert told[-1].done_bytes == told[-1].total_bytes
