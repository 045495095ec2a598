"""Fixtures for tests of the integration: Home Assistant in process, real and scripted servers."""

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import CONF_API_KEY, CONF_URL
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component

from custom_components.llamacpp import conversation as agents
from custom_components.llamacpp.const import DOMAIN
from custom_components.llamacpp.model import abilities
from custom_components.llamacpp.serving import machine
from dev.hass import DEMO_HOME
from dev.scripted_model import write_scripted_model
from tests.conftest import serving

from .peers import Peers
from .script import OTHERWISE, SCRIPT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry, ConfigSubentry
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

    from dev.llama import LlamaServer

    type Attach = Callable[[str, bytes], dict[str, str]]
    type Fix = Callable[..., Awaitable[dict[str, Any]]]
    type AddServer = Callable[..., Awaitable[ConfigEntry[Any]]]

AGENT = "conversation.house_llama"
TASK_AGENT = "ai_task.house_llama_ai_task"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# Replaces the seconds of background work in tests.
SOON_SECONDS = 0.1
FLAGS = ("--ctx-size", "16384", "--parallel", "1")


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Allow sockets: everything here speaks to servers on the loopback interface."""


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration."""


@pytest.fixture(autouse=True)
def _large_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer tools to the scripted model, which stands for a large one."""
    monkeypatch.setattr(abilities, "MIN_TOOL_PARAMS", 0)


@pytest.fixture(autouse=True)
def _model_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send everything to the model: Home Assistant's own sentences have their own tests."""
    monkeypatch.setattr(agents, "DEFAULT_EXACT_FIRST", False)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run background work soon."""
    monkeypatch.setattr(agents, "HOME_CHANGE_SECONDS", SOON_SECONDS)
    monkeypatch.setattr(machine, "QUIET_SECONDS", SOON_SECONDS)
    monkeypatch.setattr(machine, "NEXT_TURN_SECONDS", SOON_SECONDS)


@pytest.fixture(scope="session")
def word_packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache for the language packs: each takes seconds to build."""
    return tmp_path_factory.mktemp("packs")


@pytest.fixture
def hass_config_dir(tmp_path: Path, word_packs: Path) -> str:
    """Give Home Assistant a new folder, with the cached language packs."""
    folder = tmp_path / "config"
    (folder / ".cache").mkdir(parents=True)
    (folder / ".cache" / DOMAIN).symlink_to(word_packs)
    return str(folder)


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Let Home Assistant write real files: the test plugin would keep them in memory."""
    return {}


@pytest.fixture
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    """Return a new HTTP session for each test."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def peers(session: aiohttp.ClientSession) -> AsyncGenerator[Peers]:
    """Return a starter of scripted peers; they end with the test."""
    async with Peers(session) as peers:
        yield peers


@pytest.fixture
async def hass(peers: Peers, hass: HomeAssistant) -> HomeAssistant:  # noqa: ARG001 - begins first, ends last
    """Return Home Assistant, which ends before the peers that it speaks to.

    A peer that ends while Home Assistant connects to it would raise an error of asyncio's.
    """
    return hass


@pytest.fixture(scope="session")
def scripted_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that answers by `script.py`."""
    path = tmp_path_factory.mktemp("scripted") / "scripted.gguf"
    write_scripted_model(path, model, SCRIPT, OTHERWISE)
    return path


@pytest.fixture(scope="session")
def scripted_server(
    scripted_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LlamaServer]:
    """Return a real server with that model, shared by all tests of one run."""
    log = tmp_path_factory.mktemp("scripted-server") / "log.txt"
    with serving(log, *FLAGS, model=scripted_model) as server:
        yield server


@pytest.fixture
def own_server(scripted_model: Path, tmp_path: Path) -> Generator[LlamaServer]:
    """Return a real server with that model that a test may stop, kill and start again."""
    with serving(tmp_path / "log.txt", *FLAGS, model=scripted_model) as server:
        yield server


@pytest.fixture
async def assist(hass: HomeAssistant) -> HomeAssistant:
    """Return Home Assistant with all that a conversation needs."""
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "assist_pipeline", {})
    return hass


@pytest.fixture
async def home(assist: HomeAssistant) -> HomeAssistant:
    """Return Home Assistant with the demo home, exposed to Assist."""
    assert await async_setup_component(
        assist, "virtual_home", {"virtual_home": {"home": str(DEMO_HOME)}}
    )
    await assist.async_block_till_done()
    return assist


@pytest.fixture
async def attach(home: HomeAssistant, tmp_path: Path) -> Attach:
    """Return a function that puts a file into the media folder and names it as an attachment."""
    home.config.media_dirs = {"local": str(tmp_path)}
    assert await async_setup_component(home, "media_source", {})

    def make(name: str, content: bytes) -> dict[str, str]:
        (tmp_path / name).write_bytes(content)
        return {"media_content_id": f"media-source://media_source/local/{name}"}

    return make


def issues(hass: HomeAssistant) -> set[str]:
    """Return the ids of our issues."""
    return {one for domain, one in ir.async_get(hass).issues if domain == DOMAIN}


@pytest.fixture
async def fix(home: HomeAssistant, hass_client: ClientSessionGenerator) -> Fix:
    """Return a function that takes one step of a repair flow, as the user interface does."""
    assert await async_setup_component(home, "repairs", {})
    client = await hass_client()

    async def step(flow_id: str | None = None, **data: Any) -> dict[str, Any]:
        path = f"/api/repairs/issues/fix{f'/{flow_id}' if flow_id else ''}"
        response = await client.post(path, json=data)
        assert response.status == HTTPStatus.OK, await response.text()
        return dict(await response.json())

    return step


def agent_of(entry: ConfigEntry[Any]) -> ConfigSubentry:
    """Return the first conversation agent of an entry."""
    return next(iter(entry.get_subentries_of_type("conversation")))


@pytest.fixture
async def add_server(hass: HomeAssistant) -> AsyncGenerator[AddServer]:
    """Return a function that sets up a server by its configuration flow.

    All servers are unloaded with the test.
    """

    async def add(url: str, api_key: str | None = None) -> ConfigEntry[Any]:
        values = {CONF_URL: url} | ({CONF_API_KEY: api_key} if api_key else {})
        step = await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_USER}, data=values
        )
        if step["type"] is FlowResultType.FORM and step["step_id"] == "model":
            # A router's agents get the model that is proposed.
            step = await hass.config_entries.flow.async_configure(step["flow_id"], {})
        assert step["type"] is FlowResultType.CREATE_ENTRY, step
        await hass.async_block_till_done()
        entry: ConfigEntry[Any] = step["result"]
        return entry

    yield add
    # A reloading entry is not among the loaded ones.
    await hass.async_block_till_done()
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)
