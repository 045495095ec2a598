"""The integration's docs are complete and correct."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import hass_frontend
import pytest
import yaml

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / "llamacpp"
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
# All texts for users and developers, by path.
TEXTS_OF_ALL = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for pattern in ("*.md", "docs/*.md", "addon/*.md", "benchmarks/README.md")
    for path in sorted(ROOT.glob(pattern))
}
REPOSITORY = "https://github.com/llamacpp-home-assistant/llamacpp-home-assistant"
# A number, or its placeholder in a text.
NUMBER = re.compile(r"\{\w+\}|\d[\d,]*")
# A link or a picture of Markdown.
LINK = re.compile(r"\]\(([^()\s]+)\)")
TEXTS: dict[str, Any] = json.loads((INTEGRATION / "translations" / "en.json").read_text())
MANIFEST = json.loads((INTEGRATION / "manifest.json").read_text())
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


def part(page: str, heading: str = "") -> str:
    """Return a page of the docs, or its text below a heading up to the next one of its level."""
    if not heading:
        return PAGES[page]
    level = heading.partition(" ")[0]
    _, found, rest = PAGES[page].partition(f"\n{heading}\n")
    assert found, heading
    return rest.partition(f"\n{level} ")[0]


def anchors(text: str) -> set[str]:
    """Return the anchors of a text's headings, as GitHub and the site make them."""
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_quality_scale() -> None:
    """Every rule is followed, or has a reason why it does not apply."""
    rules = yaml.safe_load((INTEGRATION / "quality_scale.yaml").read_text())["rules"]
    assert set(rules) == set().union(*RULES.values())
    for rule, said in rules.items():
        status = said if isinstance(said, str) else said["status"]
        assert status == "done" or (status == "exempt" and said["comment"]), rule


def test_every_option_is_described() -> None:
    """Each field of each form has its label in the docs."""
    for label in labels(TEXTS["config"]):
        assert label in part("quick-start")
    for label in labels(TEXTS["options"]) | labels(TEXTS["config_subentries"]):
        assert label in part("options")


@pytest.mark.parametrize("name", SERVICES)
def test_every_action_is_described(name: str) -> None:
    """Each action has a heading, and below it all of its fields."""
    text = part("automations", f"### `llamacpp.{name}`")
    if "those of `chat`" in text:
        text += part("automations", "### `llamacpp.chat`")
    for field in SERVICES[name]["fields"]:
        assert f"`{field}`" in text


def test_every_entity_is_described() -> None:
    """Each name of an entity, and each state of the status, is in the docs."""
    text = part("entities")
    for entities in TEXTS["entity"].values():
        for entity in entities.values():
            for name in (entity["name"], *entity.get("state", {}).values()):
                assert name in text


def test_every_repair_is_described() -> None:
    """Each issue is explained under its title, or its dialogue's."""
    for issue in TEXTS["issues"].values():
        steps = issue.get("fix_flow", {"step": {"": issue}})["step"].values()
        assert any(step["title"] in part("troubleshooting") for step in steps)


def strings(value: Any) -> list[str]:
    """Return all texts below a value of JSON."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict | list):
        return []
    children = value.values() if isinstance(value, dict) else value
    return [text for child in children for text in strings(child)]


def test_messages_are_those_of_the_integration() -> None:
    """Messages quoted by troubleshooting are the integration's; numbers are filled in."""
    spoken = json.loads((INTEGRATION / "home" / "sentences" / "en.json").read_text())
    said = [NUMBER.sub("0", text) for text in (*strings(TEXTS), *strings(spoken))]
    rows = re.findall(r"^\| (.+?) \|", PAGES["troubleshooting"], re.MULTILINE)
    quoted = [one for row in rows for one in re.findall(r'"([^"]+)"', row)]
    # A question contains a name of the home.
    messages = [NUMBER.sub("0", one.strip(". ")) for one in quoted if not one.endswith("?")]
    assert len(messages) > 15
    for message in messages:
        assert any(message in text for text in said), message


def test_learn_more() -> None:
    """Issues lead to existing pages and headings."""
    source = (INTEGRATION / "issues.py").read_text()
    links = re.findall(r"\{DOCS_URL\}/([\w-]+)\.md#([\w-]+)", source)
    assert len(links) == source.count("learn_more_url")
    for page, anchor in links:
        assert anchor in anchors(PAGES[page])


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("index", ""),
        ("servers", "## What it works with"),
        ("quick-start", "## Home Assistant OS"),
        ("quick-start", "## A server of your own"),
        ("options", "## Settings of a server"),
        ("automations", "## Examples"),
        ("entities", "## How data is updated"),
        ("faq", "## Known limitations"),
        ("quick-start", "## Removal"),
    ],
)
def test_what_the_rules_ask_for(page: str, heading: str) -> None:
    """The docs have a part for each rule about them, and it is not empty."""
    assert len(part(page, heading).split()) > 40


