"""What is known of all conversations without reading them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Summary


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: what exceeds one of these goes, the oldest first.

    max_age: since the last turn. max_bytes: of all files together. Of number and size, one
    conversation is kept whatever they say.
    """

    max_age: timedelta = timedelta(days=30)
    max_conversations: int = 1000
    max_bytes: int = 50_000_000


class Index:
    """The conversations by file name, in the order of their last turns.

    The values are in dictionaries of their own: ten thousand small objects would have the garbage
    collector look at all of Home Assistant while it starts.
    """

    def __init__(
        self, sizes: dict[str, int] | None = None, updated: dict[str, float] | None = None
    ) -> None:
        """Make the index of files; both by name, in any order.

        sizes: in bytes. updated: when the last turn was, in seconds since 1970.
        """
        self._sizes = sizes or {}
        self._updated = updated or {}
        self._summaries: dict[str, Summary] = {}
        self._bytes = sum(self._sizes.values())
        self._sort()

    def put(self, name: str, summary: Summary) -> None:
        """Add a conversation that is in a file of this name, or replace what was known of it."""
        self.drop(name)
        updated = summary.updated.timestamp()
        is_newest = not self._updated or self._updated[next(reversed(self._updated))] <= updated
        self._sizes[name] = summary.size
        self._updated[name] = updated
        self._summaries[name] = summary
        self._bytes += summary.size
        if not is_newest:
            self._sort()

    def drop(self, name: str) -> None:
        """Forget a conversation; one that is not known is no error."""
        self._bytes -= self._sizes.pop(name, 0)
        self._updated.pop(name, None)
        self._summaries.pop(name, None)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, 0 as long as it is not written, None if it is not known."""
        return self._sizes.get(name)

    def summary(self, name: str) -> Summary | None:
        """Return what is in a file, None if nobody has read it, or if it is not known."""
        return self._summaries.get(name)

    def newest(self, since: float = 0) -> Iterator[str]:
        """Yield the names of those with a turn since then (seconds since 1970), newest first."""
        for name, updated in reversed(self._updated.items()):
            if updated < since:
                return
            yield name

    def surplus(self, retention: Retention, now: float) -> Iterator[str]:
        """Yield the names of those that must go, oldest first; now: seconds since 1970."""
        count, n_bytes = len(self._sizes), self._bytes
        oldest = now - retention.max_age.total_seconds()
        for name, updated in self._updated.items():
            too_many = count > retention.max_conversations or n_bytes > retention.max_bytes
            if updated >= oldest and not (too_many and count > 1):
                return
            yield name
            count -= 1
            n_bytes -= self._sizes[name]

    def _sort(self) -> None:
        # Not by the items, for the reason that the class has given.
        names = sorted(self._updated, key=self._updated.__getitem__)
        self._updated = {name: self._updated[name] for name in names}
