"""The names of tools, as Home Assistant and as models write them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Stands between the integration that a tool is of and its own name.
BETWEEN = "__"
# Stands before the names of all tools where models were taught to call them so.
NAMESPACE = "functions."


def short_name(name: str) -> str:
    """Return a tool's own name: `HassTurnOn` for `intent__HassTurnOn`."""
    return name.rpartition(BETWEEN)[2]


class ToolNames:
    """Finds tools by their names, or by their own names where only one has it.

    Neither case nor signs between words matter: `hass_turn_on` is `HassTurnOn`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Know these names, in full."""
        self._names = frozenset(names)
        self._by_short = _unique((short_name(name), name) for name in self._names)
        written = {**self._by_short, **{name: name for name in self._names}}
        self._by_plain = _unique((_plain(one), name) for one, name in written.items())

    def find(self, written: str) -> str | None:
        """Return the full name of the tool that was written, None if there is no such one."""
        written = written.removeprefix(NAMESPACE)
        if written in self._names:
            return written
        return self._by_short.get(written) or self._by_plain.get(_plain(written))

    def shortest(self, name: str) -> str:
        """Return a tool's own name if `find` knows it and it begins like one, else the full one."""
        short = short_name(name)
        return short if short in self._by_short and short.isidentifier() else name

    def may_become(self, text: str) -> bool:
        """Tell whether some tool's name, in full or its own, begins with a text."""
        plain = _plain(text.removeprefix(NAMESPACE))
        return NAMESPACE.startswith(text) or any(one.startswith(plain) for one in self._by_plain)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the names by what only one of them is called."""
    by_key: dict[str, set[str]] = {}
    for key, name in pairs:
        by_key.setdefault(key, set()).add(name)
    return {key: found.pop() for key, found in by_key.items() if len(found) == 1}
