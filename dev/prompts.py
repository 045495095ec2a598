"""The messages behind prompts, for proxies and servers that stand in for llama-server.

Our client sends two requests for an answer under a grammar: the server first makes a prompt of the
messages, and then completes it. A chat completion does both in one.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAKING = "/apply-template"
# The limit of answer tokens in a request that only prefills a prompt.
PREFILL_TOKENS = 1


class Prompts:
    """Records the requests that prompts were made from."""

    def __init__(self) -> None:
        """Begin with none."""
        self._made: dict[str, Mapping[str, Any]] = {}

    def note(self, body: Mapping[str, Any], prompt: str) -> None:
        """Record a request for a prompt, and the prompt that was returned."""
        self._made[prompt] = body

    def whole(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request for a completion with the messages of its prompt, as in a chat request.

        The client may have closed the thinking block at the end of the prompt.
        """
        prompt = body.get("prompt") or ""
        made = [one for one in self._made if prompt.startswith(one.rstrip())]
        if not made:
            return dict(body)
        asked = {name: value for name, value in body.items() if name != "prompt"}
        return {**asked, **self._made[max(made, key=len)]}
