"""The part of Home Assistant's prompts that is the same whoever asks, wherever and whenever."""

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from homeassistant.components.conversation import SystemContent
from homeassistant.helpers import llm

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from homeassistant.components.conversation import Content

# Home Assistant's sentence with the seconds of its clock begins with this.
_CLOCK = llm.DATE_TIME_PROMPT.partition("{{")[0]


# So many prompts are remembered beside what they have in common.
MAX_PROMPTS = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """What several prompts have in common.

    prompt: the common lines. notes: by whole prompt, the lines that it has beyond them. tools: what
    some devices can do beyond others, by name. speakers: by satellite and user, the lines that
    their prompts have beyond the common ones; by "" those of nobody.
    """

    prompt: str
    notes: Mapping[str, str]
    tools: Mapping[str, llm.Tool] = field(default_factory=dict)
    speakers: Mapping[str, str] = field(default_factory=dict)

    def with_prompt(self, prompt: str, speaker: str, *, is_same_home: bool) -> Frame:
        """Return a frame that has the note of another prompt, without rendering any more.

        speaker: whose prompt it is. is_same_home: nothing has changed in the home since the frame
        was made, so that what is new in the prompt is about who speaks.
        """
        if prompt in self.notes:
            return self
        _, (common, rest), _ = _trimmed((self.prompt, prompt))
        beyond = _beyond(common.split("\n") if common else [], rest.split("\n"))
        own = self.speakers.get(speaker)
        if beyond is not None and (is_same_home or beyond == own):
            newest = [*self.notes.items()][1 - MAX_PROMPTS :]
            return replace(self, notes={**dict(newest), prompt: beyond})
        lines = prompt.split("\n")
        if own is None or (others := _without(lines, own.split("\n") if own else [])) is None:
            return replace(self, prompt=prompt, notes={prompt: ""})
        # What was said of the speaker is still said: everything else is for all.
        return replace(self, prompt="\n".join(others).rstrip(), notes={prompt: own})


def make_frame(
    prompts: Sequence[str],
    tools: Mapping[str, llm.Tool],
    speakers: Mapping[str, str] | None = None,
) -> Frame:
    """Return the frame of these prompts, of which there must be one at least.

    speakers: by who speaks, one of the prompts.
    """
    start, middles, end = _trimmed(prompts)
    lines = {prompt: middle.split("\n") for prompt, middle in zip(prompts, middles, strict=True)}
    first, *others = lines.values()
    common = first
    for other in others:
        common = _common(common, other)
    notes = {prompt: _beyond(common, all_of_it) or "" for prompt, all_of_it in lines.items()}
    told = {speaker: notes[prompt] for speaker, prompt in (speakers or {}).items()}
    if not common:
        # Where nothing is between them, one end of a line is enough.
        end = end.removeprefix("\n")
    return Frame((start + "\n".join(common) + end).rstrip(), notes, tools, told)


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


def _without(lines: Sequence[str], some: Sequence[str]) -> list[str] | None:
    """Return the lines without some of them; None if one of those is not there exactly once."""
    if any(lines.count(one) != 1 for one in some):
        return None
    return [line for line in lines if line not in some]
