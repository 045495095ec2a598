"""Home Assistant's own sentences need no model."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.const import MAJOR_VERSION, MINOR_VERSION
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import intent
from homeassistant.setup import async_setup_component

from custom_components.llamacpp.const import CONF_EXACT_FIRST
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from tests.integration.talk import act, ask, contents, speech, state_of
from tests.integration.turn.orders import LIGHT, LOCK, add_agent

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers


@pytest.fixture(autouse=True)
def _model_first() -> None:
    """Try Home Assistant's sentences first, which is the default."""


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
    """In every language of Home Assistant, and answered in it."""
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
    """Order and answer are in the conversation, for the model and in the history."""
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
    """Home Assistant answers."""
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
    """So does what Home Assistant would guess: no trace of its attempt is left."""
    requests = await add_agent(home, add_server, peers, 1)
    before = {one.entity_id: one.state for one in home.states.async_all("light")}
    result = await ask(home, text)
    assert speech(result) == "I only talk."
    assert {one.entity_id: one.state for one in home.states.async_all("light")} == before
    roles = [one["role"] for one in requests[0]["messages"]]
    assert roles == ["system", "user"]
    assert len(contents(home, result)) == 3


@pytest.mark.parametrize(
    ("item", "is_item"),
    [
        ("oat milk", True),
        ("a bottle of red wine", True),
        ("flour because we are out of butter and eggs", False),
    ],
)
async def test_a_whole_sentence_is_no_item(
    home: HomeAssistant, add_server: AddServer, peers: Peers, item: str, *, is_item: bool
) -> None:
    """Home Assistant puts any words on a list; the model gets those that are too long."""
    requests = await add_agent(home, add_server, peers, 1)
    result = await ask(home, f"add {item} to my shopping list")
    assert len(requests) == (not is_item)
    assert (item in speech(result)) is is_item


@pytest.mark.parametrize("options", [{CONF_EXACT_FIRST: False}, {"llm_hass_api": []}])
async def test_only_if_it_is_wanted(
    home: HomeAssistant, add_server: AddServer, peers: Peers, options: dict[str, Any]
) -> None:
    """Without the option, and for an agent that controls nothing, the model is asked."""
    requests = await add_agent(home, add_server, peers, 1, **options)
    assert speech(await ask(home, "turn on the kitchen light")) == "I only talk."
    assert state_of(home, LIGHT).state == "off"
    assert len(requests) == 1


@pytest.mark.parametrize("text", ["turn on the kitchen light", "kindly turn the kitchen light on"])
async def test_an_action_needs_no_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str
) -> None:
    """An action that may control the home is done, and is in the conversation."""
    requests = await add_agent(home, add_server, peers)
    conversation_id = (await act(home, "start"))["conversation_id"]
    data = {"conversation_id": conversation_id, "message": text, "llm_hass_api": "assist"}
    response = await act(home, "send", **data)
    assert state_of(home, LIGHT).state == "on"
    assert requests == []
    assert response["response"]
    assert response["message_count"] == 4
    assert (response["finish_reason"], response["usage"]["total_tokens"]) == ("stop", 0)


@pytest.mark.parametrize(
    "data", [{}, {"llm_hass_api": "assist", "system_prompt": "Answer in one word."}]
)
async def test_an_action_asks_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers, data: dict[str, str]
) -> None:
    """An action without control, or with its own instructions, goes to the model."""
    requests = await add_agent(home, add_server, peers, 1)
    response = await act(home, "chat", message="turn on the kitchen light", **data)
    assert response["response"] == "I only talk."
    assert state_of(home, LIGHT).state == "off"
    assert len(requests) == 1


