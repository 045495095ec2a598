"""Entities of a server by key, and servers that they show."""

import contextlib
from typing import TYPE_CHECKING, Any

from aiohttp import web
from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.const import DOMAIN
from tests.conftest import serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant, State

    from dev.llama import LlamaServer

    from .peers import Peers

OK = (200, {"status": "ok"})
LOADING = (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}})
REFUSED = (401, {"error": {"message": "no", "type": "authentication_error", "code": 401}})
CRASHED = (500, {"error": {"message": "out of memory", "type": "server_error", "code": 500}})


def rename(hass: HomeAssistant, entity_id: str, name: str) -> None:
    """Give an entity this name and no other.

    Since 2026.11 the name of its device comes first, so the entity is removed from its device.
    """
    er.async_get(hass).async_update_entity(entity_id, name=name, device_id=None)


def entity_id_of(hass: HomeAssistant, entry: ConfigEntry[Any], domain: str, key: str) -> str | None:
    """Return the id of a server's entity, None if there is no such entity."""
    return er.async_get(hass).async_get_entity_id(domain, DOMAIN, f"{entry.entry_id}_{key}")


def entity_of(hass: HomeAssistant, entry: ConfigEntry[Any], domain: str, key: str) -> State:
    """Return the state of a server's entity."""
    entity_id = entity_id_of(hass, entry, domain, key)
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    return state


def sensor(hass: HomeAssistant, entry: ConfigEntry[Any], key: str) -> str:
    """Return the state of a server's sensor."""
    return entity_of(hass, entry, "sensor", key).state


async def enable_all(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Enable the entities of a server that are disabled by default."""
    registry = er.async_get(hass)
    for one in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(one.entity_id, disabled_by=None)
    assert await hass.config_entries.async_reload(entry.entry_id)


@contextlib.contextmanager
def routing(folder: Path, model: Path, *flags: str) -> Generator[LlamaServer]:
    """Run a real server in router mode, with a good model under two names and a broken one.

    It starts without a loaded model, and keeps one in memory.
    """
    models = folder / "models"
    models.mkdir()
    for name in ("apple", "pear"):
        (models / f"{name}.gguf").symlink_to(model)
    (models / "broken.gguf").write_bytes(b"GGUF, but not really")
    arguments = ("--ctx-size", "512", "--models-max", "1", *flags)
    with serving(folder / "log.txt", "--models-dir", models, *arguments) as server:
        yield server


class Pretender:
    """A llama-server whose answers a test can change at any time."""

    def __init__(self) -> None:
        """Start as a healthy server with a single model and without metrics."""
        self.health: tuple[int, Any] = OK
        self.props: dict[str, Any] = {
            "default_generation_settings": {"n_ctx": 2048},
            "total_slots": 3,
            "model_alias": "apple",
            "build_info": "b1-test",
        }
        self.model_props: tuple[int, Any] = (200, self.props)
        self.models: dict[str, dict[str, Any]] = {}
        self.metrics: tuple[int, str] = (200, "llamacpp:tokens_predicted_total 7\n")
        # By model, where a router's models differ.
        self.generated: dict[str, int] = {}
        self.asked: list[str] = []
        # Redirect to here, if set.
        self.moved_to = ""

    def become_router(self, **models: dict[str, Any]) -> None:
        """Serve these models, each with its `status`."""
        self.props = {
            "role": "router",
            "default_generation_settings": {"n_ctx": 0},
            "model_alias": "llama-server",
            "build_info": "b1-test",
        }
        self.models = models

    async def start(self, peers: Peers) -> str:
        """Start; return the address."""
        return await peers.http(self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self.moved_to:
            raise web.HTTPMovedPermanently(f"{self.moved_to}{request.path}")
        status: int = 200
        body: Any = {"success": True}
        match request.path:
            case "/health":
                status, body = self.health
            case "/props" if "model" in request.query:
                status, body = self.model_props
            case "/props":
                body = self.props
            case "/v1/models":
                models = [{"id": name, "status": one} for name, one in self.models.items()]
                body = {"data": models}
            case "/metrics" if (model := request.query.get("model")) in self.generated:
                return web.Response(text=f"llamacpp:tokens_predicted_total {self.generated[model]}")
            case "/metrics":
                return web.Response(status=self.metrics[0], text=self.metrics[1])
        return web.json_response(body, status=status)
