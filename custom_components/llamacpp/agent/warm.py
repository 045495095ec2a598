"""The prompts of agents, processed before somebody waits for an answer.

Reading the prompt of a home takes nearly all of the time to a small model's answer, and a
llama-server that has read it once starts the next answer behind it.
"""

import asyncio
import json
from contextlib import aclosing, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from ..server import LlamaServerClient
    from .request import Request

    type WarmUp = Callable[[], Awaitable[None]]

# Parts of a request, besides the first message, that change the beginning of the prompt.
_PREFIX_FIELDS = ("model", "tools", "chat_template_kwargs")


class Warmer:
    """Has one server process its agents' prompts: one at a time, and never while somebody waits.

    What a server has processed is forgotten with `forget`, when it has been started anew.
    """

    def __init__(self, client: LlamaServerClient) -> None:
        """Begin with a server that has processed nothing."""
        self._client = client
        self._lock = asyncio.Lock()
        self._n_pauses = 0
        self._task: asyncio.Task[None] | None = None
        # By agent, the beginning of the newest prompt that the server has processed.
        self._processed: dict[str, bytes] = {}
        self._warm_ups: dict[str, WarmUp] = {}

    def register(self, agent_id: str, warm_up: WarmUp) -> Callable[[], None]:
        """Take note of how an agent's prompt is made and processed; returns what ends that."""
        self._warm_ups[agent_id] = warm_up

        def unregister() -> None:
            self._warm_ups.pop(agent_id, None)
            self._processed.pop(agent_id, None)

        return unregister

    async def warm_all(self) -> None:
        """Process the prompts of all agents anew; raises what their warm-ups raise."""
        for agent_id in list(self._warm_ups):
            await self.warm_up(agent_id)

    async def warm_up(self, agent_id: str) -> None:
        """Process the prompt of an agent anew; raises KeyError, and what its warm-up raises."""
        self._processed.pop(agent_id, None)
        await self._warm_ups[agent_id]()

    def forget(self) -> None:
        """Take note that the server's memory is empty."""
        self._processed.clear()

    @contextmanager
    def asking(self, agent_id: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
        """Keep warm-ups away while somebody waits for an answer.

        Yields what takes note of a request that the server has processed.
        """

        def note(request: Mapping[str, Any]) -> None:
            self._processed[agent_id] = _prefix(request)

        with self.paused():
            yield note

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep warm-ups away, and end the one that is under way."""
        self._n_pauses += 1
        if self._task:
            self._task.cancel()
        try:
            yield
        finally:
            self._n_pauses -= 1

    async def warm(self, agent_id: str, request: Request, *, autoload: bool) -> bool:
        """Have the server process the prompt of a request, unless it just has.

        autoload: whether a router may load the model for that; if not, it refuses.

        Returns whether it did: not if nothing has changed, nor if somebody waits for an answer,
        before or meanwhile. Raises LlamaServerError.
        """
        prefix = _prefix(request)
        async with self._lock:
            if self._n_pauses or self._processed.get(agent_id) == prefix:
                return False
            work = self._process({**request, "max_tokens": 1}, autoload=autoload)
            self._task = asyncio.create_task(work)
            try:
                await asyncio.wait({self._task})
            finally:
                self._task.cancel()
                task, self._task = self._task, None
            if task.cancelled():
                return False
            task.result()
            self._processed[agent_id] = prefix
            return True

    async def _process(self, request: Request, *, autoload: bool) -> None:
        async with aclosing(self._client.stream_chat(request, autoload=autoload)) as events:
            async for _event in events:
                pass


def _prefix(request: Mapping[str, Any]) -> bytes:
    """Return a digest of the part of the prompt that stays from one question to the next."""
    parts = [request["messages"][0], *(request.get(name) for name in _PREFIX_FIELDS)]
    return sha256(json.dumps(parts).encode()).digest()
