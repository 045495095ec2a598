"""Files that the Supervisor reads: profile, ports, pictures, versions."""

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from llamacpp_app import backup
from llamacpp_app.backup import copy_of
from llamacpp_app.build import OLDEST
from llamacpp_app.paths import Paths
from llamacpp_app.process import DIE_WITH_PARENT

from .llama_env import of_llama_env

ROOT = Path(__file__).parents[2]
APP = ROOT / "addon"
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text())
DOCKERFILE = (APP / "Dockerfile").read_text()
PROFILE = (APP / "apparmor.txt").read_text()
# Debian has it in a folder that is not in every user's path.
PARSER = shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin")
# Rights that lower the rating.
RISKY = {
    "BPF",
    "CHECKPOINT_RESTORE",
    "DAC_READ_SEARCH",
    "NET_ADMIN",
    "NET_RAW",
    "PERFMON",
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
}
# Syntax of types in a schema.
ELEMENT = re.compile(
    r"(bool|email|url|port|device(\(subsystem=[a-z]+\))?|(str|password|int)(\(-?\d*,-?\d*\))?"
    r"|float(\([-.\d]*,[-.\d]*\))?|match\(.*\)|list\(.+\))\??"
)


def security_rating(config: dict[str, Any], *, has_profile: bool) -> int:
    """Return the Supervisor's security rating, from 1 to 8."""
    rating = 5
    if not config.get("apparmor", True):
        rating -= 1
    elif has_profile:
        rating += 1
    is_open = config.get("host_network") or any(config.get("ports", {}).values())
    if config.get("ingress") or not is_open:
        rating += 2
    elif config.get("auth_api"):
        rating += 1
    if RISKY & set(config.get("privileged", [])) or config.get("kernel_modules"):
        rating -= 1
    rating -= {"manager": 1, "admin": 2}.get(config.get("hassio_role", "default"), 0)
    rating -= bool(config.get("host_network"))
    rating -= 2 * bool(config.get("host_pid"))
    if config.get("docker_api") or config.get("full_access"):
        rating = 1
    return max(1, min(8, rating))


def rules(pattern: str) -> list[tuple[str, str]]:
    """Return paths and permissions of the profile's own rules for matching paths."""
    found = re.findall(r"^  (?:owner )?([/@]\S*) (\w+),$", PROFILE, re.MULTILINE)
    assert found
    return [(path, permissions) for path, permissions in found if re.match(pattern, path)]


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG file."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_security_rating() -> None:
    """It has its own profile and ingress, and no rights on the host."""
    assert security_rating(CONFIG, has_profile=(APP / "apparmor.txt").exists()) >= 7


def test_nothing_is_open_by_default() -> None:
    """Each port is described, and none is open on the host."""
    assert set(CONFIG["ports_description"]) == set(CONFIG["ports"])
    assert set(CONFIG["ports"].values()) == {None}
    assert not CONFIG.get("host_network")


def test_one_profile_of_the_apps_name() -> None:
    """The Supervisor renames the one line that starts with it."""
    lines = [line for line in PROFILE.splitlines() if line.startswith("profile ")]
    assert [line.split()[1] for line in lines] == [CONFIG["slug"]]
    assert CONFIG["apparmor"] is True


