"""Fixtures for tests of the client: a session, and peers that follow a script."""

from typing import TYPE_CHECKING

import aiohttp
import pytest

from custom_components.llamacpp.server import LlamaServerClient

from .peers import Peers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dev.llama import LlamaServer


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Allow sockets: everything here speaks to a server on the loopback interface."""


@pytest.fixture
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    """Return a session of its own for each test."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def peers(session: aiohttp.ClientSession) -> AsyncGenerator[Peers]:
    """Return a starter of scripted peers; they end with the test."""
    async with Peers(session) as peers:
        yield peers


@pytest.fixture
def client(llama_server: LlamaServer, session: aiohttp.ClientSession) -> LlamaServerClient:
    """Return a client for the real server that all tests share."""
    return LlamaServerClient(session, llama_server.base_url)
