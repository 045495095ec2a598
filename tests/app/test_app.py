"""The app as a whole: its start, its models, its stop, and what it says meanwhile."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.made_models import write_cut_model
from dev.processes import LOOPBACK, port_is_taken
from tests.app.file_server import saying
from tests.app.gguf_files import write
from tests.app.running_app import RunningApp, lay_models
from tests.conftest import sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.app.file_server import FileServer

    type MakeApp = Callable[..., RunningApp]

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture
def make_app(tmp_path: Path, model: Path) -> Generator[MakeApp]:
    """Return what starts an app: with the small model under these names, and these options."""
    apps: list[RunningApp] = []

    def make(*names: str, environment: dict[str, str] | None = None, **options: str) -> RunningApp:
        lay_models(tmp_path, model, names)
        options = {"model_url": "http://127.0.0.1:1/smol.gguf", "context_size": "512", **options}
        app = RunningApp(tmp_path, environment, **options)
        apps.append(app)
        app.start()
        return app

    yield make
    for app in apps:
        app.stop()


def models_of(app: RunningApp) -> dict[str, Any]:
    """Return what is told of the models, by their names."""
    return {one["name"]: one for one in app.ask("GET", "/api/models")[1]["models"]}


def until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"context_size": "100"}, "The option context_size must be a whole number from 512"),
        ({"threads": "200"}, "The option threads must be a whole number from 1 to 128, not '200'"),
        ({"extra_arguments": "--host 0.0.0.0"}, "extra_arguments must not hold --host"),
        ({"chat_template": "gemma"}, "chat_template must be a Jinja template"),
    ],
)
def test_wrong_options_stop_the_start(
    make_app: MakeApp, options: dict[str, str], words: str
) -> None:
    """One sentence names option, value and range; nothing else is in the log of the end."""
    app = make_app("smol", **options)
    until(lambda: not app.process.running)
    assert words in app.log()
    assert "Traceback" not in app.log()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"extra_arguments": "--temp abc"},
            "extra_arguments must not hold --temp abc: the value must be a number.",
        ),
        (
            {"cache_type": "q4_0", "flash_attention": "off"},
            "cache_type q4_0 needs flash attention: set flash_attention to auto, or cache_type to",
        ),
        (
            {"chat_template": "{% for m in messages %}\n{{ m.content }"},
            "The option chat_template has a mistake in line 2 (Expected }} (Got }))",
        ),
    ],
)
def test_what_llama_server_refuses_is_told_everywhere(
    make_app: MakeApp, options: dict[str, str], words: str
) -> None:
    """Health, answers and the log say what is wrong, and what to do; the page shows the health."""
    app = make_app("smol", **options)
    until(lambda: words in app.log())
    until(lambda: words in str(app.ask("GET", "/api/health")[1]["message"]))
    answer = app.ask("POST", "/api/chat", {"message": "Hi"})
    assert answer[0] == 503
    assert words in answer[1]["error"]["message"]
    app.wait_ready("error")
    if "flash_attention" not in options:
        assert words in models_of(app)["smol"]["error"]


def test_ports_that_are_taken(make_app: MakeApp) -> None:
    """The port is named, and not a number of the system."""
    app = make_app("smol")
    app.wait_ready()
    second = make_app(environment={"API_PORT": str(app.api_port)})
    until(lambda: not second.process.running)
    assert f"Port {app.api_port} is taken by another program: end that one" in second.log()
    third = make_app(environment={"SERVER_PORT": str(app.server_port)})
    third.wait_for(f"Port {app.server_port} is taken by another program: end that one")
    assert "Traceback" not in second.log() + third.log()


@pytest.mark.parametrize("name", ["api_key.new", "models.ini"])
def test_a_full_disk(make_app: MakeApp, tmp_path: Path, name: str) -> None:
    """At the start and later: that is what is told, and no number of the system."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).symlink_to("/dev/full")
    app = make_app("smol", "second", models='[{"name": "second", "url": "o/r:f.gguf"}]')
    app.wait_for("The disk is full: delete something on it.")
    assert "Errno" not in app.log()
    if name == "models.ini":
        assert "The disk is full" in app.ask("GET", "/api/health")[1]["message"]


