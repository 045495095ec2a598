"""Split a prompt into the part that all speakers share and the note on the speaker."""

from bisect import bisect_left
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from homeassistant.components.conversation import SystemContent
from homeassistant.helpers import llm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from homeassistant.components.conversation import Content

# The start of Home Assistant's sentence with its clock in seconds.
_CLOCK = llm.DATE_TIME_PROMPT.partition("{{")[0]


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """The common part of all speakers' prompts.

    prompt: its lines. tools: all tools by name, including those that only some devices can use.
    """

    prompt: str
    tools: Mapping[str, llm.Tool] = field(default_factory=dict)

    def note_on(self, prompt: str) -> str | None:
        """Return the additional lines of a speaker's prompt; None if it lacks some of ours."""
        _, (common, rest), _ = _trimmed((self.prompt, prompt))
        return _beyond(common.split("\n") if common else [], rest.split("\n"))

    def is_like(self, other: SharedPrefix) -> bool:
        """Return whether the prompt and the names of the tools are the same."""
        return self.prompt == other.prompt and self.tools.keys() == other.tools.keys()


def shared_prefix(prompts: Sequence[str], tools: Mapping[str, llm.Tool]) -> SharedPrefix:
    """Return the common part of these prompts, of which there must be at least one."""
    start, middles, end = _trimmed(prompts)
    common, *others = [middle.split("\n") for middle in middles]
    for other in others:
        common = _common(common, other)
    if not common:
        # With nothing in between, keep only one of the two newlines.
        end = end.removeprefix("\n")
    return SharedPrefix((start + "\n".join(common) + end).rstrip(), tools)


def split_clock(prompt: str) -> tuple[str, str]:
    """Return a prompt without Home Assistant's clock, and its sentence, which may be empty."""
    if _CLOCK not in prompt:
        return prompt.rstrip(), ""
    lines = prompt.split("\n")
    clock = [line for line in lines if line.startswith(_CLOCK)]
    rest = [line for line in lines if not line.startswith(_CLOCK)]
    return "\n".join(rest).rstrip(), "\n".join(clock)


def system_prompt_of(contents: Sequence[Content]) -> str:
    """Return the system prompt of a chat log, empty if it has none."""
    first = contents[0]
    return first.content if isinstance(first, SystemContent) else ""


def join_notes(notes: Iterable[str | None]) -> str:
    """Return the notes as one, a line each."""
    return "\n".join(note for note in notes if note)


def _trimmed(texts: Sequence[str]) -> tuple[str, list[str], str]:
    """Return the common first lines, each text's middle, and the common last lines.

    Prompts have thousands of lines and differ in a few: comparing line by line would be slow.
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
    """Return the length in characters of the texts' common beginning."""
    # All texts sort between these two, and share what these share.
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
    # Prompts have hundreds of lines and differ in a few, mostly adjacent ones.
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
    """Return the lines that are not common ones; None if some common ones are missing."""
    found: list[str] = []
    left = iter(common)
    expected = next(left, None)
    for line in lines:
        if line == expected:
            expected = next(left, None)
        elif line.strip():
            found.append(line)
    return "\n".join(found) if expected is None else None
