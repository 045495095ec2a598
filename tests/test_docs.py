"""What users are told about the integration: the docs name all that there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / "llamacpp"
DOCS = (ROOT / "docs" / "integration.md").read_text()
TEXTS: dict[str, Any] = json.loads((INTEGRATION / "translations" / "en.json").read_text())
SERVICES: dict[str, Any] = yaml.safe_load((INTEGRATION / "services.yaml").read_text())
# https://developers.home-assistant.io/docs/core/integration-quality-scale/rules
RULES = {
    "bronze": {
        "action-setup",
        "appropriate-polling",
        "brands",
        "common-modules",
        "config-flow",
        "config-flow-test-coverage",
        "dependency-transparency",
        "docs-actions",
        "docs-conditions",
        "docs-high-level-description",
        "docs-installation-instructions",
        "docs-removal-instructions",
        "docs-triggers",
        "entity-event-setup",
        "entity-unique-id",
        "has-entity-name",
        "runtime-data",
        "test-before-configure",
        "test-before-setup",
        "unique-config-entry",
    },
    "silver": {
        "action-exceptions",
        "config-entry-unloading",
        "docs-configuration-parameters",
        "docs-installation-parameters",
        "entity-unavailable",
        "integration-owner",
        "log-when-unavailable",
        "parallel-updates",
        "reauthentication-flow",
        "test-coverage",
    },
    "gold": {
        "devices",
        "diagnostics",
        "discovery",
        "discovery-update-info",
        "docs-data-update",
        "docs-examples",
        "docs-known-limitations",
        "docs-supported-devices",
        "docs-supported-functions",
        "docs-troubleshooting",
        "docs-use-cases",
        "dynamic-devices",
        "entity-category",
        "entity-device-class",
        "entity-disabled-by-default",
        "entity-translations",
        "exception-translations",
        "icon-translations",
        "reconfiguration-flow",
        "repair-issues",
        "stale-devices",
    },
    "platinum": {"async-dependency", "inject-websession", "strict-typing"},
}


def labels(value: Any) -> set[str]:
    """Return the labels of all fields of all forms below a translation."""
    if not isinstance(value, dict):
        return set()
    own = set(value.get("data", {}).values())
    return own.union(*(labels(child) for child in value.values()))


def part(heading: str) -> str:
    """Return the text below a heading of the docs, up to the next one of its level."""
    level = heading.partition(" ")[0]
    _, found, rest = DOCS.partition(f"\n{heading}\n")
    assert found, heading
    return rest.partition(f"\n{level} ")[0]


def test_quality_scale() -> None:
    """Every rule is followed, or it is said why it does not apply."""
    rules = yaml.safe_load((INTEGRATION / "quality_scale.yaml").read_text())["rules"]
    assert set(rules) == set().union(*RULES.values())
    for rule, said in rules.items():
        status = said if isinstance(said, str) else said["status"]
        assert status == "done" or (status == "exempt" and said["comment"]), rule


def test_every_option_is_described() -> None:
    """Each field of each form has its label in the docs."""
    forms = [TEXTS["config"], TEXTS["options"], TEXTS["config_subentries"]]
    for label in set().union(*map(labels, forms)):
        assert label in DOCS


@pytest.mark.parametrize("name", SERVICES)
def test_every_action_is_described(name: str) -> None:
    """Each action has a heading, and below it all of its fields."""
    text = part(f"### `llamacpp.{name}`")
    if "those of `chat`" in text:
        text += part("### `llamacpp.chat`")
    for field in SERVICES[name]["fields"]:
        assert f"`{field}`" in text


def test_every_entity_is_described() -> None:
    """Each name of an entity, and each state of the status, is in the docs."""
    text = part("## Entities")
    for entities in TEXTS["entity"].values():
        for entity in entities.values():
            for name in (entity["name"], *entity.get("state", {}).values()):
                assert name in text


def test_every_repair_is_described() -> None:
    """Each issue is explained by the title that it, or its dialogue, has."""
    for issue in TEXTS["issues"].values():
        steps = issue.get("fix_flow", {"step": {"": issue}})["step"].values()
        assert any(step["title"] in part("## Troubleshooting") for step in steps)


def test_learn_more() -> None:
    """The issues lead to headings that the docs have."""
    source = (INTEGRATION / "issues.py").read_text()
    anchors = set(re.findall(r"\{DOCS_URL\}#([\w-]+)", source))
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in DOCS.splitlines()}
    assert anchors
    assert anchors <= headings


@pytest.mark.parametrize(
    "heading",
    [
        "## What it is good for",
        "## What it works with",
        "## Installation",
        "## Settings of a server",
        "### Examples",
        "## How data is updated",
        "## Known limitations",
        "## Removal",
    ],
)
def test_what_the_rules_ask_for(heading: str) -> None:
    """The docs have a part for each rule about them, and it says something."""
    assert len(part(heading).split()) > 40


def test_links_lead_somewhere() -> None:
    """The table of contents names all parts, and each link within leads to a heading."""
    headings = {
        line.lstrip("# ").lower().replace(" ", "-"): line.count("#")
        for line in DOCS.splitlines()
        if line.startswith("##")
    }
    links = set(re.findall(r"\]\(#([\w-]+)\)", DOCS))
    assert links <= headings.keys()
    assert links >= {name for name, level in headings.items() if level == 2}


def test_every_entity_and_action_has_an_icon() -> None:
    """What Home Assistant has no icon for by itself has one of ours."""
    icons = json.loads((INTEGRATION / "icons.json").read_text())
    assert set(icons["services"]) == set(SERVICES)
    for platform, entities in TEXTS["entity"].items():
        # A duration's icon is that of its device class.
        assert set(entities) - {"time_to_first_token"} <= set(icons["entity"][platform])
