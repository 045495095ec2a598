"""Homes and cases from folders in the format of the public `assist` data sets.

A folder of a home has `_fixtures.yaml`, which the virtual home understands, and further files with
cases. A set is a folder of such folders, at any depth.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HOME_FILE = "_fixtures.yaml"
SCRIPTS_FILE = "_fixtures_scripts.yaml"
DEFAULT_LANGUAGE = "en"
ON_OFF = {True: "on", False: "off"}
TEST_KEYS = {
    *("sentences", "setup", "expect_changes", "ignore_changes", "expect_response"),
    *("context_device", "before"),
}
STATE_KEYS = {"state", "attributes"}


@dataclass(frozen=True, slots=True)
class Expected:
    """What of an entity is to be different afterwards. state: None if it stays as it is."""

    state: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """A sentence, what the home is like before it, and what it is to change.

    setup: for each entity, fields of the action `virtual_home.set_state`. ignore: for each entity,
    attributes (or `state`) that may change. replies: one of these words must be in the reply, if
    there are any. device: id of the device that is spoken to. before: what is said before it in
    the same conversation, which is not judged.
    """

    home: str
    category: str
    sentence: str
    setup: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expect: Mapping[str, Expected] = field(default_factory=dict)
    ignore: Mapping[str, Sequence[str]] = field(default_factory=dict)
    replies: tuple[str, ...] = ()
    device: str | None = None
    before: tuple[str, ...] = ()

    @property
    def is_command(self) -> bool:
        """Tell whether something is to change; chat and questions change nothing."""
        return bool(self.expect)


@dataclass(frozen=True, slots=True)
class Home:
    """A home and what is said in it.

    path: its file for the virtual home. content: what is in that file. scripts: those of Home
    Assistant that belong to it.
    """

    name: str
    path: Path
    content: Mapping[str, Any]
    cases: tuple[Case, ...]
    scripts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def entities(self) -> dict[str, Mapping[str, Any]]:
        """Return the descriptions of the entities by their ids."""
        return {str(one["id"]): one for one in self.content["entities"]}

    @property
    def language(self) -> str:
        """Return the language that is spoken there."""
        return str(self.content.get("language") or DEFAULT_LANGUAGE)


def load_set(folder: Path) -> list[Home]:
    """Return all homes in a folder and below. Raises BenchmarkError, which names file and reason.

    The virtual home checks the homes themselves; here are checked the cases.
    """
    if not folder.is_dir():
        raise BenchmarkError(f"there is no folder {folder}")
    homes = [_load_home(path) for path in sorted(folder.rglob(HOME_FILE))]
    if not homes:
        raise BenchmarkError(f"{folder} has no home: there is no {HOME_FILE} in it or below")
    if not any(home.cases for home in homes):
        raise BenchmarkError(f"{folder} has no cases: there are no tests beside its homes")
    return homes


def _load_home(path: Path) -> Home:
    content = _read(path)
    entities = content.get("entities")
    if not isinstance(entities, list) or not all(
        isinstance(one, dict) and one.get("id") for one in entities
    ):
        raise BenchmarkError(f"{path}: `entities` is not a list of entities with ids")
    name = path.parent.name
    scripts = path.with_name(SCRIPTS_FILE)
    files = sorted(one for one in path.parent.glob("*.yaml") if not one.name.startswith("_"))
    reader = _CaseReader(name, {str(one["id"]) for one in entities})
    return Home(
        name,
        path,
        content,
        tuple(case for file in files for case in reader.read(file)),
        _read(scripts) if scripts.exists() else {},
    )


def _read(path: Path) -> dict[str, Any]:
    """Return what is in a YAML file, which must be a mapping; raises BenchmarkError."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise BenchmarkError(f"{path} cannot be read: {err}") from err
    except yaml.YAMLError as err:
        raise BenchmarkError(f"{path} is not valid YAML: {err}") from err
    if not isinstance(content, dict):
        raise BenchmarkError(f"{path}: the file is not a mapping")
    return content


class _CaseReader:
    """Reads the cases of one home."""

    def __init__(self, home: str, entities: set[str]) -> None:
        self._home = home
        self._entities = entities

    def read(self, path: Path) -> list[Case]:
        """Return the cases of a file, one for each sentence. Raises BenchmarkError.

        Of a sentence that a file has twice the last case counts, as with the public sets.
        """
        content = _read(path)
        tests = content.get("tests")
        if not isinstance(tests, list):
            raise BenchmarkError(f"{path}: `tests` is not a list")
        category = content.get("category", path.stem)
        if isinstance(category, list):
            category = ", ".join(map(str, category))
        cases: dict[str, Case] = {}
        for number, test in enumerate(tests, start=1):
            try:
                cases |= {one.sentence: one for one in self._cases(test, str(category))}
            except ValueError as err:
                raise BenchmarkError(f"{path}, test {number}: {err}") from None
        return list(cases.values())

    def _cases(self, test: Any, category: str) -> list[Case]:
        if not isinstance(test, dict):
            raise ValueError("it is not a mapping")  # noqa: TRY004 - read() reports ValueError
        if unknown := sorted(str(key) for key in test if key not in TEST_KEYS):
            raise ValueError(f"unknown key {', '.join(unknown)}")
        sentences = _texts(test.get("sentences"), "sentences")
        if not sentences:
            raise ValueError("it has no sentences")
        expect = {
            entity_id: Expected(_state(fields.get("state")), fields.get("attributes") or {})
            for entity_id, fields in self._states(test, "expect_changes").items()
        }
        device = test.get("context_device")
        return [
            Case(
                self._home,
                category,
                sentence,
                self._states(test, "setup"),
                expect,
                {
                    entity_id: _texts(names, "ignore_changes")
                    for entity_id, names in self._by_entity(test, "ignore_changes").items()
                },
                tuple(_texts(test.get("expect_response"), "expect_response")),
                None if device is None else str(device),
                tuple(_texts(test.get("before"), "before")),
            )
            for sentence in sentences
        ]

    def _states(self, test: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
        """Return the part of a test that gives entities a state and attributes."""
        found = self._by_entity(test, key)
        for entity_id, fields in found.items():
            if not isinstance(fields, dict) or not set(fields) <= STATE_KEYS:
                raise ValueError(f"{key}: {entity_id} has something else than state and attributes")
            if not isinstance(fields.get("attributes") or {}, dict):
                message = f"{key}: the attributes of {entity_id} are not a mapping"
                raise ValueError(message)  # noqa: TRY004 - as in _cases()
        return found

    def _by_entity(self, test: Mapping[str, Any], key: str) -> dict[str, Any]:
        found = test.get(key) or {}
        if not isinstance(found, dict):
            raise ValueError(f"`{key}` is not a mapping")  # noqa: TRY004 - as in _cases()
        for entity_id in found:
            if entity_id not in self._entities:
                raise ValueError(f"{key}: the home has no entity {entity_id}")
        return found


def _texts(value: Any, key: str) -> list[str]:
    """Return a list of texts, which may be given as one text."""
    if value is None:
        return []
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) and one for one in texts):
        raise ValueError(f"`{key}` is not a list of texts")
    return texts


def _state(value: Any) -> str | None:
    """Return a state; YAML reads an unquoted `off` as false."""
    if isinstance(value, bool):
        return ON_OFF[value]
    return None if value is None else str(value)
