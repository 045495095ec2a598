"""Real processes for the end-to-end tests."""

from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# With the newest Home Assistant there is nothing that drives a browser.
collect_ignore = [] if find_spec("playwright") else ["test_card.py", "test_first_steps.py"]


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Allow sockets: everything here speaks to processes on the loopback interface."""
