"""The app downloads a large model from a faulty server."""

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.app.running_app import RunningApp

from ..errors import BenchmarkError
from .big_file import BigFileServer
from .running import CONTEXT, KEY

if TYPE_CHECKING:
    from pathlib import Path

N_CUTS = 10
NAME = "big"
WAIT_SECONDS = 900.0
POLL_SECONDS = 0.2
WRONG = "has not the SHA-256"


@dataclass(frozen=True, slots=True)
class Download:
    """The result of a download. n_sent: bytes of the file that the server sent.

    state, error: as the API reports them. is_right, is_there: of the file under its final name.
    is_answering: whether the app has answered with this model.
    """

    seconds: float
    n_sent: int
    state: str
    error: str
    is_there: bool
    is_right: bool
    is_answering: bool


async def download(folder: Path, file: Path, *, wrong_passes: int) -> Download:
    """Have the app download the file over ten cuts and a page of HTML.

    wrong_passes: how often the whole file is sent with a wrong byte, before it is sent correctly.
    """
    size = await asyncio.to_thread(lambda: file.stat().st_size)
    wanted = await asyncio.to_thread(_sha256, file)
    cut = size // (N_CUTS + 1)
    async with BigFileServer(file) as server:
        server.plan = [*(cut for _ in range(N_CUTS)), None, *("wrong" for _ in range(wrong_passes))]
        app = RunningApp(
            folder,
            model_url=f"http://127.0.0.1:{server.port}/{NAME}.gguf",
            model_sha256=wanted,
            context_size=str(CONTEXT),
            api_key=KEY,
        )
        started = time.perf_counter()
        app.start()
        try:
            state, error = await _end_of(app)
            seconds = time.perf_counter() - started
            target = folder / "config" / "models" / f"{NAME}.gguf"
            is_there = await asyncio.to_thread(target.exists)
            is_right = is_there and await asyncio.to_thread(_sha256, target) == wanted
            is_answering = is_right and await asyncio.to_thread(_answers, app)
        finally:
            await asyncio.to_thread(app.stop)
        return Download(seconds, server.n_sent, state, error, is_there, is_right, is_answering)


async def _end_of(app: RunningApp) -> tuple[str, str]:
    """Return the state in which the download ends, and its error."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        try:
            _, listed = await asyncio.to_thread(app.ask, "GET", "/api/models")
        except OSError:
            continue
        (model,) = listed["models"]
        if model["state"] in ("ready", "failed"):
            return model["state"], model["error"] or ""
    raise BenchmarkError(f"the download has no end:\n{app.process.log_tail()}")


def _answers(app: RunningApp) -> bool:
    app.wait_ready()
    return app.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 1})[0] == 200  # noqa: PLR2004


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
