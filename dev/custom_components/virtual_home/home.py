"""Parses and checks the YAML file of a home, independent of Home Assistant's state."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from homeassistant.core import valid_entity_id
from homeassistant.util import slugify

from . import checks
from .domains import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

HOME_KEYS = {"language", "floors", "areas", "devices", "entities", "expose"}
INFO_KEYS = {"manufacturer", "model", "model_id", "sw_version", "hw_version", "serial_number"}


class HomeFileError(Exception):
    """A home's file is invalid; the message has the file, the place and the reason."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """A floor of the home."""

    id: str
    name: str
    level: int | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Area:
    """A room, or another area; `floor` is the id of its floor."""

    id: str
    name: str
    floor: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HomeDevice:
    """A device; `area` is the id of its area, `info` its model and the like.

    timers: it supports timers, though it is not a satellite of Home Assistant.
    """

    id: str
    name: str
    area: str | None = None
    info: Mapping[str, str] = field(default_factory=dict)
    timers: bool = False


@dataclass(frozen=True, kw_only=True)
class HomeEntity:
    """An entity: its settings, and the values that it starts with."""

    entity_id: str
    name: str
    area: str | None
    device: str | None
    aliases: tuple[str, ...]
    expose: bool
    settings: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def domain(self) -> str:
        """Return the part of the entity id before the dot."""
        return self.entity_id.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class VirtualHome:
    """A whole home; `expose`: ids of other integrations' entities to expose to Assist."""

    floors: Mapping[str, Floor]
    areas: Mapping[str, Area]
    devices: Mapping[str, HomeDevice]
    entities: Mapping[str, HomeEntity]
    expose: tuple[str, ...] = ()


def load_home(path: Path) -> VirtualHome:
    """Read a home from its YAML file. Raises HomeFileError. Blocks."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise HomeFileError(f"{path}: cannot be read: {err}") from err
    except yaml.YAMLError as err:
        raise HomeFileError(f"{path}: is not valid YAML: {err}") from err
    try:
        return _home(content)
    except ValueError as err:
        raise HomeFileError(f"{path}: {err}") from err


def _home(content: Any) -> VirtualHome:
    data = _mapping(content, "the file", HOME_KEYS)
    if not data.get("entities"):
        raise ValueError("it has no entities")
    areas = _all(data.get("areas"), "area", _area)
    floors = _all(data.get("floors"), "floor", _floor)
    for area in areas.values():
        # An area may name a floor that has no entry of its own.
        if area.floor is not None and area.floor not in floors:
            floors[area.floor] = Floor(id=area.floor, name=area.floor)
    devices = _all(data.get("devices"), "device", _device)
    entities = _all(data["entities"], "entity", _entity)
    for device in devices.values():
        _known(device.area, areas, f"device {device.id}: unknown area")
    for entity in entities.values():
        _known(entity.area, areas, f"entity {entity.entity_id}: unknown area")
        _known(entity.device, devices, f"entity {entity.entity_id}: unknown device")
    try:
        expose = tuple(checks.texts(data.get("expose") or []))
    except ValueError as err:
        raise ValueError(f"expose: {err}") from None
    return VirtualHome(
        floors=floors, areas=areas, devices=devices, entities=entities, expose=expose
    )


def _known(reference: str | None, known: Iterable[str], message: str) -> None:
    if reference is not None and reference not in known:
        raise ValueError(f"{message} {reference!r}")


def _mapping(value: Any, what: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a mapping")  # noqa: TRY004 - load_home() reports ValueError
    if unknown := [str(key) for key in value if key not in keys]:
        raise ValueError(f"{what}: unknown key {', '.join(map(repr, unknown))}")
    return value


def _all[ItemT](
    value: Any, kind: str, build: Callable[[dict[str, Any], str], ItemT]
) -> dict[str, ItemT]:
    """Build all items of a list, by their ids; an error names the item."""
    if not isinstance(value or [], list):
        raise ValueError(f"the {kind} list is not a list")  # noqa: TRY004 - as in _mapping()
    items: dict[str, ItemT] = {}
    for index, data in enumerate(value or [], start=1):
        if not isinstance(data, dict) or "id" not in data:
            raise ValueError(f"{kind} number {index} has no id")
        where = f"{kind} {data['id']}"
        try:
            identifier = checks.text(data["id"])
            item = build(data, where)
        except ValueError as err:
            # What _mapping() raises begins with the place already.
            message = str(err)
            raise ValueError(
                message if message.startswith(where) else f"{where}: {message}"
            ) from err
        if identifier in items:
            raise ValueError(f"{where}: there are two of them")
        items[identifier] = item
    return items


def _name(data: Mapping[str, Any]) -> str:
    if not data.get("name"):
        raise ValueError("it has no name")
    return checks.text(data["name"])


def _optional_text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return None if value is None else checks.text(value)


def _aliases(data: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(checks.texts(data.get("aliases") or []))


def _floor(data: dict[str, Any], where: str) -> Floor:
    _mapping(data, where, {"id", "name", "level", "aliases"})
    level = data.get("level")
    return Floor(
        id=checks.text(data["id"]),
        name=_name(data),
        level=None if level is None else checks.whole(-20, 200)(level),
        aliases=_aliases(data),
    )


def _area(data: dict[str, Any], where: str) -> Area:
    _mapping(data, where, {"id", "name", "floor", "aliases"})
    return Area(
        id=checks.text(data["id"]),
        name=_name(data),
        floor=_optional_text(data, "floor"),
        aliases=_aliases(data),
    )


def _device(data: dict[str, Any], where: str) -> HomeDevice:
    _mapping(data, where, {"id", "name", "area", "info", "timers"})
    info = _mapping(data.get("info") or {}, f"{where}: info", INFO_KEYS)
    return HomeDevice(
        id=checks.text(data["id"]),
        name=_name(data),
        area=_optional_text(data, "area"),
        info={key: checks.text(value) for key, value in info.items()},
        timers=checks.boolean(data.get("timers", False)),
    )


def _entity(data: dict[str, Any], where: str) -> HomeEntity:
    _mapping(
        data,
        where,
        {"id", "name", "area", "device", "aliases", "expose", "state", "attributes"},
    )
    entity_id = checks.text(data["id"])
    domain_name, _, object_id = entity_id.partition(".")
    if not valid_entity_id(entity_id) or slugify(object_id) != object_id:
        raise ValueError("its id is not an entity id")
    if domain_name not in DOMAINS:
        raise ValueError(f"its domain is none of {', '.join(sorted(DOMAINS))}")
    attributes = data.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise ValueError("its attributes are not a mapping")  # noqa: TRY004 - as in _mapping()
    settings, values = DOMAINS[domain_name].parse(data.get("state"), attributes)
    return HomeEntity(
        entity_id=entity_id,
        name=_name(data),
        area=_optional_text(data, "area"),
        device=_optional_text(data, "device"),
        aliases=_aliases(data),
        expose=checks.boolean(data.get("expose", True)),
        settings=settings,
        values=values,
    )
