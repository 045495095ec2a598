"""Resolve the targets of calls, entities and places, to the names that Home Assistant knows."""

from typing import TYPE_CHECKING, Any

from ..nlu.candidates import CRITICAL
from .arguments import EMPTY
from .invalid_call import InvalidCallError, unknown
from .names import NameMatch, match_name
from .places import AREA, DEVICE, FLOOR, Places
from .tool_names import BETWEEN, short_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..home.things import ExposedEntity, Home
    from .arguments import Schema

# The prefix of Home Assistant's own tools for the home, and the one without it.
OWN = "Hass"
LIVE_CONTEXT = "GetLiveContext"
# In the names of the tools whose `name` is that of a timer.
TIMER = "Timer"
# Home Assistant resolves this name to all entities.
ALL = "all"
NAME, DOMAIN, DEVICE_CLASS = "name", "domain", "device_class"
# Arguments in which models put an entity's name instead of `name`.
OTHER_NAMES = ("entity_id", "entity", "entity_name", "device", "device_name")
# Values that models write for nothing.
NOTHING = frozenset(("", "none", "null", "n/a"))
# Formats in schemas: an entity id, and a target object.
ENTITY_ID, TARGET = "entity_id", "target"
# The parts of a target and their kinds. A name in the wrong part is searched for in the others, in
# this order.
PARTS = {ENTITY_ID: "entity", "device_id": DEVICE, "area_id": AREA, "floor_id": FLOOR}


class Targets:
    """The entities and places of a home by their names."""

    def __init__(self, home: Home) -> None:
        """Index this home."""
        self._home = home
        self._places = Places(home)
        self._domains = sorted({one.domain for one in home.things})

    def corrected(
        self, tool: str, arguments: Mapping[str, Any], properties: Mapping[str, Schema]
    ) -> dict[str, Any]:
        """Return a call's arguments with the names that Home Assistant knows.

        tool: full name. properties: schemas of its arguments. Raises InvalidCallError, which lists
        the valid names, for an unknown or ambiguous name.
        """
        given = dict(arguments)
        for key, schema in properties.items():
            if given.get(key) not in EMPTY:
                given[key] = self._selected(given[key], schema)
        short = short_name(tool)
        if _is_own(short):
            _move_name(given, properties)
            for key in (NAME, AREA, FLOOR, DOMAIN):
                if _is_nothing(given.get(key)):
                    given.pop(key, None)
                elif key != DOMAIN and not isinstance(given[key], str):
                    raise InvalidCallError(f"{key} must be one name. Make a call for each.")
            self._correct_domain(given, properties)
            if TIMER not in short:
                self._correct_name(tool, given, properties)
            self._places.correct(given, properties)
        return given

    def names(self, tool: str, key: str, properties: Mapping[str, Schema]) -> list[str] | None:
        """Return all valid values of a name argument, None if it takes any.

        tool: full name. properties: schemas of its arguments.
        """
        kind = _format(properties[key])
        if kind == ENTITY_ID:
            return self._all_ids
        if kind and kind != TARGET:
            return self._places.all_names(kind)
        if not _is_own(short := short_name(tool)):
            return None
        if key == NAME and TIMER not in short:
            return [name for one in self._things(tool, properties) for name in one.names]
        if key == DOMAIN:
            return choices_of(properties[key]) or self._domains
        return self._places.all_names(key) if key in (AREA, FLOOR) else None

    def names_for(self, tool: str, properties: Mapping[str, Schema]) -> list[str]:
        """Return the names of all entities that a tool can target."""
        return sorted({one.name for one in self._things(tool, properties)})

    def _selected(self, written: Any, schema: Schema) -> Any:
        """Replace names in an argument, also nested, by the ids or names that its selector takes.

        Raises InvalidCallError for a target that does not exist or is not exposed.
        """
        kind = _format(schema)
        if kind == TARGET:
            return self._target(written)
        if kind:
            found = [self._of_format(kind, one) for one in _listed(written)]
            return found if isinstance(written, list) else found[0]
        if isinstance(written, dict):
            properties = schema.get("properties", {})
            return {
                key: self._selected(one, properties.get(key, {})) for key, one in written.items()
            }
        if isinstance(written, list) and (items := schema.get("items")):
            return [self._selected(one, items) for one in written]
        return written

    def _of_format(self, kind: str, written: Any) -> Any:
        """Return the id of the entity or device, or the name of the place, for a name."""
        if not isinstance(written, str):
            return written
        if kind == ENTITY_ID:
            found = self._ids(ENTITY_ID, written)
            if len(found) != 1:
                raise unknown("entity", written, found or self._all_ids)
            return found[0]
        return (
            self._places.id(kind, written) if kind == DEVICE else self._places.name(kind, written)
        )

    def _target(self, written: Any) -> Any:
        """Return a target with its names replaced by ids."""
        parts = written if isinstance(written, dict) else {ENTITY_ID: written}
        target: dict[str, Any] = {}
        for part, named in parts.items():
            for one in _listed(named):
                if part in PARTS and not isinstance(one, str):
                    raise InvalidCallError(f"{part} must be a list of names.")
                where, found = self._part(part, one) if part in PARTS else (part, one)
                if found not in target.setdefault(where, []):
                    target[where].append(found)
        return target

    def _part(self, part: str, written: str) -> tuple[str, str]:
        """Return the part of a target that a name belongs to, and the id for the name."""
        found = self._ids(part, written)
        if len(found) == 1:
            return part, found[0]
        for other in PARTS:
            if not found and other != part:
                elsewhere = self._ids(other, written, is_sure=True)
                if len(elsewhere) == 1:
                    return other, elsewhere[0]
        raise unknown(PARTS[part], written, found or self._names_of(part))

    def _ids(self, part: str, written: str, *, is_sure: bool = False) -> list[str]:
        """Return the ids of exposed entities, or of places with any, that match a name.

        is_sure: accept differences in spelling only.
        """
        if part != ENTITY_ID:
            exposed = self._places.exposed(PARTS[part])
            meant = self._places.meant(PARTS[part], written)
            return [one for one in meant.all if one in exposed and (meant.is_sure or not is_sure)]
        things = self._meant(written, self._home.things)
        if (is_sure and not things.is_sure) or _is_guess(things):
            return []
        return [one.entity_id for one in things.all]

    def _names_of(self, part: str) -> list[str]:
        """Return all valid values of a part of a target."""
        return self._all_ids if part == ENTITY_ID else self._places.exposed_names(PARTS[part])

    @property
    def _all_ids(self) -> list[str]:
        return [one.entity_id for one in self._home.things]

    def _correct_domain(self, given: dict[str, Any], properties: Mapping[str, Schema]) -> None:
        if DOMAIN not in given or DOMAIN not in properties:
            return
        known = choices_of(properties[DOMAIN]) or self._domains
        found = []
        for written in map(str, _listed(given[DOMAIN])):
            meant = match_name(written, [(one, (one,)) for one in known]).all
            if len(meant) != 1:
                raise unknown("domain", written, known)
            found.append(meant[0])
        given[DOMAIN] = found if isinstance(given[DOMAIN], list) else found[0]

    def _correct_name(
        self, tool: str, given: dict[str, Any], properties: Mapping[str, Schema]
    ) -> None:
        written = given.get(NAME, ALL)
        if NAME not in properties or written.strip().casefold() == ALL:
            return
        things = self._things(tool, properties)
        meant = self._meant(written, things)
        if not meant.all and self._is_place(written, given, properties):
            given[AREA] = given.pop(NAME)
            return
        names = {one.name for one in meant.all}
        if len(names) != 1 or _is_guess(meant):
            raise unknown("entity", written, names or {one.name for one in things})
        if DOMAIN in given and not choices_of(properties.get(DOMAIN, {})):
            _take_domain(given, meant.all)
        # If several share the name, keep the id; Home Assistant takes it as a name.
        is_id_needed = sum(one.name in names for one in self._home.things) > 1
        given[NAME] = written if is_id_needed and written == meant.all[0].entity_id else names.pop()

    def _things(self, tool: str, properties: Mapping[str, Schema]) -> list[ExposedEntity]:
        """Return the entities that a tool can target: all, or those of its domains."""
        namespace = tool.partition(BETWEEN)[0]
        domains = choices_of(properties.get(DOMAIN, {})) or (
            [namespace] if namespace in self._domains else self._domains
        )
        return [one for one in self._home.things if one.domain in domains]

    def _meant(self, written: str, things: Sequence[ExposedEntity]) -> NameMatch[ExposedEntity]:
        """Match an entity id, a name or an alias to entities."""
        if by_id := tuple(one for one in things if one.entity_id == written):
            return NameMatch(by_id)
        meant = match_name(written, [(one, one.names) for one in things])
        domain, _, rest = written.partition(".")
        if not meant.all and domain in self._domains:
            # An id that the model has invented from a name.
            return match_name(rest, [(one, one.names) for one in things if one.domain == domain])
        return meant

    def _is_place(
        self, written: str, given: Mapping[str, Any], properties: Mapping[str, Schema]
    ) -> bool:
        """Return whether the name is that of an area in which a domain or device class is meant."""
        if AREA not in properties or not (given.get(DOMAIN) or given.get(DEVICE_CLASS)):
            return False
        found = self._places.names(AREA, written)
        return len(found) == 1 and (
            AREA not in given or self._places.names(AREA, given[AREA]) == found
        )


