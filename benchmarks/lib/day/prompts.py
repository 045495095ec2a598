"""Counts the new tokens of a prompt: those that no server could have prefilled."""

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type PromptMessage = dict[str, Any]

# Stands for other words of the user, or another result of a tool.
OTHER_WORDS = "0"
# A busy server answers only between two batches, and machines can be slow.
HTTP_SECONDS = 280.0


class PromptCounter:
    """Counts the new tokens of prompts, with the server's own template and tokenizer.

    It keeps all prompts of a day, as their prefixes could still be cached.
    """

    def __init__(self, session: aiohttp.ClientSession, server_url: str) -> None:
        """Begin a day. server_url: of the server itself; these requests process no prompt."""
        self._session = session
        self._server_url = server_url
        self._earlier: list[list[int]] = []

    async def tokens(self, body: Mapping[str, Any]) -> list[int]:
        """Return the tokens of a request's prompt."""
        applied = await self._post("/apply-template", body)
        text = {"content": applied["prompt"], "add_special": True, "parse_special": True}
        found: list[int] = (await self._post("/tokenize", text))["tokens"]
        return found

    async def count(self, body: Mapping[str, Any], words: str) -> tuple[int, int]:
        """Return the number of a prompt's tokens, and of the new ones among them.

        New are the tokens after the longest common prefix with an earlier prompt, or with the same
        prompt with other words; at least one, which the server always processes. words: of the
        user.
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
    """Return the length of the common prefix of two sequences."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def with_other_words(body: Mapping[str, Any], words: str) -> dict[str, Any]:
    """Return a request with other content after the last message of the model.

    In a user message only `words` are replaced, so that the rest of it counts as known. Results of
    tools are replaced completely.
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
