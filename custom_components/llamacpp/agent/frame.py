"""The part of Home Assistant's prompts that is the same whoever asks, wherever and whenever."""

from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from homeassistant.components.conversation import SystemContent
from homeassistant.helpers import llm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from homeassistant.components.conversation import Content

# Home Assistant's sentence with the seconds of its clock begins with this.
_CLOCK = llm.DATE_TIME_PROMPT.partition("{{")[0]


@dataclass(frozen=True, slots=True)
class Frame:
    """What several prompts have in common.

    prompt: the common lines. notes: by whole prompt, the lines that it has beyond them. tools: what
    some devices can do beyond others, by name. speakers: by satellite and user, the whole prompt.
    """

    prompt: str
    notes: Mapping[str, str]
    tools: Mapping[str, llm.Tool] = field(default_factory=dict)
    speakers: Mapping[str, str] = field(default_factory=dict)


def make_frame(
    prompts: Sequence[str],
    tools: Mapping[str, llm.Tool],
    speakers: Mapping[str, str] | None = None,
) -> Frame:
    """Return the frame of these prompts, of which there must be one at least.

    speakers: by who speaks, one of the prompts.
    """
    lines = {prompt: prompt.split("\n") for prompt in prompts}
    first, *others = lines.values()
    common = first
    for other in others:
        common = _common(common, other)
    notes = {prompt: "\n".join(_beyond(common, all_of_it)) for prompt, all_of_it in lines.items()}
    return Frame("\n".join(common).rstrip(), notes, tools, speakers or {})


def split_clock(prompt: str) -> tuple[str, str]:
    """Return a prompt without Home Assistant's clock, and the clock's sentence, perhaps empty."""
    lines = prompt.split("\n")
    clock = [line for line in lines if line.startswith(_CLOCK)]
    rest = [line for line in lines if not line.startswith(_CLOCK)]
    return "\n".join(rest).rstrip(), "\n".join(clock)


def system_prompt_of(contents: Sequence[Content]) -> str:
    """Return the words that a chat log begins with."""
    first = contents[0]
    return first.content if isinstance(first, SystemContent) else ""


def join_notes(notes: Iterable[str | None]) -> str:
    """Return notes as one, a line each."""
    return "\n".join(note for note in notes if note)


def _common(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Return the lines that both have, in their order."""
    start = _n_equal(zip(one, other, strict=False))
    rest_of_one, rest_of_other = one[start:], other[start:]
    end = _n_equal(zip(reversed(rest_of_one), reversed(rest_of_other), strict=False))
    n_one, n_other = len(rest_of_one) - end, len(rest_of_other) - end
    # Homes have hundreds of lines; prompts differ in a few, mostly side by side.
    matcher = SequenceMatcher(None, rest_of_one[:n_one], rest_of_other[:n_other], autojunk=False)
    middle = [
        line
        for block in matcher.get_matching_blocks()
        for line in rest_of_one[block.a : block.a + block.size]
    ]
    return [*one[:start], *middle, *rest_of_one[n_one:]]


def _n_equal(pairs: Iterable[tuple[str, str]]) -> int:
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _beyond(common: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Return the lines that are not among the common ones, which all of them have in this order."""
    found: list[str] = []
    matcher = SequenceMatcher(None, common, lines, autojunk=False)
    for tag, _, _, start, end in matcher.get_opcodes():
        if tag != "equal":
            found += lines[start:end]
    return [line for line in found if line.strip()]
