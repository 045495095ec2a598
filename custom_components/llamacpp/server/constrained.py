"""Answers under a grammar: what the model writes is what the grammar allows, and nothing else.

A chat completion of llama-server looks for thinking and calls of tools in what the model writes, in
the form that the chat template has. Under a grammar there are none: the server then takes the
answer for thinking, or gives up. So it is asked to complete the prompt that the template makes.
"""

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from .errors import BadRequestError, NotLlamaServerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from .client import LlamaServerClient
    from .types import StreamEvent

# Fields of a chat that make the prompt.
_OF_PROMPT = ("messages", "chat_template_kwargs")
# Fields of a chat that a completion has no use for, or has in another form.
_OF_CHAT = (*_OF_PROMPT, "thinking_budget_tokens", "logprobs", "top_logprobs")


async def stream_constrained(
    client: LlamaServerClient, request: Mapping[str, Any]
) -> AsyncGenerator[StreamEvent]:
    """Ask for an answer under a grammar and yield its events, as `client.stream_chat` does.

    request: body of a chat completion without tools. Its text has no thinking in it: all of it is
    the answer. Pictures, and servers that do not tell the prompt, need a chat completion.
    """
    prompt = None if _has_pictures(request) else await _prompt(client, request)
    if prompt is None:
        stream = client.stream_chat(request, is_thought_said=True)
    else:
        body = {name: value for name, value in request.items() if name not in _OF_CHAT}
        if request.get("logprobs"):
            body["logprobs"] = request["top_logprobs"]
        stream = client.stream_completion({**body, "prompt": prompt})
    async with aclosing(stream) as events:
        async for event in events:
            yield event


async def _prompt(client: LlamaServerClient, request: Mapping[str, Any]) -> str | None:
    """Return the prompt that the server makes of a chat, None if it does not tell.

    What it refuses it refuses in a chat completion as well, and says why.
    """
    fields = {name: request[name] for name in _OF_PROMPT if name in request}
    try:
        return await client.apply_template(**fields, model=request.get("model"), keeps_open=True)
    except BadRequestError, NotLlamaServerError:
        return None


def _has_pictures(request: Mapping[str, Any]) -> bool:
    return any(isinstance(one.get("content"), list) for one in request["messages"])
