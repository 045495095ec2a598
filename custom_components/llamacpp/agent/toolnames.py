"""The names of tools, as Home Assistant and as models write them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Stands between the integration that a tool is of and its own name.
BETWEEN = "__"


def short_name(name: str) -> str:
    """Return a tool's own name: `HassTurnOn` for `intent__HassTurnOn`."""
    return name.rpartition(BETWEEN)[2]


class ToolNames:
    """Finds tools by their names, or by their own names where only one has it."""

    def __init__(self, names: Iterable[str]) -> None:
        """Know these names, in full."""
        self._names = frozenset(names)
        by_short: dict[str, list[str]] = {}
        for name in self._names:
            by_short.setdefault(short_name(name), []).append(name)
        self._by_short = {short: found[0] for short, found in by_short.items() if len(found) == 1}
        self._written = (*self._names, *self._by_short)

    def find(self, written: str) -> str | None:
        """Return the full name of the tool that was written, None if there is no such one."""
        return written if written in self._names else self._by_short.get(written)

    def shortest(self, name: str) -> str:
        """Return a tool's own name if `find` knows it and it begins like one, else the full one."""
        short = short_name(name)
        return short if short in self._by_short and short.isidentifier() else name

    def may_become(self, text: str) -> bool:
        """Tell whether some tool's name, in full or its own, begins with a text."""
        return any(name.startswith(text) for name in self._written)