def test_links_lead_somewhere() -> None:
    """Each link leads to an existing file and heading."""
    for name, text in TEXTS_OF_ALL.items():
        for absolute in LINK.findall(text):
            link = absolute.removeprefix(f"{REPOSITORY}/blob/main/")
            if "://" in link:
                assert not link.startswith(f"{REPOSITORY}#"), (name, link)
                continue
            base = ROOT / name if link == absolute else ROOT / "README.md"
            file, _, anchor = link.partition("#")
            path = base.parent / file if file else base
            assert path.exists(), (name, link)
            if anchor:
                assert anchor in anchors(path.read_text()), (name, link)


def test_buttons() -> None:
    """Each My link is about this repository, or its integration."""
    owner, _, repository = REPOSITORY.removeprefix("https://github.com/").partition("/")
    hacs = {"owner": owner, "repository": repository, "category": "integration"}
    wanted = {
        "supervisor_add_addon_repository": {"repository_url": REPOSITORY},
        "hacs_repository": hacs,
        "config_flow_start": {"domain": MANIFEST["domain"]},
        "voice_assistants": {},
    }
    pressed = set()
    for name, text in TEXTS_OF_ALL.items():
        for link in LINK.findall(text):
            parts = urlsplit(link)
            if parts.netloc == "my.home-assistant.io" and parts.path.startswith("/redirect/"):
                button = parts.path.removeprefix("/redirect/").strip("/")
                # The blueprints have a test of their own.
                if button != "blueprint_import":
                    assert dict(parse_qsl(parts.query)) == wanted[button], (name, link)
                    pressed.add(button)
    assert pressed == wanted.keys()


def frontend(language: str) -> set[str]:
    """Return all texts of Home Assistant's user interface in a language."""
    folder = Path(hass_frontend.__file__).parent / "static" / "translations"
    files = folder.rglob(f"{language}-*.json")
    return {text for file in files for text in json.loads(file.read_text()).values()}


def test_ways_through_the_settings() -> None:
    """Menus of Home Assistant have their names, in the text's language."""
    for language, first in (("en", "Settings"), ("it", "Impostazioni")):
        known = frontend(language)
        assert first in known
        places = [
            (name, place)
            for name, text in TEXTS_OF_ALL.items()
            for way in re.findall(rf"\*({first} > [^*]+)\*", " ".join(text.split()))
            for place in way.split(" > ")
        ]
        assert places
        assert not [one for one in places if one[1] not in known | {MANIFEST["name"]}]


def test_every_page_is_in_the_contents() -> None:
    """The first page leads to all others."""
    linked = {link.removesuffix(".md") for link in LINK.findall(PAGES["index"])}
    assert PAGES.keys() - linked == {"index"}


@pytest.mark.parametrize("name", ["README.md", "README.it.md", "docs/faq.md", "docs/models.md"])
def test_figures_are_measured(name: str) -> None:
    """Each figure of commands, tokens and seconds was measured."""
    measured = TEXTS_OF_ALL["benchmarks/README.md"] + TEXTS_OF_ALL["addon/DOCS.md"]
    measured = measured.replace(",", "")
    text = TEXTS_OF_ALL[name]
    if name.endswith(".it.md"):
        text = re.sub(r"(?<=\d)\.(?=\d{3})", "", text)
        text = re.sub(r"(?<=\d),(?=\d)", ".", text).replace(" su ", " of ")
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    figures = {
        *re.findall(r"\b\d+ of (?:the )?\d+\b", text),
        *re.findall(r"\b\d{4,}\b(?=[^.\d]* (?:token|comm))", text),
        *re.findall(r"\b[\d.]+ s\b", text),
    }
    assert figures
    for figure in figures:
        said = {"0.4 s": "401 ms"}.get(figure, figure.replace("the ", ""))
        assert said in measured, figure


def test_both_readmes_lead_alike() -> None:
    """The README has the same links and commands in each language."""
    ours, theirs = (TEXTS_OF_ALL[name] for name in ("README.md", "README.it.md"))

    def parts(text: str) -> list[list[str]]:
        links = [one for one in LINK.findall(text) if "#" not in one or "/" in one]
        code = re.findall(r"^ *```.*?```$", text, re.MULTILINE | re.DOTALL)
        headings = [line.partition(" ")[0] for line in text.splitlines() if line.startswith("#")]
        return [sorted(one for one in links if not one.startswith("README")), code, headings]

    assert parts(ours) == parts(theirs)


def test_every_entity_and_action_has_an_icon() -> None:
    """An entity or action has our icon if Home Assistant has none."""
    icons = json.loads((INTEGRATION / "icons.json").read_text())
    assert set(icons["services"]) == set(SERVICES)
    for platform, entities in TEXTS["entity"].items():
        # A duration has the icon of its device class.
        assert set(entities) - {"time_to_first_token"} <= set(icons["entity"][platform])