def test_a_model_that_a_router_cannot_load(make_app: MakeApp, tmp_path: Path) -> None:
    """It is told as if it were the only one; the others answer."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    write(folder / "smol.gguf", "frobnicator")
    app = make_app("second", models='[{"name": "second", "url": "o/r:f.gguf"}]')
    words = "This llama.cpp does not know the architecture of the model, frobnicator: update"
    app.wait_for(words)
    app.wait_ready("error")
    assert words in app.ask("GET", "/api/health")[1]["message"]
    assert words in models_of(app)["smol"]["error"]
    for body in ({"message": "Hi"}, {"message": "Hi", "stream": False, "model": "smol"}):
        status, answer = app.ask("POST", "/api/chat", body)
        assert status == 502
        assert words in answer["error"]["message"]
    body = {"message": "Hi", "max_tokens": 2, "model": "second"}
    assert app.ask("POST", "/api/chat", body)[0] == 200


@pytest.mark.parametrize("names", [("smol",), ("smol", "second")])
@pytest.mark.parametrize("is_model", [True, False])
def test_a_projector_that_is_none(
    make_app: MakeApp, tmp_path: Path, model: Path, names: tuple[str, ...], *, is_model: bool
) -> None:
    """The model answers without it, and what it lacks is told, even if llama-server aborts."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    projector = folder / "mmproj-smol.gguf"
    if is_model:
        projector.symlink_to(model)
    else:
        # A number where llama-server wants a truth value: it aborts.
        write(projector, "clip", {".has_vision_encoder": 1})
    options = {"models": '[{"name": "second", "url": "o/r:f.gguf"}]'} if len(names) > 1 else {}
    app = make_app(*names, projector_url="o/r:mmproj.gguf", **options)
    words = "The model sees no pictures. "
    app.wait_for("projector")
    app.wait_ready()
    until(lambda: words in str(app.ask("GET", "/api/health")[1]["message"]))
    until(lambda: app.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 2})[0] == 200)
    reason = "mmproj-smol.gguf is no projector" if is_model else "GGML_ASSERT"
    assert reason in app.ask("GET", "/api/health")[1]["message"]
    assert words in models_of(app)["smol"]["error"]


def test_the_key_stays_and_changes(make_app: MakeApp) -> None:
    """A key is made at the first start, kept, and replaced by one that is set."""
    app = make_app("smol")
    app.wait_ready()
    made = app.key
    assert len(made) >= 32
    assert (app.folder / "data" / "api_key").stat().st_mode & 0o777 == 0o600
    app.stop()
    again = make_app()
    again.wait_ready()
    assert again.key == made
    again.stop()
    changed = make_app(api_key="my-own-key")
    changed.wait_ready()
    assert changed.key == "my-own-key"
    assert changed.ask("GET", "/api/health", key=made)[0] == 401


def test_no_more_context_than_the_model_was_trained_for(
    make_app: MakeApp, tmp_path: Path, model: Path
) -> None:
    """It would take memory for nothing; and nobody is told to raise it further."""
    folder = tmp_path / "config" / "models"
    folder.mkdir(parents=True)
    write_cut_model(folder / "smol.gguf", model, 1)
    app = make_app(context_size="16384", parallel_requests="2")
    app.wait_for("context_size is 16384, but smol was trained for 8192")
    app.wait_ready()
    (server,) = (pid for pid, name in children_of(app.process.pid).items() if "llama" in name)
    command = Path(f"/proc/{server}/cmdline").read_text().split("\0")
    slots = int(command[command.index("--parallel") + 1])
    assert command[command.index("--ctx-size") + 1] == str(8192 * slots)
    status, answer = app.ask("POST", "/api/chat", {"message": "a " * 9000})
    assert status == 413
    words = "the context holds only 8192. The model was trained for no more: say less, or choose"
    assert words in answer["error"]["message"]
    app.stop()
    short = make_app(context_size="512")
    short.wait_ready()
    answer = short.ask("POST", "/api/chat", {"message": "word " * 900})[1]
    assert "the context holds only 512. Raise context_size" in answer["error"]["message"]


def test_conversations_outlive_a_kill(make_app: MakeApp) -> None:
    """What was acknowledged is there after kill -9, and goes on."""
    app = make_app("smol")
    app.wait_ready()
    found = app.ask("POST", "/api/conversation/start", {})[1]["conversation_id"]
    path = f"/api/conversation/{found}"
    app.ask("POST", f"{path}/message", {"message": "Say one.", "max_tokens": 4})
    app.process.kill()
    # The server goes with the app, so its port is free again.
    until(lambda: not port_is_taken(app.server_port), 10)
    again = make_app()
    again.wait_ready()
    assert len(again.ask("GET", f"{path}/history")[1]["messages"]) == 2
    answer = again.ask("POST", f"{path}/message", {"message": "Say two.", "max_tokens": 4})[1]
    assert answer["message_count"] == 4


