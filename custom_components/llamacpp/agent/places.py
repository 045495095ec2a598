"""Areas and floors in calls, by the names that Home Assistant knows."""

from typing import TYPE_CHECKING, Any

from .call_error import unknown
from .named import meant_by

if TYPE_CHECKING:
    from collections.abc import Container

    from .commands.home import Home

AREA, FLOOR = "area", "floor"


class Places:
    """Knows the areas and floors of a home."""

    def __init__(self, home: Home) -> None:
        """Know those of this home."""
        self._places = {AREA: home.areas, FLOOR: home.floors}

    def all_names(self, kind: str) -> list[str]:
        """Return all names and aliases of the areas or floors."""
        return [name for one in self._places[kind].values() for name in one.names]

    def names(self, kind: str, written: str) -> set[str]:
        """Return the areas or floors that a name, alias or id can mean. kind: `area` or `floor`."""
        places = self._places[kind]
        if written in places:
            return {places[written].name}
        return {one.name for one in meant_by(written, [(p, p.names) for p in places.values()]).all}

    def name(self, kind: str, written: str) -> str:
        """Return the one that is meant; raises CallError if there is none, or more than one."""
        found = self.names(kind, written)
        if len(found) != 1:
            raise unknown(kind, written, found or {p.name for p in self._places[kind].values()})
        return found.pop()

    def correct(self, given: dict[str, Any], declared: Container[str]) -> None:
        """Put right the places among a call's arguments, also one that stands for the other kind.

        given: with texts for places. declared: names of the tool's arguments. Raises CallError for
        a place that does not exist.
        """
        for kind, other in ((AREA, FLOOR), (FLOOR, AREA)):
            if kind not in declared or kind not in given:
                continue
            written = given[kind]
            if not self.names(kind, written) and other in declared and other not in given:
                elsewhere = self.names(other, written)
                if len(elsewhere) == 1:
                    del given[kind]
                    given[other] = elsewhere.pop()
                    continue
            given[kind] = self.name(kind, written)
