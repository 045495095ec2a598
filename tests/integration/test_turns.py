"""Several messages to one conversation at a time."""

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.chat_session import async_get_chat_session

from custom_components.llamacpp import turns
from custom_components.llamacpp.turns import ConversationBusyError, async_turn_of

from .talk import ask, llama_peer, piece, said_in, speech
from .test_meanwhile import SlowServer, act

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import AddServer
    from .peers import Peers

pytestmark = pytest.mark.usefixtures("home")
ID = "kitchen"
WAIT_SECONDS = 60.0


async def test_messages_are_answered_one_after_the_other(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """In Assist, by an action, and both: each is asked with the answers before it."""
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
    """It is told in the words of the listener, and does not disturb the turn under way."""
    server = SlowServer()
    await add_server(await peers.http(server.answer))
    conversation_id = (await act(home, "start"))["conversation_id"]
    first = home.async_create_task(ask(home, "Hello", conversation_id))
    await server.asked.acquire()
    monkeypatch.setattr(turns, "QUEUE_SECONDS", 0.1)
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
    """Another conversation, one that is about to begin, and what a turn does in its own."""
    async with (
        asyncio.timeout(WAIT_SECONDS),
        async_turn_of(home, ID),
        async_turn_of(home, "hall"),
        async_turn_of(home, None),
        async_turn_of(home, ID),
    ):
        pass


async def test_whoever_gives_up_keeps_nobody_waiting(home: HomeAssistant) -> None:
    """Neither one that waits and is cancelled, nor one that fails."""

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
    """A voice pipeline holds it beyond our answer; where that matters, the next message waits."""
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