@pytest.mark.skipif(PARSER is None, reason="there is no apparmor_parser here")
def test_the_profile_can_be_loaded() -> None:
    """AppArmor itself can parse it."""
    assert PARSER is not None
    done = subprocess.run(
        [PARSER, "--skip-kernel-load", "--skip-cache", APP / "apparmor.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_can_be_written_cannot_be_run() -> None:
    """The app's folders can be written, its programs can be run, and no path is both."""
    paths = Paths.of({})
    for folder in (paths.data, paths.config):
        assert (f"{folder}/", "rw") in rules(".")
        assert (f"{folder}/**", "rwk") in rules(".")
    for path, permissions in rules("."):
        assert not ("x" in permissions and "w" in permissions), path
    for folder in (paths.programs, Path("/app")):
        assert not [path for path, rights in rules(f"{folder}/") if "w" in rights]


def test_what_is_started_may_run() -> None:
    """Python, the tool that stops llama-server with the launcher, and llama.cpp's programs."""
    programs = {path.rpartition("/")[2] for path, rights in rules(".") if "x" in rights}
    of_llama = of_llama_env("LLAMA_PROGRAMS").split()
    for program in of_llama:
        assert program in programs
        assert (Paths.of({}).programs / program).as_posix() in {path for path, _ in rules("/opt")}
    assert DIE_WITH_PARENT[0] in programs
    assert 'CMD ["python3"' in DOCKERFILE
    assert "python3*" in programs
    assert programs <= {*of_llama, DIE_WITH_PARENT[0], "python3*", "docker-init"}


def test_one_place_says_which_llama_cpp() -> None:
    """The Dockerfile reads the versions, and the app accepts both possible builds."""
    assert int(of_llama_env("LLAMA_BUILD")) >= OLDEST
    assert int(of_llama_env("LLAMA_SOURCE_BUILD")) == OLDEST
    assert re.fullmatch(r"\d{8}T\d{6}Z", of_llama_env("LLAMA_SNAPSHOT"))
    assert not re.search(r"\d{8}T\d{6}Z|sha256:[0-9a-f]|\d\.\d+\.\d", DOCKERFILE)


def test_what_can_be_made_again_is_in_no_backup() -> None:
    """Models, slot files, compiled shaders, and the database that has a copy are excluded."""
    paths = Paths.of({})
    match = re.search(r"^ENV MESA_SHADER_CACHE_DIR=(\S+)", DOCKERFILE, re.MULTILINE)
    assert match is not None
    shaders = Path(match[1])
    assert shaders.parent == paths.data
    written = f"{paths.conversations.name}*"
    made_again = [paths.models.name, paths.slots.name, shaders.name]
    assert CONFIG["backup_exclude"] == [*made_again, written]
    assert not copy_of(paths.conversations).match(written)
    assert CONFIG["backup_pre"] == f"python3 -m {backup.__name__}"


def test_names_that_the_supervisor_does_not_warn_of() -> None:
    """Folders are mapped by current names, which every Supervisor of this release knows."""
    assert [one["type"] for one in CONFIG["map"]] == ["app_config"]
    assert CONFIG["homeassistant"] >= "2026.10"


def test_no_program_becomes_root() -> None:
    """After the packages are installed, no file has the setuid or setgid bit."""
    last = DOCKERFILE.rindex("apt-get install")
    assert "find / -xdev -type f -perm /6000 -exec chmod ug-s {} +" in DOCKERFILE[last:]


def test_build_arguments() -> None:
    """The documented and the passed ones are the Dockerfile's."""
    texts = [APP / "DOCS.md", ROOT / "README.md", ROOT / "scripts" / "build-app"]
    told = {
        name for path in texts for name in re.findall(r'--build-arg "?([A-Z_]+)=', path.read_text())
    }
    known = set(re.findall(r"^ARG ([A-Z_]+)", DOCKERFILE, re.MULTILINE))
    assert {"LLAMA_FROM", "BUILD_FROM", "DEBIAN_SNAPSHOT"} <= told <= known


def test_root_can_be_given_up() -> None:
    """The capabilities are those for chown, setgid and setuid, and for the init's signals."""
    allowed = set(re.findall(r"^  capability (\w+),$", PROFILE, re.MULTILINE))
    assert {"chown", "setgid", "setuid", "kill"} <= allowed
    assert allowed <= {"chown", "setgid", "setuid", "kill", "dac_override", "dac_read_search"}
    assert not CONFIG.get("privileged")


def test_defaults_are_complete() -> None:
    """The Supervisor does not start an app without a value of a required option."""
    for name, kind in CONFIG["schema"].items():
        first = kind[0] if isinstance(kind, list) else kind
        is_optional = isinstance(first, str) and first.endswith("?")
        assert is_optional or name in CONFIG["options"], name


def test_types_of_options() -> None:
    """With an unknown type the app would not be in the store."""

    def leaves(value: object) -> list[object]:
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        if isinstance(value, list):
            assert len(value) == 1
            return leaves(value[0])
        return [value]

    for kind in leaves(CONFIG["schema"]):
        assert isinstance(kind, str)
        assert ELEMENT.fullmatch(kind), kind


def test_all_that_the_image_is_built_from_is_sent() -> None:
    """`.dockerignore` includes what the Dockerfile copies, and only that."""
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)
    ignored = (APP / ".dockerignore").read_text().split()
    assert copied
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)
    assert all((APP / name).exists() for name in copied)
    base = re.search(r"^ARG BUILD_FROM=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_pictures(name: str, size: tuple[int, int]) -> None:
    """They have the store's sizes, and are drawn from a file in docs."""
    assert image_size(APP / name) == size
    source = (ROOT / "docs" / name).with_suffix(".svg").read_text()
    assert 'fill="#0b7285"' in source
    assert "<text" not in source


def test_the_version_is_the_same_everywhere() -> None:
    """The app, its API, its changelog and the project have one version."""
    version = CONFIG["version"]
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    api = json.loads((APP / "llamacpp_app" / "openapi.json").read_text())
    assert api["info"]["version"] == version
    newest = re.search(r"^## (\S+)$", (APP / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version
