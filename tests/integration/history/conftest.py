"""Home Assistant with real storage, and histories in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.helpers.storage import STORAGE_DIR

from custom_components.llamacpp.history import History, Retention

from .samples import ENTRY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from datetime import timedelta

    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    type Load = Callable[..., Awaitable[History]]
    type PassTime = Callable[[timedelta], None]


class Running:
    """Counts seconds as a test sets them."""

    def __init__(self) -> None:
        """Start at some time after the boot of the machine."""
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.seconds


@pytest.fixture
def running() -> Running:
    """Return the machine's uptime for a history."""
    return Running()


@pytest.fixture
def pass_time(running: Running, freezer: FrozenDateTimeFactory) -> PassTime:
    """Return a function that lets time pass, with right clocks."""

    def later(by: timedelta) -> None:
        freezer.tick(by)
        running.seconds += by.total_seconds()

    return later


@pytest.fixture
def root(hass: HomeAssistant) -> Path:
    """Return the folder of all histories."""
    return Path(hass.config.path(STORAGE_DIR, "llamacpp.history"))


@pytest.fixture
def folder(root: Path) -> Path:
    """Return the folder of the tests' history."""
    return root / ENTRY


@pytest.fixture
async def load(hass: HomeAssistant, running: Running) -> AsyncGenerator[Load]:
    """Return a function that makes and loads a history; the one before ends as by a crash."""
    histories: list[History] = []

    async def load(entry_id: str = ENTRY, **retention: Any) -> History:
        history = History(hass, entry_id, Retention(**retention), running)
        histories.append(history)
        await history.async_load()
        return history

    yield load
    for history in histories:
        await history.async_unload()


@pytest.fixture
async def history(load: Load) -> History:
    """Return a loaded history with the default retention."""
    return await load()
