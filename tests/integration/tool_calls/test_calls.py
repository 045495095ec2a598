"""Calls in any format, from a real llama-server to the demo home."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation

from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from custom_components.llamacpp.model.fitting import short_id
from tests.integration.conftest import agent_of
from tests.integration.script import CORRECTED, OUT_OF_RANGE, PRINTED_CALL, PRINTED_CODE
from tests.integration.talk import (
    add_native,
    ask,
    contents,
    is_prefill,
    last_trace,
    llama_peer,
    nobodys_session,
    piece,
    recording,
    speech,
    state_of,
)

if TYPE_CHECKING:
    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

N_CALLS = 50
SHOPPING_LIST = "todo.shopping_list"


async def test_a_printed_call_is_run_and_not_spoken(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The model speaks, prints a call, and speaks again after it was run."""
    await add_native(home, add_server, scripted_server.base_url)
    spoken: list[str] = []
    with (
        nobodys_session(home) as session,
        conversation.async_get_chat_log(
            home,
            session,
            chat_log_delta_listener=lambda _, delta: spoken.append(delta.get("content") or ""),
        ),
    ):
        result = await ask(home, PRINTED_CALL, session.conversation_id)
    assert "".join(spoken) == "Of course.\nThere is light in the kitchen."
    assert speech(result) == "There is light in the kitchen."
    assert state_of(home, "light.kitchen_light").state == "on"
    (call,) = last_trace("tool_call")
    assert call["tool_name"] == "intent__HassTurnOn"
    assert call["tool_args"] == {"name": "Kitchen Light"}
    # The next prompt has a call, not the printed text.
    answer = contents(home, result)[2]
    assert isinstance(answer, conversation.AssistantContent)
    assert (answer.content or "").strip() == "Of course."
    assert len(answer.tool_calls or []) == 1


