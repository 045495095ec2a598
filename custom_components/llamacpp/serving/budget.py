"""What was spent on requests: tokens processed ahead, and the tokens of all prompts of our own."""

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..client import Usage

# All agents of a server together may have so many tokens processed ahead in an hour: some twenty
# prompts of a large home. More is a prompt that changes all the time.
MAX_TOKENS_PER_HOUR = 100_000
HOUR_SECONDS = 3600.0


class PrefillBudget:
    """Counts the tokens that one server has processed for us."""

    def __init__(self) -> None:
        """Begin with nothing."""
        # Processed ahead: monotonic seconds, and tokens.
        self._ahead: deque[tuple[float, int]] = deque()
        # Of all prompts since they were last asked for.
        self._n_own = 0
        self._is_own_known = True

    def add(self, usage: Usage | None, *, is_ahead: bool = False) -> None:
        """Take note of what a request took. is_ahead: nobody has waited for it."""
        if usage is None:
            return
        self._n_own += usage.prompt_tokens
        if is_ahead:
            self._ahead.append((time.monotonic(), usage.prompt_tokens - usage.cached_tokens))

    def add_unknown(self) -> None:
        """Take note of a request whose end was not waited for."""
        self._is_own_known = False

    def take_own(self) -> int | None:
        """Return how many tokens the prompts had that were sent since the last call.

        None if nobody knows, for the server has processed some whose end was not waited for.
        """
        count, self._n_own = self._n_own, 0
        is_known, self._is_own_known = self._is_own_known, True
        return count if is_known else None

    @property
    def is_over(self) -> bool:
        """Return whether the tokens of an hour are used up."""
        while self._ahead and time.monotonic() - self._ahead[0][0] > HOUR_SECONDS:
            self._ahead.popleft()
        return sum(tokens for _, tokens in self._ahead) >= MAX_TOKENS_PER_HOUR
