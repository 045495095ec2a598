"""The form of the project's own evaluation sets; their cases are measured, not tested."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev.custom_components.virtual_home.domains import DOMAINS
from dev.custom_components.virtual_home.home import load_home

if TYPE_CHECKING:
    from collections.abc import Iterator

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SETS, HELD_OUT = BENCHMARKS / "sets", BENCHMARKS / "held_out"
LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pl")
# Sentences without a request, and those that need a question first.
TALK = ("chat", "question")
NOT_DONE = (
    *("condition", "missing", "negation", "others", "past", "takeback", "time", "unclear", "wish"),
)
PARTS = ("setup", "expect_changes", "ignore_changes")
CASE_KEYS = {"sentences", "before", "context_device", *PARTS}
STATE_KEYS = {"state", "attributes"}


def homes(language: str, folder: Path = SETS) -> list[Path]:
    """Return the folders of a set's homes."""
    return sorted(path.parent for path in (folder / language).glob("*/_fixtures.yaml"))


def cases(home: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all cases of a home, each with its category."""
    for path in sorted(home.glob("[!_]*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert content.keys() == {"category", "tests"}, path
        assert content["category"] == path.stem, path
        for case in content["tests"]:
            yield content["category"], case


def sentences(language: str, *folders: Path) -> list[tuple[str, str]]:
    """Return all sentences of sets in a language, each with its category."""
    return [
        (category, sentence)
        for folder in folders
        for home in homes(language, folder)
        for category, case in cases(home)
        for sentence in case["sentences"]
    ]


ALL_HOMES = [
    home for folder in (SETS, HELD_OUT) for code in LANGUAGES for home in homes(code, folder)
]
each_home = pytest.mark.parametrize("home", ALL_HOMES, ids=[home.name for home in ALL_HOMES])


@pytest.mark.parametrize("language", LANGUAGES)
def test_set_is_large_enough(language: str) -> None:
    """At least 150 sentences, half of them held out, and many that change nothing."""
    own, held_out = sentences(language, SETS), sentences(language, HELD_OUT)

    assert len(own) >= 75
    assert len(held_out) >= 75
    for said in (own, held_out):
        assert sum(category in NOT_DONE for category, _ in said) >= 25
    assert {category for category, _ in own + held_out} >= {*TALK, *NOT_DONE}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_occurs_twice(language: str) -> None:
    """Nor with other capitals, spaces or signs, unless another sentence came before it."""
    words = Counter(
        "".join(sign for sign in sentence.casefold() if sign.isalnum())
        for category, sentence in sentences(language, SETS, HELD_OUT)
        if category not in {"followup", "takeback"}
    )

    assert [text for text, count in words.items() if count > 1] == []


@each_home
def test_home_loads(home: Path) -> None:
    """The virtual home loads its file, and it has the set's language."""
    content = yaml.safe_load((home / "_fixtures.yaml").read_text(encoding="utf-8"))

    assert content["language"] == home.parent.name
    assert 8 <= len(load_home(home / "_fixtures.yaml").entities) <= 36


@each_home
def test_cases_fit_their_home(home: Path) -> None:
    """Their entities exist, with valid states and attributes."""
    entities = load_home(home / "_fixtures.yaml").entities

    for _, case in cases(home):
        assert case.keys() <= CASE_KEYS, case
        for entity_id in [entity_id for part in PARTS for entity_id in case.get(part, {})]:
            assert entity_id in entities, case
        for part in ("setup", "expect_changes"):
            for entity_id, fields in case.get(part, {}).items():
                assert fields.keys() <= STATE_KEYS, case
                # YAML reads an unquoted `off` as false, and Home Assistant's states are texts.
                assert isinstance(fields.get("state", ""), str), case
                check(entity_id.partition(".")[0], fields)


def check(domain: str, fields: dict[str, Any]) -> None:
    """Raise ValueError if entities of a domain cannot have this state."""
    state, attributes = fields.get("state"), dict(fields.get("attributes", {}))
    if domain == "todo":
        # The number of its items.
        assert state is not None
        assert state.isdecimal()
        state = None
    DOMAINS[domain].check(state, attributes)


@each_home
def test_categories_tell_what_changes_something(home: Path) -> None:
    """Commands do; chat, questions and critical orders do not."""
    for category, case in cases(home):
        changes = category not in {*TALK, *NOT_DONE}
        assert bool(case.get("expect_changes")) is changes, case


@each_home
def test_scripts_are_exposed(home: Path) -> None:
    """Exactly the scripts of the home."""
    path = home / "_fixtures_scripts.yaml"
    scripts = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}

    exposed = load_home(home / "_fixtures.yaml").expose
    assert set(exposed) == {f"script.{name}" for name in scripts}
