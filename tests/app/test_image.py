"""The app's image, as the Supervisor runs it, if it can be built."""

import http.client
import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from dev.made_models import write_cut_model
from dev.processes import LOOPBACK, free_port, port_is_taken
from llamacpp_app.build import build_of

from .container_app import ContainerApp, image
from .llama_env import of_llama_env

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    type MakeContainer = Callable[..., ContainerApp]

pytestmark = [
    pytest.mark.usefixtures("socket_enabled"),
    pytest.mark.skipif(image() is None, reason="no image can be built here"),
]

# The second is needed for Vulkan on the processor, which counts as no card.
SOFTWARE_VULKAN = {
    "VK_DRIVER_FILES": "/usr/share/vulkan/icd.d/lvp_icd.json",
    "GGML_VK_VISIBLE_DEVICES": "0",
}
HELLO = {"message": "Say hello.", "max_tokens": 4}


@pytest.fixture
def containers(tmp_path: Path, model: Path) -> Generator[MakeContainer]:
    """Return a function that makes containers, each with the model in its own folder."""
    found: list[ContainerApp] = []

    def make(
        folder: str = "app", environment: dict[str, str] | None = None, **options: object
    ) -> ContainerApp:
        path = tmp_path / folder
        options = {"model_url": "http://127.0.0.1:1/smol.gguf", "model_name": "smol", **options}
        app = ContainerApp(path, environment, **options)
        file = path / "config" / "models" / "smol.gguf"
        if not file.exists():
            shutil.copy(model, file)
        found.append(app)
        app.start()
        return app

    yield make
    for app in found:
        app.stop()


def test_serves_as_nobody_special(containers: MakeContainer) -> None:
    """It answers and is healthy; nothing runs as root, and no build tool is left."""
    app = containers()
    app.wait_ready()
    assert app.ask("POST", "/api/chat", HELLO)[0] == 200
    assert app.run("python3", "-m", "llamacpp_app.healthcheck").returncode == 0
    users = app.run(
        "sh", "-c", "for p in 1 $(pidof llama-server); do grep ^Uid: /proc/$p/status; done"
    ).stdout
    assert users.count("Uid:") == 2
    assert "\t0\t" not in users
    assert app.run("sh", "-c", "command -v g++ cmake pip").stdout == ""
    assert app.run("find", "/", "-xdev", "-type", "f", "-perm", "/6000").stdout == ""
    version = app.run("/opt/llama/llama-server", "--version")
    assert (build_of(version.stderr) or 0) >= int(of_llama_env("LLAMA_BUILD"))
    assert app.key not in app.log()


def test_a_power_cut(containers: MakeContainer) -> None:
    """Acknowledged turns are there afterwards."""
    app = containers()
    app.wait_ready()
    found = app.ask("POST", "/api/conversation/start", {})[1]["conversation_id"]
    assert app.ask("POST", f"/api/conversation/{found}/message", HELLO)[0] == 200
    # The Supervisor runs the backup as root, which must not change the owner of files.
    assert app.run("python3", "-m", "llamacpp_app.backup").stderr == ""
    assert app.ask("POST", f"/api/conversation/{found}/message", HELLO)[0] == 200
    app.kill()
    again = containers()
    again.wait_ready()
    assert len(again.ask("GET", f"/api/conversation/{found}/history")[1]["messages"]) == 4


def test_stopped_while_it_answers(containers: MakeContainer) -> None:
    """It stops within the Supervisor's ten seconds."""
    app = containers(context_size=8192)
    app.wait_ready()
    connection = http.client.HTTPConnection(LOOPBACK, app.server_port, timeout=30)
    body = {"messages": [{"role": "user", "content": "Count."}], "stream": True, "ignore_eos": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), app.headers)
    connection.getresponse().read(30)
    started = time.monotonic()
    app.stop()
    assert time.monotonic() - started < 10
    assert "Stopped" in app.log()
    connection.close()


