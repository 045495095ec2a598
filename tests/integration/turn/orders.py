"""An agent that tries Home Assistant's sentences first, and entities for its orders."""

from typing import TYPE_CHECKING, Any

from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from tests.integration.conftest import agent_of
from tests.integration.talk import llama_peer, piece

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers


LIGHT = "light.kitchen_light"
LOCK = "lock.side_door"
TALK = [piece(content="I only talk."), piece("stop")]


async def add_agent(
    home: HomeAssistant, add_server: AddServer, peers: Peers, n_answers: int = 0, **options: Any
) -> list[Any]:
    """Set up an agent that tries Home Assistant's sentences first; return its model's requests.

    n_answers: of the model.
    """
    url, requests = await llama_peer(peers, *[TALK] * n_answers)
    entry = await add_server(url)
    agent = agent_of(entry)
    native = {CONF_TOOL_CALLS: ToolCalls.NATIVE}
    home.config_entries.async_update_subentry(
        entry, agent, data={**agent.data, **native, **options}
    )
    await home.async_block_till_done()
    return requests
