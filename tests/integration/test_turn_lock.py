"""Several messages to one conversation at the same time."""

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.chat_session import async_get_chat_session

from custom_components.llamacpp import turn_lock
from custom_components.llamacpp.turn_lock import ConversationBusyError, async_turn_of

from .conftest import AGENT
from .slow_servers import WaitingServer
from .talk import act, ask, llama_peer, piece, said_in, speech

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from .conftest import AddServer
    from .peers import Peers

pytestmark = pytest.mark.usefixtures("home")
ID = "kitchen"
WAIT_SECONDS = 60.0


async def test_messages_are_answered_one_after_the_other(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """In Assist, by an action, and both: each prompt has the answers before it."""
    answers = [[piece(content=f"Answer {number}."), piece("stop")] for number in range(6)]
    url, requests = await llama_peer(peers, *answers)
    await add_server(url)
    conversation_id = (await act(home, "start"))["conversation_id"]
    sends = [act(home, "send", conversation_id=conversation_id, message=f"S{n}") for n in range(3)]
    asks = [ask(home, f"A{n}", conversation_id) for n in range(3)]
    async with asyncio.timeout(WAIT_SECONDS):
        sent, asked = await asyncio.gather(asyncio.gather(*sends), asyncio.gather(*asks))
    words = [one["response"] for one in sent] + [speech(one) for one in asked]
    assert sorted(words) == [f"Answer {number}." for number in range(6)]
    assert [len(said_in(one)) for one in requests] == [1, 3, 5, 7, 9, 11]
    told = await act(home, "history", conversation_id=conversation_id)
    assert [one["role"] for one in told["messages"]] == ["user", "assistant"] * 6


async def test_a_message_that_waits_too_long(
    home: HomeAssistant, add_server: AddServer, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is in the listener's language, and does not disturb the turn in progress."""
    server = WaitingServer()
    await add_server(await peers.http(server.answer))
    conversation_id = (await act(home, "start"))["conversation_id"]
    first = home.async_create_task(ask(home, "Hello", conversation_id))
    await server.asked.acquire()
    monkeypatch.setattr(turn_lock, "QUEUE_SECONDS", 0.1)
    second = await ask(home, "Ciao", conversation_id, language="it")
    assert speech(second).startswith("Sto ancora rispondendo")
    assert second.conversation_id == conversation_id
    with pytest.raises(HomeAssistantError) as caught:
        await act(home, "send", conversation_id=conversation_id, message="Hello?")
    assert caught.value.translation_key == "conversation_busy"
    server.go_on.set()
    assert speech(await first) == "Hi."
    assert speech(await ask(home, "And now?", conversation_id)) == "Hi."


async def test_others_do_not_wait(home: HomeAssistant) -> None:
    """Another conversation, a new one, and calls within the turn itself."""
    async with (
        asyncio.timeout(WAIT_SECONDS),
        async_turn_of(home, ID),
        async_turn_of(home, "hall"),
        async_turn_of(home, None),
        async_turn_of(home, ID),
    ):
        pass


async def test_whoever_gives_up_keeps_nobody_waiting(home: HomeAssistant) -> None:
    """Neither a cancelled message that waits, nor a failed one."""

    async def turn(error: Exception | None = None) -> None:
        async with async_turn_of(home, ID, seconds=WAIT_SECONDS):
            await asyncio.sleep(0)
            if error:
                raise error

    outside = copy_context()
    async with async_turn_of(home, ID):
        waiting = home.loop.create_task(turn(), context=outside)
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    with pytest.raises(ValueError, match="smoke"):
        await turn(ValueError("smoke"))
    await turn()


async def test_a_chat_log_that_somebody_else_has_open(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A voice pipeline keeps it open after the answer; the next message waits if it must."""
    url, _ = await llama_peer(peers, [piece(content="Hi."), piece("stop")])
    await add_server(url)
    options: dict[str, Any] = {}
    if hasattr(conversation, "ConversationBusyError"):
        options = {"context": None}
    opened, may_close = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        with (
            async_get_chat_session(home, ID, **options) as session,
            conversation.async_get_chat_log(home, session),
        ):
            opened.set()
            await may_close.wait()

    holding = home.async_create_task(hold())
    await opened.wait()
    asking = home.async_create_task(ask(home, "Hello", ID))
    if options:
        with pytest.raises(ConversationBusyError):
            async with async_turn_of(home, ID, seconds=0.2):
                pass
    may_close.set()
    await holding
    async with asyncio.timeout(WAIT_SECONDS):
        assert speech(await asking) == "Hi."


async def test_a_second_message_to_a_voice_pipeline(
    home: HomeAssistant, add_server: AddServer, peers: Peers, hass_ws_client: WebSocketGenerator
) -> None:
    """Since 2026.11 Home Assistant rejects it before the agent is asked."""
    server = WaitingServer()
    await add_server(await peers.http(server.answer))
    client = await hass_ws_client(home)

    async def run(words: str) -> None:
        await client.send_json_auto_id(
            {
                "type": "assist_pipeline/run",
                "start_stage": "intent",
                "end_stage": "intent",
                "input": {"text": words},
                "conversation_id": ID,
                "pipeline": pipeline,
            }
        )

    await client.send_json_auto_id(
        {
            "type": "assist_pipeline/pipeline/create",
            "name": "Test",
            "language": "en",
            "conversation_engine": AGENT,
            "conversation_language": "en",
            **dict.fromkeys(("stt_engine", "stt_language", "tts_engine", "tts_language")),
            **dict.fromkeys(("tts_voice", "wake_word_entity", "wake_word_id")),
        }
    )
    pipeline = (await client.receive_json())["result"]["id"]
    await run("Hello")
    await server.asked.acquire()
    await run("Hello?")
    codes: list[str] = []
    n_ended = 0
    async with asyncio.timeout(WAIT_SECONDS):
        while n_ended < 2:
            message = await client.receive_json()
            event = message.get("event") or {}
            if event.get("type") == "error":
                codes.append(event["data"]["code"])
            n_ended += event.get("type") == "run-end"
            if codes or not hasattr(conversation, "ConversationBusyError"):
                server.go_on.set()
    is_refused = hasattr(conversation, "ConversationBusyError")
    assert codes == (["intent-busy"] if is_refused else [])
    assert server.asked.locked() is is_refused
