"""What is known of a server's slots: agents take turns, requests fail, an entry is unloaded."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from custom_components.llamacpp.client import Completion, LlamaServerError
from custom_components.llamacpp.serving.background import PreemptibleRequests
from custom_components.llamacpp.serving.prefill import Prefiller
from custom_components.llamacpp.serving.slot_affinity import ConversationRef

from .peers import stream_events
from .talk import no_slots, piece, sse

if TYPE_CHECKING:
    from .peers import Peers

DONE = Completion(usage=None, timings=None)
LIMIT_SECONDS = 30


class Server:
    """A llama-server with two slots.

    busy: slots that are at work. can_write: it writes prompts to its disk. fails, is_endless: what
    becomes of what it is asked.
    """

    def __init__(self) -> None:
        """Begin without any request."""
        self.bodies: list[dict[str, Any]] = []
        self.busy: set[int] = set()
        self.can_write = False
        self.fails = False
        self.is_endless = False
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if request.path == "/slots":
            slots = [{"id": slot, "is_processing": slot in self.busy} for slot in range(2)]
            return web.json_response(slots)
        if request.path.startswith("/slots/"):
            return web.json_response({"id_slot": 0}) if self.can_write else no_slots()
        self.bodies.append(await request.json())
        if self.fails:
            return web.json_response({"error": {"message": "no", "code": 500}}, status=500)
        if self.is_endless:
            self.begun.set()
            try:
                await asyncio.sleep(LIMIT_SECONDS)
            finally:
                self.ended.set()
        return await stream_events(request, sse(piece("stop")))


def prompt_of(agent: str) -> dict[str, Any]:
    """Return a request with an agent's prompt."""
    said = ({"role": "system", "content": agent}, {"role": "user", "content": ""})
    return {"messages": [*said], "stream": True}


async def warmer_for(server: Server, peers: Peers, *agents: str) -> Prefiller:
    """Return what keeps the agents' prompts warm."""
    prefiller = Prefiller(peers.client(await peers.http(server.handle)))
    prefiller.filling.n_slots = 2

    async def warm_up(*, autoload: bool) -> None:
        """Do nothing."""

    for agent in agents:
        prefiller.register(agent, warm_up)
    return prefiller


@pytest.mark.parametrize("asked", [(), ("a",), ("b",), ("a", "b"), ("b", "a")])
@pytest.mark.parametrize("agents", [("a", "b"), ("b", "a")])
async def test_each_agent_has_a_slot_of_its_own(
    agents: tuple[str, str], asked: tuple[str, ...], peers: Peers
) -> None:
    """Whoever was asked between, two agents are never made warm in one of two slots."""
    server = Server()
    prefiller = await warmer_for(server, peers, "a", "b")
    first, second = agents
    await prefiller.warm(first, prompt_of(first), autoload=False)
    for agent in asked:
        with prefiller.asking(agent, is_own=agent == first) as note:
            note(prompt_of(agent), DONE)
    await prefiller.warm(second, prompt_of(second), autoload=False)
    slots = [body["id_slot"] for body in server.bodies]
    assert sorted(slots) == [0, 1]


async def test_a_slot_where_the_next_turn_failed_is_not_idle(peers: Peers) -> None:
    """It may be at work with what somebody else has asked."""
    server = Server()
    server.can_write = True
    prefiller = await warmer_for(server, peers, "a")
    await prefiller.warm("a", prompt_of("a"), autoload=False)
    talk = ConversationRef("conversation")
    slot = await prefiller.slot_for("a", prompt_of("a"), talk)
    assert slot is not None
    server.busy = {0, 1}
    assert await prefiller.slot_for("a", prompt_of("a"), talk) is None
    server.fails = True
    with pytest.raises(LlamaServerError):
        await prefiller.follow({**prompt_of("a"), "id_slot": slot}, prefiller.ahead.n_begun)
    assert await prefiller.slot_for("a", prompt_of("a"), talk) is None


async def test_a_request_ends_with_who_has_sent_it(peers: Peers) -> None:
    """After an unload nothing of it goes on, neither here nor at the server."""
    server = Server()
    server.is_endless = True
    ahead = PreemptibleRequests(peers.client(await peers.http(server.handle)))
    before = asyncio.all_tasks()
    caller = asyncio.create_task(ahead.process(prompt_of("a"), autoload=False))
    async with asyncio.timeout(LIMIT_SECONDS):
        await server.begun.wait()
        was_busy = ahead.is_busy
        # A task beside its own could go on by itself.
        others = asyncio.all_tasks() - before - {caller}
        assert not [one for one in others if "Ahead" in repr(one)]
        caller.cancel()
        await asyncio.wait({caller})
        assert caller.cancelled()
        assert (was_busy, ahead.is_busy) == (True, False)
        await server.ended.wait()


async def test_all_who_ask_end_a_request(peers: Peers) -> None:
    """Several may ask while it is being given up; who has sent it learns that it was."""
    server = Server()
    server.is_endless = True
    ahead = PreemptibleRequests(peers.client(await peers.http(server.handle)))
    caller = asyncio.create_task(ahead.process(prompt_of("a"), autoload=False))
    async with asyncio.timeout(LIMIT_SECONDS):
        await server.begun.wait()
        with ahead.paused():
            await asyncio.sleep(0)
            with ahead.paused():
                completion = await caller
        await server.ended.wait()
    assert completion is None
