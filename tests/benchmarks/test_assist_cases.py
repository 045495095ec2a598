"""The benchmark `assist` reads homes and cases from any folder, and merges homes."""

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from benchmarks.lib.assist_set.cases import AssistCase, AssistHome, Expected, load_set
from benchmarks.lib.assist_set.merge import merge
from benchmarks.lib.errors import BenchmarkError

from .assist_homes import AREAS, LAMP, write_home

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = {
    "sentences": ["Turn on the lamp", "Lamp on"],
    "setup": {"light.lamp": {"state": False}},
    "expect_changes": {"light.lamp": {"state": True, "attributes": {"brightness": 9}}},
    "ignore_changes": {"light.lamp": ["color_mode"]},
}


def test_every_sentence_is_a_case(tmp_path: Path) -> None:
    """A test with two sentences is two cases, with the category of its file."""
    write_home(tmp_path / "one", lights={"category": "light", "tests": [COMMAND]})

    (home,) = load_set(tmp_path)

    assert home.name == "one"
    assert home.language == "en"
    assert [one.sentence for one in home.cases] == ["Turn on the lamp", "Lamp on"]
    assert home.cases[0] == AssistCase(
        "one",
        "light",
        "Turn on the lamp",
        {"light.lamp": {"state": False}},
        {"light.lamp": Expected("on", {"brightness": 9})},
        {"light.lamp": ["color_mode"]},
    )
    assert home.cases[0].is_command


def test_chat_is_told_from_commands(tmp_path: Path) -> None:
    """A case without expected changes allows none."""
    tests = [
        {"sentences": ["Hello"]},
        {"sentences": "Is it on?", "expect_changes": {}, "expect_response": "yes"},
    ]
    write_home(tmp_path, talk={"tests": tests})

    (home,) = load_set(tmp_path)

    assert [one.is_command for one in home.cases] == [False, False]
    assert [one.category for one in home.cases] == ["talk", "talk"]
    assert home.cases[1].replies == ("yes",)


@pytest.mark.parametrize(
    ("entity", "is_critical"),
    [
        ({"id": "lock.side", "name": "Side"}, True),
        ({"id": "siren.hall", "name": "Hall"}, True),
        ({"id": "cover.car", "name": "Car", "attributes": {"device_class": "garage"}}, True),
        ({"id": "cover.sun", "name": "Sun", "attributes": {"device_class": "awning"}}, False),
        ({"id": "cover.any", "name": "Any"}, False),
    ],
)
def test_commands_that_are_to_be_asked_about_are_told(
    tmp_path: Path, entity: dict[str, Any], *, is_critical: bool
) -> None:
    """A case is critical as soon as one of its entities is critical for our agent."""
    tests = [
        COMMAND,
        {
            "sentences": ["Both"],
            "expect_changes": {"light.lamp": {"state": "on"}, entity["id"]: {"state": "on"}},
        },
    ]
    write_home(tmp_path, {"areas": AREAS, "entities": [LAMP, entity]}, all={"tests": tests})

    (home,) = load_set(tmp_path)

    assert [one.is_critical for one in home.cases] == [False, False, is_critical]


def test_a_sentence_that_a_file_has_twice_counts_once(tmp_path: Path) -> None:
    """As in the public sets: the last one counts."""
    first = {"sentences": ["Lamp on"], "setup": {"light.lamp": {"state": "off"}}}
    last = {"sentences": ["Lamp on"], "setup": {"light.lamp": {"state": "on"}}}
    write_home(tmp_path, lights={"tests": [first, last]})

    (home,) = load_set(tmp_path)

    assert [one.setup for one in home.cases] == [{"light.lamp": {"state": "on"}}]


