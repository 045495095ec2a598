"""Real processes for the end-to-end tests."""

import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Allow sockets: everything here speaks to processes on the loopback interface."""


@pytest.fixture(scope="session")
def ha_python() -> Path:
    """Return the interpreter to run Home Assistant with: by `--newest`, that of the newest one."""
    return Path(os.environ.get("LLAMACPP_NEWEST_PYTHON") or sys.executable)


@pytest.fixture(scope="session")
def ha_version() -> str:
    """Return the version of Home Assistant that this run is to test."""
    if "LLAMACPP_NEWEST_PYTHON" not in os.environ:
        return version("homeassistant")
    text = (ROOT / "requirements" / "newest.in").read_text()
    found = re.search(r"^homeassistant==(\S+)$", text, re.MULTILINE)
    assert found is not None
    return found[1]
