"""What is told to choose a model by, whether it fits and how fast it is; and the choice itself."""

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from llamacpp_app.choice import FIRST_TOKENS, MOST_TOKENS
from tests.app.running_app import RunningApp
from tests.conftest import sockets

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.app.file_server import FileServer

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture
def app(tmp_path: Path, model: Path) -> Generator[RunningApp]:
    """Return a running app with the small model."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    (folder / "smol.gguf").symlink_to(model)
    with sockets():
        app = RunningApp(tmp_path, model_url="http://127.0.0.1:1/smol.gguf", context_size="512")
        app.start()
        app.wait_ready()
        yield app
        app.stop()


def told(app: RunningApp) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is told of the models that are there, and of suggestions, by their names."""
    _, answer = app.ask("GET", "/api/models")
    models, suggestions = (
        {one["name"]: one for one in answer[key]} for key in ("models", "suggestions")
    )
    return models, suggestions


def restart(app: RunningApp) -> None:
    """Stop the app and start it again."""
    app.stop()
    app.start()
    app.wait_ready()


def test_what_fits_and_how_fast_it_is(app: RunningApp) -> None:
    """No speed is told before one was measured; then that of others is told by their sizes."""
    models, suggestions = told(app)
    assert (models["smol"]["fits"], models["smol"]["control"]) == (True, "commands")
    assert isinstance(suggestions["gemma-3-1b-it-Q4_K_M"]["fits"], bool)
    assert all(
        one["tokens_per_second"] is None for one in (*models.values(), *suggestions.values())
    )

    status, measured = app.ask("POST", "/api/speed")
    assert (status, measured["model"]) == (200, "smol")
    _, page = app.ask("GET", "/api/statistics")
    assert page["samples"] == [] or page["samples"][-1]["generated_tokens"] <= (
        FIRST_TOKENS + MOST_TOKENS
    )
    for _ in range(2):
        models, suggestions = told(app)
        assert models["smol"]["tokens_per_second"] == measured["tokens_per_second"] > 0
        assert models["smol"]["is_measured"]
        fitting = [one for one in suggestions.values() if one["fits"]]
        assert not any(one["is_measured"] for one in fitting)
        speeds = {one["bytes"]: one["tokens_per_second"] for one in fitting}
        # All are larger than the small one.
        assert all(0 < one < measured["tokens_per_second"] for one in speeds.values())
        others = [one for one in suggestions.values() if not one["fits"]]
        assert all(one["tokens_per_second"] is None for one in others)
        # What was measured is known after a restart.
        restart(app)


def test_the_choice_outlives_a_restart(app: RunningApp, model: Path) -> None:
    """It holds until the options name another model."""
    shutil.copy(model, app.folder / "config" / "models" / "second.gguf")
    restart(app)
    assert app.ask("GET", "/api/health")[1]["model"] == "smol"
    app.process.wait_until(lambda: told(app)[0]["second"]["state"] == "ready", 60)
    assert app.ask("POST", "/api/models/second/load")[0] == 202
    app.process.wait_until(lambda: app.ask("GET", "/api/health")[1]["model"] == "second", 60)
    restart(app)
    assert app.ask("GET", "/api/health")[1]["model"] == "second"
    app.environment["MODEL_URL"] = "http://127.0.0.1:1/other.gguf"
    app.environment["MODEL_NAME"] = "smol"
    restart(app)
    assert app.ask("GET", "/api/health")[1]["model"] == "smol"


async def test_a_model_that_is_used_as_soon_as_it_is_there(
    app: RunningApp, file_server: FileServer, model: Path
) -> None:
    """Until then the other one answers."""
    file_server.content = await asyncio.to_thread(model.read_bytes)
    body = {"name": "third", "url": f"{file_server.url}/third.gguf", "use": True}
    assert (await asyncio.to_thread(app.ask, "POST", "/api/models", body))[0] == 202
    message = {"message": "Hi", "max_tokens": 2}
    assert (await asyncio.to_thread(app.ask, "POST", "/api/chat", message))[0] == 200

    def is_used() -> bool:
        health = app.ask("GET", "/api/health")[1]
        return (health["status"], health["model"]) == ("ok", "third")

    await asyncio.to_thread(app.process.wait_until, is_used, 60)


async def test_the_model_before_answers_until_it_is_there(app: RunningApp, model: Path) -> None:
    """Also if that is not the model of the options, and the download never comes."""
    shutil.copy(model, app.folder / "config" / "models" / "second.gguf")

    def is_there() -> bool:
        return bool(told(app)[0].get("second", {}).get("state") == "ready")

    await asyncio.to_thread(app.process.wait_until, is_there, 60)
    assert (await asyncio.to_thread(app.ask, "POST", "/api/models/second/load"))[0] == 202
    await asyncio.to_thread(app.process.wait_until, lambda: model_of(app) == "second", 60)
    body = {"name": "fourth", "url": "http://127.0.0.1:9/fourth.gguf", "use": True}
    assert (await asyncio.to_thread(app.ask, "POST", "/api/models", body))[0] == 202

    def does_not_come() -> bool:
        health = app.ask("GET", "/api/health")[1]
        told = [*health["downloads"], *health["failed_downloads"]]
        return any(one["model"] == "fourth" and one["error"] for one in told)

    await asyncio.to_thread(app.process.wait_until, does_not_come, 60)
    message = {"message": "Hi", "max_tokens": 2}
    status, answer = await asyncio.to_thread(app.ask, "POST", "/api/chat", message)
    assert (status, answer["model"]) == (200, "second")


def model_of(app: RunningApp) -> str | None:
    """Return the model that can answer, None if none can."""
    health = app.ask("GET", "/api/health")[1]
    name: str | None = health["model"] if health["status"] == "ok" else None
    return name
