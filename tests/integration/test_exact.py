"""What Home Assistant understands by itself, in its own sentences, needs no model."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.helpers import intent

from custom_components.llamacpp.agent.abilities import CONF_TOOL_CALLS, ToolCalls
from custom_components.llamacpp.const import CONF_EXACT_FIRST

from .conftest import agent_of
from .talk import ask, contents, llama_peer, piece, speech, state_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

LIGHT = "light.kitchen_light"
TALK = [piece(content="I only talk."), piece("stop")]


async def add_agent(
    home: HomeAssistant, add_server: AddServer, peers: Peers, n_answers: int = 0, **options: Any
) -> list[Any]:
    """Set up an agent that tries Home Assistant's sentences first; return what its model is asked.

    n_answers: how often the model talks.
    """
    url, requests = await llama_peer(peers, *[TALK] * n_answers)
    entry = await add_server(url)
    agent = agent_of(entry)
    native = {CONF_EXACT_FIRST: True, CONF_TOOL_CALLS: ToolCalls.NATIVE}
    home.config_entries.async_update_subentry(
        entry, agent, data={**agent.data, **native, **options}
    )
    await home.async_block_till_done()
    return requests


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("turn on the kitchen light", "en"),
        ("schalte Kitchen Light ein", "de"),
        ("enciende Kitchen Light", "es"),
        ("zet Kitchen Light aan", "nl"),
        ("włącz Kitchen Light", "pl"),
    ],
)
async def test_an_order_needs_no_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str, language: str
) -> None:
    """In each language of Home Assistant it is done, and told in that language."""
    requests = await add_agent(home, add_server, peers)
    result = await ask(home, text, language=language)
    assert state_of(home, LIGHT).state == "on"
    assert requests == []
    assert result.response.response_type is intent.IntentResponseType.ACTION_DONE
    assert speech(result)
    assert result.response.language == language


@pytest.mark.parametrize("mode", [ToolCalls.NATIVE, ToolCalls.COMMANDS])
async def test_later_turns_know_of_it(
    home: HomeAssistant, add_server: AddServer, peers: Peers, mode: ToolCalls
) -> None:
    """What was done and said stands in the conversation, for the model and in the history."""
    requests = await add_agent(home, add_server, peers, 1, **{CONF_TOOL_CALLS: mode})
    first = await ask(home, "turn on the kitchen light")
    second = await ask(home, "why is the sky blue", first.conversation_id)
    assert second.conversation_id == first.conversation_id
    assert speech(second) == "I only talk."
    (request,) = requests
    called = {ToolCalls.NATIVE: "HassTurnOn", ToolCalls.COMMANDS: "turn on the Kitchen Light"}
    assert "turn on the kitchen light" in str(request["messages"])
    assert called[mode] in str(request["messages"])
    kinds = [type(one).__name__ for one in contents(home, second)[1:]]
    assert kinds[:4] == ["UserContent", "AssistantContent", "ToolResultContent", "AssistantContent"]
    entry = home.config_entries.async_entries("llamacpp")[0]
    stored = await entry.runtime_data.history.async_get(first.conversation_id)
    assert [one.messages[0].content for one in stored.turns] == [
        "turn on the kitchen light",
        "why is the sky blue",
    ]


async def test_a_question_is_answered_from_the_states(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Home Assistant tells what is so."""
    requests = await add_agent(home, add_server, peers)
    result = await ask(home, "is the side door locked?")
    assert "yes" in speech(result).lower()
    assert requests == []


@pytest.mark.parametrize(
    "text",
    [
        "don't turn on the kitchen light",
        "please never turn on the kitchen light",
        "turn on the kitchen light if it gets dark",
        "who would turn on the kitchen light",
        "turn on the kitchen light in the cellar",
        "turn on the moon light",
        "kitchen",
    ],
)
async def test_what_is_not_its_sentence_goes_to_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str
) -> None:
    """Also what Home Assistant would guess: the model hears it as if nobody had tried before."""
    requests = await add_agent(home, add_server, peers, 1)
    before = {one.entity_id: one.state for one in home.states.async_all("light")}
    result = await ask(home, text)
    assert speech(result) == "I only talk."
    assert {one.entity_id: one.state for one in home.states.async_all("light")} == before
    roles = [one["role"] for one in requests[0]["messages"]]
    assert roles == ["system", "user"]
    assert len(contents(home, result)) == 3


@pytest.mark.parametrize("options", [{CONF_EXACT_FIRST: False}, {"llm_hass_api": []}])
async def test_only_if_it_is_wanted(
    home: HomeAssistant, add_server: AddServer, peers: Peers, options: dict[str, Any]
) -> None:
    """Without the option, and for an agent that does not control the home, the model is asked."""
    requests = await add_agent(home, add_server, peers, 1, **options)
    assert speech(await ask(home, "turn on the kitchen light")) == "I only talk."
    assert state_of(home, LIGHT).state == "off"
    assert len(requests) == 1


async def test_only_what_is_exposed(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """What the user has not exposed is not switched."""
    await add_agent(home, add_server, peers, 1)
    async_expose_entity(home, conversation.DOMAIN, LIGHT, should_expose=False)
    await home.async_block_till_done()
    assert speech(await ask(home, "turn on the kitchen light")) == "I only talk."
    assert state_of(home, LIGHT).state == "off"


async def test_while_the_server_is_away(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """The light goes on all the same."""
    entry = await add_server(own_server.base_url)
    agent = agent_of(entry)
    options = {**agent.data, CONF_EXACT_FIRST: True}
    home.config_entries.async_update_subentry(entry, agent, data=options)
    await home.async_block_till_done()
    own_server.kill()
    assert speech(await ask(home, "turn on the kitchen light"))
    assert state_of(home, LIGHT).state == "on"
