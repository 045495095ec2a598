"""How many tokens were processed ahead within the last hour."""

import time
from collections import deque

# All agents of a server together may have so many tokens processed ahead in an hour: some twenty
# prompts of a large home. More is a prompt that changes all the time.
MAX_TOKENS_PER_HOUR = 100_000
HOUR_SECONDS = 3600.0


class Spending:
    """Counts what was processed ahead."""

    def __init__(self) -> None:
        """Begin with nothing."""
        # Monotonic seconds, and tokens.
        self._spent: deque[tuple[float, int]] = deque()

    def add(self, n_tokens: int) -> None:
        """Take note of tokens that were processed now."""
        self._spent.append((time.monotonic(), n_tokens))

    @property
    def is_over(self) -> bool:
        """Return whether the tokens of an hour are used up."""
        while self._spent and time.monotonic() - self._spent[0][0] > HOUR_SECONDS:
            self._spent.popleft()
        return sum(tokens for _, tokens in self._spent) >= MAX_TOKENS_PER_HOUR
