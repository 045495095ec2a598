"""What is known of all conversations without reading them."""

from itertools import takewhile
from typing import TYPE_CHECKING

from .retention import UNREAD, Group, excess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .model import Summary
    from .retention import Retention


class Index:
    """The conversations by file name, in the order of their last turns.

    The values are in dictionaries of their own: ten thousand small objects would have the garbage
    collector look at all of Home Assistant while it starts.
    """

    def __init__(
        self, sizes: dict[str, int] | None = None, stamps: dict[str, float] | None = None
    ) -> None:
        """Make the index of files; both by name, in any order.

        sizes: in bytes. stamps: when the last turn was, in seconds since 1970 by `HistoryClock`.
        """
        self._sizes = sizes or {}
        self._stamps = stamps or {}
        self._summaries: dict[str, Summary] = {}
        self._groups: dict[str, Group] = {}
        self._bytes = sum(self._sizes.values())
        self._n_one_shots = 0
        self._sort()

    def put(self, name: str, summary: Summary) -> None:
        """Add a conversation that is in a file of this name, or replace what was known of it."""
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
        """Take note of groups of conversations that are not read; what is known better stays."""
        for name, group in groups.items():
            if name in self._sizes and name not in self._groups:
                self._assign(name, group)

    def drop(self, name: str) -> None:
        """Forget a conversation; one that is not known is no error."""
        self._bytes -= self._sizes.pop(name, 0)
        self._stamps.pop(name, None)
        self._summaries.pop(name, None)
        self._n_one_shots -= self._groups.pop(name, UNREAD).is_one_shot

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, 0 as long as it is not written, None if it is not known."""
        return self._sizes.get(name)

    def summary(self, name: str) -> Summary | None:
        """Return what is in a file, None if nobody has read it, or if it is not known."""
        return self._summaries.get(name)

    def stamp(self, name: str) -> float | None:
        """Return when the last turn of a conversation was, None if it is not known."""
        return self._stamps.get(name)

    @property
    def newest_stamp(self) -> float:
        """Return when the last turn of all was, 0 if there is none."""
        return next(reversed(self._stamps.values()), 0.0)

    def newest(self, since: float = 0) -> Iterator[str]:
        """Yield the names of those with a turn since then (seconds since 1970), newest first."""
        for name, stamp in reversed(self._stamps.items()):
            if stamp < since:
                return
            yield name

    def older_than(self, stamp: float) -> Iterator[str]:
        """Yield the names of those without a turn since then, oldest first."""
        return takewhile(lambda name: self._stamps[name] < stamp, self._stamps)

    def exceeds(self, retention: Retention) -> bool:
        """Return whether there may be more than is to be kept."""
        most = min(retention.max_one_shots, retention.max_conversations)
        return (
            self._n_one_shots > most
            or len(self._sizes) - self._n_one_shots > retention.max_conversations
            or self._bytes > retention.max_bytes
        )

    def unread(self) -> Iterator[str]:
        """Yield the names of those whose groups are not known, oldest first."""
        return (name for name in self._stamps if name not in self._groups)

    def excess(self, retention: Retention) -> Iterator[str]:
        """Yield the names of those that are too many or too large, in the order to go."""
        if self.exceeds(retention):
            yield from excess(self._stamps, self._sizes, self._groups, retention)

    def _assign(self, name: str, group: Group) -> None:
        self._n_one_shots += group.is_one_shot - self._groups.get(name, UNREAD).is_one_shot
        self._groups[name] = group

    def _sort(self) -> None:
        # Not by the items, for the reason that the class has given.
        names = sorted(self._stamps, key=self._stamps.__getitem__)
        self._stamps = {name: self._stamps[name] for name in names}