async def test_printed_code_is_run(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A block of code becomes a call, with a value in words."""
    await add_native(home, add_server, scripted_server.base_url)
    assert speech(await ask(home, PRINTED_CODE)) == "The lamp is dimmed."
    lamp = state_of(home, "light.floor_lamp")
    assert lamp.attributes["brightness"] == round(0.31 * 255)


async def test_a_model_corrects_itself_once(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Unknown names never reach Home Assistant; misspelt ones do, corrected."""
    await add_native(home, add_server, scripted_server.base_url)
    result = await ask(home, CORRECTED)
    assert speech(result) == "The lamp beside your bed is on."
    assert state_of(home, "light.bedside_lamp").state == "on"
    results = [
        one for one in contents(home, result) if isinstance(one, conversation.ToolResultContent)
    ]
    assert [one.result.error for one in results] == [True, False, False]
    assert "There is: Bedside Lamp, " in str(results[0].result.data)
    # The model gets its own call back.
    wrong = contents(home, result)[2]
    assert isinstance(wrong, conversation.AssistantContent)
    assert [call.tool_args for call in wrong.tool_calls or []] == [{"name": "Bedside Light"}]
    assert [call["tool_args"] for call in last_trace("tool_call")] == [
        {"name": "Bedside Lamp", "area": "Bedroom"},
        {"name": "Bedside Lamp", "domain": ["light"]},
    ]


async def test_a_number_out_of_range_comes_back(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    scripted_server: LlamaServer,
) -> None:
    """A real server does not turn 150 into 15: the model gets the range, and calls again."""
    url, asked = await recording(peers, session, scripted_server)
    await add_native(home, add_server, url)
    result = await ask(home, OUT_OF_RANGE)
    (brightness,) = (
        one["function"]["parameters"]["properties"]["brightness"]
        for one in asked[-1]["tools"]
        if one["function"]["name"] == "light__HassLightSet"
    )
    # The server's grammar has ranges of whole numbers only.
    wanted = {"type": "number", "minimum": 0, "maximum": 100}
    assert wanted.items() <= brightness.items()
    assert len([one for one in asked if not is_prefill(one)]) == 3
    assert speech(result) == "It is as bright as can be."
    first, second = (
        one for one in contents(home, result) if isinstance(one, conversation.ToolResultContent)
    )
    assert "from 0 to 100, not 150" in str(first.result.data)
    assert not second.result.error
    assert state_of(home, "light.floor_lamp").attributes["brightness"] == round(0.95 * 255)


@pytest.mark.parametrize(
    "printed",
    [
        '<tool_call>{"name": "fly", "arguments": {}}</tool_call>',
        'intent__HassTurnOn(name="Moon")',
        '{"name": "HassTurnOn", "arguments": {"name": "Kitchen Light"',
    ],
)
async def test_printed_calls_that_stay_wrong_end(
    home: HomeAssistant, add_server: AddServer, peers: Peers, printed: str
) -> None:
    """Nothing is run and nothing is spoken, as with any impossible call."""
    answer: list[dict[str, Any]] = [piece(content=one) for one in printed]
    url, requests = await llama_peer(peers, *[[*answer, piece("length")]] * 3)
    await add_native(home, add_server, url)
    result = await ask(home, "Turn it on")
    assert speech(result).startswith("I am sorry, I tried too many things")
    assert len(requests) == 2
    assert last_trace("tool_call") == []
    assert state_of(home, "light.kitchen_light").state == "off"


PRINTED_ON = (
    '{"name": "light.turn_on", "arguments": {"entity_id": "light.kitchen_light"}}',
    '{"name": "hassturnon", "arguments": {"name": "Kitchen Light"}}',
    '{"name": "functions.intent__HassTurnOn", "arguments": {"name": "Kitchen Light"}}',
    '<functioncall {"name": "HassTurnOn", "arguments": {"name": "Kitchen Light"}}>',
    (
        '```homeassistant\n{"name": "light.turn_on", "parameters": '
        '{"target_device": "light.kitchen_light"}}'
    ),
    '{"service": "light.turn_on", "target_device": "light.kitchen_light"}',
    "light.turn_on(entity_id='light.kitchen_light')",
)


@pytest.mark.parametrize("printed", PRINTED_ON)
async def test_printed_calls_by_other_names(
    home: HomeAssistant, add_server: AddServer, peers: Peers, printed: str
) -> None:
    """Printed as by models that know Home Assistant, or other tools, by heart."""
    first = [*(piece(content=one) for one in printed), piece("stop")]
    url, _ = await llama_peer(peers, first, [piece(content="It is on."), piece("stop")])
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Turn it on")) == "It is on."
    assert state_of(home, "light.kitchen_light").state == "on"


async def test_a_printed_action_with_brightness(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Another tool sets the brightness."""
    printed = (
        '{"name": "light.turn_on", '
        '"arguments": {"entity_id": "light.floor_lamp", "brightness_pct": 40}}'
    )
    first = [piece(content=printed), piece("stop")]
    url, _ = await llama_peer(peers, first, [piece(content="Dimmed."), piece("stop")])
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Dim it")) == "Dimmed."
    assert state_of(home, "light.floor_lamp").attributes["brightness"] == 102


@pytest.mark.parametrize("is_printed", [True, False])
async def test_an_action_for_several_things(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    is_printed: bool,  # noqa: FBT001 - pytest gives it by its name
) -> None:
    """There is a call for each, with its own id."""
    arguments = json.dumps({"entity_id": ["light.kitchen_light", "light.bedside_lamp"]})
    function = {"name": "light.turn_on", "arguments": arguments}
    printed = f'{{"name": "light.turn_on", "arguments": {arguments}}}'
    calls = [{"index": 0, "id": "1", "function": function}]
    first = piece(content=printed) if is_printed else piece(tool_calls=calls)
    last = [piece(content="They are on."), piece("stop")]
    url, requests = await llama_peer(peers, [first, piece("stop")], last)
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Turn them on")) == "They are on."
    assert state_of(home, "light.kitchen_light").state == "on"
    assert state_of(home, "light.bedside_lamp").state == "on"
    made = next(one for one in requests[1]["messages"] if one.get("tool_calls"))
    assert len({one["id"] for one in made["tool_calls"]}) == 2


async def test_an_action_that_sets_a_value(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It becomes the tool's call, in the tool's unit."""
    printed = (
        '{"name": "climate.set_temperature", "arguments": '
        '{"entity_id": "climate.thermostat", "temperature": 23}}\n'
        '{"name": "media_player.volume_set", "arguments": '
        '{"entity_id": "media_player.television", "volume_level": 0.3}}'
    )
    fields = {"entity_id": "media_player.television", "state": "on"}
    await home.services.async_call("virtual_home", "set_state", fields, blocking=True)
    first = [piece(content=printed), piece("stop")]
    url, _ = await llama_peer(peers, first, [piece(content="Done."), piece("stop")])
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Make it cosy")) == "Done."
    assert state_of(home, "climate.thermostat").attributes["temperature"] == 23
    assert state_of(home, "media_player.television").attributes["volume_level"] == 0.3


@pytest.mark.parametrize("name", ["light.turn_on", "hassturnon", "functions.intent__HassTurnOn"])
async def test_calls_by_other_names(
    home: HomeAssistant, add_server: AddServer, peers: Peers, name: str
) -> None:
    """Not only if they are printed."""
    function = {"name": name, "arguments": '{"name": "Kitchen Light"}'}
    calls = [{"index": 0, "id": "1", "function": function}]
    first = [piece(tool_calls=calls), piece("tool_calls")]
    url, _ = await llama_peer(peers, first, [piece(content="It is on."), piece("stop")])
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Turn it on")) == "It is on."
    assert state_of(home, "light.kitchen_light").state == "on"


@pytest.mark.parametrize(
    "printed",
    [
        '{"name":"HassLightTurnOn","parameters":{"entity_id":"lukes_lamp"}}',
        (
            '```homeassistant\n{"name": "light.turn_off", '
            '"parameters": {"target_device": "light.bed_lamp"}}'
        ),
        '{"name": "lock.unlock", "arguments": {"entity_id": "lock.front_door"}}',
        '{"name": "light.turn_on", "arguments": {"entity_id": "light.ki',
    ],
)
async def test_printed_calls_that_cannot_be_run(
    home: HomeAssistant, add_server: AddServer, peers: Peers, printed: str
) -> None:
    """The model may correct them once; they end in a sentence, and are never spoken."""
    answer = [*(piece(content=one) for one in printed), piece("stop")]
    url, requests = await llama_peer(peers, *[answer] * 3)
    await add_native(home, add_server, url)
    result = await ask(home, "Please do")
    assert speech(result).startswith("I am sorry, I tried too many things")
    assert len(requests) == 2
    assert last_trace("tool_call") == []


async def test_a_garage_door_does_not_open_on_a_printed_action(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It is guarded like any call."""
    printed = '{"name": "cover.open_cover", "arguments": {"entity_id": "cover.garage_door"}}'
    url, _ = await llama_peer(peers, [piece(content=printed), piece("stop")])
    await add_native(home, add_server, url)
    before = state_of(home, "cover.garage_door").state
    assert "Garage Door" in speech(await ask(home, "I am home"))
    assert state_of(home, "cover.garage_door").state == before == "closed"


def many_calls(tool: str, key: str, **arguments: str) -> list[dict[str, Any]]:
    """Return an answer with very many calls, each with another value of a key."""
    calls = [
        {
            "index": number,
            "id": f"call-{number}",
            "function": {
                "name": tool,
                "arguments": json.dumps({**arguments, key: f"Thing {number}"}),
            },
        }
        for number in range(N_CALLS)
    ]
    return [piece(tool_calls=calls), piece("tool_calls")]


async def test_too_many_calls_in_one_answer(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Ten are run; the model gets one error for the others, and may continue."""
    url, requests = await llama_peer(
        peers,
        many_calls("todo__HassListAddItem", "item", name="Shopping List"),
        [piece(content="That was a lot."), piece("stop")],
    )
    await add_native(home, add_server, url)
    before = int(state_of(home, SHOPPING_LIST).state)
    result = await ask(home, "Add everything")
    assert speech(result) == "That was a lot."
    assert int(state_of(home, SHOPPING_LIST).state) == before + 10
    _, _, made, *results = requests[1]["messages"]
    ids = [short_id(f"call-{number}") for number in range(11)]
    assert [one["id"] for one in made["tool_calls"]] == ids
    by_id = {one["tool_call_id"]: one["content"] for one in results}
    assert by_id.keys() == {one["id"] for one in made["tool_calls"]}
    assert "Too many calls: 40 of 50" in by_id[ids[10]]


async def test_many_calls_that_fail_are_told_once(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A model that chooses among commands calls tools that it was not offered."""
    url, _ = await llama_peer(peers, many_calls("fly", "to"))
    entry = await add_server(url)
    options = {**agent_of(entry).data, CONF_TOOL_CALLS: ToolCalls.COMMANDS}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=options)
    await home.async_block_till_done()
    words = speech(await ask(home, "Why is the sky blue?"))
    assert words.count("That did not work") == 1
    assert len(words) < 300


@pytest.mark.parametrize(
    ("printed", "failed"),
    [
        ('<tool_call>{"name": "fly", "arguments": {}}</tool_call>', "fly"),
        (
            '[TOOL_CALLS][{"name": "HassTurnOn", "arguments": {"name": "Kitchen Light"}}]',
            "turn on the Kitchen Light",
        ),
        ('<functioncall {"name": "HassTurnOn", "arguments": {"domain": "light"}}>', "HassTurnOn"),
    ],
)
@pytest.mark.parametrize("has_commands", [True, False])
async def test_printed_calls_without_tools(  # noqa: PLR0913, PLR0917 - fixtures and both kinds
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    printed: str,
    failed: str,
    has_commands: bool,  # noqa: FBT001 - pytest gives it by its name
) -> None:
    """Calls printed by a model without tools are not spoken."""
    answer = [*(piece(content=one) for one in printed), piece("stop")]
    words = [piece(content="It is because of the air."), piece("stop")]
    url, _ = await llama_peer(peers, answer, words)
    entry = await add_server(url)
    chosen = (CONF_TOOL_CALLS, ToolCalls.COMMANDS) if has_commands else ("llm_hass_api", [])
    data = dict([*agent_of(entry).data.items(), chosen])
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
    await home.async_block_till_done()
    said = speech(await ask(home, "Why is the sky blue?"))
    expected = f"That did not work: {failed}." if has_commands else "It is because of the air."
    assert said == expected
    assert state_of(home, "light.kitchen_light").state == "off"
