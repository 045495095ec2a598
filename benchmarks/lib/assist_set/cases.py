"""Homes and cases from folders in the format of the public `assist` data sets.

A folder with a `_fixtures.yaml` in the format of the virtual home is a home; its other files have
cases. A set is a folder of such folders, at any depth.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

from custom_components.llamacpp.nlu.candidates import CRITICAL

from ..errors import BenchmarkError
from .public import VOLUME, home_content, state_fields, volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HOME_FILE = "_fixtures.yaml"
SCRIPTS_FILE = "_fixtures_scripts.yaml"
DEFAULT_LANGUAGE = "en"
ON_OFF = {True: "on", False: "off"}
CARD_FILE = "dataset_card.yaml"
# Files that describe a set, or how to solve it.
NO_CASES = {CARD_FILE, "solution.yaml"}
TEST_KEYS = {
    *("sentences", "setup", "expect_changes", "ignore_changes", "expect_response"),
    *("expect_tool_call", "context_device", "context_now", "before"),
}
# Instead of an attribute: everything about the entity may change.
ALL_OF_IT = "*"
# The words that YAML may have read as true and false.
WORDS = {True: ("yes", "on", "true"), False: ("no", "off", "false")}
STATE_KEYS = {"state", "attributes"}


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected changes of an entity. state: None if it does not change."""

    state: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """An expected tool call. arguments: those that count."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssistCase:
    """A sentence, the state of the home before it, and the expected changes.

    setup: for each entity, fields of the action `virtual_home.set_state`. ignore: for each entity,
    attributes (or `state`) that may change. replies: words, one of which must be in the reply.
    device: id of the device that hears it. before: sentences before it in the same conversation,
    which are not judged. now: the time, None: the real one; without a time zone, in the one of Home
    Assistant. tool: the expected call of a command without `expect`. is_critical: our agent must
    ask back first.
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
    now: datetime | None = None
    tool: ExpectedCall | None = None
    is_critical: bool = False

    @property
    def is_command(self) -> bool:
        """Return whether it is a command; chat and questions change nothing."""
        return bool(self.expect) or self.tool is not None


@dataclass(frozen=True, slots=True)
class AssistHome:
    """A home and its cases.

    path, content: of its file for the virtual home. scripts: its scripts, in the format of Home
    Assistant.
    """

    name: str
    path: Path
    content: Mapping[str, Any]
    cases: tuple[AssistCase, ...]
    scripts: Mapping[str, Any] = field(default_factory=dict)

    def written(self, folder: Path) -> Path:
        """Return a file with `content` for the virtual home: `path` if it has that, or a new one.

        Raises OSError and BenchmarkError.
        """
        if _read(self.path) == self.content:
            return self.path
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / HOME_FILE
        file.write_text(yaml.safe_dump(self.content, allow_unicode=True), encoding="utf-8")
        if self.scripts:
            text = yaml.safe_dump(self.scripts, allow_unicode=True)
            (folder / SCRIPTS_FILE).write_text(text, encoding="utf-8")
        return file

    @property
    def entities(self) -> dict[str, Mapping[str, Any]]:
        """Return the descriptions of the entities by their ids."""
        return {str(one["id"]): one for one in self.content["entities"]}

    @property
    def names(self) -> list[str]:
        """Return all names and aliases in the home."""
        return [
            str(text)
            for part in ("floors", "areas", "devices", "entities")
            for thing in self.content.get(part) or ()
            for text in (thing.get("name"), *(thing.get("aliases") or ()))
            if text
        ]

    @property
    def language(self) -> str:
        """Return the language of its sentences."""
        return str(self.content.get("language") or DEFAULT_LANGUAGE)


def load_set(folder: Path) -> list[AssistHome]:
    """Return all homes in a folder and below. Raises BenchmarkError with the file and the reason.

    This checks the cases; the virtual home checks the homes.
    """
    if not folder.is_dir():
        raise BenchmarkError(f"there is no folder {folder}")
    homes = [_load_home(path, folder) for path in sorted(folder.rglob(HOME_FILE))]
    if not homes:
        raise BenchmarkError(f"{folder} has no home: there is no {HOME_FILE} in it or below")
    if not any(home.cases for home in homes):
        raise BenchmarkError(f"{folder} has no cases: there are no tests beside its homes")
    return homes


def _load_home(path: Path, folder: Path) -> AssistHome:
    content = _read(path)
    entities = content.get("entities")
    if not isinstance(entities, list) or not all(
        isinstance(one, dict) and one.get("id") for one in entities
    ):
        raise BenchmarkError(f"{path}: `entities` is not a list of entities with ids")
    name = path.parent.name
    if not content.get("language") and (language := _language(path.parent, folder)):
        content["language"] = language
    try:
        content = home_content(content)
    except (TypeError, KeyError, AttributeError) as err:
        raise BenchmarkError(f"{path}: it is no home: {err!r}") from err
    scripts = path.with_name(SCRIPTS_FILE)
    files = sorted(
        one
        for one in path.parent.glob("*.yaml")
        if not one.name.startswith("_") and one.name not in NO_CASES
    )
    reader = _CaseReader(name, content["entities"])
    return AssistHome(
        name,
        path,
        content,
        tuple(case for file in files for case in reader.read(file)),
        _read(scripts) if scripts.exists() else {},
    )


