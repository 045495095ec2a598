"""Plain orders are done without the model, also by an agent with tools."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.conversation import AssistantContent

from custom_components.llamacpp.const import CONF_EXACT_FIRST
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from tests.integration.talk import ask, contents, speech, state_of
from tests.integration.turn.orders import LIGHT, LOCK, add_agent

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

# Home Assistant's own recogniser knows none of them.
PLAIN = {
    "en": "would you turn the kitchen light on for me please, thank you",
    "it": "per favore accendi subito Kitchen Light, grazie",
    "de": "knips mir doch bitte mal eben Kitchen Light an danke",
    "es": "por favor enciende ya Kitchen Light, gracias",
    "fr": "allume tout de suite Kitchen Light, merci",
    "nl": "doe alsjeblieft Kitchen Light even aan",
    "pl": "zapal no proszę Kitchen Light, dzięki",
}


@pytest.fixture(autouse=True)
def _model_first() -> None:
    """Try Home Assistant's sentences first, which is the default."""


@pytest.mark.parametrize("mode", [ToolCalls.NATIVE, ToolCalls.COMMANDS])
@pytest.mark.parametrize("language", sorted(PLAIN))
async def test_a_plain_order(
    home: HomeAssistant, add_server: AddServer, peers: Peers, language: str, mode: ToolCalls
) -> None:
    """It is done and confirmed, and later turns have the call."""
    requests = await add_agent(home, add_server, peers, 0, **{CONF_TOOL_CALLS: mode})
    result = await ask(home, PLAIN[language], language=language)
    assert state_of(home, LIGHT).state == "on"
    assert "Kitchen Light" in speech(result)
    assert requests == []
    (called,) = [one for one in contents(home, result) if isinstance(one, AssistantContent)][:1]
    # Home Assistant's own recogniser has not done it.
    assert [one.external for one in called.tool_calls or ()] == [False]
    kinds = [type(one).__name__ for one in contents(home, result)]
    assert kinds[1:] == ["UserContent", "AssistantContent", "ToolResultContent", "AssistantContent"]


async def test_two_orders(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """Both are done, or none: the model gets a sentence that is plain only in part."""
    requests = await add_agent(home, add_server, peers, 1)
    await ask(home, "kitchen light on please and then lock the side door nicely")
    assert state_of(home, LIGHT).state == "off"
    assert len(requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        "please do not turn the kitchen light on for me",
        "would you turn the kitchen light on for me if it gets dark",
        "yesterday you were to turn the kitchen light on please",
        "my neighbour wants you to turn the kitchen light on please",
        "would you be so good as to unlock the side door for me please, thanks",
        "why would you turn the kitchen light on",
    ],
)
async def test_what_is_not_plain_goes_to_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str
) -> None:
    """Nothing moves, and the chat log has no trace of the attempt."""
    requests = await add_agent(home, add_server, peers, 1)
    result = await ask(home, text)
    assert speech(result) == "I only talk."
    assert state_of(home, LIGHT).state == "off"
    assert state_of(home, LOCK).state == "locked"
    assert [one["role"] for one in requests[0]["messages"]] == ["system", "user"]
    assert len(contents(home, result)) == 3


async def test_an_order_about_an_earlier_turn_goes_to_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model may know better what "it" is, from its own answers."""
    requests = await add_agent(home, add_server, peers, 1)
    first = await ask(home, PLAIN["en"])
    second = await ask(home, "please turn it off again", first.conversation_id)
    assert speech(second) == "I only talk."
    assert len(requests) == 1
    assert state_of(home, LIGHT).state == "on"


async def test_a_language_without_words_of_ours(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """We have no words that reverse an order there: the model gets it."""
    requests = await add_agent(home, add_server, peers, 1)
    await ask(home, "tänd bara Kitchen Light nu tack", language="sv")
    assert len(requests) == 1


async def test_without_the_option(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """The model gets everything."""
    requests = await add_agent(home, add_server, peers, 1, **{CONF_EXACT_FIRST: False})
    assert speech(await ask(home, PLAIN["en"])) == "I only talk."
    assert len(requests) == 1
