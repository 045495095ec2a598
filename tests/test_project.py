"""The rules of hassfest and HACS, and those of our imports."""

import ast
import json
import re
import struct
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / "llamacpp"
HACS_KEYS = {
    "content_in_root",
    "country",
    "filename",
    "hacs",
    "hide_default_branch",
    "homeassistant",
    "name",
    "persistent_directory",
    "render_readme",
    "zip_release",
}


# Platforms of entities, and what Home Assistant sets up in any case (hassfest's own list has more).
ALWAYS_THERE = {
    *("binary_sensor", "button", "cover", "select", "sensor", "todo"),
    *("diagnostics", "homeassistant", "repairs", "system_health", "websocket_api"),
}


def test_manifest() -> None:
    """The manifest has HACS's keys, in hassfest's order, and no requirements."""
    manifest = json.loads((INTEGRATION / "manifest.json").read_text())
    first, second, *others = manifest
    assert [first, second] == ["domain", "name"]
    assert others == sorted(others)
    assert {"codeowners", "documentation", "issue_tracker", "version"} <= set(others)
    assert manifest["domain"] == INTEGRATION.name
    assert manifest["requirements"] == []


def test_imports_are_those_of_the_manifest() -> None:
    """Hassfest wants each component named, except those that are always loaded."""
    manifest = json.loads((INTEGRATION / "manifest.json").read_text())
    named = {*manifest["dependencies"], *manifest["after_dependencies"], manifest["domain"]}
    imported: dict[str, Path] = {}
    for path in INTEGRATION.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [f"{node.module}.{one.name}" for one in node.names]
            for module in modules:
                if module.startswith("homeassistant.components."):
                    imported[module.split(".")[2]] = path
    assert "conversation" in imported
    assert set(imported) <= named | ALWAYS_THERE, imported


def test_version_is_the_same_everywhere() -> None:
    """One version, in the manifest and in the project."""
    manifest = json.loads((INTEGRATION / "manifest.json").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{manifest["version"]}"' in project


def test_hacs() -> None:
    """HACS rejects unknown keys; the minimum version is a tested one."""
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert set(hacs) <= HACS_KEYS
    requirements = (ROOT / "requirements" / "test.txt").read_text()
    tested = re.search(r"^homeassistant==(\d+\.\d+)\.", requirements, re.MULTILINE)
    assert tested is not None
    assert hacs["homeassistant"] == f"{tested[1]}.0"


def test_app_repository() -> None:
    """The Supervisor wants a name, and takes every other `config.yaml` for an app."""
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text())
    assert set(repository) == {"name", "url", "maintainer"}
    found = {path.parent.name for path in ROOT.glob("*/**/config.y*ml")}
    assert found <= {"addon"}


def test_name_is_the_same_everywhere() -> None:
    """Users see one name everywhere: it has "llama", and differs from core's."""
    manifest = json.loads((INTEGRATION / "manifest.json").read_text())
    name = manifest["name"]
    assert "llama" in name.lower().split()
    assert "cpp" not in name.lower()
    assert json.loads((ROOT / "hacs.json").read_text())["name"] == name
    assert yaml.safe_load((ROOT / "repository.yaml").read_text())["name"] == name
    app = yaml.safe_load((ROOT / "addon" / "config.yaml").read_text())
    assert (app["name"], app["panel_title"]) == (name, name)
    page = (ROOT / "addon" / "llamacpp_app" / "web" / "index.html").read_text()
    assert f"<title>{name}</title>" in page
    assert f"<h1>{name}</h1>" in page
    const = (INTEGRATION / "const.py").read_text()
    assert f'DEFAULT_AGENT_NAME: Final = "{name}"' in const
    assert f'DEFAULT_TASK_NAME: Final = "{name} AI Task"' in const
    for language in (INTEGRATION / "translations").glob("*.json"):
        steps = json.loads(language.read_text())["config"]["step"]
        for step in ("user", "reconfigure", "hassio_confirm"):
            assert name in steps[step]["title"], (language.name, step)
    for text in (ROOT / "README.md", ROOT / "addon" / "README.md", ROOT / "addon" / "DOCS.md"):
        assert text.read_text().startswith(f"# {name}\n"), text


@pytest.mark.parametrize(("name", "size"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_brand_images(name: str, size: int) -> None:
    """Icons are squares of the sizes for Home Assistant."""
    head = (INTEGRATION / "brand" / name).read_bytes()[:24]
    assert struct.unpack(">II", head[16:24]) == (size, size)


def test_requirements_name_no_address() -> None:
    """Packages come by name and hash, from whatever index is configured."""
    for path in (ROOT / "requirements").glob("*.txt"):
        lines = path.read_text().splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("--index")]
        packages = [line for line in lines if re.match(r"\w", line)]
        assert packages
        assert all("==" in line for line in packages)
        assert "--hash=sha256:" in path.read_text()


# The folders of the integration, from the bottom up: each may import those before it. The
# platforms, beside them, may import all.
ROOMS = ("client", "serving", "model", "home", "nlu", "tool_calls", "prompt", "history", "turn")


def imports_of(path: Path) -> set[str]:
    """Return what a module imports from the integration, also for types: folders, or modules."""
    package = path.relative_to(INTEGRATION).parent.parts
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [one.name for one in node.names]
            found.update((*base, *str(name).split("."))[0] for name in names)
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_go_down(room: str) -> None:
    """A folder imports those below it and the constants, and has a README."""
    allowed = {*ROOMS[: ROOMS.index(room) + 1], "const"}
    files = [*(INTEGRATION / room).rglob("*.py")]
    assert files
    for path in files:
        assert imports_of(path) <= allowed, path
    assert (INTEGRATION / room / "README.md").is_file()


def test_all_folders_are_rooms() -> None:
    """Every folder with modules is in the list."""
    folders = {path.parent.relative_to(INTEGRATION).parts[0] for path in INTEGRATION.glob("*/*.py")}
    assert folders == {*ROOMS}


# The folders with modules of the integration and of the app.
FOLDERS = sorted(
    {
        path.parent
        for product in (INTEGRATION, ROOT / "addon" / "llamacpp_app")
        for path in product.rglob("*.py")
    }
)


@pytest.mark.parametrize(
    "folder", FOLDERS, ids=[str(folder.relative_to(ROOT)) for folder in FOLDERS]
)
def test_every_module_is_in_the_readme(folder: Path) -> None:
    """A README says what each module of its folder is for."""
    text = (folder / "README.md").read_text()
    modules = [path.name for path in folder.glob("*.py") if not path.name.startswith("__")]
    missing = sorted(name for name in modules if f"`{name}`" not in text)
    assert not missing, f"{folder.relative_to(ROOT)}/README.md does not name {', '.join(missing)}"


def test_the_client_stands_alone() -> None:
    """It imports neither Home Assistant nor anything above it."""
    for path in (INTEGRATION / "client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level < 2, path
                assert not (node.module or "").startswith("homeassistant"), path
            elif isinstance(node, ast.Import):
                assert not any(one.name.startswith("homeassistant") for one in node.names), path


def test_actions_are_named_by_their_commits() -> None:
    """A tag can be moved; each has the version beside it that people know it by."""
    lines = [
        line.strip(" -")
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert lines
    for line in lines:
        assert re.fullmatch(r"uses: [\w/-]+@[0-9a-f]{40} # (v[\d.]+|\w+, \d{4}-\d\d-\d\d)", line)