def _language(home: Path, folder: Path) -> str | None:
    """Return the language in the set's card, which is next to the home or above."""
    for parent in (home, *home.parents):
        card = parent / CARD_FILE
        if card.exists():
            language = _read(card).get("language")
            return None if language is None else str(language)
        if parent == folder:
            break
    return None


def _read(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; raises BenchmarkError."""
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

    def __init__(self, home: str, entities: Sequence[Mapping[str, Any]]) -> None:
        self._home = home
        self._entities = {str(one["id"]) for one in entities}
        self._critical = {str(one["id"]) for one in entities if _is_critical(one)}

    def read(self, path: Path) -> list[AssistCase]:
        """Return the cases of a file, one for each sentence. Raises BenchmarkError.

        If a file has a sentence twice, the last case counts, as in the public sets.
        """
        content = _read(path)
        tests = content.get("tests", ())
        if "tests" in content and tests is None:
            return []
        if not isinstance(tests, list):
            raise BenchmarkError(f"{path}: `tests` is not a list")
        category = content.get("category", path.stem)
        if isinstance(category, list):
            category = ", ".join(map(str, category))
        cases: dict[str, AssistCase] = {}
        for number, test in enumerate(tests, start=1):
            try:
                cases |= {one.sentence: one for one in self._cases(test, str(category))}
            except ValueError as err:
                raise BenchmarkError(f"{path}, test {number}: {err}") from None
        return list(cases.values())

    def _cases(self, test: Any, category: str) -> list[AssistCase]:
        if not isinstance(test, dict):
            raise ValueError("it is not a mapping")  # noqa: TRY004 - read() reports ValueError
        if unknown := sorted(str(key) for key in test if key not in TEST_KEYS):
            raise ValueError(f"unknown key {', '.join(unknown)}")
        sentences = _texts(test.get("sentences"), "sentences")
        if not sentences:
            raise ValueError("it has no sentences")
        expect = {
            entity_id: _expected(fields)
            for entity_id, fields in self._states(test, "expect_changes").items()
        }
        device = test.get("context_device")
        call = _expected_call(test.get("expect_tool_call"))
        case = AssistCase(
            self._home,
            category,
            "",
            {
                entity_id: state_fields(entity_id, fields)
                for entity_id, fields in self._states(test, "setup").items()
            },
            expect,
            self._ignored(test),
            tuple(_words(test.get("expect_response"))),
            None if device is None else str(device),
            tuple(_texts(test.get("before"), "before")),
            _moment(test.get("context_now")),
            # Expected changes say more than an expected call.
            None if expect else call,
            not self._critical.isdisjoint(expect),
        )
        return [replace(case, sentence=sentence) for sentence in sentences]

    def _ignored(self, test: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the attributes that may change.

        They are given by entity, or as a list: attributes of all entities, and ids of entities that
        may change in any way.
        """
        given = test.get("ignore_changes")
        if isinstance(given, list):
            texts = _texts(given, "ignore_changes")
            names = [one for one in texts if one not in self._entities]
            return {
                entity_id: [ALL_OF_IT] if entity_id in texts else names
                for entity_id in sorted(self._entities)
            }
        return {
            entity_id: _texts(names, "ignore_changes")
            for entity_id, names in self._by_entity(test, "ignore_changes").items()
        }

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
        found = {str(entity_id).lower(): one for entity_id, one in found.items()}
        for entity_id in found:
            if entity_id not in self._entities:
                raise ValueError(f"{key}: the home has no entity {entity_id}")
        return found


def _is_critical(entity: Mapping[str, Any]) -> bool:
    """Return whether our agent must ask back before it moves an entity."""
    domain = str(entity["id"]).partition(".")[0]
    device_class = (entity.get("attributes") or {}).get("device_class")
    return not CRITICAL.isdisjoint((domain, f"{domain}.{device_class}"))


def _texts(value: Any, key: str) -> list[str]:
    """Return a list of texts; accepts a single text, too."""
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


def _expected(fields: Mapping[str, Any]) -> Expected:
    attributes = dict(fields.get("attributes") or {})
    if VOLUME in attributes:
        attributes[VOLUME] = volume(attributes[VOLUME])
    return Expected(_state(fields.get("state")), attributes)


def _expected_call(value: Any) -> ExpectedCall | None:
    """Return the tool call that a test expects, or None."""
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("tool_name"), str):
        raise ValueError("`expect_tool_call` has no `tool_name`")  # noqa: TRY004 - read() reports it
    arguments = value.get("tool_args") or {}
    if not isinstance(arguments, dict):
        raise ValueError("`expect_tool_call`: `tool_args` is not a mapping")  # noqa: TRY004 - as above
    return ExpectedCall(value["tool_name"], arguments)


def _words(value: Any) -> list[str]:
    """Return the words of `expect_response`: one or a list, with what YAML reads as other types."""
    found: list[str] = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool):
            found += WORDS[one]
        elif isinstance(one, str | int | float) and one != "":
            found.append(str(one))
        elif value is not None:
            raise ValueError("`expect_response` is not a list of texts")
    return found


def _moment(value: Any) -> datetime | None:
    """Return the time of `context_now`, which YAML may have parsed."""
    if value is None or isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"`context_now` is not a date with a time: {value}") from None
