"""The app downloads its model while Home Assistant looks on: in the flow, a sensor, a repair."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.config_entries import SOURCE_HASSIO, ConfigEntryState
from homeassistant.const import CONF_API_KEY, CONF_MODEL, CONF_URL
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE,
    FlowResultType,
)
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.llamacpp.const import CONF_API_PORT, DOMAIN
from dev.processes import LOOPBACK
from tests.app.file_server import FileServer, saying
from tests.app.running_app import RunningApp
from tests.conftest import sockets

from .conftest import issues
from .entities import entity_of, sensor
from .flows import choices

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
    from homeassistant.core import HomeAssistant

    type MakeApp = Callable[[str], RunningApp]

WAIT_SECONDS = 60.0
# A name that no name server knows (RFC 2606).
NOWHERE = "http://hub.invalid/smol.gguf"
NO_NAME = "no name server (DNS) of the network knows hub.invalid"


@pytest.fixture
async def files(model: Path) -> AsyncGenerator[FileServer]:
    """Return a server that has the small model."""
    content = await asyncio.to_thread(model.read_bytes)
    async with FileServer(content=content) as server:
        yield server


@pytest.fixture
def make_app(tmp_path: Path) -> Generator[MakeApp]:
    """Return what starts the app with a model that it has to download."""
    apps: list[RunningApp] = []

    def make(model_url: str) -> RunningApp:
        with sockets():
            # Nobody listens there, so nothing else is downloaded.
            environment = {"HF_ENDPOINT": "http://127.0.0.1:1"}
            app = RunningApp(tmp_path, environment, model_url=model_url, model_name="smol")
            apps.append(app)
            app.start()
            app.wait_for("Downloading smol")
        return app

    yield make
    with sockets():
        for app in apps:
            app.stop()


class Half:
    """Sends the first half of a file, and the rest when it is told to."""

    def __init__(self, server: FileServer) -> None:
        """Describe it."""
        self._content = server.content
        self.go_on = asyncio.Event()

    async def __call__(self, _request: web.Request) -> web.StreamResponse:
        """Send it."""
        response = web.StreamResponse(headers={"Content-Length": str(len(self._content))})
        await response.prepare(_request)
        half = len(self._content) // 2
        await response.write(self._content[:half])
        await self.go_on.wait()
        await response.write(self._content[half:])
        return response


def data_of(app: RunningApp) -> dict[str, Any]:
    """Return what Home Assistant stores of an app."""
    return {CONF_URL: app.server_url, CONF_API_KEY: app.key, CONF_API_PORT: app.api_port}


async def discover(hass: HomeAssistant, app: RunningApp) -> ConfigFlowResult:
    """Have the Supervisor tell of the app, and choose to add it."""
    info = HassioServiceInfo(
        {
            "host": LOOPBACK,
            "port": app.server_port,
            "api_port": app.api_port,
            "api_key": app.key,
        },
        "House Llama",
        DOMAIN,
        "0" * 32,
    )
    step = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_HASSIO}, data=info
    )
    assert step["step_id"] == "hassio_confirm"
    return await hass.config_entries.flow.async_configure(step["flow_id"], {})


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so():  # noqa: ASYNC110 - states of several programs
            await asyncio.sleep(0.05)


async def poll_until(
    hass: HomeAssistant, entry: ConfigEntry[Any], is_so: Callable[[str], bool]
) -> None:
    """Poll until the sensor of downloads says something."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            await entry.runtime_data.coordinator.async_refresh()
            if is_so(sensor(hass, entry, "download")):
                return
            await asyncio.sleep(0.05)


