"""Diagnostics and system information, of a real server."""

import json
from typing import TYPE_CHECKING

from homeassistant.setup import async_setup_component

from custom_components.llamacpp.diagnostics import async_get_config_entry_diagnostics
from custom_components.llamacpp.system_health import async_system_health_info
from tests.conftest import serving

from .conftest import FLAGS, agent_of
from .talk import ask

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer

SECRETS = ("secret-key", "Speak like my aunt", "What did the doctor say?", "not told what")


async def test_diagnostics_without_what_is_private(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Settings and numbers are there; key, prompt and words are not."""
    with serving(
        tmp_path / "log.txt", *FLAGS, model=scripted_model, api_key="secret-key"
    ) as server:
        entry = await add_server(server.base_url, api_key="secret-key")
        options = {**agent_of(entry).data, "prompt": "Speak like my aunt.", "temperature": 0.5}
        home.config_entries.async_update_subentry(entry, agent_of(entry), data=options)
        await home.async_block_till_done()
        home.config_entries.async_update_entry(entry, options={"keep_days": 7})
        await home.async_block_till_done()
        await ask(home, "What did the doctor say?")
        told = await async_get_config_entry_diagnostics(home, entry)
    text = json.dumps(told)
    assert not [secret for secret in SECRETS if secret in text]
    assert told["entry"]["url"] == server.base_url
    assert told["options"] == {"keep_days": 7}
    assert told["agents"][0]["options"]["temperature"] == 0.5
    assert told["server"]["props"]["n_ctx"] > 0
    assert told["last_answer"]["completion"]["usage"]["completion_tokens"] > 3
    assert told["active_conversations"] == 1


async def test_system_health(
    assist: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """Each server with its build, or with its error."""
    assert await async_setup_component(assist, "system_health", {})
    entry = await add_server(own_server.base_url)
    told = await async_system_health_info(assist)
    assert told[entry.title].startswith("ok (b")
    own_server.kill()
    told = await async_system_health_info(assist)
    assert told[entry.title] == "The server cannot be reached"
    await assist.config_entries.async_unload(entry.entry_id)
    assert (await async_system_health_info(assist))[entry.title] == "not set up"
