"""Requests that nobody waits for: one at a time, and none while somebody waits for another."""

import asyncio
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from ..client import Completion, ServerTimeoutError, stream_beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import ChatRequest, LlamaServerClient

# A Raspberry Pi processes the prompt of a large home in some six minutes.
WARM_UP_SECONDS = 1200.0


class PreemptibleRequests:
    """Has one server process requests ahead. The caller sends one at a time.

    n_begun: how many requests have begun, those that somebody waits for included.
    """

    def __init__(self, client: LlamaServerClient) -> None:
        """Begin with nobody waiting."""
        self._client = client
        self._n_pauses = 0
        # Ends the request that is under way.
        self._limit: asyncio.Timeout | None = None
        self.n_begun = 0

    @property
    def is_paused(self) -> bool:
        """Return whether somebody waits for an answer."""
        return self._n_pauses > 0

    @property
    def is_busy(self) -> bool:
        """Return whether somebody waits for an answer, or a request is under way."""
        return self.is_paused or self._limit is not None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep requests away, and end the one that is under way."""
        self._n_pauses += 1
        self.n_begun += 1
        if self._limit and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
        try:
            yield
        finally:
            self._n_pauses -= 1

    async def process(
        self, request: ChatRequest, *, autoload: bool, is_beginning: bool = False
    ) -> Completion | None:
        """Have a request processed, and return what that took; None if somebody asked meanwhile.

        autoload: whether a router may load the model for that. is_beginning: more words will follow
        its last ones. Raises LlamaServerError.
        """
        self.n_begun += 1
        try:
            async with asyncio.timeout(None) as self._limit:
                return await self._process(request, autoload=autoload, is_beginning=is_beginning)
        except TimeoutError:
            return None
        finally:
            self._limit = None

    async def _process(
        self, request: ChatRequest, *, autoload: bool, is_beginning: bool
    ) -> Completion:
        completion = Completion(usage=None, timings=None)
        # What is answered is of no use, so it need not fit either.
        body = {name: value for name, value in request.items() if name != "grammar"}
        limits: dict[str, Any] = {"autoload": autoload, "between_events": WARM_UP_SECONDS}
        if is_beginning:
            stream = stream_beginning(self._client, body, **limits)
        else:
            stream = self._client.stream_chat(body, **limits)
        try:
            async with asyncio.timeout(WARM_UP_SECONDS), aclosing(stream) as events:
                async for event in events:
                    if isinstance(event, Completion):
                        completion = event
        except TimeoutError as err:
            raise ServerTimeoutError("The prompt was not processed in time") from err
        return completion