def test_a_graphics_card(containers: MakeContainer, tmp_path: Path, model: Path) -> None:
    """All layers are on the card: here Vulkan on the processor, which is slow, with two layers."""
    file = tmp_path / "app" / "config" / "models" / "smol.gguf"
    file.parent.mkdir(parents=True)
    write_cut_model(file, model, 2)
    app = containers(environment=SOFTWARE_VULKAN)
    app.wait_ready()
    assert app.ask("POST", "/api/chat", HELLO)[0] == 200
    health = app.ask("GET", "/api/health")[1]
    (card,) = health["cards"]
    assert (card["name"], health["cards_message"], health["crashes"]) == ("Vulkan0", None, 0)
    assert "llvmpipe" in card["description"]
    assert f"The graphics card {card['description']} (Vulkan0) computes." in app.log()
    # The shaders are compiled, and kept for the next start.
    assert any((tmp_path / "app" / "data" / "shaders").iterdir())
    # llama-server says so only at a higher log level than the app's.
    server = "llama-server --model /config/models/smol.gguf --n-gpu-layers auto --log-verbosity 4"
    command = f"timeout 20 /opt/llama/{server} --port {free_port()} 2>&1 | grep -m 1 offloaded"
    assert "offloaded 3/3 layers to GPU" in app.run("sh", "-c", command).stdout
    app.stop()
    without = containers(gpu_layers="35", environment={"VK_DRIVER_FILES": "/nothing"})
    without.wait_ready()
    assert without.ask("POST", "/api/chat", HELLO)[0] == 200
    health = without.ask("GET", "/api/health")[1]
    assert health["cards"] == []
    assert "gpu_layers is 35, but llama-server finds no graphics card" in health["cards_message"]
    slots = without.run("sh", "-c", "tr '\\0' ' ' < /proc/$(pidof llama-server)/cmdline").stdout
    assert "--parallel 4 " in slots


def memory_of(app: ContainerApp, program: str) -> int:
    """Return the resident memory of a program in a container, in kB."""
    command = f"grep VmRSS /proc/$(pidof {program})/status"
    return int(app.run("sh", "-c", command).stdout.split()[1])


def test_two_workers(containers: MakeContainer) -> None:
    """Two workers compute; one that dies is left out, and used again when it returns."""
    ports = [free_port(), free_port()]
    addresses = [f"{LOOPBACK}:{port}" for port in ports]

    def worker(number: int) -> ContainerApp:
        made = containers(
            f"worker-{number}", mode="worker", worker_address=addresses[number], threads=1
        )
        made.process.wait_until(lambda: port_is_taken(ports[number]), 30)
        return made

    workers = [worker(0), worker(1)]
    empty = [memory_of(one, "ggml-rpc-server") for one in workers]
    app = containers(
        gpu_layers=99, log_level="debug", extra_arguments=["--fit", "off"], rpc_servers=addresses
    )
    app.wait_ready()
    assert app.ask("GET", "/api/health")[1]["workers"] == addresses
    assert app.ask("POST", "/api/chat", HELLO)[0] == 200
    # Each of them has a part of the weights, which are 90 MB in total.
    for one, before in zip(workers, empty, strict=True):
        assert memory_of(one, "ggml-rpc-server") - before > 20_000
    workers[1].kill()
    # llama-server notices at the next answer; without one, the app does within half a minute.
    app.ask("POST", "/api/chat", HELLO)
    app.wait_for(f"The worker {addresses[1]} does not answer: it is left out until it does")
    app.wait_ready()
    assert app.ask("GET", "/api/health")[1]["workers"] == addresses[:1]
    assert app.ask("POST", "/api/chat", HELLO)[0] == 200
    worker(1)
    app.process.wait_until(lambda: app.ask("GET", "/api/health")[1]["workers"] == addresses, 60)
    app.wait_ready()
    assert app.ask("POST", "/api/chat", HELLO)[0] == 200
    assert app.ask("GET", "/api/health")[1]["crashes"] <= 1
