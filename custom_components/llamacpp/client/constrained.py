"""Completions of prompts that the server has made of a chat.

They are for answers as the model writes them: those under a grammar, and those that the server
cannot read.

A chat completion of llama-server looks for thinking and calls of tools in what the model writes, in
the form that the chat template has. Under a grammar there are none: the server then takes the
answer for thinking, or gives up. So it is asked to complete the prompt that the template makes.
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

# Fields of a chat that make the prompt.
_OF_PROMPT = ("messages", "tools", "chat_template_kwargs")
# Fields of a chat that a completion has no use for, or has in another form.
_OF_CHAT = (*_OF_PROMPT, "thinking_budget_tokens", "logprobs", "top_logprobs")
# Tokens that a server leaves out of a text unless it is told not to.
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

    request: body of a chat completion without tools. Its text has no thinking in it: all of it is
    the answer. Pictures, and servers that do not tell the prompt, need a chat completion.
    """
    prompt = await _prompt(client, request)
    if prompt is None:
        stream = client.stream_chat(request, is_thought_said=True)
    else:
        # Under a grammar there are no thoughts.
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
    """Ask for an answer that the server does not look into, and yield its events.

    request: body of a chat completion, perhaps with tools. Thoughts and calls are part of the text,
    with the marks that the model puts around them. Raises NotSupportedError where that cannot be
    had.
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
    """Have a chat's prompt processed up to the end of its last words, and yield the events.

    A model with a state can go on from there without having read anything behind: it cannot go
    back. Servers that do not tell the prompt process all of it. The other parameters are those of
    `client.stream_chat`.
    """
    prompt = await _prompt(client, request, autoload=autoload) or ""
    words = str(request["messages"][-1]["content"])
    # Some templates cut off white space at the end.
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
    """Return the prompt that the server makes of a chat, None if it does not tell.

    That of a chat with pictures is not all of it. What the server refuses it refuses in a chat
    completion as well, and says why.
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
