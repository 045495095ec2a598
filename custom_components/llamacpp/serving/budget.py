"""Tokens that the server has processed for us."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ..client import Usage

# Maximum number of tokens that the agents of a server prefill within an hour: some twenty prompts
# of a large home. More means a prompt that changes all the time.
MAX_TOKENS_PER_HOUR = 100_000
HOUR_SECONDS = 3600.0


@dataclass(slots=True)
class PrefillBudget:
    """Counts the tokens that one server has processed for us.

    prefilled: monotonic seconds and tokens of each prefill. n_own: tokens of all prompts since
    `take_own`, in the cache or not; None if some are unknown.
    """

    prefilled: deque[tuple[float, int]] = field(default_factory=deque)
    n_own: int | None = 0

    def copy(self) -> Self:
        """Return a copy that shares nothing that changes."""
        return replace(self, prefilled=self.prefilled.copy())

    def add(self, usage: Usage | None) -> None:
        """Count a request."""
        if usage is not None and self.n_own is not None:
            self.n_own += usage.prompt_tokens

    def add_prefill(self, usage: Usage | None, now: float) -> None:
        """Count a prefill. now: monotonic seconds."""
        self.add(usage)
        if usage is not None:
            self.prefilled.append((now, usage.prompt_tokens - usage.cached_tokens))

    def add_unknown(self) -> None:
        """Count a request that was aborted, so its tokens are unknown."""
        self.n_own = None

    def take_own(self) -> int | None:
        """Return the tokens of all our prompts since the last call, None if some are unknown."""
        count, self.n_own = self.n_own, 0
        return count

    def is_over(self, now: float) -> bool:
        """Return whether the tokens of an hour are used up."""
        while self.prefilled and now - self.prefilled[0][0] > HOUR_SECONDS:
            self.prefilled.popleft()
        return sum(tokens for _, tokens in self.prefilled) >= MAX_TOKENS_PER_HOUR