async def test_only_what_is_exposed(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """An entity that is not exposed is not switched."""
    await add_agent(home, add_server, peers, 1)
    async_expose_entity(home, conversation.DOMAIN, LIGHT, should_expose=False)
    await home.async_block_till_done()
    assert speech(await ask(home, "turn on the kitchen light")) == "I only talk."
    assert state_of(home, LIGHT).state == "off"


async def test_while_the_server_is_away(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """The light turns on without it."""
    await add_server(own_server.base_url)
    own_server.kill()
    assert speech(await ask(home, "turn on the kitchen light"))
    assert state_of(home, LIGHT).state == "on"


@pytest.mark.parametrize(
    "text",
    [
        "please never open the side door in 5 minutes",
        "don't you dare unlock the side door in 10 minutes",
        "unlock the side door in 2 hours",
    ],
)
async def test_no_timer_for_what_it_would_guess(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str
) -> None:
    """A timer takes any words as its command: they must be a sentence, and not about a lock."""
    requests = await add_agent(home, add_server, peers, 1)
    async_register_timer_handler(home, "satellite", lambda *_: None)
    assert speech(await ask(home, text, device_id="satellite")) == "I only talk."
    assert len(requests) == 1


async def test_a_timer_for_what_it_understands(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It starts without the model."""
    requests = await add_agent(home, add_server, peers)
    async_register_timer_handler(home, "satellite", lambda *_: None)
    text = "turn off the kitchen light in 5 minutes"
    assert "5 minutes" in speech(await ask(home, text, device_id="satellite"))
    assert requests == []


async def test_no_timer_for_a_phone(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A satellite has timers, but not the user's phone: Home Assistant says so."""
    requests = await add_agent(home, add_server, peers)
    async_register_timer_handler(home, "satellite", lambda *_: None)
    for device_id in (None, "phone"):
        said = speech(await ask(home, "set a timer for 5 minutes", device_id=device_id))
        assert said == "Sorry, timers are not supported on this device"
    assert requests == []


@pytest.mark.parametrize("text", ["close the patio", "turn off the patio"])
async def test_things_of_one_name(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str
) -> None:
    """Home Assistant takes the nearest of any kind: closing a blind must not unlock a lock."""
    entities = er.async_get(home)
    blind = next(one for one in entities.entities.values() if one.domain == "cover")
    entities.async_update_entity(blind.entity_id, name="Patio")
    entities.async_update_entity(LOCK, name="Patio")
    entry = home.config_entries.async_entries("virtual_home")[0]
    device = dr.async_get(home).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("test", "satellite")}
    )
    area = ar.async_get(home).async_get_or_create("Porch")
    dr.async_get(home).async_update_device(device.id, area_id=area.id)
    entities.async_update_entity(LOCK, area_id=area.id)
    await home.async_block_till_done()
    await add_agent(home, add_server, peers, 1)
    said = speech(await ask(home, text, device_id=device.id))
    # Home Assistant 2026.11 has other names for the two here: there the model gets it.
    is_done = (MAJOR_VERSION, MINOR_VERSION) < (2026, 11)
    assert said == ("Closed Patio." if is_done else "I only talk.")
    assert (state_of(home, blind.entity_id).state == "closed") is is_done
    assert state_of(home, LOCK).state == "locked"


OUTSIDE = """
entities:
  - { id: weather.home, name: Forecast Home, state: rainy, attributes: { temperature: 7.5 } }
  - { id: light.one, name: LED Strip, state: "on" }
  - { id: light.two, name: Lights, state: "on" }
  - { id: light.three, name: Lamp, state: "off" }
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("what's the weather like?", ["7.5", "rain"]),
        ("which lights are on?", ["LED Strip", "Lights"]),
        ("how many lights are on?", ["2"]),
        ("is the LED Strip on?", ["Yes"]),
        ("how long is left on the timer", ["No timers"]),
    ],
)
async def test_what_small_models_make_up(  # noqa: PLR0913, PLR0917 - fixtures and what is said
    assist: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    tmp_path: Path,
    text: str,
    said: list[str],
) -> None:
    """Weather, questions about several entities, and timers are answered from states."""
    home = tmp_path / "home.yaml"
    home.write_text(OUTSIDE)
    config = {"virtual_home": {"home": str(home)}}
    assert await async_setup_component(assist, "virtual_home", config)
    await assist.async_block_till_done()
    requests = await add_agent(assist, add_server, peers)
    told = speech(await ask(assist, text))
    assert all(one in told for one in said), told
    assert requests == []
