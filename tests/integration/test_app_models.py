"""Choosing the model of our app in Home Assistant: what fits, how fast it is, and downloads."""

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.const import CONF_API_KEY, CONF_MODEL, CONF_URL
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.llamacpp.const import CONF_API_PORT, DOMAIN
from tests.app.running_app import RunningApp
from tests.conftest import sockets

from .entities import Pretender, sensor
from .flows import choices
from .test_app_downloads import WAIT_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from .peers import Peers


@pytest.fixture
def app(tmp_path: Path, model: Path) -> Generator[RunningApp]:
    """Return a running app that has the small model under two names."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    (folder / "smol.gguf").symlink_to(model)
    shutil.copyfile(model, folder / "more.gguf")
    with sockets():
        app = RunningApp(
            tmp_path,
            # Nobody listens there, so nothing is downloaded.
            {"HF_ENDPOINT": "http://127.0.0.1:1"},
            model_url="http://127.0.0.1:1/smol.gguf",
            context_size="512",
        )
        app.start()
        app.wait_ready()
        yield app
        app.stop()


@pytest.fixture
async def entry(assist: HomeAssistant, app: RunningApp) -> AsyncGenerator[ConfigEntry[Any]]:
    """Return the entry of the app."""
    data = {CONF_URL: app.server_url, CONF_API_KEY: app.key, CONF_API_PORT: app.api_port}
    entry = MockConfigEntry(domain=DOMAIN, title="House Llama", data=data)
    entry.add_to_hass(assist)
    assert await assist.config_entries.async_setup(entry.entry_id)
    yield entry
    await assist.async_block_till_done()
    await assist.config_entries.async_unload(entry.entry_id)


async def choose(
    hass: HomeAssistant, entry: ConfigEntry[Any], *, is_measured: bool = False
) -> ConfigFlowResult:
    """Go to the form in which a model is chosen. is_measured: a speed is known."""
    flows = hass.config_entries.options
    step = await flows.async_init(entry.entry_id)
    assert (step["type"], step["step_id"]) == (FlowResultType.MENU, "start")
    assert step["menu_options"] == ["model", "conversations"]
    step = await flows.async_configure(step["flow_id"], {"next_step_id": "model"})
    if step["type"] is FlowResultType.SHOW_PROGRESS:
        assert not is_measured
        assert step["progress_action"] == "measuring"
        await until(lambda: flows.async_get(step["flow_id"])["step_id"] == "choose")
        step = await flows.async_configure(step["flow_id"])
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "choose")
    return step


async def test_the_model_of_the_app(
    assist: HomeAssistant, app: RunningApp, entry: ConfigEntry[Any]
) -> None:
    """Each has its size, use and speed; one that is there is used, one that is not is fetched."""
    step = await choose(assist, entry)
    shown = choices(step)
    assert next(iter(shown)) == "smol"
    assert shown["smol"].startswith("smol · 0.1 GB · home · ")
    assert shown["smol"].endswith(" tokens/s · in use")
    assert "≈" not in shown["smol"]
    gemma = shown["gemma-3-1b-it-Q4_K_M"]
    assert gemma.startswith("gemma-3-1b-it · 0.8 GB · home · ≈ ")
    assert gemma.endswith(" tokens/s · to download")
    _, answer = await asyncio.to_thread(app.ask, "GET", "/api/models")
    too_large = [one["name"] for one in answer["suggestions"] if not one["fits"]]
    assert list(shown)[len(shown) - len(too_large) :] == sorted(too_large, key=list(shown).index)
    assert all(shown[name].endswith("too large") for name in too_large)

    flows = assist.config_entries.options
    done = await flows.async_configure(step["flow_id"], {CONF_MODEL: "gemma-3-1b-it-Q4_K_M"})
    assert done["type"] is FlowResultType.ABORT, done
    assert done["reason"] == "model_is_downloaded"
    _, answer = await asyncio.to_thread(app.ask, "GET", "/api/models")
    states = {one["name"]: one["state"] for one in answer["models"]}
    assert states["gemma-3-1b-it-Q4_K_M"] in ("waiting", "downloading", "failed")
    assert sensor(assist, entry, "status") == "ok"

    async with asyncio.timeout(WAIT_SECONDS):
        while "more" not in (
            shown := choices(step := await choose(assist, entry, is_measured=True))
        ):
            flows.async_abort(step["flow_id"])
            await asyncio.sleep(1)
    assert shown["more"].startswith("more · 0.1 GB · home · ≈ ")
    # What is being downloaded already is offered no more.
    assert "gemma-3-1b-it-Q4_K_M" not in shown
    done = await flows.async_configure(step["flow_id"], {CONF_MODEL: "more"})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "model_is_used")

    def is_used() -> bool:
        health = app.ask("GET", "/api/health")[1]
        return (health["status"], health["model"]) == ("ok", "more")

    await asyncio.to_thread(app.process.wait_until, is_used, WAIT_SECONDS)
    await entry.runtime_data.coordinator.async_refresh()
    await assist.async_block_till_done()
    assert sensor(assist, entry, "model") == "more"


async def test_conversations_beside_it(assist: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """What is kept of conversations has its form, as at other servers."""
    flows = assist.config_entries.options
    step = await flows.async_init(entry.entry_id)
    step = await flows.async_configure(step["flow_id"], {"next_step_id": "conversations"})
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "init")
    values = {"keep_days": 7, "keep_conversations": 1000, "keep_megabytes": 50}
    done = await flows.async_configure(step["flow_id"], values)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options["keep_days"] == 7


async def test_an_app_that_refuses_or_is_away(assist: HomeAssistant, peers: Peers) -> None:
    """Its reason is told in the form; and one that does not answer ends the flow."""
    models = [{"name": "apple", "state": "ready", "tokens_per_second": 9, "is_measured": True}]
    is_away = False

    async def api(request: web.Request) -> web.Response:
        if is_away:
            return web.Response(status=502)
        if request.path == "/api/health":
            return web.json_response({"llama_server": "ready", "status": "ok", "model": "pear"})
        if request.method == "POST":
            error = {"code": "conflict", "message": "The model apple cannot be loaded: it is cut."}
            return web.json_response({"error": error}, status=409)
        return web.json_response({"models": models, "suggestions": []})

    port = int((await peers.http(api)).rpartition(":")[2])
    url = await Pretender().start(peers)
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_URL: url, CONF_API_PORT: port})
    entry.add_to_hass(assist)
    assert await assist.config_entries.async_setup(entry.entry_id)
    step = await choose(assist, entry)
    assert choices(step) == {"apple": "apple · 9 tokens/s"}
    flows = assist.config_entries.options
    step = await flows.async_configure(step["flow_id"], {CONF_MODEL: "apple"})
    assert (step["type"], step["errors"]) == (FlowResultType.FORM, {"base": "app_fault"})
    said = step["description_placeholders"]
    assert said is not None
    assert "it is cut" in said["message"]
    is_away = True
    step = await flows.async_configure(step["flow_id"], {CONF_MODEL: "apple"})
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "cannot_connect")
    assert await assist.config_entries.async_unload(entry.entry_id)
