"""The actions, with a real llama-server and files on the disk."""

import asyncio
import errno
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import assist_pipeline, conversation
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import slugify

from custom_components.llamacpp.action_turn import verbatim

from .conftest import AGENT, agent_of
from .script import NOTHING, OTHERWISE, TURN_ON_KITCHEN
from .talk import llama_peer, piece, said_in, speech, state_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

    type Act = Callable[..., Awaitable[dict[str, Any]]]


pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def act(hass: HomeAssistant) -> Act:
    """Return a function that runs an action and returns its response."""

    async def run(action: str, **data: Any) -> dict[str, Any]:
        response = await hass.services.async_call(
            "llamacpp", action, data, blocking=True, return_response=True
        )
        assert isinstance(response, dict)
        return dict(response)

    return run


def file_of(tmp_path: Path, conversation_id: str) -> Path:
    """Return the file of a conversation."""
    (path,) = tmp_path.glob(f"config/.storage/llamacpp.history/*/{conversation_id}*")
    return path


def stored(tmp_path: Path, conversation_id: str) -> dict[str, Any]:
    """Return the stored conversation."""
    data: dict[str, Any] = json.loads(file_of(tmp_path, conversation_id).read_text())["data"]
    return data


def folders(tmp_path: Path) -> list[Path]:
    """Return the folders of the servers' conversations."""
    return list(tmp_path.glob("config/.storage/llamacpp.history/*"))


