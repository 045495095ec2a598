"""The API about the app itself: its health, its models, its log and its numbers."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from aiohttp import web

from .schemas import ADD_MODEL, body_of
from .service import SERVICE

# By which House Llama in Home Assistant names itself.
HOME_ASSISTANT: Final = "home_assistant"


async def health(request: web.Request) -> web.Response:
    """Tell what the app is doing; it is well as long as it answers this."""
    service = request.app[SERVICE]
    if request.query.get("client") == HOME_ASSISTANT:
        service.discovery.hear()
    return web.json_response(await service.health())


async def models(request: web.Request) -> web.Response:
    """Tell of all models, and of some that are worth a try."""
    service = request.app[SERVICE]
    ignored = [{"file": name, "reason": why} for name, why in service.catalog.ignored.items()]
    return web.json_response(
        {
            "models": await service.describe_models(),
            "ignored": ignored,
            "suggestions": await service.describe_suggestions(),
        }
    )


async def add_model(request: web.Request) -> web.Response:
    """Download a further model."""
    values = await body_of(request, ADD_MODEL)
    request.app[SERVICE].add_model(
        values["name"], values["url"], values.get("sha256"), use=values.get("use", False)
    )
    return web.json_response({"name": values["name"]}, status=202)


async def delete_model(request: web.Request) -> web.Response:
    """Delete a model and its files."""
    name = request.match_info["name"]
    await request.app[SERVICE].catalog.remove(name)
    return web.json_response({"name": name, "deleted": True})


async def load_model(request: web.Request) -> web.Response:
    """Bring a model into memory; from then on it answers who names none."""
    name = request.match_info["name"]
    await request.app[SERVICE].runner.load(name)
    return web.json_response({"name": name}, status=202)


async def measure(request: web.Request) -> web.Response:
    """Measure how fast the model in use writes, which takes about ten seconds."""
    service = request.app[SERVICE]
    speed = await service.choice.measure()
    return web.json_response({"model": service.runner.model, "tokens_per_second": speed})


async def log(request: web.Request) -> web.Response:
    """Return the newest lines of the log."""
    return web.json_response({"lines": list(request.app[SERVICE].log_lines)})


async def statistics(request: web.Request) -> web.Response:
    """Return speeds and tokens of the last hour."""
    return web.json_response({"samples": request.app[SERVICE].statistics.samples()})


async def openapi(_request: web.Request) -> web.Response:
    """Return the description of this API."""
    text = files(__package__).joinpath("openapi.json").read_text()
    return web.Response(text=text, content_type="application/json")


ROUTES: Final = (
    web.get("/api/health", health),
    web.get("/api/models", models),
    web.post("/api/models", add_model),
    web.delete("/api/models/{name}", delete_model),
    web.post("/api/models/{name}/load", load_model),
    web.post("/api/speed", measure),
    web.get("/api/log", log),
    web.get("/api/statistics", statistics),
    web.get("/api/openapi.json", openapi),
)
