"""Limits of the stored conversations, and the order of their removal."""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from .model import Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .model import Summary

# An owner with fewer empty conversations does not lose them before those with turns: they may have
# just been started.
KEPT_EMPTY: Final = 20


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits of the stored conversations.

    max_age: since the last turn. max_conversations: without one-shots. max_one_shots: in addition
    to these. max_bytes: of all files. Number and size always leave at least one conversation.
    """

    max_age: timedelta = timedelta(days=30)
    max_conversations: int = 1000
    max_one_shots: int = 100
    max_bytes: int = 50_000_000


class Group(NamedTuple):
    """Group of conversations from which the oldest go first.

    is_one_shot: of an action, closed after at most one turn. is_empty: open, without a turn.
    """

    owner: str | None
    is_one_shot: bool = False
    is_empty: bool = False

    @classmethod
    def of(cls, summary: Summary) -> Self:
        """Return the group of a conversation."""
        return cls.from_values(
            summary.user_id,
            summary.turn_count,
            is_closed=summary.closed is not None,
            is_action=summary.source is Source.ACTION,
        )

    @classmethod
    def from_values(
        cls, owner: str | None, turn_count: int, *, is_closed: bool, is_action: bool
    ) -> Self:
        """Return the group of a conversation with these values."""
        return cls(
            owner,
            is_one_shot=is_action and is_closed and turn_count <= 1,
            is_empty=not is_closed and turn_count == 0,
        )


# Conversations that were not or cannot be read count as without owner.
UNREAD: Final = Group(None)


@dataclass(slots=True)
class _Share:
    """Conversations of one owner; the queues lack the newest of all and begin with the oldest."""

    count: int = 0
    n_bytes: int = 0
    empty: deque[str] = field(default_factory=deque)
    others: deque[str] = field(default_factory=deque)

    def next_queue(self, stamps: Mapping[str, float]) -> deque[str] | None:
        """Return the queue whose first conversation goes next, None if both are empty."""
        if len(self.empty) >= KEPT_EMPTY or not self.others:
            return self.empty or None
        if self.empty and stamps[self.empty[0]] < stamps[self.others[0]]:
            return self.empty
        return self.others


class _Shares:
    """Conversations of all owners; the owner with the most loses the oldest."""

    def __init__(self, stamps: Mapping[str, float], sizes: Mapping[str, int]) -> None:
        self._stamps = stamps
        self._sizes = sizes
        self._owners: dict[str | None, _Share] = defaultdict(_Share)
        self.count = 0

    def add(self, name: str, group: Group, *, may_go: bool) -> None:
        share = self._owners[group.owner]
        share.count += 1
        share.n_bytes += self._sizes[name]
        self.count += 1
        if may_go:
            (share.empty if group.is_empty else share.others).append(name)

    def take(self, *, by_bytes: bool) -> str | None:
        """Remove the next conversation and return its name; None if all others must stay."""
        left = [
            (share.n_bytes if by_bytes else share.count, -self._stamps[queue[0]], share, queue)
            for share in self._owners.values()
            if (queue := share.next_queue(self._stamps))
        ]
        if not left:
            return None
        *_, share, queue = max(left, key=lambda one: one[:2])
        name = queue.popleft()
        share.count -= 1
        share.n_bytes -= self._sizes[name]
        self.count -= 1
        return name


def excess(
    stamps: dict[str, float],
    sizes: Mapping[str, int],
    groups: Mapping[str, Group],
    retention: Retention,
) -> Iterator[str]:
    """Yield the names of conversations beyond the limits, in the order of removal.

    stamps: time of the last turn by name, oldest first. sizes: in bytes. groups: of the read ones.
    One-shots only make room for each other or for the size limit, and never displace others.
    """
    one_shots, lasting = _Shares(stamps, sizes), _Shares(stamps, sizes)
    newest = next(reversed(stamps.keys()), None)
    for name in stamps:
        group = groups.get(name, UNREAD)
        kind = one_shots if group.is_one_shot else lasting
        kind.add(name, group, may_go=name != newest)
    n_bytes = sum(sizes[name] for name in stamps)
    max_one_shots = min(retention.max_one_shots, retention.max_conversations)
    for kind, most in ((one_shots, max_one_shots), (lasting, retention.max_conversations)):
        while (is_many := kind.count > most) or n_bytes > retention.max_bytes:
            taken = kind.take(by_bytes=not is_many)
            if taken is None:
                break
            n_bytes -= sizes[taken]
            yield taken
