"""Home Assistant with real storage, and histories in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.helpers.storage import STORAGE_DIR

from custom_components.llamacpp.history import History, Retention

from .samples import ENTRY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from homeassistant.core import HomeAssistant

    type Load = Callable[..., Awaitable[History]]


@pytest.fixture
def root(hass: HomeAssistant) -> Path:
    """Return the folder of all histories."""
    return Path(hass.config.path(STORAGE_DIR, "llamacpp.history"))


@pytest.fixture
def folder(root: Path) -> Path:
    """Return the folder of the history that the tests use."""
    return root / ENTRY


@pytest.fixture
async def load(hass: HomeAssistant) -> AsyncGenerator[Load]:
    """Return what makes and loads a history; the one before is as one that a crash has ended."""
    histories: list[History] = []

    async def load(entry_id: str = ENTRY, **retention: Any) -> History:
        history = History(hass, entry_id, Retention(**retention))
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
