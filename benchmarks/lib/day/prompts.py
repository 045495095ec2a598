"""What of a prompt is new: the tokens that even a perfectly warm server has to process."""

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type PromptMessage = dict[str, Any]

# Stands for whatever else somebody might have said, or a tool might have returned.
OTHER_WORDS = "0"
# A server that is at work answers only between two batches, and machines can be busy.
HTTP_SECONDS = 280.0


class PromptCounter:
    """Counts the new tokens of prompts, with the server's own template and tokenizer.

    It remembers all prompts of a day: what one of them began with could still be in memory.
    """

    def __init__(self, session: aiohttp.ClientSession, server_url: str) -> None:
        """Begin a day. server_url: of the server itself, which neither request makes busy."""
        self._session = session
        self._server_url = server_url
        self._earlier: list[list[int]] = []

    async def tokens(self, body: Mapping[str, Any]) -> list[int]:
        """Return the prompt of a request for words as tokens."""
        applied = await self._post("/apply-template", body)
        text = {"content": applied["prompt"], "add_special": True, "parse_special": True}
        found: list[int] = (await self._post("/tokenize", text))["tokens"]
        return found

    async def count(self, body: Mapping[str, Any], words: str) -> tuple[int, int]:
        """Return a prompt's tokens, and how many of them no server could have processed ahead.

        The latter are the tokens behind the point up to which the prompt agrees with the same
        prompt with other words in place of what is new in it, or with one that was sent before;
        at least one, as the server needs one to begin with. words: what the user has said.
        """
        prompt = await self.tokens(body)
        other = await self.tokens(with_other_words(body, words))
        known = max(shared(prompt, one) for one in (other, *self._earlier))
        self._earlier.append(prompt)
        return len(prompt), max(1, len(prompt) - known)

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        timeout = aiohttp.ClientTimeout(total=HTTP_SECONDS)
        async with self._session.post(
            self._server_url + path, json=body, timeout=timeout
        ) as response:
            response.raise_for_status()
            return await response.json()


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many elements two sequences have in common at their beginning."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def with_other_words(body: Mapping[str, Any], words: str) -> dict[str, Any]:
    """Return a request with other words in place of what came since the model spoke last.

    Of a message of the user only `words` are replaced, so that what a client says there besides
    counts as known, and of tools all that they return.
    """
    messages: list[PromptMessage] = [dict(one) for one in body["messages"]]
    for message in reversed(messages):
        if message["role"] == "assistant":
            break
        if message["role"] == "tool":
            message["content"] = OTHER_WORDS
        elif message["role"] == "user":
            message["content"] = _replaced(message["content"], words)
            break
    return {**body, "messages": messages}


def _replaced(content: Any, words: str) -> Any:
    if isinstance(content, str):
        return content.replace(words, OTHER_WORDS) if words in content else OTHER_WORDS
    return [
        {**part, "text": _replaced(part["text"], words)} if part.get("type") == "text" else part
        for part in content
    ]
