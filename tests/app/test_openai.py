"""OpenAI's own client, with the app's llama-server on port 8080."""

import json
import urllib.request
from typing import TYPE_CHECKING, Any, cast

import openai
import pytest

from dev.scripted_model import ScriptedCall, write_scripted_model
from tests.app.running_app import serving_app

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

    from tests.app.running_app import RunningApp

pytestmark = pytest.mark.usefixtures("socket_enabled")

SECONDS = 60.0
ASKED = "Is it warm in the garden?"
ANSWER = "It is 21 degrees in the garden."
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "read_sensor",
        "description": "Reads a sensor of the home.",
        "parameters": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    },
}


@pytest.fixture(scope="module")
def tool_app(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningApp]:
    """Return the running app with a model that calls a tool, and with embeddings."""
    folder = tmp_path_factory.mktemp("openai")
    models = folder / "config" / "models"
    models.mkdir(parents=True)
    script = {ASKED: [str(ScriptedCall("read_sensor", {"name": "Garden"})), ANSWER]}
    write_scripted_model(models / "scripted.gguf", model, script, "Hello.")
    url = "http://127.0.0.1:1/scripted.gguf"
    with serving_app(folder, model_url=url, context_size="2048", embeddings="true") as app:
        yield app


def client_of(app: RunningApp, key: str | None = None) -> openai.OpenAI:
    """Return the client, with the app's key by default."""
    return openai.OpenAI(
        base_url=f"{app.server_url}/v1",
        api_key=app.key if key is None else key,
        timeout=SECONDS,
        max_retries=0,
    )


def test_chat(shared_app: RunningApp) -> None:
    """The answer has its usage, and the model of the options."""
    with client_of(shared_app) as client:
        assert [one.id for one in client.models.list()] == ["smol"]
        answer = client.chat.completions.create(
            model="smol",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=4,
            temperature=0,
        )
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4


def test_streaming(shared_app: RunningApp) -> None:
    """Words are streamed, and the last chunk has the usage."""
    with client_of(shared_app) as client:
        chunks = list(
            client.chat.completions.create(
                model="smol",
                messages=[{"role": "user", "content": "Say hello."}],
                max_tokens=6,
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    words = [one.choices[0].delta.content for one in chunks if one.choices]
    assert len([one for one in words if one]) > 3
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6


@pytest.mark.parametrize("stream", [False, True])
def test_tools(tool_app: RunningApp, stream: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """A tool is called with its arguments, and its result is in the answer."""
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": ASKED}]
    with client_of(tool_app) as client:
        call = streamed_call(client, messages) if stream else whole_call(client, messages)
        assert call["function"] == {"name": "read_sensor", "arguments": '{"name": "Garden"}'}
        messages += [
            cast("ChatCompletionMessageParam", {"role": "assistant", "tool_calls": [call]}),
            {"role": "tool", "tool_call_id": call["id"], "content": "21 °C"},
        ]
        answer = client.chat.completions.create(model="any", messages=messages, tools=[TOOL])
    assert answer.choices[0].message.content == ANSWER


def whole_call(client: openai.OpenAI, messages: list[ChatCompletionMessageParam]) -> dict[str, Any]:
    """Return the tool call of an answer without streaming."""
    answer = client.chat.completions.create(model="any", messages=messages, tools=[TOOL])
    assert answer.choices[0].finish_reason == "tool_calls"
    call = (answer.choices[0].message.tool_calls or [])[0]
    return call.model_dump()


def streamed_call(
    client: openai.OpenAI, messages: list[ChatCompletionMessageParam]
) -> dict[str, Any]:
    """Return the tool call of a streamed answer."""
    with client.chat.completions.stream(model="any", messages=messages, tools=[TOOL]) as events:
        answer = events.get_final_completion()
    call = (answer.choices[0].message.tool_calls or [])[0]
    function = {"name": call.function.name, "arguments": call.function.arguments}
    return {"id": call.id, "type": "function", "function": function}


def test_embeddings(tool_app: RunningApp) -> None:
    """A text gets a vector if the option is on."""
    with client_of(tool_app) as client:
        (found,) = client.embeddings.create(model="any", input="The garden").data
    assert len(found.embedding) > 100


@pytest.mark.parametrize("key", ["wrong", "none"])
def test_the_key(shared_app: RunningApp, key: str) -> None:
    """Requests without it are rejected."""
    with client_of(shared_app, key) as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(
            model="smol", messages=[{"role": "user", "content": "Hello"}], max_tokens=1
        )


def test_conversations_in_turns(shared_app: RunningApp) -> None:
    """A small model has memory for four, though only two are answered at the same time."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{shared_app.server_url}/props", headers=shared_app.headers
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - loopback
        props = json.load(response)
    assert props["total_slots"] == 4
    assert props["default_generation_settings"]["n_ctx"] == 512


def test_pages_of_strangers_get_nothing(shared_app: RunningApp) -> None:
    """A foreign page in a browser may not read answers."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{shared_app.server_url}/v1/models",
        headers={**shared_app.headers, "Origin": "https://example.org"},
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - loopback
        allowed = response.headers.get("Access-Control-Allow-Origin")
    assert allowed not in ("*", "https://example.org")
