"""Fixtures for all tests: real servers on the loopback interface, and Home Assistant in process."""

# The test plugin's own `custom_components` package would hide ours, so ours is imported first.
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_socket

import custom_components.llamacpp
from dev.llama import LlamaServer, path_from_environment
from dev.scripted_model import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[1]
DEV_COMPONENTS = ROOT / "dev" / "custom_components"

if str(DEV_COMPONENTS) not in custom_components.__path__:
    custom_components.__path__.append(str(DEV_COMPONENTS))


@contextlib.contextmanager
def sockets() -> Generator[None]:
    """Allow sockets while a fixture that outlives one test waits for a server.

    The Home Assistant test plugin blocks them before every test.
    """
    with pytest.MonkeyPatch.context() as patch:
        # Restores at the end what is there now: within a test, allowed sockets.
        patch.setattr(socket, "socket", socket.socket)
        pytest_socket.enable_socket()
        yield


@pytest.fixture(scope="session")
def model() -> Path:
    """Return the real small instruct model (SmolLM2-135M-Instruct Q4_1, GGUF)."""
    return path_from_environment("LLAMACPP_MODEL")


@pytest.fixture(scope="session")
def vocabulary(model: Path) -> Vocabulary:
    """Return its vocabulary, which takes a while to read."""
    return Vocabulary.read(model)


@contextlib.contextmanager
def serving(log: Path, *arguments: str | Path, **options: Any) -> Generator[LlamaServer]:
    """Run a real llama-server; the parameters are those of `LlamaServer`."""
    with sockets():
        server = LlamaServer(log, *arguments, **options)
        server.start()
        try:
            server.wait_ready()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def llama_server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[LlamaServer]:
    """Return a real llama-server that all tests of one run share: no test may stop it."""
    log = tmp_path_factory.mktemp("llama-server") / "log.txt"
    flags = ("--ctx-size", "8192", "--parallel", "2", "--alias", "smol")
    with serving(log, *flags, model=model) as server:
        yield server
