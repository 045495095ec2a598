"""Which part of a prompt is another than before: what the server has to process from there on."""

import json
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

# Parts of a request, besides the first message, that change the beginning of the prompt.
_PREFIX_FIELDS = ("model", "tools", "chat_template_kwargs")


def prefix_of(request: Mapping[str, Any]) -> bytes:
    """Return a digest of the part of the prompt that stays from one question to the next."""
    parts = [request["messages"][0], *(request.get(name) for name in _PREFIX_FIELDS)]
    return sha256(json.dumps(parts).encode()).digest()


class Changed(StrEnum):
    """The first part that differs, in the order in which servers process them."""

    EVERYTHING = "everything"
    SYSTEM_PROMPT = "system_prompt"
    TOOLS = "tools"
    EARLIER_TURNS = "earlier_turns"
    NEWEST_WORDS = "newest_words"


@dataclass(frozen=True, slots=True)
class PromptParts:
    """The parts of a request that make the prompt, as what tells them from others."""

    system_prompt: int
    tools: int
    messages: tuple[int, ...]

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Self:
        """Return those of the body of a chat completion."""
        first, *others = [hash(json.dumps(one)) for one in request["messages"]]
        return cls(first, hash(json.dumps(request.get("tools"))), tuple(others))

    def changed_since(self, before: PromptParts | None) -> Changed:
        """Return what differs from an earlier prompt of the same agent; None: nothing is known."""
        if before is None:
            return Changed.EVERYTHING
        if self.system_prompt != before.system_prompt:
            return Changed.SYSTEM_PROMPT
        if self.tools != before.tools:
            return Changed.TOOLS
        # A conversation that has just begun has no earlier turns that could differ.
        n_known = min(len(self.messages) - 1, len(before.messages))
        is_same = self.messages[:n_known] == before.messages[:n_known]
        return Changed.NEWEST_WORDS if is_same else Changed.EARLIER_TURNS
