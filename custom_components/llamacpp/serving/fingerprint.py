"""Fingerprints of prompts: which part differs, so that the server must prefill from there."""

import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..client import ChatRequest

# Fields of a request, besides the first message and the tools, that change the prompt's prefix.
_PREFIX_FIELDS = ("model", "chat_template_kwargs")


class Changed(StrEnum):
    """The first part of a prompt that differs, in the order of the prefill."""

    EVERYTHING = "everything"
    SYSTEM_PROMPT = "system_prompt"
    TOOLS = "tools"
    EARLIER_TURNS = "earlier_turns"
    NEWEST_WORDS = "newest_words"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Digests of the parts of a prompt.

    prefix: of the part that stays the same in all conversations: system prompt, tools, model and
    template arguments. system_prompt, tools, messages: of each alone, without the first message.
    """

    prefix: bytes
    system_prompt: int
    tools: int
    messages: tuple[int, ...]

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Self:
        """Return the fingerprint of the body of a chat completion."""
        first, *others = (json.dumps(one) for one in request["messages"])
        tools = json.dumps(request.get("tools"))
        fields = json.dumps([request.get(name) for name in _PREFIX_FIELDS])
        prefix = sha256(f"{first}\n{tools}\n{fields}".encode()).digest()
        return cls(prefix, hash(first), hash(tools), tuple(map(hash, others)))

    def changed_since(self, before: Fingerprint | None) -> Changed:
        """Return what differs from an earlier prompt of the same agent, None if unknown."""
        if before is None:
            return Changed.EVERYTHING
        if self.system_prompt != before.system_prompt:
            return Changed.SYSTEM_PROMPT
        if self.tools != before.tools:
            return Changed.TOOLS
        # A new conversation has no earlier turns that could differ.
        n_known = min(len(self.messages) - 1, len(before.messages))
        is_same = self.messages[:n_known] == before.messages[:n_known]
        return Changed.NEWEST_WORDS if is_same else Changed.EARLIER_TURNS


def with_prefix_of(request: ChatRequest, other: ChatRequest) -> ChatRequest:
    """Return another request with the prefix of this one, as `Fingerprint.prefix` has it."""
    names = ("tools", *_PREFIX_FIELDS)
    return {
        **{name: value for name, value in other.items() if name not in names},
        **{name: request[name] for name in names if name in request},
        "messages": [request["messages"][0], *other["messages"][1:]],
    }
