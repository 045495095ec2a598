"""The client with a real llama-server and a real small model."""

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from custom_components.llamacpp.client import (
    AuthenticationError,
    BadRequestError,
    CannotConnectError,
    Completion,
    ContextExceededError,
    Finish,
    FinishReason,
    LlamaServerClient,
    Modalities,
    Model,
    ModelLoadingError,
    ModelStatus,
    NotSupportedError,
    PromptProgress,
    ServerFaultError,
    Slot,
    TextDelta,
)
from dev.llama import LlamaServer
from tests.conftest import serving
from tests.integration.peers import collect

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import aiohttp

    from custom_components.llamacpp.client import StreamEvent, Timings

SLOT_TOKENS = 4096
PARAMETERS = 134_515_008
WEIGHT_BYTES = 96_576_768
PIXEL = "data:image/png;base64,iVBORw0KGgo="
WAIT_SECONDS = 30.0


@pytest.fixture(scope="module")
def locked_server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[LlamaServer]:
    """Return a small real server with the key `right` and without `/slots`."""
    log = tmp_path_factory.mktemp("locked") / "log.txt"
    flags = ("--ctx-size", "512", "--parallel", "1", "--no-slots")
    with serving(log, *flags, model=model, api_key="right") as server:
        yield server


def chat(text: str, **fields: Any) -> dict[str, Any]:
    """Return a request for a short, repeatable answer."""
    return {
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": 8,
        **fields,
    }


async def answer(client: LlamaServerClient, request: dict[str, Any]) -> list[StreamEvent]:
    """Return all events of an answer."""
    return [event async for event in client.stream_chat(request)]


def timings_of(events: list[StreamEvent]) -> Timings:
    """Return the timings at the end of a stream."""
    completion = events[-1]
    assert isinstance(completion, Completion)
    assert completion.timings is not None
    return completion.timings


async def wait_for_slots(
    client: LlamaServerClient, condition: Callable[[list[Slot]], bool]
) -> None:
    """Wait until the slots meet the condition."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition(await client.slots()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def busy(slots: list[Slot]) -> bool:
    """Return whether any slot is busy."""
    return any(slot.is_processing for slot in slots)


def idle(slots: list[Slot]) -> bool:
    """Return whether no slot is busy."""
    return not busy(slots)


async def test_identify(client: LlamaServerClient, model: Path) -> None:
    """A real server is recognised, with the context of each slot."""
    await client.health()
    props = await client.identify()
    assert props == await client.props()
    assert (props.n_ctx, props.total_slots, props.model_alias) == (SLOT_TOKENS, 2, "smol")
    assert props.model_path == str(model)
    assert props.build_info.startswith("b")
    assert "<|im_start|>" in props.chat_template
    assert props.chat_template_caps.supports_system_role
    assert not props.chat_template_caps.supports_tools
    assert props.modalities == Modalities(vision=False, audio=False)
    assert not props.is_router
    assert not props.is_sleeping
    assert props.has_metrics
    assert props.has_slots


async def test_models(client: LlamaServerClient) -> None:
    """The only model is loaded, with its numbers."""
    assert await client.models() == [
        Model("smol", ("smol",), ModelStatus.LOADED, SLOT_TOKENS, PARAMETERS, WEIGHT_BYTES)
    ]


async def test_tokenize(client: LlamaServerClient) -> None:
    """Special words become single tokens, or text, as asked."""
    assert await client.tokenize("Turn on the light") == [24202, 335, 260, 1420]
    assert await client.tokenize("<|im_start|>") == [1]
    assert len(await client.tokenize("<|im_start|>", parse_special=False)) > 1
    assert await client.tokenize("") == []


async def test_apply_template(client: LlamaServerClient) -> None:
    """The prompt is the template's; this template drops tools."""
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}]
    tool = {"type": "function", "function": {"name": "HassTurnOn", "parameters": {}}}
    prompt = await client.apply_template(messages, [tool])
    assert prompt == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


async def test_slots_and_metrics(client: LlamaServerClient) -> None:
    """Slots have their context, and an answer increases the metrics."""
    await wait_for_slots(client, idle)
    assert await client.slots() == [
        Slot(number, SLOT_TOKENS, is_processing=False) for number in range(2)
    ]
    before = await client.metrics()
    timings = timings_of(await answer(client, chat("What is a metric?")))
    await wait_for_slots(client, idle)
    after = await client.metrics()
    grown = {name: after[name] - before[name] for name in after}
    assert grown["prompt_tokens_total"] == timings.prompt_n
    assert grown["prompt_tokens_cached_total"] == timings.cache_n
    assert grown["tokens_predicted_total"] == timings.predicted_n
    assert after["requests_processing"] == 0


