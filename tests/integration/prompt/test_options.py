"""An agent's options: the fields of a request, and their effect on a real server."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.llamacpp.client import (
    Completion,
    Finish,
    FinishReason,
    LlamaServerClient,
    TextDelta,
    ThinkingDelta,
)
from custom_components.llamacpp.prompt.options import to_request_options
from tests.conftest import serving

if TYPE_CHECKING:
    from collections.abc import Generator

    import aiohttp

    from dev.llama import LlamaServer

TEMPLATE = Path(__file__).with_name("thinking.jinja")
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def thinking_server(
    model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LlamaServer]:
    """Return a real server whose model starts with a thought."""
    log = tmp_path_factory.mktemp("thinking") / "log.txt"
    flags = ("--ctx-size", "2048", "--parallel", "1", "--chat-template-file", TEMPLATE)
    with serving(log, *flags, model=model) as server:
        yield server


async def answer(
    server: LlamaServer, session: aiohttp.ClientSession, **options: Any
) -> tuple[str, str, FinishReason, int]:
    """Return thoughts, words, the finish reason, and the number of tokens."""
    thoughts = words = ""
    reason, tokens = FinishReason.UNKNOWN, 0
    request = {"messages": QUESTION, **to_request_options(options)}
    async for event in LlamaServerClient(session, server.base_url).stream_chat(request):
        match event:
            case ThinkingDelta(text):
                thoughts += text
            case TextDelta(text):
                words += text
            case Finish(reason):
                pass
            case Completion(usage):
                tokens = usage.completion_tokens if usage else 0
    return thoughts, words, reason, tokens


def test_nothing_set_nothing_sent() -> None:
    """The settings of the server and the model hold."""
    assert to_request_options({}) == {}
    assert to_request_options({"thinking": "default", "prompt": "Hi", "max_tool_rounds": 3}) == {}


def test_all_set() -> None:
    """Every option has its field; whole numbers are sent as such."""
    sent = to_request_options(
        {
            "temperature": 1,
            "top_p": 0.9,
            "top_k": 20.0,
            "min_p": 0.1,
            "repeat_penalty": 1.1,
            "seed": 7.0,
            "max_tokens": 100.0,
            "stop": ["END"],
            "thinking": "on",
            "thinking_budget": 64.0,
        }
    )
    assert sent == {
        "temperature": 1.0,
        "top_p": 0.9,
        "top_k": 20,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "seed": 7,
        "max_tokens": 100,
        "stop": ["END"],
        "chat_template_kwargs": {"enable_thinking": True},
        "thinking_budget_tokens": 64,
    }
    assert isinstance(sent["top_k"], int)
    assert isinstance(sent["temperature"], float)


async def test_thinking_on_off_and_bounded(
    thinking_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """The model thinks, does not think, or stops thinking after some tokens."""
    fixed = {"temperature": 0, "max_tokens": 40}
    thoughts, _, _, _ = await answer(thinking_server, session, **fixed)
    assert "Paris" in thoughts
    thoughts, words, _, _ = await answer(thinking_server, session, **fixed, thinking="off")
    assert thoughts == ""
    assert words
    short, words, _, _ = await answer(thinking_server, session, **fixed, thinking_budget=3)
    assert 0 < len(short) < len("The capital of France")
    assert words


async def test_limits_and_sampling(
    thinking_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """Token limit, stop words and seed have their effect."""
    off = {"thinking": "off", "max_tokens": 24}
    _, _, reason, tokens = await answer(
        thinking_server, session, thinking="off", max_tokens=3, temperature=0
    )
    assert (reason, tokens) == (FinishReason.LENGTH, 3)
    _, words, _, _ = await answer(thinking_server, session, **off, temperature=0)
    _, cut, reason, _ = await answer(
        thinking_server, session, **off, temperature=0, stop=[words.strip()[4:8]]
    )
    assert reason is FinishReason.STOP
    assert len(cut) < len(words)
    one, two = [
        await answer(thinking_server, session, **off, temperature=1.5, seed=11) for _ in range(2)
    ]
    assert one[1] == two[1]
