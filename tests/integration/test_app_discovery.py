"""App and integration together: discovery, set-up with one click, a conversation."""

import asyncio
from typing import TYPE_CHECKING, cast

from homeassistant.config_entries import SOURCE_HASSIO
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.hassio import HassioServiceInfo

from custom_components.llamacpp.const import DOMAIN
from dev.processes import LOOPBACK
from tests.app.running_app import RunningApp, lay_models
from tests.app.supervisor import TOKEN, Supervisor
from tests.app.test_app import until
from tests.conftest import sockets

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant


def asked_by(app: RunningApp) -> object:
    """Return what the app knows of Home Assistant."""
    return app.ask("GET", "/api/health")[1]["home_assistant"]


async def test_from_the_app_to_an_entry(assist: HomeAssistant, tmp_path: Path, model: Path) -> None:
    """The app is started, tells the Supervisor where it is, and one click makes a working entry."""
    lay_models(tmp_path, model)
    async with Supervisor() as supervisor:
        with sockets():
            app = RunningApp(
                tmp_path,
                {"SUPERVISOR_URL": supervisor.url, "SUPERVISOR_TOKEN": TOKEN},
                model_url="http://127.0.0.1:1/smol.gguf",
            )
            app.start()
        try:
            async with asyncio.timeout(60):
                await supervisor.heard.wait()
            await asyncio.to_thread(app.wait_ready)
            (message,) = supervisor.told
            assert message["service"] == DOMAIN
            config = message["config"]
            assert config["port"] == app.server_port
            assert config["api_port"] == app.api_port
            assert config["api_key"] == app.key
            # Nobody but a real Supervisor knows the container by its name.
            info = HassioServiceInfo({**config, "host": LOOPBACK}, "House Llama", DOMAIN, "0" * 32)
            assert await asyncio.to_thread(asked_by, app) is None
            step = await assist.config_entries.flow.async_init(
                DOMAIN, context={"source": SOURCE_HASSIO}, data=info
            )
            assert step["type"] is FlowResultType.FORM
            step = await assist.config_entries.flow.async_configure(step["flow_id"], {})
            assert step["type"] is FlowResultType.CREATE_ENTRY
            await assist.async_block_till_done()
            entry = step["result"]
            assert entry.state.value == "loaded"
            await asyncio.to_thread(until, lambda: asked_by(app) == "connected", 60)
            answer = await assist.services.async_call(
                DOMAIN,
                "chat",
                {"message": "Say hello.", "max_tokens": 4, "temperature": 0},
                blocking=True,
                return_response=True,
            )
            assert answer is not None
            usage = cast("dict[str, int]", answer["usage"])
            assert usage["completion_tokens"] == 4
            assert await assist.config_entries.async_unload(entry.entry_id)
        finally:
            await asyncio.to_thread(app.stop)
