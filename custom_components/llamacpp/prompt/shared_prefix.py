"""The part of a prompt that is the same whoever asks, and what a speaker is told besides."""

from bisect import bisect_left
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
class SharedPrefix:
    """What the prompts of all speakers have in common.

    prompt: the lines. tools: by name, all that are offered, also those that only some can use.
    """

    prompt: str
    tools: Mapping[str, llm.Tool] = field(default_factory=dict)

    def note_on(self, prompt: str) -> str | None:
        """Return the lines that a speaker's prompt has besides; None if it lacks some of ours."""
        _, (common, rest), _ = _trimmed((self.prompt, prompt))
        return _beyond(common.split("\n") if common else [], rest.split("\n"))

    def is_like(self, other: SharedPrefix) -> bool:
        """Tell whether a model is told the same and offered tools of the same names."""
        return self.prompt == other.prompt and self.tools.keys() == other.tools.keys()


def shared_prefix(prompts: Sequence[str], tools: Mapping[str, llm.Tool]) -> SharedPrefix:
    """Return what these prompts have in common; there must be one at least."""
    start, middles, end = _trimmed(prompts)
    common, *others = [middle.split("\n") for middle in middles]
    for other in others:
        common = _common(common, other)
    if not common:
        # Where nothing is between them, one end of a line is enough.
        end = end.removeprefix("\n")
    return SharedPrefix((start + "\n".join(common) + end).rstrip(), tools)


def split_clock(prompt: str) -> tuple[str, str]:
    """Return a prompt without Home Assistant's clock, and the clock's sentence, perhaps empty."""
    if _CLOCK not in prompt:
        return prompt.rstrip(), ""
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


def _trimmed(texts: Sequence[str]) -> tuple[str, list[str], str]:
    """Return the whole lines with which all texts begin, what is between, and those at the end.

    Homes have thousands of lines, of which prompts differ in a few: the others are not looked at
    one by one.
    """
    start = texts[0][: _n_same(texts)]
    start = start[: start.rfind("\n") + 1]
    rests = [text[len(start) :] for text in texts]
    n_same = _n_same([rest[::-1] for rest in rests])
    end = rests[0][len(rests[0]) - n_same :]
    first = end.find("\n")
    end = end[first:] if first >= 0 else ""
    return start, [rest[: len(rest) - len(end)] for rest in rests], end


def _n_same(texts: Sequence[str]) -> int:
    """Return with how many characters all texts begin alike."""
    # Whatever these two have in common, all that are between them have.
    one, other = min(texts), max(texts)
    return bisect_left(
        range(1, min(len(one), len(other)) + 1), x=True, key=lambda n: one[:n] != other[:n]
    )


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


def _beyond(common: Sequence[str], lines: Sequence[str]) -> str | None:
    """Return the lines that are not among the common ones; None if some of those are missing."""
    found: list[str] = []
    left = iter(common)
    expected = next(left, None)
    for line in lines:
        if line == expected:
            expected = next(left, None)
        elif line.strip():
            found.append(line)
    return "\n".join(found) if expected is None else None
