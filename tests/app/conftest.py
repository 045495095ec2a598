"""Fixtures for the app's tests: a session of HTTP, a server of files, and the app itself."""

from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.app.file_server import FileServer
from tests.app.running_app import lay_models, serving_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from tests.app.running_app import RunningApp


@pytest.fixture
async def session(socket_enabled: None) -> AsyncGenerator[aiohttp.ClientSession]:  # noqa: ARG001
    """Return a session of HTTP."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def file_server(socket_enabled: None) -> AsyncGenerator[FileServer]:  # noqa: ARG001
    """Return a server of files, which a test tells what to do wrong."""
    async with FileServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_app(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningApp]:
    """Return the running app with the real small model; tests may not change its models."""
    folder = tmp_path_factory.mktemp("app")
    lay_models(folder, model)
    # The file is there, so nobody asks for the address.
    url = "https://127.0.0.1:1/smol.gguf"
    with serving_app(folder, model_url=url, context_size="512", parallel_requests="2") as app:
        yield app
