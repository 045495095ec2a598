"""Models whose chat template knows no tools write calls into their answers, under a grammar."""

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation

from custom_components.llamacpp.agent.abilities import CONF_TOOL_CALLS, ToolCalls
from custom_components.llamacpp.agent.written import CLOSE, OPEN
from dev.scripted_model import write_scripted_model
from tests.conftest import serving

from .conftest import FLAGS, agent_of
from .script import OTHERWISE
from .talk import ask, ask_as_a_pipeline, contents, last_trace, recording, speech, state_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

TEMPLATE = Path(__file__).with_name("no_tools.jinja").read_text()
DARK = "it is too dark in here"
BOTH = "both lamps, please"
MOON = "turn on the moon"
FLY = "let the lamp fly"
TALK = "tell me something"
CODE = "how does one write that down"
HOME = "I am home"


def block(*calls: str) -> str:
    """Return calls as a model writes them."""
    return f"{OPEN}{'\n'.join(calls)}{CLOSE}"


SCRIPT = {
    DARK: [block('HassTurnOn(name="Bedside Lamp")'), "It is brighter now."],
    BOTH: [
        "One moment.\n"
        + block('HassLightSet(name="Floor Lamp", brightness=31)', 'HassTurnOn(name="Bedside Lamp")'),
        "Both are on.",
    ],
    MOON: [block('HassTurnOn(name="Moon")'), "There is none."],
    FLY: [block('HassFly(name="Bedside Lamp")'), "That was something else."],
    TALK: ["Lamps shine, `so to speak`, in ``the`` dark.\nAll of them `do`"],
    CODE: ["In YAML:\n```yaml\nlight: `on`\n```\nThat is all."],
    HOME: [block('HassTurnOff(name="Side Door")'), "You are in."],
}


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[LlamaServer]:
    """Return a real server with a scripted model whose template knows no tools."""
    folder = tmp_path_factory.mktemp("written")
    write_scripted_model(folder / "written.gguf", model, SCRIPT, OTHERWISE, TEMPLATE)
    with serving(folder / "log.txt", *FLAGS, model=folder / "written.gguf") as server:
        yield server


@pytest.fixture
async def requests(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    server: LlamaServer,
) -> list[dict[str, Any]]:
    """Have the agent offer tools to that model; return the chats that the server is asked."""
    url, requests = await recording(peers, session, server)
    entry = await add_server(url)
    data = {**agent_of(entry).data, CONF_TOOL_CALLS: ToolCalls.NATIVE}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
    await home.async_block_till_done()
    return requests


def called(home: HomeAssistant, result: conversation.ConversationResult) -> list[tuple[str, Any]]:
    """Return the calls of a conversation."""
    return [
        (call.tool_name.rpartition("__")[2], call.tool_args)
        for content in contents(home, result)
        if isinstance(content, conversation.AssistantContent)
        for call in content.tool_calls or ()
    ]


async def test_a_hint_is_understood(home: HomeAssistant, requests: list[dict[str, Any]]) -> None:
    """No command says it; the model that understands it calls what it takes."""
    assert state_of(home, "light.bedside_lamp").state == "off"
    result = await ask(home, DARK)
    assert speech(result) == "It is brighter now."
    assert state_of(home, "light.bedside_lamp").state == "on"
    print(requests[-1]["messages"])
    print(len(requests[-1]["grammar"]))
