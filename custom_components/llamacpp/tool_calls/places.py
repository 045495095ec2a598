"""Resolve areas, floors and devices in calls to the names that Home Assistant knows."""

from typing import TYPE_CHECKING, Any

from .invalid_call import unknown
from .names import NameMatch, match_name

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ..home.things import Device, Home, Place

AREA, FLOOR, DEVICE = "area", "floor", "device"


class Places:
    """The areas and floors of a home, and the devices of its exposed entities."""

    def __init__(self, home: Home) -> None:
        """Index the places of this home."""
        devices = {one.device.id: one.device for one in home.things if one.device}
        self._home = home
        self._places: dict[str, Mapping[str, Place | Device]] = {
            AREA: home.areas,
            FLOOR: home.floors,
            DEVICE: devices,
        }

    def all_names(self, kind: str) -> list[str]:
        """Return all names and aliases of the areas, floors or devices."""
        return [name for one in self._places[kind].values() for name in one.names]

    def meant(self, kind: str, written: str) -> NameMatch[str]:
        """Match a name, alias or id to ids. kind: `area`, `floor` or `device`."""
        places = self._places[kind]
        if written in places:
            return NameMatch((written,))
        return match_name(written, [(key, one.names) for key, one in places.items()])

    def names(self, kind: str, written: str) -> set[str]:
        """Return the names of all matches of a name, alias or id."""
        return {self._places[kind][one].name for one in self.meant(kind, written).all}

    def name(self, kind: str, written: str) -> str:
        """Return the name of the only match. Raises InvalidCallError for none or several."""
        found = self.names(kind, written)
        if len(found) != 1:
            raise unknown(kind, written, found or {p.name for p in self._places[kind].values()})
        return found.pop()

    def id(self, kind: str, written: str) -> str:
        """Return the id of the only match. Raises InvalidCallError as `name` does."""
        self.name(kind, written)
        found = self.meant(kind, written).all
        if len(found) != 1:
            raise unknown(kind, written, found)
        return found[0]

    def exposed(self, kind: str) -> set[str]:
        """Return the ids of the areas, floors or devices with exposed entities."""
        areas = {one.area for one in self._home.things if one.area}
        match kind:
            case "area":
                return areas
            case "floor":
                places = (self._home.areas.get(one) for one in areas)
                return {one.floor for one in places if one and one.floor}
            case _:
                return set(self._places[kind])

    def exposed_names(self, kind: str) -> list[str]:
        """Return the names of the areas, floors or devices with exposed entities."""
        places = self._places[kind]
        return [places[one].name for one in self.exposed(kind) if one in places]

    def correct(self, given: dict[str, Any], declared: Container[str]) -> None:
        """Correct areas and floors in a call's arguments, also one given as the other.

        given: places are strings. declared: names of the tool's arguments. Raises InvalidCallError
        for an unknown or ambiguous place.
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
