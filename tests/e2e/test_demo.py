"""The demo as a new user meets it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from dev.processes import LOOPBACK, free_port, port_is_taken

from .conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    type Start = Callable[..., subprocess.Popen[str]]

READY_SECONDS = 120.0
END_SECONDS = 45.0


@pytest.fixture
def demo(tmp_path: Path) -> Start:
    """Return a function that starts the demo with an empty cache."""
    environment = os.environ | {"LLAMACPP_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dev.demo", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def output_until(process: subprocess.Popen[str], words: str) -> str:
    """Return the output of the process up to the line with these words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            break
    return "".join(lines)


@pytest.mark.timeout(300)
def test_talk_and_stop(demo: Start) -> None:
    """One demo runs, another terminal asks it, and Ctrl-C stops everything."""
    port, server_port = free_port(), free_port()
    ports = ("--port", str(port), "--server-port", str(server_port))
    running = demo(*ports)
    try:
        banner = output_until(running, "Press Ctrl-C")
        assert f"http://{LOOPBACK}:{port}" in banner
        assert "Turn on the kitchen light." in banner

        asking = demo("--ask", "What is the capital of France?")
        answer, told = asking.communicate(timeout=READY_SECONDS)
        assert asking.returncode == 0, told
        assert answer.strip()
        tokens = re.search(r"prompt (\d+) tokens .*answer (\d+) tokens.*first token", told)
        assert tokens is not None, told
        # The home's prompt once: a prefill at the same time is not the question's.
        assert 300 < int(tokens[1]) < 500
        assert int(tokens[2]) > 0

        second = demo(*ports)
        _, told = second.communicate(timeout=READY_SECONDS)
        assert second.returncode == 1
        assert "running already" in told
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=END_SECONDS)
    assert running.returncode == 0
    assert not port_is_taken(port)
    assert not port_is_taken(server_port)


@pytest.mark.timeout(300)
def test_killed_demo_leaves_nothing(demo: Start) -> None:
    """A killed demo leaves no process."""
    port, server_port = free_port(), free_port()
    running = demo("--port", str(port), "--server-port", str(server_port))
    output_until(running, "Press Ctrl-C")
    running.kill()
    running.communicate(timeout=END_SECONDS)
    deadline = time.monotonic() + END_SECONDS
    while port_is_taken(port) or port_is_taken(server_port):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("option", ["--port", "--server-port"])
def test_a_port_that_is_taken(demo: Start, option: str) -> None:
    """One sentence names the port and the way out."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        ports = {"--port": str(free_port()), "--server-port": str(free_port()), option: str(port)}
        refused = demo(*(word for pair in ports.items() for word in pair))
        _, told = refused.communicate(timeout=END_SECONDS)
    assert refused.returncode == 1
    assert f"port {port} is taken" in told
    assert option in told


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--model", "missing.gguf", "there is no file missing.gguf"),
        ("--model", str(ROOT / "pyproject.toml"), "pyproject.toml is not a GGUF file"),
        ("--home", "missing.yaml", "there is no file missing.yaml"),
    ],
)
def test_files_that_do_not_do(demo: Start, option: str, value: str, sentence: str) -> None:
    """One sentence says that a file is missing, or no model."""
    ports = ("--port", str(free_port()), "--server-port", str(free_port()))
    refused = demo(*ports, option, value)
    _, told = refused.communicate(timeout=END_SECONDS)
    assert refused.returncode == 1
    assert told == f"error: {sentence}\n"
