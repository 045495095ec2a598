"""The conversation agent in Home Assistant, with a real llama-server."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.config_entries import SOURCE_USER
from homeassistant.const import CONF_LLM_HASS_API, CONF_PROMPT, STATE_UNAVAILABLE
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.model.fitting import short_id

from .conftest import AGENT, agent_of
from .script import (
    ENDLESS,
    LONG_CALL,
    MISSING,
    NOTHING,
    ONLY_THINK,
    OTHERWISE,
    QUESTION,
    SILENT_CALL,
    THINK,
    TURN_ON_KITCHEN,
    TWO_CALLS,
)
from .talk import (
    ask,
    contents,
    last_trace,
    llama_peer,
    nobodys_session,
    piece,
    speech,
    state_of,
    without_note,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers


async def test_answers_in_pieces(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The answer comes in several deltas; the first one has the role."""
    await add_server(scripted_server.base_url)
    deltas: list[dict[str, Any]] = []
    with (
        nobodys_session(home) as session,
        conversation.async_get_chat_log(
            home, session, chat_log_delta_listener=lambda _log, delta: deltas.append(delta)
        ),
    ):
        result = await ask(home, "Hello", session.conversation_id)
    assert speech(result) == OTHERWISE
    assert deltas[0] == {"role": "assistant"}
    pieces = [delta["content"] for delta in deltas if "content" in delta]
    assert len(pieces) > 3
    assert "".join(pieces) == OTHERWISE