def test_files_that_begin_with_an_underscore_have_no_cases(tmp_path: Path) -> None:
    """They are parts of the home, such as its scripts."""
    scripts: dict[str, Any] = {"leaving": {"sequence": []}}
    write_home(tmp_path, _fixtures_scripts=scripts, lights={"tests": [COMMAND]})

    (home,) = load_set(tmp_path)

    assert home.scripts == scripts
    assert len(home.cases) == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"home": "entities: ["}, "_fixtures.yaml is not valid YAML"),
        ({"home": "- lamp"}, "_fixtures.yaml: the file is not a mapping"),
        ({"home": {"entities": {"id": "x"}}}, "`entities` is not a list of entities with ids"),
        ({"home": "entities: !!python/object:os.system {}"}, "_fixtures.yaml is not valid YAML"),
        ({"cases": {"category": "x"}}, "cases.yaml: `tests` is not a list"),
        ({"cases": {"tests": ["x"]}}, "cases.yaml, test 1: it is not a mapping"),
        ({"cases": {"tests": [COMMAND, {}]}}, "cases.yaml, test 2: it has no sentences"),
        ({"cases": {"tests": [{"sentences": [1]}]}}, "`sentences` is not a list of texts"),
        ({"cases": {"tests": [{**COMMAND, "wait": 1}]}}, "test 1: unknown key wait"),
        (
            {"cases": {"tests": [{**COMMAND, "setup": {"light.x": {"state": "on"}}}]}},
            "setup: the home has no entity light.x",
        ),
        (
            {"cases": {"tests": [{**COMMAND, "expect_changes": {"light.lamp": "on"}}]}},
            "expect_changes: light.lamp has something else than state and attributes",
        ),
        (
            {"cases": {"tests": [{**COMMAND, "setup": {"light.lamp": {"attributes": [1]}}}]}},
            "setup: the attributes of light.lamp are not a mapping",
        ),
        ({"cases": {"tests": [{**COMMAND, "setup": ["x"]}]}}, "`setup` is not a mapping"),
        ({}, "has no cases"),
    ],
)
def test_broken_file_is_one_clear_error(
    tmp_path: Path, files: dict[str, Any], message: str
) -> None:
    """The error names the file and the problem."""
    write_home(tmp_path, **files)

    with pytest.raises(BenchmarkError) as caught:
        load_set(tmp_path)

    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_folder_without_homes_is_an_error(tmp_path: Path) -> None:
    """A missing folder is one, too."""
    with pytest.raises(BenchmarkError, match="has no home"):
        load_set(tmp_path)
    with pytest.raises(BenchmarkError, match="there is no folder"):
        load_set(tmp_path / "nowhere")


def lamp(**changes: Any) -> dict[str, Any]:
    """Return the description of a lamp."""
    return {**LAMP, **changes}


def home(name: str, tmp_path: Path, **parts: Any) -> AssistHome:
    """Return a home with one case for its lamp."""
    content = {"areas": AREAS, "entities": [LAMP], **parts}
    case = AssistCase(
        name,
        "light",
        f"The lamp in {name}",
        {"light.lamp": {"state": "off"}},
        {"light.lamp": Expected("on")},
        {"light.lamp": ["brightness"]},
        device="panel",
    )
    return AssistHome(name, tmp_path / name, content, (case,))


def test_merged_home_has_the_same_thing_once(tmp_path: Path) -> None:
    """Areas are matched by name; entities must agree, but may start in other states."""
    there = [{"id": "entry", "name": "hall", "aliases": ["entrance"]}]
    homes = [
        home("a", tmp_path),
        home("b", tmp_path, areas=there, entities=[lamp(area="entry", state="on")]),
    ]

    merged = merge(homes, tmp_path / "merged")

    assert merged.content["areas"] == [{"id": "hall", "name": "Hall", "aliases": ["entrance"]}]
    assert merged.content["entities"] == [LAMP]
    assert [one.home for one in merged.cases] == ["a", "b"]
    assert all(set(one.expect) == {"light.lamp"} for one in merged.cases)


def test_merged_home_gives_other_things_other_ids(tmp_path: Path) -> None:
    """Cases, scenes and scripts follow; an area's id may belong to another area."""
    scene = {"id": "scene.x", "name": "X", "attributes": {"entities": {"light.lamp": "on"}}}
    device = {"id": "panel", "name": "Panel", "area": "hall"}
    first = home("a", tmp_path, devices=[device])
    cellar = [{"id": "hall", "name": "Cellar"}]
    second = home(
        "b", tmp_path, areas=cellar, devices=[device], entities=[lamp(), scene], expose=["script.s"]
    )
    script = {"s": {"sequence": [{"action": "light.turn_on", "entity_id": "light.lamp"}]}}
    second = AssistHome(second.name, second.path, second.content, second.cases, script)

    merged = merge([first, second], tmp_path / "merged")

    assert merged.content["areas"] == [*AREAS, {"id": "hall_2", "name": "Cellar"}]
    assert merged.entities == {
        "light.lamp": LAMP,
        "light.lamp_2": lamp(id="light.lamp_2", area="hall_2"),
        "scene.x": {**scene, "attributes": {"entities": {"light.lamp_2": "on"}}},
    }
    case = merged.cases[1]
    assert (set(case.setup), set(case.expect), set(case.ignore)) == ({"light.lamp_2"},) * 3
    assert case.device == "panel_2"
    assert merged.scripts["s"]["sequence"][0]["entity_id"] == "light.lamp_2"
    assert merged.content["expose"] == ["script.s"]
    assert yaml.safe_load(merged.path.read_text()) == merged.content
    scripts = merged.path.with_name("_fixtures_scripts.yaml")
    assert yaml.safe_load(scripts.read_text()) == merged.scripts


def test_homes_of_two_languages_are_not_merged(tmp_path: Path) -> None:
    """A home has one language."""
    homes = [home("a", tmp_path), home("b", tmp_path, language="it")]

    with pytest.raises(BenchmarkError, match="different languages"):
        merge(homes, tmp_path / "merged")