async def test_the_flow_waits_for_the_download(
    assist: HomeAssistant, make_app: MakeApp, files: FileServer
) -> None:
    """The app is added while it downloads: a bar moves, and the entry is there when it can be."""
    told = async_capture_events(assist, EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE)
    half = Half(files)
    files.script = [half]
    app = await asyncio.to_thread(make_app, f"{files.url}/smol.gguf")
    step = await discover(assist, app)
    assert (step["type"], step["step_id"]) == (FlowResultType.MENU, "downloading")
    said = step["description_placeholders"]
    assert said is not None
    assert said["model"] == "smol"
    flows = assist.config_entries.flow
    step = await flows.async_configure(step["flow_id"], {"next_step_id": "choose"})
    assert step["step_id"] == "choose"
    shown = choices(step)
    assert shown["gemma-3-1b-it-Q4_K_M"] == "gemma-3-1b-it · 0.8 GB · home · to download"
    step = await flows.async_configure(step["flow_id"], {CONF_MODEL: "gemma-3-1b-it-Q4_K_M"})
    assert step["type"] is FlowResultType.SHOW_PROGRESS
    assert (step["step_id"], step["progress_action"]) == ("wait", "downloading")
    await until(lambda: any(0.4 < one.data["progress"] <= 0.5 for one in told))
    half.go_on.set()
    await until(lambda: flows.async_get(step["flow_id"])["step_id"] == "loaded")
    # The user interface goes on by itself, or when the window is opened again.
    step = await flows.async_configure(step["flow_id"])
    assert step["type"] is FlowResultType.CREATE_ENTRY
    await assist.async_block_till_done()
    entry = step["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert sensor(assist, entry, "status") == "ok"
    # What was chosen comes next, and cannot be had here.
    await poll_until(assist, entry, lambda _: f"download_failed_{entry.entry_id}" in issues(assist))
    attributes = entity_of(assist, entry, "sensor", "download").attributes
    assert attributes["model"] == "gemma-3-1b-it-Q4_K_M"
    assert await assist.config_entries.async_unload(entry.entry_id)


async def test_no_name_server(assist: HomeAssistant, make_app: MakeApp) -> None:
    """The flow says why nothing comes, and so do the entry and a repair of one that was there."""
    app = await asyncio.to_thread(make_app, NOWHERE)
    await asyncio.to_thread(app.wait_ready, "error")
    step = await discover(assist, app)
    assert (step["step_id"], step["errors"]) == ("hassio_confirm", {"base": "app_fault"})
    said = step["description_placeholders"]
    assert said is not None
    assert NO_NAME in said["message"]
    assist.config_entries.flow.async_abort(step["flow_id"])

    entry = MockConfigEntry(domain=DOMAIN, title="House Llama", data=data_of(app))
    entry.add_to_hass(assist)
    assert not await assist.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "app_fault"
    issue = ir.async_get(assist).async_get_issue(DOMAIN, f"download_failed_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders == {
        "server": "House Llama",
        "model": "smol",
        "message": NO_NAME,
    }
    await assist.config_entries.async_remove(entry.entry_id)
    assert issues(assist) == set()


async def test_a_further_model(assist: HomeAssistant, make_app: MakeApp, files: FileServer) -> None:
    """How far it is, is told beside a model that answers; and why it cannot be had."""
    app = await asyncio.to_thread(make_app, f"{files.url}/smol.gguf")
    await asyncio.to_thread(app.wait_ready)
    entry = MockConfigEntry(domain=DOMAIN, title="House Llama", data=data_of(app))
    entry.add_to_hass(assist)
    assert await assist.config_entries.async_setup(entry.entry_id)
    assert sensor(assist, entry, "download") == "100.0"

    half = Half(files)
    files.script = [half]
    more = {"name": "more", "url": f"{files.url}/more.gguf"}
    await asyncio.to_thread(app.ask, "POST", "/api/models", more)
    await poll_until(assist, entry, lambda said: said[:1] == "4" or said == "50.0")
    attributes = entity_of(assist, entry, "sensor", "download").attributes
    assert (attributes["model"], attributes["error"]) == ("more", None)
    assert sensor(assist, entry, "status") == "ok"
    assert entry.runtime_data.coordinator.update_interval.total_seconds() == 5
    half.go_on.set()
    await poll_until(assist, entry, lambda said: said == "100.0")

    files.script = [saying(404)]
    gone = {"name": "gone", "url": f"{files.url}/gone.gguf"}
    await asyncio.to_thread(app.ask, "POST", "/api/models", gone)
    await poll_until(assist, entry, lambda _: bool(issues(assist)))
    assert sensor(assist, entry, "download") == "unknown"
    attributes = entity_of(assist, entry, "sensor", "download").attributes
    assert attributes["error"].startswith("There is nothing at")
    await asyncio.to_thread(app.ask, "DELETE", "/api/models/gone")
    await poll_until(assist, entry, lambda said: said == "100.0")
    assert issues(assist) == set()
    assert await assist.config_entries.async_unload(entry.entry_id)
