"""Answers under a grammar, as a completion of a prompt or as a chat."""

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from custom_components.llamacpp.client import (
    BadRequestError,
    Completion,
    Finish,
    LlamaServerClient,
    TextDelta,
    stream_constrained,
)
from tests.integration.peers import stream_events
from tests.integration.talk import piece, sse

if TYPE_CHECKING:
    import aiohttp

    from custom_components.llamacpp.client import StreamEvent
    from dev.llama import LlamaServer
    from tests.integration.peers import Peers

COMMAND = "turn on the lamp"
REQUEST: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Light, please"}],
    "chat_template_kwargs": {"enable_thinking": False},
    "grammar": f'root ::= "{COMMAND}" | "Hello."',
    "model": "m",
    "temperature": 0,
    "logprobs": True,
    "top_logprobs": 5,
}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}


class Server:
    """A server with given answers that records its requests."""

    def __init__(self, prompt: web.Response, *chunks: dict[str, Any]) -> None:
        """Start. prompt: of `/apply-template`. chunks: of an answer."""
        self.asked: list[tuple[str, Any]] = []
        self._prompt = prompt
        self._chunks = chunks

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer."""
        self.asked.append((request.path, await request.json()))
        if request.path == "/apply-template":
            return self._prompt
        return await stream_events(request, sse(*self._chunks))


async def events(client: LlamaServerClient, request: dict[str, Any]) -> list[StreamEvent]:
    """Return the events of an answer."""
    return [one async for one in stream_constrained(client, request)]


async def test_the_prompt_is_completed(peers: Peers) -> None:
    """One request makes the prompt, the other completes it."""
    pieces = [{"choices": [{"index": 0, "text": one, "finish_reason": None}]} for one in ("a", "b")]
    end = {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}
    server = Server(web.json_response({"prompt": "p"}), *pieces, end)
    found = await events(peers.client(await peers.http(server.handle)), REQUEST)
    assert found[:2] == [TextDelta("a"), TextDelta("b")]
    assert [type(one) for one in found[2:]] == [Finish, Completion]
    (made, prompt), (asked, body) = server.asked
    assert (made, asked) == ("/apply-template", "/v1/completions")
    names = ("messages", "chat_template_kwargs", "model")
    assert prompt == {name: REQUEST[name] for name in names}
    stream = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
    sent = {name: REQUEST[name] for name in ("grammar", "model", "temperature")}
    assert body == {**sent, **stream, "prompt": "p", "logprobs": 5}


async def test_a_thought_that_the_prompt_begins_is_ended(peers: Peers) -> None:
    """Some templates start a thought in every prompt."""
    end = {"choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]}
    server = Server(web.json_response({"prompt": "<|assistant|>\n<think>\n"}), end)
    await events(peers.client(await peers.http(server.handle)), REQUEST)
    _, (_, body) = server.asked
    assert body["prompt"] == "<|assistant|>\n<think>\n</think>\n\n"


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_without_the_prompt(peers: Peers, status: int) -> None:
    """A server without `/apply-template` gets a chat, and all its text is the answer."""
    chunks = [piece(reasoning_content="turn on "), piece(content="the lamp"), piece("stop")]
    server = Server(web.Response(status=status), *chunks)
    if status > 500:
        error = {"code": status, "message": "No", "type": "not_supported_error"}
        server = Server(web.json_response({"error": error}, status=status), *chunks)
    found = await events(peers.client(await peers.http(server.handle)), REQUEST)
    assert found[:2] == [TextDelta("turn on "), TextDelta("the lamp")]
    path, body = server.asked[-1]
    assert path == "/v1/chat/completions"
    assert REQUEST.items() <= body.items()


async def test_pictures_need_a_chat(peers: Peers) -> None:
    """The server puts pictures into the prompt itself."""
    server = Server(web.Response(status=500), piece(content=COMMAND), piece("stop"))
    said = {"role": "user", "content": [{"type": "text", "text": "Hi"}, PICTURE]}
    client = peers.client(await peers.http(server.handle))
    assert (await events(client, {**REQUEST, "messages": [said]}))[0] == TextDelta(COMMAND)
    assert [path for path, _ in server.asked] == ["/v1/chat/completions"]


async def test_what_is_refused(llama_server: LlamaServer, session: aiohttp.ClientSession) -> None:
    """The chat returns the reason."""
    client = LlamaServerClient(session, llama_server.base_url)
    with pytest.raises(BadRequestError, match="content"):
        await events(client, {**REQUEST, "messages": [{"role": "user"}]})
    with pytest.raises(BadRequestError, match="grammar"):
        await events(client, {**REQUEST, "grammar": "root ::= ("})


async def test_the_same_tokens(llama_server: LlamaServer, session: aiohttp.ClientSession) -> None:
    """A real server finds a chat's prompt in its cache, and returns the words' probabilities."""
    client = LlamaServerClient(session, llama_server.base_url)
    said = {"role": "user", "content": "Please tell me about the same tokens of a prompt, twice."}
    request = {**REQUEST, "messages": [said]}
    chat = [one async for one in client.stream_chat({**request, "max_tokens": 1})]
    found = await events(client, request)
    words = [one for one in found if isinstance(one, TextDelta)]
    assert "".join(one.text for one in words) in (COMMAND, "Hello.")
    assert all(one.logprob < 0 and one.others for one in words[:-1])
    usages = [one.usage for one in (chat[-1], found[-1]) if isinstance(one, Completion)]
    before, usage = usages
    assert before
    assert usage
    assert usage.prompt_tokens == before.prompt_tokens
    assert usage.cached_tokens == usage.prompt_tokens - 1


async def test_stop_words(llama_server: LlamaServer, session: aiohttp.ClientSession) -> None:
    """They end an answer under a grammar, too."""
    client = LlamaServerClient(session, llama_server.base_url)
    request = {**REQUEST, "grammar": f'root ::= "{COMMAND}"', "stop": ["the"]}
    found = await events(client, request)
    assert "".join(one.text for one in found if isinstance(one, TextDelta)) == "turn on "
