"""Who needs no key, by real requests from inside and from outside Home Assistant's network."""

import asyncio
import json
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.processes import LOOPBACK
from llamacpp_app import keyless as module
from llamacpp_app.errors import AppError
from llamacpp_app.keyless import Keyless, is_inside
from llamacpp_app.options import Options
from llamacpp_app.paths import Paths, Ports
from llamacpp_app.startup import Setup
from tests.app.running_app import RunningApp, lay_models
from tests.app.supervisor import TOKEN, Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("socket_enabled")

WAIT_SECONDS = 60.0
# Another address of this machine: somebody else.
OUTSIDE = "127.0.0.2"
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


@pytest.fixture
async def supervisor() -> AsyncGenerator[Supervisor]:
    """Return a Supervisor on the loopback interface."""
    async with Supervisor() as supervisor:
        yield supervisor


async def status(url: str, body: object = None, source: str = LOOPBACK, **headers: str) -> int:
    """Return the status of an answer to a request that comes from an address."""
    connector = aiohttp.TCPConnector(local_addr=(source, 0))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(
            "GET" if body is None else "POST", url, json=body, headers=headers
        ) as response,
    ):
        await response.read()
        return response.status


async def health(app: RunningApp) -> dict[str, Any]:
    """Return what the app tells of itself."""
    return dict((await asyncio.to_thread(app.ask, "GET", "/api/health"))[1])


@pytest.mark.parametrize("idle_minutes", ["", "60"])
async def test_inside_and_outside(
    supervisor: Supervisor, model: Path, tmp_path: Path, idle_minutes: str
) -> None:
    """The examples of an app without a key work inside; outside, and of a page, none does."""
    lay_models(tmp_path, model)
    app = RunningApp(
        tmp_path,
        {"SUPERVISOR_URL": supervisor.url, "SUPERVISOR_TOKEN": TOKEN},
        model_url="http://127.0.0.1:1/smol.gguf",
        context_size="512",
        api_key="none",
        idle_minutes=idle_minutes,
    )
    supervisor.ports = {f"{port}/tcp": None for port in (app.api_port, app.server_port)}
    await asyncio.to_thread(app.start)
    try:
        await asyncio.to_thread(app.wait_ready)
        told = await health(app)
        assert told["keyless_ports"] == [app.api_port, app.server_port]
        assert told["keyless_message"] is None
        assert "asks nobody within Home Assistant's network for the key" in app.log()
        chat, completion = f"{app.url}/api/chat", f"{app.server_url}/v1/chat/completions"
        message = {"message": "Hi", "max_tokens": 2}
        for headers in ({}, {"Authorization": "Bearer not-needed"}, {"X-Api-Key": "none"}):
            assert await status(chat, message, **headers) == 200
            assert await status(completion, CHAT, **headers) == 200
            assert await status(f"{app.server_url}/v1/models", **headers) == 200
            assert await status(chat, message, OUTSIDE, **headers) == 401
            assert await status(completion, CHAT, OUTSIDE, **headers) == 401
            assert await status(f"{app.server_url}/v1/models", None, OUTSIDE, **headers) == 401
        for url, body in ((chat, message), (completion, CHAT)):
            assert await status(url, body, Origin="http://localhost") == 401
            assert await status(url, body, OUTSIDE, **app.headers) == 200
        # Home Assistant is told the key that was made, with which the integration asks.
        assert supervisor.told[0]["config"]["api_key"] == app.key != "none"
    finally:
        await asyncio.to_thread(app.stop)


def setup_for(supervisor: Supervisor, folder: Path, token: str = TOKEN) -> Setup:
    """Return what an app without a key is started with."""
    return Setup(
        options=Options(api_key="none"),
        paths=Paths(folder, folder, folder),
        ports=Ports(LOOPBACK, 8080, 5000, 8099),
        api_key="key",
        supervisor_url=supervisor.url,
        supervisor_token=token,
    )


@pytest.mark.parametrize(
    ("ports", "told"),
    [
        ({"5000/tcp": None, "8080/tcp": None}, ((5000, 8080), None)),
        ({"5000/tcp": None, "8080/tcp": 8080}, ((5000,), "Port 8080 is open to your network")),
        ({"5000/tcp": 0, "8080/tcp": 1}, ((), "Port 5000 is open to your network")),
        ({"5000/tcp": None}, ((5000,), "Port 8080 is open to your network")),
        ({}, ((), "Port 5000 is open to your network")),
    ],
)
async def test_only_closed_ports(
    supervisor: Supervisor,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    ports: dict[str, int | None],
    told: tuple[tuple[int, ...], str | None],
) -> None:
    """What comes in from the network by an open port may seem to come from inside."""
    supervisor.ports = ports
    keyless = Keyless(session, setup_for(supervisor, tmp_path))
    assert keyless.ports == ()
    await keyless.look()
    closed, words = told
    assert keyless.ports == closed
    assert (words or "") in (keyless.message or "")
    assert (keyless.message is None) is (words is None)


async def test_a_supervisor_that_does_not_tell(
    supervisor: Supervisor,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked again; until it tells, everybody needs the key."""
    monkeypatch.setattr(module, "PAUSES", (0.01,))
    supervisor.ports = {"5000/tcp": None, "8080/tcp": None}
    supervisor.statuses = [502]
    keyless = Keyless(session, setup_for(supervisor, tmp_path))
    await keyless.look()
    assert keyless.ports == (5000, 8080)
    keyless = Keyless(session, setup_for(supervisor, tmp_path, "wrong"))
    await keyless.look()
    assert keyless.ports == ()
    assert "the key is asked for" in (keyless.message or "")


def test_plain_docker(tmp_path: Path) -> None:
    """Nobody tells there what is inside, so it does not start, and the sentence says what to do."""
    environment = {"DATA_DIR": str(tmp_path), "CONFIG_DIR": str(tmp_path), "API_KEY": "none"}
    with pytest.raises(AppError, match=r"api_key must not be none here: .* Leave it empty"):
        Setup.of(environment)
    (tmp_path / "options.json").write_text(json.dumps({"api_key": "none"}))
    with pytest.raises(AppError, match="api_key must not be none here"):
        Setup.of(environment)
    setup = Setup.of({**environment, "SUPERVISOR_TOKEN": TOKEN})
    assert len(setup.api_key) > 32


@given(st.ip_addresses())
def test_addresses(address: Any) -> None:
    """Only those of the Supervisor's network and this machine's own are inside."""
    low, high = IPv4Address("172.30.32.0"), IPv4Address("172.30.33.255")
    is_one = address.version == 4 and (low <= address <= high or str(address) == LOOPBACK)
    assert is_inside(str(address)) is is_one


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("172.30.32.1", True),
        ("172.30.33.255", True),
        ("172.30.31.255", False),
        ("172.30.34.0", False),
        ("192.168.1.2", False),
        ("::ffff:172.30.32.1", False),
        ("", False),
        (None, False),
        ("unknown", False),
    ],
)
def test_the_edges(address: str | None, inside: bool) -> None:  # noqa: FBT001
    """Both ends of the network, and what is no address at all."""
    assert is_inside(address) is inside