async def test_chat(client: LlamaServerClient) -> None:
    """A streamed answer has progress, text, finish, and the tokenizer's counts."""
    request = chat("Say hello in one word, and nothing else.")
    prompt = await client.tokenize(await client.apply_template(request["messages"]))
    progress, *texts, finish, completion = await answer(client, request)
    while texts and isinstance(texts[0], PromptProgress):
        progress = texts.pop(0)
    assert isinstance(progress, PromptProgress)
    assert progress.total == progress.processed == len(prompt)
    assert all(isinstance(text, TextDelta) for text in texts)
    assert isinstance(finish, Finish)
    assert finish.reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert isinstance(completion, Completion)
    usage, timings = completion.usage, completion.timings
    assert usage is not None
    assert timings is not None
    assert timings.prompt_n + timings.cache_n == usage.prompt_tokens == len(prompt)
    assert usage.cached_tokens == timings.cache_n
    assert usage.completion_tokens == timings.predicted_n
    assert 0 < usage.completion_tokens <= 8


async def test_cut_off(client: LlamaServerClient) -> None:
    """The token limit is a finish reason."""
    events = await answer(client, chat("Count to a hundred.", max_tokens=2))
    assert events[-2] == Finish(FinishReason.LENGTH)
    assert timings_of(events).predicted_n == 2


async def test_second_ask_is_warm(client: LlamaServerClient) -> None:
    """The known start of a prompt is not processed again."""
    rules = "You help at home. " * 20
    cold = timings_of(await answer(client, chat(f"{rules}Is the door shut?")))
    warm = timings_of(await answer(client, chat(f"{rules}Is the light on?")))
    assert warm.cache_n > 100
    assert warm.prompt_n < 20
    assert abs((cold.cache_n + cold.prompt_n) - (warm.cache_n + warm.prompt_n)) < 5


async def test_context_exceeded(client: LlamaServerClient) -> None:
    """A prompt beyond the context is rejected with both counts, and nothing is processed."""
    with pytest.raises(ContextExceededError) as raised:
        await answer(client, chat("light " * (SLOT_TOKENS + 100)))
    assert raised.value.n_ctx == SLOT_TOKENS
    assert raised.value.n_prompt_tokens is not None
    assert SLOT_TOKENS + 100 < raised.value.n_prompt_tokens < SLOT_TOKENS + 200


async def test_bad_request(client: LlamaServerClient) -> None:
    """The error says what is wrong in the request."""
    with pytest.raises(BadRequestError, match="grammar"):
        await answer(client, chat("hi", grammar="root := !!"))


async def test_image_without_projector(client: LlamaServerClient) -> None:
    """A model without vision says so."""
    content = [{"type": "image_url", "image_url": {"url": PIXEL}}]
    with pytest.raises(ServerFaultError, match="image input is not supported"):
        await answer(client, {"messages": [{"role": "user", "content": content}]})


@pytest.mark.parametrize("way", ["aclose", "cancel"])
async def test_letting_go_frees_the_slot(client: LlamaServerClient, way: str) -> None:
    """A consumer that leaves stops the server's work."""
    await wait_for_slots(client, idle)
    before = await client.metrics()
    request = chat("Tell a very long story.", max_tokens=3000, ignore_eos=True)
    started = asyncio.Event()

    async def consume() -> None:
        async with contextlib.aclosing(client.stream_chat(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    started.set()
                    if way == "aclose":
                        break

    task = asyncio.create_task(consume())
    await started.wait()
    if way == "cancel":
        assert busy(await client.slots())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await task
    await wait_for_slots(client, idle)
    after = await client.metrics()
    assert after["tokens_predicted_total"] - before["tokens_predicted_total"] < 1500


async def test_more_asks_than_slots(client: LlamaServerClient) -> None:
    """Requests beyond the number of slots wait."""
    asks = [answer(client, chat(f"Name the number {number}.")) for number in range(4)]
    for events in await asyncio.gather(*asks):
        assert isinstance(events[-2], Finish)


async def test_key(locked_server: LlamaServer, session: aiohttp.ClientSession) -> None:
    """Only the right key is accepted; the health needs none."""
    for key in (None, "wrong"):
        client = LlamaServerClient(session, locked_server.base_url, api_key=key)
        await client.health()
        with pytest.raises(AuthenticationError, match="Invalid API Key"):
            await client.identify()
        _, error = await collect(client)
        assert isinstance(error, AuthenticationError)
        assert "wrong" not in str(error)
    client = LlamaServerClient(session, locked_server.base_url, api_key="right")
    assert (await client.identify()).total_slots == 1
    assert isinstance((await answer(client, chat("hi")))[-2], Finish)


async def test_feature_not_switched_on(
    locked_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """The error names the disabled feature."""
    client = LlamaServerClient(session, locked_server.base_url, api_key="right")
    with pytest.raises(NotSupportedError, match="slots"):
        await client.slots()


async def test_while_loading(model: Path, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Before the server is ready, the client reports that it cannot connect or that it loads."""
    server = LlamaServer(tmp_path / "log.txt", "--ctx-size", "512", model=model)
    client = LlamaServerClient(session, server.base_url)
    met: list[type[Exception]] = []
    server.start()
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                props = await client.identify()
            except (CannotConnectError, ModelLoadingError) as err:
                met.append(type(err))
                await asyncio.sleep(0.01)
            else:
                break
        assert props.n_ctx == 512
    finally:
        server.kill()
    assert met
    with pytest.raises(CannotConnectError):
        await client.health()
