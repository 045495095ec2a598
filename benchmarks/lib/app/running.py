"""The app with the real small model, and llama-server as the app starts it."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.llama import path_from_environment
from dev.processes import ChildProcess, free_port
from tests.app.running_app import RunningApp

from ..errors import BenchmarkError
from .asks import Side, ask

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL_NAME = "smol"
PARALLEL = 8
CONTEXT = 1024
MESSAGE = "Say hello."
FIRST_ANSWER_SECONDS = 120.0
POLL_SECONDS = 0.01
KEY = hashlib.sha256(b"benchmark").hexdigest()
NOWHERE = "http://127.0.0.1:1"


def app_in(folder: Path) -> RunningApp:
    """Return the app, not yet started, with the model in its models folder."""
    models = folder / "config" / "models"
    models.mkdir(parents=True, exist_ok=True)
    if not (models / f"{MODEL_NAME}.gguf").exists():
        (models / f"{MODEL_NAME}.gguf").symlink_to(path_from_environment("LLAMACPP_MODEL"))
    return RunningApp(
        folder,
        model_url=f"{NOWHERE}/{MODEL_NAME}.gguf",
        context_size=str(CONTEXT),
        parallel_requests=str(PARALLEL),
        api_key=KEY,
    )


def sides_of(app: RunningApp) -> tuple[Side, Side]:
    """Return the app's API, and llama-server's behind it."""
    return (
        Side("the app", app.api_port, "/api/chat", KEY, is_app=True),
        Side("llama-server", app.server_port, "/v1/chat/completions", KEY, is_app=False),
    )


def server_command(pid: int) -> list[str]:
    """Return the command line of the llama-server that a process started. Raises BenchmarkError."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            command = (path / "cmdline").read_bytes().decode().split("\0")[:-1]
        except OSError:
            continue
        if parent == pid and command and Path(command[0]).name == "llama-server":
            return command
    raise BenchmarkError("the app has no llama-server")


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of the launcher in bytes. pss: with its share of shared pages."""

    rss: int
    pss: int

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Return the memory of a process, as the kernel reports it."""
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        kilobytes = {
            name: int(value.split()[0]) for name, value in (one.split(":") for one in lines)
        }
        return cls(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)


async def app_start(folder: Path) -> float:
    """Return the seconds from the app's start to its first answer."""
    app = app_in(folder)
    return await _first_answer(app.process, sides_of(app)[0])


async def server_start(folder: Path, command: Sequence[str]) -> float:
    """Return the same for llama-server alone, with the flags that the app gives it."""
    port = free_port()
    arguments = list(command)
    arguments[arguments.index("--port") + 1] = str(port)
    server = ChildProcess("llama-server", arguments, folder / "server.txt")
    return await _first_answer(
        server, Side("llama-server", port, "/v1/chat/completions", KEY, is_app=False)
    )


async def _first_answer(process: ChildProcess, side: Side) -> float:
    started = time.perf_counter()
    process.start()
    try:
        while time.perf_counter() - started < FIRST_ANSWER_SECONDS:
            try:
                if (await ask(side, MESSAGE, 1)).is_ok:
                    return time.perf_counter() - started
            except OSError:
                if not process.running:
                    break
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await asyncio.to_thread(process.stop)
    raise BenchmarkError(f"{side.name} did not answer:\n{process.log_tail()}")
