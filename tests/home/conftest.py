"""Home Assistant in process with a virtual home."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import HomeAssistant

HOMES = Path(__file__).parents[2] / "dev" / "homes"
DEMO = HOMES / "demo.yaml"

type LoadHome = Callable[[Path], Awaitable[bool]]
type WriteHome = Callable[[Any], Path]
type Act = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the component."""


@pytest.fixture
def load_home(hass: HomeAssistant) -> LoadHome:
    """Return a function that sets Home Assistant up with the home in this file."""

    async def load(path: Path) -> bool:
        assert await async_setup_component(hass, "homeassistant", {})
        done = await async_setup_component(
            hass, "virtual_home", {"virtual_home": {"home": str(path)}}
        )
        await hass.async_block_till_done()
        return done

    return load


@pytest.fixture
def write_home(tmp_path: Path) -> WriteHome:
    """Return a function that writes a home's content (or plain text) into a file."""

    def write(content: Any) -> Path:
        path = tmp_path / "home.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
async def demo(hass: HomeAssistant, load_home: LoadHome) -> HomeAssistant:
    """Return Home Assistant with the demo's home and its script."""
    scripts = await hass.async_add_executor_job(load_yaml_dict, str(HOMES / "demo_scripts.yaml"))
    assert await async_setup_component(hass, "homeassistant", {})
    assert await async_setup_component(hass, "script", {"script": scripts})
    assert await load_home(DEMO)
    return hass


@pytest.fixture
def act(hass: HomeAssistant) -> Act:
    """Return a function that calls an action with an entity id and data."""

    async def call(action: str, entity_id: str | None = None, **data: Any) -> None:
        domain, _, service = action.partition(".")
        if entity_id is not None:
            data["entity_id"] = entity_id
        await hass.services.async_call(domain, service, data, blocking=True)
        await hass.async_block_till_done()

    return call