def _move_name(given: dict[str, Any], properties: Mapping[str, Schema]) -> None:
    """Move an entity's name from another argument to `name`."""
    key = next((one for one in OTHER_NAMES if one in given and one not in properties), None)
    if key and NAME in properties and NAME not in given:
        value = _listed(given[key])
        if len(value) == 1 and isinstance(value[0], str):
            given[NAME] = value[0]
            del given[key]


def _take_domain(given: dict[str, Any], things: Sequence[ExposedEntity]) -> None:
    """Correct the domain to that of the named entities, except for critical ones."""
    domains = {one.domain for one in things}
    if len(domains) != 1 or domains.intersection(_listed(given[DOMAIN])):
        return
    if not any(CRITICAL.intersection(one.kinds) for one in things):
        given[DOMAIN] = [*domains] if isinstance(given[DOMAIN], list) else domains.pop()


def _is_guess(meant: NameMatch[ExposedEntity]) -> bool:
    """Return whether a critical entity is matched by a similar name only."""
    return not meant.is_sure and any(CRITICAL.intersection(one.kinds) for one in meant.all)


def _format(schema: Schema) -> str | None:
    """Return which kind of name or id an argument takes, None if unknown."""
    kind: str | None = schema.get("items", schema).get("format")
    return kind if kind in (ENTITY_ID, AREA, FLOOR, DEVICE, TARGET) else None


def _is_own(short: str) -> bool:
    """Return whether the short name is that of one of Home Assistant's own tools for the home."""
    return short.startswith(OWN) or short == LIVE_CONTEXT


def _is_nothing(value: Any) -> bool:
    return value in EMPTY or (isinstance(value, str) and value.strip().casefold() in NOTHING)


def choices_of(schema: Schema) -> list[Any]:
    """Return the enum of an argument, or of its items; empty: any value."""
    return list(schema.get("items", schema).get("enum", ()))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
