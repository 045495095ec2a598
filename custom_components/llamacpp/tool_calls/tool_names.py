"""Match the names of tools as models write them to Home Assistant's."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Separates a tool's integration and its short name.
BETWEEN = "__"
# Prefix of all tool names in the training data of some models.
NAMESPACE = "functions."


def short_name(name: str) -> str:
    """Return a tool's name without its integration: `HassTurnOn` for `intent__HassTurnOn`."""
    return name.rpartition(BETWEEN)[2]


class ToolNames:
    """Finds tools by their full names, or by their short names if unique.

    Ignores case and separators: `hass_turn_on` finds `HassTurnOn`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Index these full names."""
        self._names = frozenset(names)
        self._by_short = _unique((short_name(name), name) for name in self._names)
        written = {**self._by_short, **{name: name for name in self._names}}
        self._by_plain = _unique((_plain(one), name) for one, name in written.items())

    def find(self, written: str) -> str | None:
        """Return the full name of the tool, None if there is none."""
        written = written.removeprefix(NAMESPACE)
        if written in self._names:
            return written
        return self._by_short.get(written) or self._by_plain.get(_plain(written))

    def shortest(self, name: str) -> str:
        """Return the short name if it is unique and an identifier, else the full name."""
        short = short_name(name)
        return short if short in self._by_short and short.isidentifier() else name

    def may_become(self, text: str) -> bool:
        """Return whether the text is the beginning of a full or short name."""
        plain = _plain(text.removeprefix(NAMESPACE))
        return NAMESPACE.startswith(text) or any(one.startswith(plain) for one in self._by_plain)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the names by the keys that only one of them has."""
    by_key: dict[str, set[str]] = {}
    for key, name in pairs:
        by_key.setdefault(key, set()).add(name)
    return {key: found.pop() for key, found in by_key.items() if len(found) == 1}
