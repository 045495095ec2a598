"""Connections to a server: each idle one takes one of its few threads."""

from typing import TYPE_CHECKING

from aiohttp import web

from custom_components.llamacpp.client import CannotConnectError, Finish
from tests.integration.peers import collect, stream_events

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from custom_components.llamacpp.client import LlamaServerClient
    from tests.integration.peers import Peers

PROPS = {"build_info": "b1-1", "default_generation_settings": {"n_ctx": 512}}
STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
DONE = "data: [DONE]"


async def test_a_chat_has_the_connection_of_what_was_asked_before(peers: Peers) -> None:
    """Poll and chat use one connection, and leave none open."""
    ports: list[tuple[str, int, bool]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        port = request.transport.get_extra_info("peername")[1]
        ports.append((request.path, port, request.keep_alive))
        if request.path == "/props":
            return web.json_response(PROPS)
        return await stream_events(request, [STOP, DONE])

    client = peers.client(await peers.http(answer))
    await client.props()
    await client.props(keeps_open=True)
    events, error = await collect(client)
    await client.props()
    assert error is None
    assert any(isinstance(one, Finish) for one in events)
    (_, first, first_open), (_, second, second_open), (chat, third, chat_open), (_, last, _) = ports
    assert chat == "/v1/chat/completions"
    assert second == third
    assert (first_open, second_open, chat_open) == (False, True, False)
    assert len({first, second, last}) == 3


async def test_a_connection_that_is_just_closed_is_replaced(peers: Peers) -> None:
    """The server closes an idle connection as the chat is sent: it is sent again, once."""
    client, chats = await _closing(peers, lambda n_chats: n_chats == 1)
    await client.props(keeps_open=True)
    events, error = await collect(client)
    assert error is None
    assert any(isinstance(one, Finish) for one in events)
    assert chats == [1, 2]


async def test_a_server_that_closes_each_connection_is_told_of(peers: Peers) -> None:
    """A chat that fails on a new connection is not sent again."""
    client, chats = await _closing(peers, lambda _: True)
    await client.props(keeps_open=True)
    _, error = await collect(client)
    assert type(error) is CannotConnectError
    assert chats == [1, 2]


async def test_only_what_was_kept_open_can_be_stale(peers: Peers) -> None:
    """A chat that fails on its own connection is not sent again."""
    client, chats = await _closing(peers, lambda _: True)
    await client.props()
    _, error = await collect(client)
    assert type(error) is CannotConnectError
    assert chats == [1]


async def test_a_real_server_takes_both_on_one_connection(
    client: LlamaServerClient, session: aiohttp.ClientSession
) -> None:
    """Afterwards no connection is open."""
    await client.props(keeps_open=True)
    assert session.connector is not None
    request = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
    events = [one async for one in client.stream_chat(request)]
    assert any(isinstance(one, Finish) for one in events)
    assert not [one for conns in session.connector._conns.values() for one in conns]  # noqa: SLF001


async def _closing(
    peers: Peers, closes: Callable[[int], bool]
) -> tuple[LlamaServerClient, list[int]]:
    """Return a client for a server that closes connections when a chat was sent.

    closes: whether it does so at the chat with this number. The list has all numbers.
    """
    chats: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/props":
            return web.json_response(PROPS)
        chats.append(len(chats) + 1)
        if closes(len(chats)):
            assert request.transport is not None
            request.transport.abort()
        return await stream_events(request, [STOP, DONE])

    return peers.client(await peers.http(answer)), chats
