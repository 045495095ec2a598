"""Completions of prompts that the server has rendered from a chat.

Used for raw model output: under a grammar, and where the server fails to parse the output.

A chat completion of llama-server parses the output for thinking and tool calls in the format of
the chat template. Under a grammar the output has neither: the server then treats the answer as
thinking, or fails. So render the prompt from the template first, then complete it.
"""

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from .errors import BadRequestError, NotLlamaServerError, NotSupportedError
from .thinking import THINKING_MARKS, open_thinking
from .types import TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from .client import LlamaServerClient
    from .types import StreamEvent

# Fields of a chat request that the template renders.
_OF_PROMPT = ("messages", "tools", "chat_template_kwargs")
# Fields of a chat request that a completion does not take, or takes in another form.
_OF_CHAT = (*_OF_PROMPT, "thinking_budget_tokens", "logprobs", "top_logprobs")
# Tokens that the server drops from the text unless the request lists them.
_TOLD = (
    *THINKING_MARKS,
    *THINKING_MARKS.values(),
    *("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|channel>"),
    *("<tool_call>", "</tool_call>", "<|tool_call|>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]"),
)


async def stream_constrained(
    client: LlamaServerClient, request: Mapping[str, Any]
) -> AsyncGenerator[StreamEvent]:
    """Ask for an answer under a grammar and yield its events, as `client.stream_chat` does.

    request: body of a chat completion without tools. All of the text is the answer, none of it is
    thinking. Falls back to a chat completion for images and where the server renders no prompt.
    """
    prompt = await _prompt(client, request)
    if prompt is None:
        stream = client.stream_chat(request, is_thought_said=True)
    else:
        # The grammar allows no thinking: close it.
        if mark := open_thinking(prompt):
            prompt = f"{prompt.rstrip()}\n{THINKING_MARKS[mark]}\n\n"
        body = {name: value for name, value in request.items() if name not in _OF_CHAT}
        if request.get("logprobs"):
            body["logprobs"] = request["top_logprobs"]
        stream = client.stream_completion({**body, "prompt": prompt})
    async with aclosing(stream) as events:
        async for event in events:
            yield event


async def stream_unread(
    client: LlamaServerClient, request: Mapping[str, Any]
) -> AsyncGenerator[StreamEvent]:
    """Ask for an answer that the server does not parse, and yield its events.

    request: body of a chat completion, perhaps with tools. The text contains thinking and tool
    calls with the model's own marks. Raises NotSupportedError with a grammar or a response format,
    and where the server renders no prompt.
    """
    is_free = not request.keys() & {"grammar", "response_format"}
    prompt = await _prompt(client, request) if is_free else None
    if prompt is None:
        raise NotSupportedError("The server does not tell the prompt")
    if mark := open_thinking(prompt):
        yield TextDelta(mark)
    body = {name: value for name, value in request.items() if name not in _OF_CHAT}
    body |= {"prompt": prompt, "preserved_tokens": _TOLD}
    async with aclosing(client.stream_completion(body)) as events:
        async for event in events:
            yield event


async def stream_beginning(
    client: LlamaServerClient,
    request: Mapping[str, Any],
    *,
    autoload: bool,
    between_events: float,
) -> AsyncGenerator[StreamEvent]:
    """Prefill a chat up to the end of its last message, and yield the events.

    A model with a recurrent state can only continue from there if nothing behind it was read: it
    cannot go back. Servers that render no prompt prefill all of it. The other parameters are those
    of `client.stream_chat`.
    """
    prompt = await _prompt(client, request, autoload=autoload) or ""
    words = str(request["messages"][-1]["content"])
    # Some templates strip white space at the end.
    ends = [
        prompt.rfind(one) + len(one) for one in (words, words.rstrip()) if one and one in prompt
    ]
    limits: dict[str, Any] = {"autoload": autoload, "between_events": between_events}
    if ends:
        body = {name: value for name, value in request.items() if name not in _OF_CHAT}
        stream = client.stream_completion({**body, "prompt": prompt[: ends[0]]}, **limits)
    else:
        stream = client.stream_chat(request, **limits)
    async with aclosing(stream) as events:
        async for event in events:
            yield event


async def _prompt(
    client: LlamaServerClient, request: Mapping[str, Any], *, autoload: bool = True
) -> str | None:
    """Return the prompt that the server renders from a chat, None if it does not render one.

    Images are not part of a rendered prompt. If the server rejects the chat here, it also rejects
    the chat completion, with a reason.
    """
    if _has_pictures(request):
        return None
    fields = {name: request[name] for name in _OF_PROMPT if name in request}
    try:
        return await client.apply_template(
            **fields, model=request.get("model"), autoload=autoload, keeps_open=True
        )
    except BadRequestError, NotLlamaServerError:
        return None


def _has_pictures(request: Mapping[str, Any]) -> bool:
    return any(isinstance(one.get("content"), list) for one in request["messages"])
