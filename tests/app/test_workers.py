"""One model over several machines: llama.cpp's RPC servers, each run by the app as a worker."""

import time
from typing import TYPE_CHECKING

import pytest

from dev.processes import LOOPBACK, free_port, port_is_taken
from tests.app.running_app import RunningApp

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("socket_enabled")

HELLO = {"message": "Say hello.", "max_tokens": 4}


def until_taken(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 30
    while not port_is_taken(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def workers(tmp_path: Path) -> Generator[list[RunningApp]]:
    """Run two workers."""
    found = []
    for number in range(2):
        address = f"{LOOPBACK}:{free_port()}"
        worker = RunningApp(
            tmp_path / f"worker-{number}", mode="worker", worker_address=address, threads="1"
        )
        worker.start()
        found.append(worker)
    for worker in found:
        until_taken(port_of(worker))
    yield found
    for worker in found:
        worker.stop()


def port_of(worker: RunningApp) -> int:
    """Return where a worker listens."""
    return int(worker.environment["WORKER_ADDRESS"].rpartition(":")[2])


def test_answers_computed_on_workers(
    workers: list[RunningApp], tmp_path: Path, model: Path
) -> None:
    """Two workers compute; one that dies is left out, one that comes back is taken in again."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    (folder / "smol.gguf").symlink_to(model)
    app = RunningApp(
        tmp_path,
        model_url="http://127.0.0.1:1/smol.gguf",
        context_size="512",
        gpu_layers="99",
        log_level="debug",
        extra_arguments="--fit off",
        rpc_servers=",".join(worker.environment["WORKER_ADDRESS"] for worker in workers),
    )
    app.start()
    try:
        app.wait_ready()
        assert app.ask("GET", "/api/health")[1]["workers"] == [
            worker.environment["WORKER_ADDRESS"] for worker in workers
        ]
        assert app.ask("POST", "/api/chat", HELLO)[0] == 200
        assert "offloaded 31/31 layers" in app.log()
        for worker in workers:
            name = worker.environment["WORKER_ADDRESS"]
            assert f"RPC[{name}]" in app.log() or f"RPC0[{name}]" in app.log() or name in app.log()
        workers[1].process.kill()
        # Its server notices at the next answer, or the app within half a minute.
        app.ask("POST", "/api/chat", HELLO)
        app.wait_for("does not answer: it is left out until it does")
        app.wait_ready()
        health = app.ask("GET", "/api/health")[1]
        assert health["workers"] == [workers[0].environment["WORKER_ADDRESS"]]
        assert app.ask("POST", "/api/chat", HELLO)[0] == 200
        assert "It is started again in 300 s" not in app.log()
    finally:
        app.stop()
