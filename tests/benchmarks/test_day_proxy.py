"""The proxy of the benchmark `day` changes nothing, and counts like a real llama-server."""

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from benchmarks.lib.day.prompts import PromptCounter
from benchmarks.lib.day.proxy import RecordingProxy, is_recent
from dev.processes import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dev.llama import LlamaServer

CHAT = "/v1/chat/completions"
LONG = " ".join(f"word{number}" for number in range(300))


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Allow sockets: everything is on the loopback interface."""


@pytest.fixture
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    """Return a client's session."""
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def proxy(llama_server: LlamaServer) -> AsyncGenerator[RecordingProxy]:
    """Return a proxy in front of the real server."""
    async with RecordingProxy(llama_server.base_url) as opened:
        yield opened


def request(words: str, **fields: Any) -> dict[str, Any]:
    """Return a request whose answer is always the same."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": words}]
    return {"messages": messages, "temperature": 0, "max_tokens": 8, "stream": True, **fields}


async def events(session: aiohttp.ClientSession, url: str, body: Any) -> list[Any]:
    """Return the events of a stream, without the parts that differ between requests."""
    async with session.post(url + CHAT, json=body) as response:
        assert response.status == 200
        text = await response.text()
    found = []
    for line in text.split("\n\n"):
        data = line.removeprefix("data: ")
        if data.startswith("{"):
            event = json.loads(data)
            for name in ("created", "id", "timings", "usage"):
                event.pop(name, None)
            found.append(event)
        else:
            found.append(data)
    return found


@pytest.mark.parametrize("fields", [{}, {"stream_options": {"include_usage": True}}])
async def test_streams_are_the_same(
    llama_server: LlamaServer,
    proxy: RecordingProxy,
    session: aiohttp.ClientSession,
    fields: dict[str, Any],
) -> None:
    """A client gets the same events with the proxy and without, and the counts are recorded."""
    body = request("Say hello to the garden.", **fields)
    direct = await events(session, llama_server.base_url, body)
    assert await events(session, proxy.base_url, body) == direct
    (exchange,) = proxy.exchanges
    prompts = PromptCounter(session, llama_server.base_url)
    assert (exchange.status, exchange.n_prompt) == (200, len(await prompts.tokens(body)))
    assert exchange.complete
    assert exchange.processed == 1
    assert exchange.first_words is not None
    assert exchange.body == body


async def test_progress_is_for_those_who_ask(
    proxy: RecordingProxy, session: aiohttp.ClientSession
) -> None:
    """The proxy always gets progress; a client only if it asks for it."""
    without = await events(session, proxy.base_url, request("How are you?"))
    seen = await events(session, proxy.base_url, request("How are they?", return_progress=True))
    assert not any("prompt_progress" in one for one in without)
    assert any("prompt_progress" in one for one in seen)
    assert all(one.progress for one in proxy.exchanges)


async def test_other_requests_pass(
    llama_server: LlamaServer, proxy: RecordingProxy, session: aiohttp.ClientSession
) -> None:
    """Other requests pass unchanged: errors, queries and bodies included."""
    for path in ("/v1/models", "/slots", "/nowhere?a=b"):
        answers = []
        for url in (llama_server.base_url, proxy.base_url):
            async with session.get(url + path) as response:
                names = ("Content-Type", "Server")
                head = [response.headers.get(name) for name in names]
                # The server reports the time of the request.
                body = re.sub(rb'"created":\d+', b"", await response.read())
                answers.append((response.status, head, body))
        assert answers[0] == answers[1]
    async with session.post(f"{proxy.base_url}/tokenize", json={"content": "one"}) as response:
        assert len((await response.json())["tokens"]) == 1
    async with session.post(proxy.base_url + CHAT, json={"messages": "none"}) as response:
        assert response.status >= 400
    assert [one.status for one in proxy.exchanges] == [response.status]


async def test_whole_answers_are_counted(
    proxy: RecordingProxy, session: aiohttp.ClientSession
) -> None:
    """An answer without streaming is counted, too."""
    body = request("Say yes.", stream=False)
    async with session.post(proxy.base_url + CHAT, json=body) as response:
        counted = (await response.json())["timings"]
    (exchange,) = proxy.exchanges
    assert exchange.n_prompt == counted["prompt_n"] + counted["cache_n"]


async def test_who_hangs_up_is_let_go(
    llama_server: LlamaServer, proxy: RecordingProxy, session: aiohttp.ClientSession
) -> None:
    """The server sees the end of the connection; its work until then is counted."""
    body = request(LONG, max_tokens=1)
    since = time.perf_counter()
    asking = asyncio.create_task(events(session, proxy.base_url, body))
    assert await proxy.wait_for_prefill(since, 60.0)
    exchange = proxy.exchanges[-1]
    async with asyncio.timeout(120.0):
        asking.cancel()
        while exchange.ended is None:  # noqa: ASYNC110 - the proxy tells nobody
            await asyncio.sleep(0.01)
        while await busy(session, llama_server.base_url):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    assert not exchange.complete
    assert exchange.is_prefill
    total = exchange.progress[-1].total
    assert exchange.processed < exchange.most_processed(512) <= total


async def busy(session: aiohttp.ClientSession, url: str) -> bool:
    """Return whether a slot of the server is busy."""
    async with session.get(f"{url}/slots") as response:
        return any(one["is_processing"] for one in await response.json())


async def test_quiet_after_a_prefill(proxy: RecordingProxy, session: aiohttp.ClientSession) -> None:
    """It is quiet some time after the last prefill, or after a time limit."""
    await events(session, proxy.base_url, request("Be ready.", max_tokens=1))
    (exchange,) = proxy.exchanges
    await proxy.wait_for_quiet(60.0)
    assert exchange.ended is not None
    assert not is_recent(exchange.ended)
    exchange.ended = None
    await proxy.wait_for_quiet(0.05)


async def test_no_prefill(proxy: RecordingProxy) -> None:
    """The wait for a prefill has a limit."""
    assert not await proxy.wait_for_prefill(time.perf_counter(), 0.05)


async def test_a_server_that_is_away(session: aiohttp.ClientSession) -> None:
    """Connections fail as without a proxy."""
    async with RecordingProxy(f"http://{LOOPBACK}:{free_port()}") as away:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{away.base_url}/health")


async def test_new_tokens(llama_server: LlamaServer, session: aiohttp.ClientSession) -> None:
    """The user's words and the template's marks behind them, unless they were said before."""
    prompts = PromptCounter(session, llama_server.base_url)
    words = "Turn on the light in the hall."
    n_prompt, new = await prompts.count(request(words), words)
    marks = await prompts.tokens({"messages": [{"role": "user", "content": "0"}]})
    nothing = await prompts.tokens(request("0"))
    said = n_prompt - len(nothing) + 1
    assert 0 < said <= new < said + len(marks)
    assert await prompts.count(request(words), words) == (n_prompt, 1)
    other = "Turn on the light in the attic."
    assert (await prompts.count(request(other), other))[1] < new


async def test_completions_of_prompts_are_known_by_what_they_were_made_of(
    llama_server: LlamaServer, proxy: RecordingProxy, session: aiohttp.ClientSession
) -> None:
    """An answer under a grammar counts as its chat."""
    grammar = 'root ::= "on" | "off"'
    body = request("Turn it on, not off.", grammar=grammar)
    messages, rest = body["messages"], {k: v for k, v in body.items() if k != "messages"}
    url = f"{proxy.base_url}/apply-template"
    async with session.post(url, json={"messages": messages}) as response:
        prompt = (await response.json())["prompt"]
    url = f"{proxy.base_url}/v1/completions"
    async with session.post(url, json={**rest, "prompt": prompt}) as response:
        assert response.status == 200
        await response.read()
    (exchange,) = proxy.exchanges
    assert exchange.body == body
    assert exchange.first_words is not None
    prompts = PromptCounter(session, llama_server.base_url)
    assert exchange.n_prompt == len(await prompts.tokens(body))
