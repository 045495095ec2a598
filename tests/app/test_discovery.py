"""What the app tells the Supervisor, whom a test plays."""

from typing import TYPE_CHECKING

import pytest

from dev.processes import LOOPBACK
from llamacpp_app import discovery as discovery_module
from llamacpp_app.discovery import CONNECTED_SECONDS, Discovery
from llamacpp_app.options import Options
from llamacpp_app.paths import Paths, Ports
from llamacpp_app.startup import Setup
from tests.app.supervisor import TOKEN, Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    import aiohttp

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture
async def supervisor() -> AsyncGenerator[Supervisor]:
    """Return a Supervisor on the loopback interface."""
    async with Supervisor() as supervisor:
        yield supervisor


def setup_for(supervisor: Supervisor, folder: Path, token: str | None = TOKEN) -> Setup:
    """Return what an app is started with."""
    return Setup(
        options=Options(),
        paths=Paths(folder, folder, folder),
        ports=Ports(LOOPBACK, 1, 2, 3),
        api_key="key",
        supervisor_url=supervisor.url,
        supervisor_token=token,
    )


async def test_told_again_after_a_refusal(
    supervisor: Supervisor,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Supervisor that is not up yet is told again."""
    monkeypatch.setattr(discovery_module, "PAUSES", (0.01, 0.01))
    supervisor.statuses = [502, 500]
    assert await Discovery(session, setup_for(supervisor, tmp_path)).announce()
    assert len(supervisor.told) == 1


async def test_a_supervisor_that_never_takes_it(
    supervisor: Supervisor,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After some tries the log says what to do, and the app goes on."""
    monkeypatch.setattr(discovery_module, "PAUSES", (0.01,))
    wrong = setup_for(supervisor, tmp_path, "wrong")
    assert not await Discovery(session, wrong).announce()
    supervisor.url = "http://127.0.0.1:1"
    assert not await Discovery(session, setup_for(supervisor, tmp_path)).announce()
    assert caplog.text.count("enter it by hand") == 2


async def test_whether_home_assistant_asks(
    supervisor: Supervisor, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It is missing if it was told, and has had the time to ask; who has asked may be lost."""
    now = 1000.0
    discovery = Discovery(session, setup_for(supervisor, tmp_path), lambda: now)
    await discovery.announce()
    states = []
    for seconds in (CONNECTED_SECONDS - 1, 2):
        now += seconds
        states.append(discovery.home_assistant)
    discovery.hear()
    for seconds in (CONNECTED_SECONDS - 1, 2):
        now += seconds
        states.append(discovery.home_assistant)
    assert states == [None, "missing", "connected", "lost"]


async def test_home_assistant_without_a_supervisor(
    supervisor: Supervisor, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Who has nobody to tell misses nobody, and yet knows who asks."""
    now = 1000.0
    discovery = Discovery(session, setup_for(supervisor, tmp_path, None), lambda: now)
    await discovery.announce()
    now += 10 * CONNECTED_SECONDS
    assert discovery.home_assistant is None
    discovery.hear()
    assert discovery.home_assistant == "connected"


async def test_without_a_supervisor(
    supervisor: Supervisor, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Plain Docker has none, and nobody is told."""
    assert not await Discovery(session, setup_for(supervisor, tmp_path, None)).announce()
    assert supervisor.told == []
