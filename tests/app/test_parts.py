"""Small parts of the app: log, key, root, health check and statistics."""

import logging
import os
import pwd
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from llamacpp_app import healthcheck, logs, privileges
from llamacpp_app.api_key import api_key_of
from llamacpp_app.paths import Paths, Ports
from llamacpp_app.startup import Setup
from llamacpp_app.statistics import SAMPLES, Statistics
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.app.running_app import RunningApp


@pytest.fixture
def root_logger() -> Generator[None]:
    """Restore the log after a test has set it up."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.mark.usefixtures("root_logger")
@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["loading", "slow", "at least", "broken", "unparsed", "of a child", "ours"]),
        ("info", ["slow", "broken", "ours"]),
        ("warning", ["broken"]),
    ],
)
def test_log(capsys: pytest.CaptureFixture[str], level: str, expected: list[str]) -> None:
    """Both programs write one log, each line at its level; the page shows no secret."""
    newest = logs.set_up(level, ("secret", ""))
    logs.log_server_line("0.00.123.456 I srv loading")
    logs.log_server_line("0.00.123.456 W srv slow")
    logs.log_server_line("0.00.123.456 W slot: need to evaluate at least 1 token for each slot")
    logs.log_server_line("0.00.123.456 E srv broken")
    logs.log_server_line("unparsed")
    logs.log_server_line("[52425] 0.00.001.217 I of a child")
    logging.getLogger("llamacpp_app").info("ours with secret")
    assert len(newest.lines) == len(expected)
    for line, words in zip(newest.lines, expected, strict=True):
        assert words in line
        assert "secret" not in line
    assert len(capsys.readouterr().out.splitlines()) == len(expected)


def test_key(tmp_path: Path) -> None:
    """It is made once, kept, replaced by a set one, and made again if the file is empty."""
    path = tmp_path / "api_key"
    made = api_key_of(path, None)
    assert len(made) == 43
    assert api_key_of(path, None) == made
    assert api_key_of(path, "mine") == "mine"
    assert path.read_text() == "mine\n"
    path.write_text("\n")
    assert api_key_of(path, None) not in ("", made, "mine")
    assert path.stat().st_mode & 0o777 == 0o600


def test_key_on_a_full_disk(tmp_path: Path) -> None:
    """A key works without being stored, and an unchanged one is not written."""
    path = tmp_path / "api_key"
    made = api_key_of(path, None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        assert api_key_of(path, None) == made
        with pytest.raises(OSError, match="File too large"):
            api_key_of(path, "mine")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == f"{made}\n"
    assert api_key_of(path, "mine") == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["api_key"]


GIVE_UP = """
import os, sys
from pathlib import Path
from llamacpp_app import paths, privileges
privileges.USER = "nobody"
{before}
privileges.give_up_root(paths.Paths(*map(Path, sys.argv[1:])))
print(os.getuid(), os.getgid(), *os.getgroups())
"""

# As Docker does with `--security-opt no-new-privileges` (PR_SET_NO_NEW_PRIVS).
NO_NEW_PRIVILEGES = "import ctypes; assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0"


def given_up(tmp_path: Path, before: str = "") -> tuple[Paths, list[int]]:
    """Let a child of root give it up; return its folders, and its user and groups."""
    if os.geteuid() != 0:
        pytest.skip("only root can give up root")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "options.json").write_text("{}")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    paths = Paths(tmp_path / "data", tmp_path / "config", tmp_path)
    code = GIVE_UP.format(before=before)
    command = [sys.executable, "-c", code, *map(str, (paths.data, paths.config, paths.programs))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return paths, [int(one) for one in result.stdout.split()]


@pytest.mark.parametrize("before", ["", NO_NEW_PRIVILEGES])
def test_root_is_given_up(tmp_path: Path, before: str) -> None:
    """A child of root makes the folders, gives them away, and is root no more."""
    paths, ids = given_up(tmp_path, before)
    user = pwd.getpwnam("nobody")
    assert ids[:2] == [user.pw_uid, user.pw_gid]
    for path in (paths.data, paths.config, paths.models, paths.options):
        assert path.stat().st_uid == user.pw_uid


def test_a_library_keeps_its_owner(tmp_path: Path) -> None:
    """Files keep their owner and the app joins their group; root's unreadable ones change owner."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    for name in ("theirs.gguf", "notes.txt"):
        (folder / name).touch()
        os.chown(folder / name, 1000, 1234)
    (folder / "hidden.gguf").touch(0o600)
    (folder / "seen.gguf").touch(0o644)
    os.chown(folder, 1000, 1234)
    paths, ids = given_up(tmp_path)
    user = pwd.getpwnam("nobody")
    assert ids == [user.pw_uid, user.pw_gid, 1234]
    owners = {path.name: path.stat().st_uid for path in (folder, *folder.iterdir())}
    assert owners == {
        "models": 1000,
        "theirs.gguf": 1000,
        "notes.txt": 1000,
        "hidden.gguf": user.pw_uid,
        "seen.gguf": 0,
    }
    assert paths.data.stat().st_uid == user.pw_uid


