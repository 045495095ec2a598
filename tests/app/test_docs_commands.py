"""The commands of README and DOCS, run as they are written, but for addresses, keys and ids."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.made_models import write_cut_model
from tests.app.running_app import RunningApp
from tests.conftest import sockets

if TYPE_CHECKING:
    from tests.app.file_server import FileServer

pytestmark = pytest.mark.usefixtures("socket_enabled")

ROOT = Path(__file__).parents[2]
TEXTS = {name: (ROOT / name).read_text() for name in ("README.md", "addon/DOCS.md")}
SECONDS = 120
STATUS = "\n%{http_code}"


def commands(program: str) -> list[str]:
    """Return the commands of all texts that begin so, each on one line."""
    blocks = [
        block
        for text in TEXTS.values()
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if not language
    ]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(program)]


def environment_of(command: str) -> dict[str, str]:
    """Return the environment that a `docker run` gives."""
    words = shlex.split(command)
    values = [words[n + 1] for n, word in enumerate(words) if word in {"-e", "--env"}]
    return dict(one.split("=", 1) for one in values)


def run(command: str, app: RunningApp, conversation: str) -> tuple[int, str]:
    """Run a command with curl; return the status of HTTP and what came."""
    command = command.replace("http://192.168.1.10:8080", app.server_url)
    known = f"URL={app.url}; KEY={app.key}; ID={conversation}"
    silent = command.replace("curl ", f"curl --silent --write-out {shlex.quote(STATUS)} ", 1)
    done = subprocess.run(
        [str(shutil.which("bash")), "-c", f"{known}; {silent}"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def until_ready(app: RunningApp, name: str) -> None:
    """Wait until a model is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        models = {one["name"]: one for one in app.ask("GET", "/api/models")[1]["models"]}
        if models[name]["state"] == "ready":
            return
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_every_curl(tmp_path: Path, file_server: FileServer, model: Path) -> None:
    """All of them succeed, one after the other, as somebody reads them."""
    small = tmp_path / "small" / "small.gguf"
    small.parent.mkdir()
    write_cut_model(small, model, 1)
    file_server.content = await asyncio.to_thread(small.read_bytes)
    (tmp_path / "config" / "models").mkdir(parents=True)
    (tmp_path / "config" / "models" / "smol.gguf").symlink_to(small)
    found = commands("curl ")
    assert len(found) > 14

    def check() -> None:
        with sockets():
            environment = {"HF_ENDPOINT": file_server.url}
            app = RunningApp(tmp_path, environment, model_url="o/r:smol.gguf", context_size="512")
            app.start()
            try:
                app.wait_ready()
                conversation = ""
                for command in found:
                    if "/models/small" in command:
                        until_ready(app, "small")
                    if "/chat" in command or "/message" in command:
                        app.wait_ready()
                    status, body = run(command, app, conversation)
                    assert 200 <= status < 300, (command, status, body)
                    if "/conversation/start" in command:
                        conversation = str(json.loads(body)["conversation_id"])
            finally:
                app.stop()

    await asyncio.to_thread(check)


@pytest.mark.parametrize(
    "command", [one for one in commands("docker run ") if "--name llamacpp" in one]
)
async def test_every_docker_run(
    tmp_path: Path, file_server: FileServer, model: Path, command: str
) -> None:
    """With what it gives, the model is fetched from the hub, and answers."""
    small = tmp_path / "small.gguf"
    write_cut_model(small, model, 1)
    file_server.content = await asyncio.to_thread(small.read_bytes)
    environment = {**environment_of(command), "HF_ENDPOINT": file_server.url}
    named = environment.get("MODEL_URL", "gemma-3-1b-it-Q4_K_M.gguf").rpartition(":")[2]

    def check() -> dict[str, Any]:
        with sockets():
            app = RunningApp(tmp_path, environment)
            app.start()
            try:
                app.wait_ready()
                status, answer = app.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 2})
                assert status == 200
                return dict(answer)
            finally:
                app.stop()

    answer = await asyncio.to_thread(check)
    assert answer["model"] == named.removesuffix(".gguf")
    ((path, _),) = file_server.requests
    assert path.endswith(f"/resolve/main/{named}")
