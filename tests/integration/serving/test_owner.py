"""Requests for a server's slots: agents take turns, requests fail, an entry is unloaded."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from custom_components.llamacpp.client import Completion, LlamaServerError
from custom_components.llamacpp.serving import machine
from custom_components.llamacpp.serving.events import Polled
from custom_components.llamacpp.serving.owner import Serving
from custom_components.llamacpp.serving.slot_affinity import ConversationRef
from custom_components.llamacpp.serving.state import AgentPrompt
from tests.integration.peers import stream_events
from tests.integration.talk import PROPS, no_slots, piece, sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    from tests.integration.peers import Peers

DONE = Completion(usage=None, timings=None)
LIMIT_SECONDS = 30


class Server:
    """A llama-server with two slots.

    busy: slots with a request. can_write: it saves slot files. fails, is_endless: how its requests
    end.
    """

    def __init__(self) -> None:
        """Start without any request."""
        self.bodies: list[dict[str, Any]] = []
        self.busy: set[int] = set()
        self.can_write = False
        self.fails = False
        self.is_endless = False
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if request.path == "/props":
            return web.json_response(PROPS)
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


class Started:
    """Background tasks of an entry."""

    def __init__(self) -> None:
        """Start with none."""
        self.tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def done(self) -> None:
        """Wait until no task is running and no timer is due soon."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while self.tasks:
                await asyncio.wait(self.tasks)

    async def unload(self) -> None:
        """End all tasks."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)


@pytest.fixture
async def started() -> AsyncGenerator[Started]:
    """Return a starter of background tasks; they end with the test."""
    started = Started()
    yield started
    await started.unload()


async def serving_of(server: Server, peers: Peers, started: Started, *agents: str) -> Serving:
    """Return the owner of a server's cache, for these agents."""
    serving = Serving(peers.client(await peers.http(server.handle)), started.start)
    state = Polled(
        n_slots=2,
        is_router=False,
        is_front=False,
        build="b1",
        in_memory={"": ""},
        n_prompt_tokens=None,
    )
    serving.poll_begins()
    serving.polled(state)
    for agent in agents:
        serving.add_agent(agent)
    return serving


async def ask(serving: Serving, agent: str, conversation_id: str = "talk") -> int | None:
    """Ask an agent with its prompt; return the slot."""
    request = prompt_of(agent)
    with serving.ask(agent, ConversationRef(conversation_id), is_own=True) as asked:
        await asked.prepare(request)
        asked.answered(request, DONE)
    return asked.slot


@pytest.mark.parametrize("asked", [(), ("a",), ("b",), ("a", "b"), ("b", "a")])
@pytest.mark.parametrize("agents", [("a", "b"), ("b", "a")])
async def test_each_agent_has_a_slot_of_its_own(
    agents: tuple[str, str], asked: tuple[str, ...], peers: Peers, started: Started
) -> None:
    """Two agents are never prefilled in the same of two slots, whatever else is asked."""
    server = Server()
    serving = await serving_of(server, peers, started, "a", "b")
    first, second = agents
    await serving.prefill(AgentPrompt.of(first, prompt_of(first)))
    await started.done()
    for agent in asked:
        with serving.ask(agent, None, is_own=agent == first) as one:
            one.answered(prompt_of(agent), DONE)
    await serving.prefill(AgentPrompt.of(second, prompt_of(second)))
    await started.done()
    slots = [body["id_slot"] for body in server.bodies if "id_slot" in body]
    assert sorted(slots[:2]) == [0, 1]


async def test_a_slot_where_the_next_turn_failed_is_not_idle(
    peers: Peers, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program's request may use it."""
    monkeypatch.setattr(machine, "NEXT_TURN_SECONDS", 0.0)
    server = Server()
    server.can_write = True
    serving = await serving_of(server, peers, started, "a")
    await serving.prefill(AgentPrompt.of("a", prompt_of("a")))
    await started.done()
    slot = await ask(serving, "a")
    assert slot is not None
    server.busy = {0, 1}
    assert await ask(serving, "a") is None
    server.fails = True
    n_bodies = len(server.bodies)
    serving.turn_ended({**prompt_of("a"), "id_slot": slot})
    await started.done()
    assert len(server.bodies) > n_bodies
    assert await ask(serving, "a") is None


async def test_a_request_ends_with_its_entry(peers: Peers, started: Started) -> None:
    """After an unload no request is left, here or at the server."""
    server = Server()
    server.is_endless = True
    serving = await serving_of(server, peers, started, "a")
    waiter = asyncio.create_task(serving.prefill(AgentPrompt.of("a", prompt_of("a"))))
    async with asyncio.timeout(LIMIT_SECONDS):
        await server.begun.wait()
        assert serving.state.is_busy
        (work,) = started.tasks
        work.cancel()
        await asyncio.wait({work})
        assert work.cancelled()
        await server.ended.wait()
    waiter.cancel()


async def test_all_who_ask_abort_a_request(peers: Peers, started: Started) -> None:
    """Several users may ask during an abort; whoever waits for the prefill stops waiting."""
    server = Server()
    server.is_endless = True
    serving = await serving_of(server, peers, started, "a")
    waiter = asyncio.create_task(serving.prefill(AgentPrompt.of("a", prompt_of("a"))))
    async with asyncio.timeout(LIMIT_SECONDS):
        await server.begun.wait()
        with serving.paused():
            await asyncio.sleep(0)
            with serving.paused():
                await waiter
            await server.ended.wait()
            assert not serving.state.is_busy or serving.state.waiting
            assert len(server.bodies) == 1
            server.is_endless = False
    await started.done()
    assert len(server.bodies) == 2
    assert serving.state.cache_of(None).prefilled


async def test_a_failure_is_raised_for_who_waits(peers: Peers, started: Started) -> None:
    """It is not repeated until the prompt is made again."""
    server = Server()
    server.fails = True
    serving = await serving_of(server, peers, started, "a")
    for n_bodies in (1, 2):
        with pytest.raises(LlamaServerError):
            await serving.prefill(AgentPrompt.of("a", prompt_of("a")))
        await started.done()
        assert len(server.bodies) == n_bodies