async def test_turns_on_a_light(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A tool call turns on the light, and the model speaks about it afterwards."""
    await add_server(scripted_server.base_url)
    assert state_of(home, "light.kitchen_light").state == "off"
    result = await ask(home, TURN_ON_KITCHEN)
    assert speech(result) == "The kitchen light is on now."
    assert state_of(home, "light.kitchen_light").state == "on"


async def test_several_calls_in_one_answer(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Text before two calls stays, and both calls are run."""
    await add_server(scripted_server.base_url)
    result = await ask(home, TWO_CALLS)
    assert speech(result) == "Both lamps are on."
    assert state_of(home, "light.floor_lamp").state == "on"
    assert state_of(home, "light.bedside_lamp").state == "on"
    first = contents(home, result)[2]
    assert isinstance(first, conversation.AssistantContent)
    assert (first.content or "").strip() == "With pleasure."
    assert len(first.tool_calls or []) == 2


async def test_a_call_that_fails_is_told_to_the_model(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A missing entity is an error for the model, not for the user."""
    await add_server(scripted_server.base_url)
    result = await ask(home, MISSING)
    assert speech(result) == "There is no moon to turn on."
    results = [
        content
        for content in contents(home, result)
        if isinstance(content, conversation.ToolResultContent)
    ]
    assert [content.result.error for content in results] == [True]


async def test_thoughts_are_not_spoken(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Thoughts are stored apart from the answer."""
    await add_server(scripted_server.base_url)
    result = await ask(home, THINK)
    assert speech(result) == "Mostly cheese."
    answer = contents(home, result)[-1]
    assert isinstance(answer, conversation.AssistantContent)
    assert "my thoughts" in (answer.thinking_content or "")


@pytest.mark.parametrize("words", [NOTHING, ONLY_THINK])
async def test_a_silent_model_is_spoken_for(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, words: str
) -> None:
    """A turn always ends with words, in the user's language."""
    await add_server(scripted_server.base_url)
    assert speech(await ask(home, words)) == (
        "The model had nothing to say. Please ask in other words."
    )
    assert speech(await ask(home, words, language="it")).startswith("Il modello non ha saputo")


async def test_a_silent_model_that_has_acted_is_spoken_for(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The answer says what it has done, not that it had nothing to say."""
    await add_server(scripted_server.base_url)
    assert speech(await ask(home, SILENT_CALL)) == "Done: Coffee Maker."
    assert speech(await ask(home, SILENT_CALL, language="it")) == "Fatto: Coffee Maker."


async def test_endless_calls_end(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The turn ends with an apology."""
    await add_server(scripted_server.base_url)
    result = await ask(home, ENDLESS)
    assert speech(result).startswith("I am sorry, I tried too many things")
    rounds = [
        content
        for content in contents(home, result)
        if isinstance(content, conversation.AssistantContent) and content.tool_calls
    ]
    assert len(rounds) == 10


async def test_a_question_goes_on(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """After a question the satellite keeps listening."""
    await add_server(scripted_server.base_url)
    assert (await ask(home, QUESTION)).continue_conversation is True
    assert (await ask(home, THINK)).continue_conversation is False


async def test_trace_tells_the_tokens(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The second turn has most of its prompt from the cache, as the trace says."""
    await add_server(scripted_server.base_url)
    first = await ask(home, "Hello")
    before = [data["stats"] for data in last_trace("agent_detail") if "stats" in data]
    await ask(home, "Hello again", first.conversation_id)
    after = [data["stats"] for data in last_trace("agent_detail") if "stats" in data]
    assert len(before) == len(after) == 1
    assert before[0]["output_tokens"] > 3
    assert after[0]["input_tokens"] > before[0]["input_tokens"] > 1000
    assert after[0]["input_tokens"] - after[0]["cached_input_tokens"] < 64


async def test_prompt_holds_the_home_and_the_instructions(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Instructions, the home and sorted tools; options that are not set are not sent."""
    url, requests = await llama_peer(peers, [piece(content="Hi."), piece("stop")])
    entry = await add_server(url)
    subentry = agent_of(entry)
    home.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, CONF_PROMPT: "Speak like a pirate."}
    )
    await home.async_block_till_done()
    assert speech(await ask(home, "Hello")) == "Hi."
    system, user = requests[0]["messages"]
    assert system["content"].startswith("Speak like a pirate.")
    assert "Kitchen Light" in system["content"]
    assert user["role"] == "user"
    assert without_note(user["content"]) == "Hello"
    names = [tool["function"]["name"] for tool in requests[0]["tools"]]
    assert names == sorted(names)
    assert "intent__HassTurnOn" in names
    assert set(requests[0]) == {
        "messages",
        "tools",
        "reasoning_format",
        "stream",
        "stream_options",
        "return_progress",
    }


async def test_an_agent_without_control_only_gets_the_date(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Without an API the model can ask for the date, and an invented call does no harm."""
    made_up = {"index": 0, "id": "1", "function": {"name": "intent__HassTurnOn", "arguments": "{}"}}
    url, requests = await llama_peer(
        peers,
        [piece(tool_calls=[made_up]), piece("tool_calls")],
        [piece(content="Sorry, I can only talk."), piece("stop")],
    )
    entry = await add_server(url)
    subentry = agent_of(entry)
    home.config_entries.async_update_subentry(entry, subentry, data={})
    await home.async_block_till_done()
    features = state_of(home, AGENT).attributes["supported_features"]
    assert features == 0
    assert speech(await ask(home, "Turn it on")) == "Sorry, I can only talk."
    names = [tool["function"]["name"] for tool in requests[0]["tools"]]
    assert names == ["llm__GetDateTime"]
    assert "Current time" not in requests[0]["messages"][0]["content"]
    assert "There is no tool" in requests[1]["messages"][-1]["content"]


async def test_broken_arguments_go_back_to_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The good one of two calls is run; the model may correct the broken one."""
    url, requests = await llama_peer(
        peers,
        [
            piece(
                tool_calls=[
                    {
                        "index": 0,
                        "id": "good",
                        "function": {
                            "name": "intent__HassTurnOn",
                            "arguments": '{"name": "Kitchen Light"}',
                        },
                    },
                    {
                        "index": 1,
                        "id": "bad",
                        "function": {"name": "intent__HassTurnOn", "arguments": '{"name": '},
                    },
                ]
            ),
            piece("tool_calls"),
        ],
        [piece(content="One of two."), piece("stop")],
    )
    await add_server(url)
    assert speech(await ask(home, "Two things")) == "One of two."
    assert state_of(home, "light.kitchen_light").state == "on"
    *_, call, good, bad = requests[1]["messages"]
    ids = [short_id("good"), short_id("bad")]
    assert [one["id"] for one in call["tool_calls"]] == ids
    assert [good["tool_call_id"], bad["tool_call_id"]] == ids
    assert "not valid JSON" in bad["content"]


async def test_a_call_that_is_cut_off_goes_back_to_the_model(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A real server cuts a call that exceeds the maximum of tokens."""
    entry = await add_server(scripted_server.base_url)
    subentry = agent_of(entry)
    options = {**subentry.data, "max_tokens": 4}
    home.config_entries.async_update_subentry(entry, subentry, data=options)
    await home.async_block_till_done()
    result = await ask(home, LONG_CALL)
    assert speech(result) == "Too long a name."
    (told,) = [
        content
        for content in contents(home, result)
        if isinstance(content, conversation.ToolResultContent)
    ]
    assert told.result.error
    assert "cut off" in str(told.result.data)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("intent__HassTurnOn", '{"name": '),
        ("intent__HassTurnOn", '{"name": "Moon"}'),
        ("fly", ""),
    ],
)
async def test_calls_that_stay_wrong_end(
    home: HomeAssistant, add_server: AddServer, peers: Peers, name: str, arguments: str
) -> None:
    """A model that does not correct its call is asked once more; then the agent apologises."""
    call = {"index": 0, "id": "1", "function": {"name": name, "arguments": arguments}}
    url, requests = await llama_peer(peers, *[[piece(tool_calls=[call]), piece("tool_calls")]] * 20)
    await add_server(url)
    result = await ask(home, "Turn it on")
    assert speech(result).startswith("I am sorry, I tried too many things")
    assert result.response.error_code is None
    assert len(requests) == 2
    assert speech(await ask(home, "Turn it on", language="it")).startswith("Mi dispiace")


async def test_an_unknown_tool_goes_back_to_the_model(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model may correct it."""
    call = {"index": 0, "id": "1", "function": {"name": "fly", "arguments": ""}}
    url, requests = await llama_peer(
        peers,
        [piece(tool_calls=[call]), piece("tool_calls")],
        [piece(content="I cannot fly."), piece("stop")],
    )
    await add_server(url)
    assert speech(await ask(home, "Fly")) == "I cannot fly."
    assert "There is no tool 'fly'" in requests[1]["messages"][-1]["content"]


async def test_device_and_entity(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The agent is a service device with the server's build; it can control and stream."""
    entry = await add_server(scripted_server.base_url)
    registered = er.async_get(home).async_get(AGENT)
    assert registered is not None
    assert registered.config_entry_id == entry.entry_id
    device = dr.async_get(home).async_get(registered.device_id or "")
    assert isinstance(device, dr.DeviceEntry)
    assert device.manufacturer == "llama.cpp"
    assert device.model == "scripted"
    assert (device.sw_version or "").startswith("b")
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    state = state_of(home, AGENT)
    assert state.attributes["supported_features"] == 1
    agent = home.data[conversation.const.DATA_COMPONENT].get_entity(AGENT)
    assert agent is not None
    assert agent.supports_streaming


async def test_an_api_that_is_gone(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The error says so."""
    entry = await add_server(scripted_server.base_url)
    subentry = agent_of(entry)
    home.config_entries.async_update_subentry(entry, subentry, data={CONF_LLM_HASS_API: ["gone"]})
    await home.async_block_till_done()
    assert speech(await ask(home, "Hello")) == "Error preparing LLM API"


async def test_unload_and_reload(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Unloading removes the agent, loading restores it."""
    entry = await add_server(scripted_server.base_url)
    assert await home.config_entries.async_unload(entry.entry_id)
    assert state_of(home, AGENT).state == STATE_UNAVAILABLE
    assert await home.config_entries.async_setup(entry.entry_id)
    assert speech(await ask(home, "Hello")) == OTHERWISE


async def test_two_agents_of_one_server(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A second agent has its own options."""
    entry = await add_server(scripted_server.base_url)
    step = await home.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"), context={"source": SOURCE_USER}
    )
    assert step["type"] is FlowResultType.FORM
    done = await home.config_entries.subentries.async_configure(
        step["flow_id"], {"name": "Pirate", CONF_PROMPT: "Speak like a pirate."}
    )
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await home.async_block_till_done()
    assert state_of(home, "conversation.pirate").attributes["supported_features"] == 0
    assert state_of(home, AGENT).attributes["supported_features"] == 1