@pytest.mark.parametrize(
    ("forbidden", "is_root"),
    [
        ("os.chown = wrong", False),
        ("os.setgroups = wrong", True),
        ("os.mkdir = lambda path, *_: wrong() if 'models' in str(path) else None", False),
    ],
)
def test_what_a_container_may_not_do(tmp_path: Path, forbidden: str, *, is_root: bool) -> None:
    """On a network disk, without capabilities, or with a read-only folder the app starts."""
    (tmp_path / "config").mkdir()
    wrong = "def wrong(*_, **__): raise PermissionError(1, 'no')"
    _, ids = given_up(tmp_path, f"{wrong}\n{forbidden}")
    assert ids[0] == (0 if is_root else pwd.getpwnam("nobody").pw_uid)


def test_nobody_to_become(tmp_path: Path) -> None:
    """On a machine without the image's user, only the folders are made."""
    paths = Paths(tmp_path / "data", tmp_path / "config", tmp_path)
    privileges.give_up_root(paths)
    assert paths.models.is_dir()
    assert os.geteuid() == paths.models.stat().st_uid


def test_setup_of_an_environment(tmp_path: Path) -> None:
    """Plain Docker sets everything by environment variables."""
    (tmp_path / "data").mkdir()
    setup = Setup.of(
        {
            "DATA_DIR": str(tmp_path / "data"),
            "CONTEXT_SIZE": "1024",
            "SUPERVISOR_TOKEN": "token",
            "BIND_ADDRESS": "127.0.0.1",
        }
    )
    assert setup.options.context_size == 1024
    assert setup.ports == Ports("127.0.0.1", 8080, 5000, 8099)
    assert setup.supervisor_token == "token"
    assert setup.paths.conversations == tmp_path / "data" / "conversations.db"


@pytest.mark.usefixtures("socket_enabled")
def test_health_check(shared_app: RunningApp, tmp_path: Path) -> None:
    """It succeeds while the API answers; a worker has no API and is always healthy."""
    assert healthcheck.is_well(shared_app.environment)
    away = {**shared_app.environment, "API_PORT": "1"}
    assert not healthcheck.is_well(away)
    assert healthcheck.is_well({**away, "MODE": "worker"})
    assert not healthcheck.is_well({**away, "MODE": "nonsense"})
    assert not healthcheck.is_well({"DATA_DIR": str(tmp_path), "API_PORT": "1"})


def counters(prompt: int, cached: int, generated: int) -> dict[str, float]:
    """Return values of llama-server's counters."""
    return {
        "prompt_tokens_total": prompt,
        "prompt_tokens_cached_total": cached,
        "prompt_seconds_total": prompt / 100,
        "tokens_predicted_total": generated,
        "tokens_predicted_seconds_total": generated / 10,
    }


def test_statistics() -> None:
    """Samples are differences, also over a restart, and have a maximum number."""
    statistics = Statistics()
    statistics.add(counters(100, 0, 50))
    assert statistics.samples() == []
    statistics.add(counters(110, 90, 70))
    (sample,) = statistics.samples()
    assert sample["prompt_tokens"] == 10
    assert sample["cached_tokens"] == 90
    assert sample["cached_share"] == 0.9
    assert sample["prompt_speed"] == 100
    assert sample["generation_speed"] == 10
    statistics.add(counters(110, 90, 70))
    assert statistics.samples()[-1]["generation_speed"] is None
    assert statistics.samples()[-1]["cached_share"] is None
    statistics.add(counters(5, 0, 2))
    assert statistics.samples()[-1]["prompt_tokens"] == 5
    for number in range(2 * SAMPLES):
        statistics.add(counters(number, 0, number))
    assert len(statistics.samples()) == SAMPLES
