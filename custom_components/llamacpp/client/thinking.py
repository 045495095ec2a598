"""Marks around the thinking of models, for servers that leave them in the text."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAGS = ("think", "thinking", "thought", "reasoning", "seed:think", "mm:think")
# Start mark to end mark: of most models, Mistral, Cohere, Apertus, Gemma and gpt-oss, which starts
# another message instead.
THINKING_MARKS: Final[Mapping[str, str]] = {
    **{f"<{tag}>": f"</{tag}>" for tag in _TAGS},
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",
}


def open_thinking(prompt: str) -> str:
    """Return the mark at the end of a prompt that starts thinking, empty if there is none."""
    end = prompt.rstrip()
    return next((one for one in THINKING_MARKS if end.endswith(one)), "")
