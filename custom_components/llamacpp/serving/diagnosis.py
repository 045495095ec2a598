"""Whether a server keeps its prompts in the KV cache, learned from the usage of its answers.

No endpoint of llama-server reports `--no-cache-prompt` and `--cache-ram`. But each answer reports
how many tokens of its prompt were cached, and the requests that are sent anyway suffice.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ..client import Usage

# How often in a row a prompt must be lost until it is reported: other programs may use the server.
N_LOSSES = 3
# A shorter prompt, in tokens, costs no noticeable time.
MIN_TOKENS = 512
# Maximum number of prefixes that are observed: of agents, and of earlier states of the home.
MAX_PROMPTS = 16
# llama-server continues in a slot whose prompt shares so much with the new one. Only below, it
# moves that prompt to its host cache, and looks for the new one there.
SAME_SHARE = 0.5


class CacheProblem(StrEnum):
    """Why a server prefills prompts again that it has prefilled before."""

    NOT_CACHED = "prompts_not_cached"
    PUSHED_OUT = "prompts_pushed_out"


@dataclass(frozen=True, slots=True)
class Observation:
    """What an answered request reveals about the cache.

    prefix: digest of the prompt's prefix. usage: its tokens. n_messages: in the request; a prefill
    has as many as the first question. is_prefill: the prompt is hardly longer than the prefix.
    was_restored: the slot was just restored from a file.
    """

    prefix: bytes
    usage: Usage
    n_messages: int
    is_prefill: bool
    was_restored: bool


@dataclass(slots=True)
class ModelDiagnosis:
    """What the answers of one model reveal.

    prefills: by prefix, its newest prefill, the oldest first. smallest_other: by prefix that was
    seen since the model was loaded, the tokens of the smallest other prompt since then, None for no
    other prompt. n_tokens: prefilled again for the newest lost prompt.
    """

    prefills: dict[bytes, Observation] = field(default_factory=dict)
    smallest_other: dict[bytes, int | None] = field(default_factory=dict)
    has_cached: bool = False
    n_not_cached: int = 0
    n_returns: int = 0
    n_evicted: int = 0
    n_tokens: int = 0

    def copy(self) -> Self:
        """Return a copy that shares nothing that changes."""
        return replace(self, prefills={**self.prefills}, smallest_other={**self.smallest_other})

    def interrupt(self) -> None:
        """Record that the model has left the memory: what it lost by that reveals nothing."""
        self.smallest_other.clear()
        self.has_cached = False

    def note(self, seen: Observation) -> None:
        """Learn from an answer."""
        prefix, usage = seen.prefix, seen.usage
        if usage.cached_tokens:
            self.has_cached = True
            self.n_not_cached = 0
        if prefix in self.smallest_other:
            self._compare(seen, self.smallest_other[prefix])
        if seen.is_prefill:
            self.prefills.pop(prefix, None)
            self.prefills[prefix] = seen
            if len(self.prefills) > MAX_PROMPTS:
                oldest = next(iter(self.prefills))
                del self.prefills[oldest]
                self.smallest_other.pop(oldest, None)
        for other, smallest in self.smallest_other.items():
            self.smallest_other[other] = min(smallest or usage.prompt_tokens, usage.prompt_tokens)
        if prefix in self.prefills:
            self.smallest_other[prefix] = None

    def _compare(self, seen: Observation, other: int | None) -> None:
        """Compare an answer with the one before that had the same prefix.

        other: tokens of the smallest prompt in between, None if there was none.
        """
        usage, prefill = seen.usage, self.prefills[seen.prefix]
        n_tokens = prefill.usage.prompt_tokens
        if n_tokens < MIN_TOKENS:
            return
        if other is None:
            if not usage.cached_tokens:
                self.n_not_cached += 1
                self.n_tokens = usage.prompt_tokens
            return
        if seen.was_restored or seen.n_messages > prefill.n_messages:
            # Some chat templates put the tools behind the earlier turns.
            return
        self.n_returns += 1
        if usage.cached_tokens < SAME_SHARE * min(n_tokens, other):
            self.n_evicted += 1
            self.n_tokens = usage.prompt_tokens - usage.cached_tokens
        else:
            self.n_evicted = 0

    @property
    def has_lost(self) -> bool:
        """Return whether the newest prompt was lost to another one."""
        return self.n_evicted > 0

    def suffers(self, problem: CacheProblem) -> bool | None:
        """Return whether the server has this problem, None if that is not known."""
        if self.n_not_cached >= N_LOSSES:
            return problem is CacheProblem.NOT_CACHED
        if self.n_not_cached or not self.has_cached:
            return None
        if problem is CacheProblem.NOT_CACHED:
            return False
        if self.n_evicted >= N_LOSSES:
            return True
        return False if self.n_returns and not self.n_evicted else None


def suffers(models: dict[str, ModelDiagnosis], problem: CacheProblem) -> bool | None:
    """Return whether a server has this problem with any model, None if that is not known."""
    found = {one.suffers(problem) for one in models.values()}
    if True in found:
        return True
    return False if found == {False} else None