def test_stopped_within_ten_seconds_while_it_answers(make_app: MakeApp) -> None:
    """A stop does not wait for an endless answer, and leaves no process."""
    app = make_app("smol", context_size="8192")
    app.wait_ready()
    connection = http.client.HTTPConnection(LOOPBACK, app.api_port, timeout=30)
    body = {"message": "Tell a very long story.", "max_tokens": 8000, "stream": True}
    connection.request("POST", "/api/chat", json.dumps(body), app.headers)
    response = connection.getresponse()
    response.read(30)
    direct = http.client.HTTPConnection(LOOPBACK, app.server_port, timeout=30)
    request = {
        "messages": [{"role": "user", "content": "Count."}],
        "stream": True,
        "ignore_eos": True,
    }
    direct.request("POST", "/v1/chat/completions", json.dumps(request), app.headers)
    started = time.monotonic()
    app.process._signal(signal.SIGTERM)  # noqa: SLF001 - as the Supervisor does
    until(lambda: not app.process.running, 15)
    # What the Supervisor's users were promised, not a measurement.
    assert time.monotonic() - started < 10
    assert "Stopped" in app.log()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(LOOPBACK, app.server_port, timeout=5).connect()
    connection.close()
    direct.close()


def catches_sigterm(pid: int) -> bool:
    """Tell whether a process has something to do at SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.6])
def test_stopped_while_it_starts(tmp_path: Path, seconds: float) -> None:
    """The Supervisor wants to see a good end then, too."""
    app = RunningApp(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "llamacpp_app"],
        env=app.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        until(lambda: catches_sigterm(process.pid))
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in told


def test_crashed_server_comes_back(make_app: MakeApp) -> None:
    """A crash is told, and the next answer comes all the same."""
    app = make_app("smol")
    app.wait_ready()
    children = children_of(app.process.pid)
    (server,) = (pid for pid, name in children.items() if name == "llama-server")
    os.kill(server, signal.SIGABRT)
    app.wait_for("llama-server was ended by SIGABRT. It is started again")
    app.wait_ready()
    assert app.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 2})[0] == 200


def children_of(pid: int) -> dict[int, str]:
    """Return the processes that a process has started, with their names."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")
            name = (path / "comm").read_text().strip()
        except OSError:
            continue
        if int(fields[2].split()[1]) == pid:
            found[int(path.name)] = name
    return found


def test_several_models(make_app: MakeApp) -> None:
    """With several models, any can be asked by name, chosen, and new files are found."""
    app = make_app("smol", "second", models='[{"name": "second", "url": "o/r:f.gguf"}]')
    app.wait_ready()
    health = app.ask("GET", "/api/health")[1]
    assert health["model"] == "smol"
    until(lambda: models_of(app)["smol"]["memory"] == "loaded")
    status, answer = app.ask(
        "POST", "/api/chat", {"message": "Hi", "max_tokens": 2, "model": "second"}
    )
    assert (status, answer["model"]) == (200, "second")
    until(lambda: models_of(app)["second"]["memory"] == "loaded")
    assert models_of(app)["smol"]["memory"] == "unloaded"
    assert app.ask("POST", "/api/models/smol/load")[0] == 202
    assert app.ask("GET", "/api/health")[1]["model"] == "smol"
    answer = app.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 2})[1]
    assert answer["model"] == "smol"


