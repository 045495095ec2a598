"""Whether a server keeps the prompts that it has processed, learnt from the tokens of its answers.

No endpoint of a llama-server tells of `--no-cache-prompt` and `--cache-ram`. But each answer tells
how many tokens of its prompt were kept from before, and what is asked anyway is enough to find out:
nothing is sent for it.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..client import Usage

# So often in a row a prompt must be lost before it is told: other programs may ask, too.
N_LOSSES = 3
# Nobody waits long for a prompt with less tokens.
MIN_TOKENS = 512
# Prompts of more agents, and of earlier states of the home, are not looked at.
MAX_PROMPTS = 16
# llama-server takes a prompt for the going on of another one if it shares so much with that. Only
# below, it puts that other one aside, and looks for the prompt among those that it has put aside.
SAME_SHARE = 0.5


class CacheProblem(StrEnum):
    """Why a server processes prompts again that it has processed before."""

    NOT_CACHED = "prompts_not_cached"
    PUSHED_OUT = "prompts_pushed_out"


@dataclass(frozen=True, slots=True)
class Observation:
    """A request that was answered, as far as it tells what the server keeps.

    prefix: a digest of the part of its prompt that stays from one question to the next. usage: its
    tokens. n_messages: how many it has; a warm-up has no more than a first question. is_warm_up:
    its prompt is not much more than that part. was_read: the server has just read the prompt from
    its disk.
    """

    prefix: bytes
    usage: Usage
    n_messages: int
    is_warm_up: bool
    was_read: bool


class Keeping:
    """What the answers tell of how one model is served.

    n_tokens: of the newest prompt that was lost, how many were processed again.
    """

    def __init__(self) -> None:
        """Begin with a model of which nothing is known."""
        # By the beginning of a prompt: the request that has warmed it up.
        self._warmed: OrderedDict[bytes, Observation] = OrderedDict()
        # By the beginning of a prompt that was processed since the model came into memory: the
        # tokens of the smallest other one since then, None if there was none.
        self._smallest_other: dict[bytes, int | None] = {}
        self._has_kept = False
        self._n_not_cached = 0
        self._n_returns = 0
        self._n_pushed_out = 0
        self.n_tokens = 0

    def interrupt(self) -> None:
        """Take note that the model has left the memory: what it has lost since tells nothing."""
        self._smallest_other.clear()
        self._has_kept = False

    def note(self, asked: Observation) -> None:
        """Learn from an answer."""
        prefix, usage = asked.prefix, asked.usage
        if usage.cached_tokens:
            self._has_kept = True
            self._n_not_cached = 0
        if prefix in self._smallest_other:
            self._compare(asked, self._smallest_other[prefix])
        if asked.is_warm_up:
            self._warmed[prefix] = asked
            self._warmed.move_to_end(prefix)
            if len(self._warmed) > MAX_PROMPTS:
                self._smallest_other.pop(self._warmed.popitem(last=False)[0], None)
        for other, smallest in self._smallest_other.items():
            self._smallest_other[other] = min(smallest or usage.prompt_tokens, usage.prompt_tokens)
        if prefix in self._warmed:
            self._smallest_other[prefix] = None

    def _compare(self, asked: Observation, other: int | None) -> None:
        """Compare an answer with the one before that had the same beginning.

        other: the tokens of the smallest prompt in between, None if there was none.
        """
        usage, warm_up = asked.usage, self._warmed[asked.prefix]
        n_tokens = warm_up.usage.prompt_tokens
        if n_tokens < MIN_TOKENS:
            return
        if other is None:
            if not usage.cached_tokens:
                self._n_not_cached += 1
                self.n_tokens = usage.prompt_tokens
            return
        if asked.was_read or asked.n_messages > warm_up.n_messages:
            # Some chat templates put the tools behind the earlier turns.
            return
        self._n_returns += 1
        if usage.cached_tokens < SAME_SHARE * min(n_tokens, other):
            self._n_pushed_out += 1
            self.n_tokens = usage.prompt_tokens - usage.cached_tokens
        else:
            self._n_pushed_out = 0

    @property
    def has_lost(self) -> bool:
        """Return whether the newest prompt that another one was processed before was lost."""
        return self._n_pushed_out > 0

    def suffers(self, loss: CacheProblem) -> bool | None:
        """Tell whether prompts are lost in this way, None if that is not known."""
        if self._n_not_cached >= N_LOSSES:
            return loss is CacheProblem.NOT_CACHED
        if self._n_not_cached or not self._has_kept:
            return None
        if loss is CacheProblem.NOT_CACHED:
            return False
        if self._n_pushed_out >= N_LOSSES:
            return True
        return False if self._n_returns and not self._n_pushed_out else None


class CacheDiagnosis:
    """What was learnt of all models of a server; by id, that of a single one is empty."""

    def __init__(self) -> None:
        """Begin with a server of which nothing is known."""
        self._models: dict[str, Keeping] = {}

    def of(self, model: str) -> Keeping:
        """Return what was learnt of how a model is served."""
        return self._models.setdefault(model, Keeping())

    def suffers(self, loss: CacheProblem) -> bool | None:
        """Tell whether prompts of some model are lost in this way, None if that is not known."""
        found = {one.suffers(loss) for one in self._models.values()}
        if True in found:
            return True
        return False if found == {False} else None

    @property
    def n_tokens(self) -> int:
        """Return how many tokens were processed again of prompts that were lost, at most."""
        return max((one.n_tokens for one in self._models.values()), default=0)
