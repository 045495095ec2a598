"""Another program's use of the server is not confused with our own late token counts."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.integration.peers import stream_events
from tests.integration.prefill import until_prefilled
from tests.integration.talk import PROPS, ask, is_prefill, no_slots, piece, sse

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.coordinator import LlamaCppCoordinator
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

PROCESSED, CACHED = 10, 90
# The home's prompt and an empty user message.
HOME_MESSAGES = 2
USAGE = {
    "prompt_tokens": PROCESSED + CACHED,
    "completion_tokens": 1,
    "total_tokens": PROCESSED + CACHED + 1,
    "prompt_tokens_details": {"cached_tokens": CACHED},
}


class CountingServer:
    """A llama-server that counts tokens, and may be too busy for `/metrics`."""

    def __init__(self) -> None:
        """Start without any request."""
        self.n_asked = 0
        self.n_warm_ups = 0
        self.is_too_busy = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response({**PROPS, "endpoint_metrics": True})
        if request.path == "/metrics":
            return self._metrics()
        if request.path != "/v1/chat/completions":
            return no_slots()
        body: dict[str, Any] = await request.json()
        self.n_asked += 1
        # A prefill of the home, not of a next turn.
        self.n_warm_ups += is_prefill(body) and len(body["messages"]) == HOME_MESSAGES
        end = {"choices": [], "usage": USAGE}
        return await stream_events(request, sse(piece(content="Hi."), piece("stop"), end))

    def _metrics(self) -> web.Response:
        if self.is_too_busy:
            return web.json_response({"error": {"code": 503, "message": "busy"}}, status=503)
        counts = {
            "prompt_tokens_total": self.n_asked * PROCESSED,
            "prompt_tokens_cached_total": self.n_asked * CACHED,
        }
        return web.Response(text="".join(f"llamacpp:{k} {v}\n" for k, v in counts.items()))


async def prefilled_server(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> tuple[CountingServer, LlamaCppCoordinator]:
    """Return a server that has prefilled the home, and its coordinator."""
    server = CountingServer()
    entry = await add_server(await peers.http(server.handle))
    await until_prefilled(home)
    return server, entry.runtime_data.coordinator


async def test_late_counts_are_nobody_else(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Our own tokens in a late `/metrics` do not trigger a prefill."""
    server, coordinator = await prefilled_server(home, add_server, peers)
    await coordinator.async_refresh()
    n_warm_ups = server.n_warm_ups
    assert n_warm_ups
    for is_too_busy in (True, False, False):
        await ask(home, "Hello")
        server.is_too_busy = is_too_busy
        await coordinator.async_refresh()
        await until_prefilled(home)
    assert server.n_warm_ups == n_warm_ups
    # Another program.
    server.n_asked += 1
    await coordinator.async_refresh()
    await until_prefilled(home)
    assert server.n_warm_ups == n_warm_ups + 1


async def test_what_was_given_up_before_is_nobody_else(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A prefill aborted by a reload is counted only once."""
    server, coordinator = await prefilled_server(home, add_server, peers)
    n_warm_ups = server.n_warm_ups
    for n_expected in (n_warm_ups, n_warm_ups + 1):
        server.n_asked += 1
        await coordinator.async_refresh()
        await until_prefilled(home)
        assert server.n_warm_ups == n_expected