def openai(app: RunningApp, **fields: str) -> tuple[int, Any]:
    """Ask port 8080; return the status and the answer."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, **fields}
    connection = http.client.HTTPConnection(LOOPBACK, app.server_port, timeout=60)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), app.headers)
    with connection.getresponse() as response:
        return response.status, json.load(response)


def test_further_files_change_nothing(make_app: MakeApp, tmp_path: Path, model: Path) -> None:
    """Port 8080 answers as before, whoever is asked; another one is used only if somebody says so.

    One that cannot be loaded gives way to the one before.
    """
    app = make_app("smol")
    app.wait_ready()
    folder = tmp_path / "config" / "models"
    (folder / "second one.gguf").symlink_to(model)
    write(folder / "bad.gguf", "frobnicator")
    os.utime(folder / "bad.gguf", (0, 0))
    until(lambda: {"bad", "second one"} <= set(models_of(app)), 90)
    for fields in ({}, {"model": "gpt-3.5-turbo"}):
        assert openai(app, **fields)[0] == 200
    assert app.log().count("Starting llama-server") == 1
    body = {"message": "Hi", "max_tokens": 2, "model": "second one"}
    status, answer = app.ask("POST", "/api/chat", body)
    assert status == 404
    assert "The model second one is not in use: choose it on the page" in answer["error"]["message"]
    assert app.ask("POST", "/api/models/second%20one/load")[0] == 202
    until(lambda: app.ask("GET", "/api/health")[1]["model"] == "second one")
    app.wait_ready()
    assert openai(app)[0] == 200
    assert app.ask("POST", "/api/chat", body)[1]["model"] == "second one"
    until(lambda: models_of(app)["bad"]["state"] == "ready")
    assert app.ask("POST", "/api/models/bad/load")[0] == 202
    app.wait_for("The model bad is not in use any more.")
    until(lambda: app.ask("GET", "/api/health")[1]["status"] == "ok")
    health = app.ask("GET", "/api/health")[1]
    assert (health["model"], health["message"]) == ("smol", None)
    assert "does not know the architecture" in models_of(app)["bad"]["error"]
    assert openai(app)[0] == 200


async def test_download_add_delete(make_app: MakeApp, file_server: FileServer, model: Path) -> None:
    """From an empty folder to an answer; a bad model keeps nobody else from serving."""
    files = file_server
    files.content = await asyncio.to_thread(model.read_bytes)
    files.script = [files.cut(30_000_000, pause=3)]

    def check() -> None:
        with sockets():
            app = make_app(
                model_url=f"{files.url}/smol.gguf",
                models=json.dumps([{"name": "bad", "url": f"{files.url}/bad.gguf"}]),
            )
            app.wait_ready("downloading")
            status, answer = app.ask("POST", "/api/chat", {"message": "Hi"})
            assert (status, answer["error"]["code"]) == (503, "not_ready")
            assert "is being downloaded" in answer["error"]["message"]
            until(lambda: bool(app.ask("GET", "/api/health")[1]["downloads"]))
            (download,) = app.ask("GET", "/api/health")[1]["downloads"]
            assert download["model"] == "smol"
            files.script.append(files.send)
            files.script.extend(saying(404) for _ in range(3))
            app.wait_ready()
            until(lambda: models_of(app)["bad"]["state"] == "failed")
            assert "There is nothing at" in models_of(app)["bad"]["error"]
            assert app.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 2})[0] == 200
            files.script.clear()
            body = {"name": "added", "url": f"{files.url}/added.gguf"}
            assert app.ask("POST", "/api/models", body)[0] == 202
            until(lambda: models_of(app)["added"]["state"] == "ready")
            until(lambda: app.ask("GET", "/api/health")[1]["status"] == "ok")
            assert app.ask("DELETE", "/api/models/bad")[0] == 409
            assert app.ask("DELETE", "/api/models/added")[0] == 200
            folder = app.folder / "config" / "models"
            assert [path.name for path in folder.iterdir()] == ["smol.gguf"]
            app.stop()

    await asyncio.to_thread(check)


async def test_a_proxy_of_the_environment(make_app: MakeApp, file_server: FileServer) -> None:
    """Models come through it; what is on this machine does not."""
    url = "http://models.invalid/smol.gguf"
    file_server.script = [saying(404)]

    def check() -> None:
        with sockets():
            app = make_app(environment={"HTTP_PROXY": file_server.url}, model_url=url)
            app.wait_for("There is nothing at http://models.invalid/smol.gguf")
            app.stop()

    await asyncio.to_thread(check)
    ((_, headers),) = file_server.requests
    assert headers["Host"] == "models.invalid"


async def test_a_model_in_parts_with_a_projector(
    make_app: MakeApp, file_server: FileServer, model: Path, tmp_path: Path
) -> None:
    """All of its files are downloaded, under the model's name, and llama-server is told of them."""
    files, source = file_server, tmp_path / "source"
    source.mkdir()
    write_cut_model(source / "small.gguf", model, 1, max_tensors=6)
    parts = sorted(source.iterdir())
    assert len(parts) > 1
    for one in parts:
        files.others[f"/{one.name}"] = await asyncio.to_thread(one.read_bytes)

    def check() -> None:
        with sockets():
            app = make_app(
                model_url=f"{files.url}/{parts[0].name}",
                model_name="mine",
                projector_url=f"{files.url}/mmproj.gguf",
            )
            # What is served as a projector is none, which only llama-server finds out.
            app.wait_for("mmproj-mine.gguf")
            app.wait_ready()
            assert "sees no pictures" in app.ask("GET", "/api/health")[1]["message"]
            names = {one.name for one in (app.folder / "config" / "models").iterdir()}
            numbers = [one.name.removeprefix("small") for one in parts]
            assert names == {"mmproj-mine.gguf", *(f"mine{number}" for number in numbers)}
            app.stop()
            again = make_app(model_url=f"{files.url}/{parts[0].name}", model_name="mine")
            again.wait_ready()
            assert again.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 2})[0] == 200
            (mine,) = models_of(again).values()
            assert mine["bytes"] == sum(one.stat().st_size for one in parts)
            again.stop()

    await asyncio.to_thread(check)
