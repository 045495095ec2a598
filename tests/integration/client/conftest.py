"""Fixtures for tests of the client."""

from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.client import LlamaServerClient

if TYPE_CHECKING:
    import aiohttp

    from dev.llama import LlamaServer


@pytest.fixture
def client(llama_server: LlamaServer, session: aiohttp.ClientSession) -> LlamaServerClient:
    """Return a client for the real server that all tests share."""
    return LlamaServerClient(session, llama_server.base_url)
