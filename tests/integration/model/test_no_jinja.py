"""A server with `--no-jinja` claims that its template supports tools, and rejects them."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm

from custom_components.llamacpp.const import DOMAIN
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from tests.conftest import serving
from tests.integration.conftest import FLAGS, agent_of
from tests.integration.script import TURN_ON_KITCHEN
from tests.integration.talk import ask, generate, recording, speech

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

ENGLISH = "takes no tools, because it was started with --no-jinja"


@pytest.fixture(scope="module")
def plain_server(
    scripted_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LlamaServer]:
    """Return a real server without Jinja, whose model has a template with tools."""
    log = tmp_path_factory.mktemp("plain") / "log.txt"
    with serving(log, *FLAGS, "--no-jinja", model=scripted_model) as server:
        yield server


@pytest.mark.parametrize("chosen", ToolCalls)
async def test_the_agent_writes_its_calls(  # noqa: PLR0913, PLR0917 - fixtures and a parameter
    home: HomeAssistant,
    add_server: AddServer,
    plain_server: LlamaServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    chosen: ToolCalls,
) -> None:
    """The prompt lists the tools, a grammar guards the calls, and no error is spoken."""
    url, requests = await recording(peers, session, plain_server)
    entry = await add_server(url)
    data = {**agent_of(entry).data, CONF_TOOL_CALLS: chosen, "max_tokens": 20}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
    await home.async_block_till_done(wait_background_tasks=True)
    requests.clear()
    assert "jinja" not in speech(await ask(home, TURN_ON_KITCHEN))
    assert requests
    assert not any("tools" in one for one in requests)
    assert all("grammar" in one for one in requests if one["messages"][-1]["content"])


async def test_an_ai_task_says_what_to_do(
    home: HomeAssistant, add_server: AddServer, plain_server: LlamaServer
) -> None:
    """AI tasks send tools in requests only."""
    await add_server(plain_server.base_url)
    api = await llm.async_get_api(
        home, "assist", llm.LLMContext(DOMAIN, Context(), "en", "conversation", None)
    )
    with pytest.raises(HomeAssistantError, match=ENGLISH):
        await generate(home, llm_api=api.api)
