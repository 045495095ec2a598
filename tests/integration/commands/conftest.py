"""A demo home whose agent's model knows no tools, and what is sent to its server."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict

from dev.hass import DEMO_HOME
from tests.integration.conftest import agent_of
from tests.integration.talk import ask, is_prefill, nobodys_session, recording

if TYPE_CHECKING:
    import aiohttp
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

SCRIPTS = DEMO_HOME.with_name("demo_scripts.yaml")
# Small models ramble.
MAX_TOKENS = 40


class Talk:
    """An agent in the demo home. requests: the bodies of what was asked of its server."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], asked: list[dict[str, Any]]
    ) -> None:
        """Begin. entry: of the server, which must be set up. asked: of it, warm-ups included."""
        self.hass = hass
        self.entry = entry
        self._asked = asked

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Return what was asked of the server while somebody waited."""
        return [one for one in self._asked if not is_prefill(one)]

    @property
    def newest(self) -> list[dict[str, Any]]:
        """Return the messages of the newest request."""
        messages: list[dict[str, Any]] = self.requests[-1]["messages"]
        return messages

    async def set_options(self, **options: Any) -> None:
        """Change options of the agent."""
        agent = agent_of(self.entry)
        data = {**agent.data, "max_tokens": MAX_TOKENS, **options}
        self.hass.config_entries.async_update_subentry(self.entry, agent, data=data)
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def pieces(self, text: str) -> list[str]:
        """Say this and return in which pieces the answer came."""
        deltas: list[dict[str, Any]] = []
        with (
            nobodys_session(self.hass) as session,
            conversation.async_get_chat_log(
                self.hass, session, chat_log_delta_listener=lambda _, one: deltas.append(one)
            ),
        ):
            await ask(self.hass, text, session.conversation_id)
        return [one["content"] for one in deltas if one.get("content")]


@pytest.fixture
async def home(assist: HomeAssistant) -> HomeAssistant:
    """Return Home Assistant with the demo home and its script, exposed to Assist."""
    scripts = await assist.async_add_executor_job(load_yaml_dict, str(SCRIPTS))
    assert await async_setup_component(assist, "script", {"script": scripts})
    assert await async_setup_component(
        assist, "virtual_home", {"virtual_home": {"home": str(DEMO_HOME)}}
    )
    await assist.async_block_till_done()
    return assist


@pytest.fixture(autouse=True)
def _large_models() -> None:
    """Let the size of a model count here: small ones choose among commands."""


@pytest.fixture
async def talk(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    llama_server: LlamaServer,
) -> Talk:
    """Return an agent whose real model, with its own template, knows no tools."""
    url, asked = await recording(peers, session, llama_server)
    talk = Talk(home, await add_server(url), asked)
    await talk.set_options()
    return talk
