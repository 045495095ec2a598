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
    """Counts seconds, as many as the test says."""

    def __init__(self) -> None:
        """Begin at some time since the start of the machine."""
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.seconds


@pytest.fixture
def running() -> Running:
    """Return what tells a history for how long the machine has been running."""
    return Running()


@pytest.fixture
def pass_time(running: Running, freezer: FrozenDateTimeFactory) -> PassTime:
    """Return what lets time pass, with clocks that are right."""

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
    """Return the folder of the history that the tests use."""
    return root / ENTRY


@pytest.fixture
async def load(hass: HomeAssistant, running: Running) -> AsyncGenerator[Load]:
    """Return what makes and loads a history; the one before is as one that a crash has ended."""
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
    """Return a history that is loaded, and has the default retention."""
    return await load()
