"""The marks between which models write what they think, where their server leaves that in."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAGS = ("think", "thinking", "thought", "reasoning", "seed:think", "mm:think")
# The end by the beginning: of most models, Mistral, Cohere, Apertus, Gemma and gpt-oss, which
# begins another message instead.
THINKING_MARKS: Final[Mapping[str, str]] = {
    **{f"<{tag}>": f"</{tag}>" for tag in _TAGS},
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",
}


def open_thinking(prompt: str) -> str:
    """Return the mark with which a prompt has the model begin to think, empty if it does not."""
    end = prompt.rstrip()
    return next((one for one in THINKING_MARKS if end.endswith(one)), "")