async def test_chat(add_server: AddServer, scripted_server: LlamaServer, act: Act) -> None:
    """One message and one answer with its usage; the conversation ends with it."""
    await add_server(scripted_server.base_url)
    response = await act("chat", message="Hello")
    assert response["response"] == OTHERWISE
    assert response["message_count"] == 2
    assert response["finish_reason"] == "stop"
    usage = response["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] > 3
    with pytest.raises(ServiceValidationError) as caught:
        await act("send", conversation_id=response["conversation_id"], message="And now?")
    assert caught.value.translation_key == "conversation_closed"


async def test_a_conversation(
    add_server: AddServer,
    scripted_server: LlamaServer,
    act: Act,
    tmp_path: Path,
) -> None:
    """It grows with each message, is on disk before the action returns, and can be closed."""
    await add_server(scripted_server.base_url)
    conversation_id = (await act("start", system_prompt="Be kind."))["conversation_id"]
    assert conversation_id.startswith("conv_")
    [listed] = (await act("list"))["conversations"]
    assert (listed["title"], listed["user_id"], listed["user"]) == (None, None, None)
    first = await act("send", conversation_id=conversation_id, message="Hello")
    assert first["message_count"] == 2
    second = await act("send", conversation_id=conversation_id, message="Again")
    assert second["message_count"] == 4
    assert second["usage"]["cached_tokens"] > 0
    assert len(stored(tmp_path, conversation_id)["turns"]) == 2

    told = await act("history", conversation_id=conversation_id)
    assert [message["role"] for message in told["messages"]] == ["user", "assistant"] * 2
    assert told["messages"][2]["content"] == "Again"
    listed = (await act("list", agent=AGENT))["conversations"]
    assert [(one["conversation_id"], one["title"]) for one in listed] == [
        (conversation_id, "Hello")
    ]
    assert (await act("list", agent="conversation.other"))["conversations"] == []
    # As if it was left out.
    assert (await act("list", agent=""))["conversations"] == listed

    await act("close", conversation_id=conversation_id)
    for action in ("send", "close"):
        more = {"message": "Hello?"} if action == "send" else {}
        with pytest.raises(ServiceValidationError) as caught:
            await act(action, conversation_id=conversation_id, **more)
        assert caught.value.translation_key == "conversation_closed"
    assert len((await act("history", conversation_id=conversation_id))["messages"]) == 4


async def test_earlier_turns_survive_a_restart(
    home: HomeAssistant, add_server: AddServer, peers: Peers, act: Act
) -> None:
    """A continued conversation sends its earlier turns."""
    answers = [[piece(content=f"Answer {number}."), piece("stop")] for number in range(3)]
    url, requests = await llama_peer(peers, *answers)
    entry = await add_server(url)
    conversation_id = (await act("start", system_prompt="Use {{ braces }} and 'quotes' 🦙."))[
        "conversation_id"
    ]
    await act("send", conversation_id=conversation_id, message="One")
    # A restart: Home Assistant has forgotten the chat log, and the entry is reloaded.
    home.data[conversation.chat_log.DATA_CHAT_LOGS].clear()
    await home.config_entries.async_reload(entry.entry_id)
    await act("send", conversation_id=conversation_id, message="Two")
    said = [message["content"] for message in requests[1]["messages"]]
    assert said[0].startswith("Use {{ braces }} and 'quotes' 🦙.")
    assert said[1:] == ["One", "Answer 0.", "Two"]

    # In Assist, too, by its id.
    home.data[conversation.chat_log.DATA_CHAT_LOGS].clear()
    result = await conversation.async_converse(
        home, "Three", conversation_id, Context(), agent_id=AGENT
    )
    assert speech(result) == "Answer 2."
    assert said_in(requests[2]) == [*("One", "Answer 0.", "Two", "Answer 1.", "Three")]
    told = await act("history", conversation_id=conversation_id)
    assert len(told["messages"]) == 6


async def test_assist_is_gone_on_with_by_an_action(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, act: Act
) -> None:
    """An action continues Assist's conversation by its id, unless it is not stored."""
    entry = await add_server(scripted_server.base_url)
    result = await conversation.async_converse(home, "Hello", None, Context(), agent_id=AGENT)
    response = await act("send", conversation_id=result.conversation_id, message="More")
    assert response["message_count"] == 4

    subentry = agent_of(entry)
    options = {**subentry.data, "keep_history": False}
    home.config_entries.async_update_subentry(entry, subentry, data=options)
    await home.async_block_till_done()
    result = await conversation.async_converse(home, "Secret", None, Context(), agent_id=AGENT)
    with pytest.raises(ServiceValidationError) as caught:
        await act("send", conversation_id=result.conversation_id, message="More")
    assert caught.value.translation_key == "conversation_unknown"


async def test_what_was_closed_is_not_sent_any_more(
    home: HomeAssistant, add_server: AddServer, peers: Peers, act: Act
) -> None:
    """Its id starts a new one, although Home Assistant still knows the old turns."""
    answers = [[piece(content=f"Answer {number}."), piece("stop")] for number in range(2)]
    url, requests = await llama_peer(peers, *answers)
    await add_server(url)
    result = await conversation.async_converse(home, "One", None, Context(), agent_id=AGENT)
    await act("close", conversation_id=result.conversation_id)
    await conversation.async_converse(
        home, "Two", result.conversation_id, Context(), agent_id=AGENT
    )
    assert said_in(requests[1]) == ["Two"]
    told = await act("history", conversation_id=result.conversation_id)
    assert len(told["messages"]) == 4


async def test_controls_nothing_unless_told(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, act: Act
) -> None:
    """The model may control the home only if the call names an API."""
    await add_server(scripted_server.base_url)
    # The server's grammar prevents calls of tools that were not offered. By chance the model
    # writes text that looks like a call; it is not spoken, so there is no answer.
    with suppress(HomeAssistantError):
        await act("chat", message=TURN_ON_KITCHEN, max_tokens=20)
    assert state_of(home, "light.kitchen_light").state == "off"
    response = await act("chat", message=TURN_ON_KITCHEN, llm_hass_api="assist")
    assert response["response"] == "The kitchen light is on now."
    assert response["message_count"] == 4
    assert state_of(home, "light.kitchen_light").state == "on"


async def test_options_of_a_call(add_server: AddServer, peers: Peers, act: Act) -> None:
    """Temperature and limit of the call override those of the agent."""
    url, requests = await llama_peer(peers, [piece(content="Hi."), piece("length")])
    await add_server(url)
    response = await act("chat", message="Hello", temperature=0.2, max_tokens=7)
    assert response["finish_reason"] == "length"
    assert (requests[0]["temperature"], requests[0]["max_tokens"]) == (0.2, 7)


async def test_two_sends_wait_for_each_other(add_server: AddServer, peers: Peers, act: Act) -> None:
    """Both turns are kept, one after the other."""
    answers = [[piece(content=f"Answer {number}."), piece("stop")] for number in range(2)]
    url, requests = await llama_peer(peers, *answers)
    await add_server(url)
    conversation_id = (await act("start"))["conversation_id"]
    responses = await asyncio.gather(
        *(act("send", conversation_id=conversation_id, message=word) for word in ("One", "Two"))
    )
    assert sorted(one["message_count"] for one in responses) == [2, 4]
    assert len(requests[1]["messages"]) == 4


async def test_a_failed_turn_leaves_no_trace(add_server: AddServer, peers: Peers, act: Act) -> None:
    """After an error the conversation is unchanged."""
    url, requests = await llama_peer(
        peers,
        [piece(content="One."), piece("stop")],
        [piece(reasoning_content="I was about to")],
        [piece("stop")],
        [piece(content="Two."), piece("stop")],
    )
    await add_server(url)
    conversation_id = (await act("start"))["conversation_id"]
    await act("send", conversation_id=conversation_id, message="First")
    for key in ("malformed_answer", "empty_answer"):
        with pytest.raises(HomeAssistantError) as caught:
            await act("send", conversation_id=conversation_id, message="Lost")
        assert caught.value.translation_key == key
    response = await act("send", conversation_id=conversation_id, message="Second")
    assert response["message_count"] == 4
    said = [message["content"] for message in requests[3]["messages"]]
    assert said[1:] == ["First", "One.", "Second"]


@pytest.mark.parametrize(
    ("message", "key"), [("  ", "message_empty"), ("x" * 32_001, "message_too_long")]
)
async def test_messages_that_are_refused(
    add_server: AddServer,
    scripted_server: LlamaServer,
    act: Act,
    message: str,
    key: str,
) -> None:
    """A message needs words, and has a maximum length."""
    await add_server(scripted_server.base_url)
    with pytest.raises(ServiceValidationError) as caught:
        await act("chat", message=message)
    assert caught.value.translation_key == key


async def test_instructions_that_are_refused(
    add_server: AddServer, scripted_server: LlamaServer, act: Act
) -> None:
    """So do the instructions of a conversation, which are sent with every turn."""
    await add_server(scripted_server.base_url)
    for action, data in (("chat", {"message": "Hello"}), ("start", {})):
        with pytest.raises(ServiceValidationError) as caught:
            await act(action, system_prompt="x" * 32_001, **data)
        assert caught.value.translation_key == "system_prompt_too_long"
    assert (await act("list"))["conversations"] == []


async def test_agents_that_are_refused(
    add_server: AddServer,
    scripted_server: LlamaServer,
    own_server: LlamaServer,
    act: Act,
) -> None:
    """Unknown, ambiguous, foreign and unavailable agents have their own errors."""
    with pytest.raises(Exception, match="not found"):
        await act("chat", message="Hello")
    await add_server(scripted_server.base_url)
    second = await add_server(own_server.base_url)
    other = f"conversation.{slugify(agent_of(second).title)}"

    async def refused(action: str, **data: Any) -> str | None:
        with pytest.raises(ServiceValidationError) as caught:
            await act(action, **data)
        return caught.value.translation_key

    assert await refused("chat", message="Hello") == "agent_required"
    assert await refused("chat", message="Hello", agent="light.kitchen") == "agent_unknown"
    conversation_id = (await act("start", agent=AGENT))["conversation_id"]
    data = {"conversation_id": conversation_id, "message": "Hello"}
    assert await refused("send", **data, agent=other) == "conversation_foreign"
    assert await refused("history", conversation_id="conv_nothing") == "conversation_unknown"
    own_server.kill()
    await second.runtime_data.coordinator.async_refresh()
    assert await refused("chat", message="Hello", agent=other) == "agent_unavailable"


async def test_the_preferred_assistants_agent(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    own_server: LlamaServer,
    act: Act,
) -> None:
    """It is the default among several agents, also if it is unavailable: then it is an error."""
    await add_server(scripted_server.base_url)
    second = await add_server(own_server.base_url)
    other = f"conversation.{slugify(agent_of(second).title)}"
    (pipeline,) = assist_pipeline.async_get_pipelines(home)
    for preferred in (AGENT, other):
        await assist_pipeline.async_update_pipeline(home, pipeline, conversation_engine=preferred)
        assert (await act("start"))["agent"] == preferred
        answered = (await act("chat", message="Hello"))["conversation_id"]
        assert (await act("history", conversation_id=answered))["agent"] == preferred
        # A named agent has priority, and so has a conversation's.
        started = await act("start", agent=AGENT)
        assert started["agent"] == AGENT
        await act("send", conversation_id=started["conversation_id"], message="Hello")
        listed = (await act("list", agent=AGENT))["conversations"]
        assert started["conversation_id"] in [one["conversation_id"] for one in listed]
    await home.config_entries.async_unload(second.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await act("chat", message="Hello")
    assert caught.value.translation_key == "agent_unavailable"
    assert caught.value.translation_placeholders == {"agent": other}
    # A disabled agent is not used.
    er.async_get(home).async_update_entity(other, disabled_by=er.RegistryEntryDisabler.USER)
    assert (await act("start"))["agent"] == AGENT
    # If the preferred assistant uses another integration, the only agent answers.
    await assist_pipeline.async_update_pipeline(
        home, pipeline, conversation_engine="conversation.home_assistant"
    )
    assert (await act("start"))["agent"] == AGENT


async def test_a_server_that_was_away_at_the_start(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer, act: Act
) -> None:
    """Its agent is unavailable, not unknown; its conversations can be read."""
    entry = await add_server(own_server.base_url)
    conversation_id = (await act("start"))["conversation_id"]
    await act("send", conversation_id=conversation_id, message="Hello")
    own_server.kill()
    # Home Assistant starts meanwhile.
    await home.config_entries.async_reload(entry.entry_id)
    for action, data in (
        ("chat", {"message": "Hello"}),
        ("chat", {"message": "Hello", "agent": AGENT}),
        ("start", {}),
        ("send", {"message": "Hello", "conversation_id": conversation_id}),
    ):
        with pytest.raises(ServiceValidationError) as caught:
            await act(action, **data)
        assert caught.value.translation_key == "agent_unavailable"
        assert caught.value.translation_placeholders == {"agent": AGENT}
    with pytest.raises(ServiceValidationError) as caught:
        await act("chat", message="Hello", agent="conversation.nobody")
    assert caught.value.translation_key == "agent_unknown"
    told = await act("history", conversation_id=conversation_id)
    assert len(told["messages"]) == 2
    assert told["closed"] is False
    await act("close", conversation_id=conversation_id)
    own_server.start()
    own_server.wait_ready()
    await home.config_entries.async_reload(entry.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await act("send", conversation_id=conversation_id, message="Hello")
    assert caught.value.translation_key == "conversation_closed"


async def test_a_silent_model(
    add_server: AddServer, scripted_server: LlamaServer, act: Act
) -> None:
    """An automation gets an error instead of nothing."""
    await add_server(scripted_server.base_url)
    with pytest.raises(HomeAssistantError) as caught:
        await act("chat", message=NOTHING)
    assert caught.value.translation_key == "empty_answer"


async def test_a_removed_server_takes_its_conversations_along(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    act: Act,
    tmp_path: Path,
) -> None:
    """Reloading keeps them, removing deletes them."""
    entry = await add_server(scripted_server.base_url)
    await act("chat", message="Hello")
    await home.config_entries.async_reload(entry.entry_id)
    assert folders(tmp_path)
    assert len((await act("list"))["conversations"]) == 1
    await home.config_entries.async_remove(entry.entry_id)
    assert not folders(tmp_path)


async def test_a_disk_that_does_not_take_it(
    add_server: AddServer, scripted_server: LlamaServer, act: Act, tmp_path: Path
) -> None:
    """The error is translated, and there is no answer."""
    await add_server(scripted_server.base_url)
    conversation_id = (await act("start"))["conversation_id"]
    path = file_of(tmp_path, conversation_id)
    path.unlink()
    path.mkdir()
    with pytest.raises(HomeAssistantError) as caught:
        await act("history", conversation_id=conversation_id)
    assert caught.value.translation_key == "history_unreadable"


@pytest.mark.parametrize("action", ["chat", "send"])
async def test_an_answer_that_cannot_be_stored(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    act: Act,
    action: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The action returns what was done, with a note that it is not stored."""
    await add_server(scripted_server.base_url)
    conversation_id = (await act("start"))["conversation_id"]
    first = await act("send", conversation_id=conversation_id, message="Hello")
    assert (first["stored"], first["message_count"]) == (True, 2)

    def full(*_: Any, **_more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    data = {"conversation_id": conversation_id} if action == "send" else {}
    with monkeypatch.context() as patch:
        patch.setattr("atomicwrites.AtomicWriter.get_fileobject", full)
        response = await act(action, message=TURN_ON_KITCHEN, llm_hass_api="assist", **data)
    assert response["response"] == "The kitchen light is on now."
    assert response["stored"] is False
    assert response["message_count"] == (2 if action == "send" else 0)
    assert state_of(home, "light.kitchen_light").state == "on"
    told = await act("history", conversation_id=conversation_id)
    assert len(told["messages"]) == 2


async def test_assist_answers_although_the_disk_does_not_take_it(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    act: Act,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The light is on and the answer says so; the log says that it is not stored."""
    await add_server(scripted_server.base_url)
    conversation_id = (await act("start"))["conversation_id"]
    await act("send", conversation_id=conversation_id, message="Hello")
    path = file_of(tmp_path, conversation_id)
    path.unlink()
    path.mkdir()
    result = await conversation.async_converse(
        home, TURN_ON_KITCHEN, conversation_id, Context(), agent_id=AGENT
    )
    assert speech(result) == "The kitchen light is on now."
    assert "A turn is not stored" in caplog.text


@pytest.mark.parametrize("text", ["{{ 1 + 1 }} {% raw %}", 'it\'s "quoted" \\ \n 🦙', ""])
def test_text_that_looks_like_a_template(hass: HomeAssistant, text: str) -> None:
    """It stays text."""
    from homeassistant.helpers.template import Template  # noqa: PLC0415

    assert Template(verbatim(text), hass).async_render(parse_result=False) == text
