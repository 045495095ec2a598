"""Which llama-server is started, and which is not."""

from typing import TYPE_CHECKING

import pytest

from dev.llama import path_from_environment
from llamacpp_app.build import OLDEST, build_of, said, why_refused

from .running_app import lay_models, serving_app

if TYPE_CHECKING:
    from pathlib import Path


def fake_server(folder: Path, version: str) -> Path:
    """Write a program that only tells its version."""
    program = folder / "llama-server"
    program.write_text(f"#!/bin/sh\necho '{version}' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("version", "build"),
    [
        ("version: 0.7.0 (build 11669, commit Debian)\nbuilt with GNU 16.2.0 for Linux", 11669),
        ("warning: no card\nversion: 9000 (0123abc)\nbuilt with cc (Debian 14.2.0-1)", 9000),
        ("version: unknown", None),
        ("version: 1.2", None),
        ("", None),
    ],
)
def test_build(version: str, build: int | None) -> None:
    """It is read in the form of today and in that of former times."""
    assert build_of(version) == build


async def test_which_is_new_enough(tmp_path: Path) -> None:
    """The real one is; one that does not tell its build, or cannot be run, is not judged."""
    server = path_from_environment("LLAMACPP_SERVER")
    assert (build_of(await said(server, "--version")) or 0) >= OLDEST
    assert await why_refused(server) is None
    assert await why_refused(fake_server(tmp_path, f"version: {OLDEST} (0123abc)")) is None
    assert await why_refused(fake_server(tmp_path, "hello")) is None
    assert await why_refused(tmp_path / "nothing") is None
    reason = await why_refused(fake_server(tmp_path, f"version: {OLDEST - 1} (0123abc)"))
    assert reason is not None
    assert f"its build is {OLDEST - 1}, and the app needs {OLDEST} or newer" in reason


@pytest.mark.usefixtures("socket_enabled")
def test_one_that_is_too_old(tmp_path: Path, model: Path) -> None:
    """It is not started; log, health and whoever asks are told why."""
    programs = tmp_path / "programs"
    programs.mkdir()
    fake_server(programs, "version: 9000 (0123abc)")
    lay_models(tmp_path, model)
    environment = {"LLAMA_DIR": str(programs)}
    url = "https://127.0.0.1:1/smol.gguf"
    with serving_app(tmp_path, environment, status="error", model_url=url) as app:
        told = "llama-server is too old: its build is 9000"
        health = app.ask("GET", "/api/health")[1]
        assert told in health["message"]
        assert health["llama_server"] == "stopped"
        status, answer = app.ask("POST", "/api/chat", {"message": "Hello"})
        assert (status, answer["error"]["code"]) == (503, "not_ready")
        assert told in answer["error"]["message"]
        assert told in app.log()
