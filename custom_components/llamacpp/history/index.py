"""Index of all conversations, available without reading their files."""

from itertools import takewhile
from typing import TYPE_CHECKING

from .retention import UNREAD, Group, excess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .model import Summary
    from .retention import Retention


class Index:
    """Conversations by file name, ordered by their last turns.

    Keeps each value in a dictionary of its own: ten thousand small objects would make the garbage
    collector traverse all of Home Assistant during startup.
    """

    def __init__(
        self, sizes: dict[str, int] | None = None, stamps: dict[str, float] | None = None
    ) -> None:
        """Initialize the index from a listing of files; both by name, in any order.

        sizes: in bytes. stamps: time of the last turn, in seconds since 1970 by `HistoryClock`.
        """
        self._sizes = sizes or {}
        self._stamps = stamps or {}
        self._summaries: dict[str, Summary] = {}
        self._groups: dict[str, Group] = {}
        self._bytes = sum(self._sizes.values())
        self._n_one_shots = 0
        self._sort()

    def put(self, name: str, summary: Summary) -> None:
        """Add the conversation in this file, or replace its entry."""
        stamp = summary.stamp
        if self._stamps.get(name) != stamp:
            self._stamps.pop(name, None)
            is_newest = self.newest_stamp <= stamp
            self._stamps[name] = stamp
            if not is_newest:
                self._sort()
        self._bytes += summary.size - self._sizes.get(name, 0)
        self._sizes[name] = summary.size
        self._summaries[name] = summary
        self._assign(name, Group.of(summary))

    def learn(self, groups: Mapping[str, Group]) -> None:
        """Add the groups of unread conversations; groups that are already known take precedence."""
        for name, group in groups.items():
            if name in self._sizes and name not in self._groups:
                self._assign(name, group)

    def drop(self, name: str) -> None:
        """Remove a conversation, if it is known."""
        self._bytes -= self._sizes.pop(name, 0)
        self._stamps.pop(name, None)
        self._summaries.pop(name, None)
        self._n_one_shots -= self._groups.pop(name, UNREAD).is_one_shot

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, 0 until it is written, None if it is unknown."""
        return self._sizes.get(name)

    def summary(self, name: str) -> Summary | None:
        """Return the summary of a file, None if it was never read or is unknown."""
        return self._summaries.get(name)

    def stamp(self, name: str) -> float | None:
        """Return the time of a conversation's last turn, None if it is unknown."""
        return self._stamps.get(name)

    @property
    def newest_stamp(self) -> float:
        """Return the time of the last turn of all, 0 if there is none."""
        return next(reversed(self._stamps.values()), 0.0)

    def newest(self, since: float = 0) -> Iterator[str]:
        """Yield the names with a turn since a time (seconds since 1970), newest first."""
        for name, stamp in reversed(self._stamps.items()):
            if stamp < since:
                return
            yield name

    def older_than(self, stamp: float) -> Iterator[str]:
        """Yield the names without a turn since a time (seconds since 1970), oldest first."""
        return takewhile(lambda name: self._stamps[name] < stamp, self._stamps)

    def exceeds(self, retention: Retention) -> bool:
        """Return whether the conversations may exceed the retention."""
        most = min(retention.max_one_shots, retention.max_conversations)
        return (
            self._n_one_shots > most
            or len(self._sizes) - self._n_one_shots > retention.max_conversations
            or self._bytes > retention.max_bytes
        )

    def unread(self) -> Iterator[str]:
        """Yield the names with unknown groups, oldest first."""
        return (name for name in self._stamps if name not in self._groups)

    def excess(self, retention: Retention) -> Iterator[str]:
        """Yield the names that exceed the retention, in the order of removal."""
        if self.exceeds(retention):
            yield from excess(self._stamps, self._sizes, self._groups, retention)

    def _assign(self, name: str, group: Group) -> None:
        self._n_one_shots += group.is_one_shot - self._groups.get(name, UNREAD).is_one_shot
        self._groups[name] = group

    def _sort(self) -> None:
        # Sorting items would create many small objects: see the class.
        names = sorted(self._stamps, key=self._stamps.__getitem__)
        self._stamps = {name: self._stamps[name] for name in names}
