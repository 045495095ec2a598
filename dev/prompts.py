"""What prompts were made of, for whoever stands between a client and a llama-server.

An answer under a grammar is asked for in two requests: one has the server make the prompt of the
messages, the next one has it completed. A chat completion is both in one.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAKING = "/apply-template"


class Prompts:
    """Remembers what a server was asked to make prompts of."""

    def __init__(self) -> None:
        """Begin with none."""
        self._made: dict[str, Mapping[str, Any]] = {}

    def note(self, body: Mapping[str, Any], prompt: str) -> None:
        """Take note of a request for a prompt, and of the prompt that was returned."""
        self._made[prompt] = body

    def whole(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request for words with what its prompt was made of, as one of a chat has it."""
        if body.get("prompt") not in self._made:
            return dict(body)
        asked = {name: value for name, value in body.items() if name != "prompt"}
        return {**asked, **self._made[body["prompt"]]}
