"""Merges all homes of a set into one home."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import BenchmarkError
from .cases import HOME_FILE, SCRIPTS_FILE, AssistHome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from .cases import AssistCase

MERGED = "merged"
# The fields besides the id that must agree for two things to be the same; the state need not.
DEVICE = ("name", "area")
ENTITY = ("name", "area", "aliases", "attributes", "expose")


def merge(homes: Sequence[AssistHome], folder: Path) -> AssistHome:
    """Return one home with the contents of all homes, and write its files to this folder.

    Floors and areas of the same name become one, and so do entities that agree in id, name, area
    and attributes. An id of different things gets a number in all homes but the first. Raises
    BenchmarkError if the homes have different languages.
    """
    if len({home.language for home in homes}) > 1:
        raise BenchmarkError("homes of different languages cannot be merged")
    merger = _Merger(homes[0].language)
    cases = [case for home in homes for case in merger.add(home)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / HOME_FILE
    path.write_text(yaml.safe_dump(merger.content, allow_unicode=True), encoding="utf-8")
    if merger.scripts:
        scripts = yaml.safe_dump(merger.scripts, allow_unicode=True)
        (folder / SCRIPTS_FILE).write_text(scripts, encoding="utf-8")
    return AssistHome(MERGED, path, merger.content, tuple(cases), merger.scripts)


class _Merger:
    """Merges homes, one after the other."""

    def __init__(self, language: str) -> None:
        self.scripts: dict[str, Any] = {}
        self._language = language
        self._floors: dict[str, dict[str, Any]] = {}
        self._areas: dict[str, dict[str, Any]] = {}
        self._devices: dict[str, dict[str, Any]] = {}
        self._entities: dict[str, dict[str, Any]] = {}
        self._expose: dict[str, None] = {}

    @property
    def content(self) -> dict[str, Any]:
        """Return the content of the merged home's file."""
        return {
            "language": self._language,
            "floors": list(self._floors.values()),
            "areas": list(self._areas.values()),
            "devices": list(self._devices.values()),
            "entities": list(self._entities.values()),
            "expose": list(self._expose),
        }

    def add(self, home: AssistHome) -> list[AssistCase]:
        """Add a home, and return its cases with the new ids of its entities."""
        content = home.content
        floors = {
            one["id"]: self._by_name(self._floors, one) for one in content.get("floors") or ()
        }
        areas = {}
        for area in content.get("areas") or ():
            floor = {"floor": floors.get(area["floor"], area["floor"])} if "floor" in area else {}
            areas[area["id"]] = self._by_name(self._areas, {**area, **floor})
        devices = {
            one["id"]: self._add_once(self._devices, _placed(one, areas), DEVICE)
            for one in content.get("devices") or ()
        }
        entities: dict[str, str] = {}
        for entity in content["entities"]:
            placed = _placed(entity, areas)
            if "device" in entity:
                placed["device"] = devices[entity["device"]]
            entities[entity["id"]] = self._add_once(self._entities, placed, ENTITY)
        scripts = {name: _free(name, self.scripts) for name in home.scripts}
        ids = entities | {f"script.{old}": f"script.{new}" for old, new in scripts.items()}
        for name, script in home.scripts.items():
            self.scripts[scripts[name]] = renamed(script, ids)
        for entity_id in set(entities.values()):
            # Scenes name other entities.
            if entity_id.startswith("scene."):
                self._entities[entity_id] = renamed(self._entities[entity_id], ids)
        self._expose |= dict.fromkeys(ids.get(one, one) for one in content.get("expose") or ())
        return [_moved(case, ids, devices) for case in home.cases]

    def _by_name(self, known: dict[str, dict[str, Any]], thing: dict[str, Any]) -> str:
        """Add a floor or an area unless one has its name, and return its id."""
        for identifier, other in known.items():
            if other["name"].casefold() == thing["name"].casefold():
                aliases = [*other.get("aliases", ()), *thing.get("aliases", ())]
                if aliases:
                    other["aliases"] = list(dict.fromkeys(aliases))
                return identifier
        return self._add(known, thing)

    def _add_once(
        self, known: dict[str, dict[str, Any]], thing: dict[str, Any], what: Sequence[str]
    ) -> str:
        """Add a thing unless the same one is known, and return its id."""
        other = known.get(thing["id"])
        if other is not None and _meaning(other, what) == _meaning(thing, what):
            return str(thing["id"])
        return self._add(known, thing)

    @staticmethod
    def _add(known: dict[str, dict[str, Any]], thing: dict[str, Any]) -> str:
        identifier = _free(str(thing["id"]), known)
        known[identifier] = {**thing, "id": identifier}
        return identifier


def _placed(thing: Mapping[str, Any], areas: Mapping[str, str]) -> dict[str, Any]:
    """Return a device or an entity with the new id of its area."""
    return dict(thing) | ({"area": areas[thing["area"]]} if thing.get("area") else {})


def _free(wanted: str, taken: Mapping[str, Any]) -> str:
    """Return a free id, with a number if necessary."""
    number = 2
    free = wanted
    while free in taken:
        free = f"{wanted}_{number}"
        number += 1
    return free


def _meaning(thing: Mapping[str, Any], what: Sequence[str]) -> str:
    return json.dumps([thing.get(key) for key in what], sort_keys=True, default=str)


def renamed(value: Any, ids: Mapping[str, str]) -> Any:
    """Return a structure with new ids, where a whole text or key is an id."""
    if isinstance(value, dict):
        return {ids.get(key, key): renamed(one, ids) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, ids) for one in value]
    return ids.get(value, value) if isinstance(value, str) else value


def _moved(case: AssistCase, ids: Mapping[str, str], devices: Mapping[str, str]) -> AssistCase:
    return replace(
        case,
        setup=renamed(dict(case.setup), ids),
        expect={ids[entity_id]: expected for entity_id, expected in case.expect.items()},
        ignore={ids[entity_id]: names for entity_id, names in case.ignore.items()},
        device=None if case.device is None else devices.get(case.device, case.device),
    )
