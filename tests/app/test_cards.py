"""Graphics cards: found, used, told of, and done without when they fail."""

import logging
from typing import TYPE_CHECKING

import pytest

from dev.llama import path_from_environment
from llamacpp_app.cards import Card, Cards, cards_in
from llamacpp_app.reasons import Kind, Reason

from .running_app import lay_models, serving_app

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
NONE = "Available devices:\n  (none)\n"
ONE = "Available devices:\n  Vulkan0: Intel(R) Graphics (ADL-N) (15811 MiB, 14002 MiB free)\n"
NAME = "The graphics card Intel(R) Graphics (ADL-N) (Vulkan0)"
ENDED = Reason(Kind.UNKNOWN, "It ended.")
DEVICE_LOST = ["0.01.000.000 E vk::Queue::submit: ErrorDeviceLost"]


def server_with(folder: Path, devices: str, otherwise: str = "exit 1") -> Path:
    """Write a llama-server that has these devices, and does something else otherwise."""
    program = folder / "llama-server"
    (folder / "devices.txt").write_text(devices)
    program.write_text(
        f'#!/bin/sh\n[ "$1" != --list-devices ] || exec cat {folder}/devices.txt\n{otherwise}\n'
    )
    program.chmod(0o755)
    return program


def test_what_llama_server_lists() -> None:
    """Names may hold brackets and colons; what has no memory is no card."""
    assert cards_in(NONE) == ()
    assert cards_in(ONE) == (Card("Vulkan0", "Intel(R) Graphics (ADL-N)", 15811 * MIB),)
    more = f"{ONE}  BLAS: OpenBLAS (0 MiB, 0 MiB free)\n  CUDA0: NVIDIA: X (8 MiB, 7 MiB free)\n"
    assert [one.name for one in cards_in(more)] == ["Vulkan0", "CUDA0"]
    assert cards_in("error: unknown argument") == ()


@pytest.mark.parametrize(
    ("devices", "layers", "message", "told"),
    [
        (ONE, None, None, f"{NAME} computes."),
        (ONE, 20, None, f"{NAME} computes."),
        (ONE, 0, f"{NAME} does not compute, for gpu_layers is 0.", None),
        (NONE, None, None, "There is no graphics card: the processor computes."),
        (NONE, 0, None, "There is no graphics card: the processor computes."),
        (
            NONE,
            35,
            "gpu_layers is 35, but llama-server finds no graphics card: the processor",
            None,
        ),
    ],
)
async def test_what_is_told(  # noqa: PLR0913, PLR0917 - what there is, and what is told of it
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    devices: str,
    layers: int | None,
    message: str | None,
    told: str | None,
) -> None:
    """A card is used unless the option says no; a card that is wanted and missing is a warning."""
    caplog.set_level(logging.INFO)
    cards = Cards(server_with(tmp_path, devices), layers)
    for _ in range(2):
        await cards.look(has_workers=False)
    assert bool(cards.used) == (devices == ONE and layers != 0)
    assert (cards.message or "").startswith(message or "")
    assert (cards.message is None) == (message is None)
    (record,) = [one for one in caplog.records if one.name == "llamacpp_app.cards"]
    assert record.getMessage() == (told or cards.message)
    assert (record.levelno == logging.WARNING) == (layers == 35)


async def test_layers_on_workers(tmp_path: Path) -> None:
    """With workers no card is missed."""
    cards = Cards(server_with(tmp_path, NONE), 99)
    await cards.look(has_workers=True)
    assert cards.message is None


async def test_one_that_fails(tmp_path: Path) -> None:
    """It is done without, until it turns out that it was not to blame."""
    cards = Cards(server_with(tmp_path, ONE), None)
    await cards.look(has_workers=False)
    # A server that was ready may end for any reason.
    assert cards.blame(ENDED, ["some words"], was_ready=True) is None
    await cards.look(has_workers=False)
    assert cards.used
    for lines, was_ready in ((["some words"], False), (DEVICE_LOST, True)):
        told = cards.blame(ENDED, lines, was_ready=was_ready)
        assert told == "The next start does without the graphics card Intel(R) Graphics (ADL-N)."
        await cards.look(has_workers=False)
        assert not cards.used
        assert cards.message == f"{NAME} does not compute: llama-server failed with it. It ended."
        # That the processor was ready, and ended later, tells nothing of the card.
        assert cards.blame(ENDED, [], was_ready=True) is None
        await cards.look(has_workers=False)
        assert not cards.used
        # The processor cannot either, so it is not the card.
        assert cards.blame(ENDED, [], was_ready=False) is None
        await cards.look(has_workers=False)
        assert cards.used
        assert cards.message is None


@pytest.mark.parametrize("kind", [Kind.MODEL, Kind.PROJECTOR, Kind.SETTING, Kind.PORT])
async def test_what_no_card_has_done(tmp_path: Path, kind: Kind) -> None:
    """For a wrong file or setting the card is not to blame."""
    cards = Cards(server_with(tmp_path, ONE), None)
    await cards.look(has_workers=False)
    assert cards.blame(Reason(kind, "It ended."), [], was_ready=False) is None
    await cards.look(has_workers=False)
    assert cards.used


@pytest.mark.usefixtures("socket_enabled")
def test_a_card_with_too_little_memory(tmp_path: Path, model: Path) -> None:
    """That is told with what helps, and the processor goes on."""
    real = path_from_environment("LLAMACPP_SERVER")
    # As a card of 256 MiB has it, and what follows from that.
    lines = (
        "0.00.100.000 E ggml_gallocr_reserve_n_impl: failed to allocate Vulkan0 buffer of size 9\n"
        "0.00.200.000 E llama_init_from_model: failed to initialize the context: failed to "
        "allocate buffer for kv cache\n"
        "0.00.300.000 E srv  llama_server: exiting due to model loading error"
    )
    (tmp_path / "said.txt").write_text(lines)
    server_with(
        tmp_path,
        ONE,
        f'case "$*" in\n  --version | *"--device none"*) exec {real} "$@" ;;\nesac\n'
        f"cat {tmp_path}/said.txt\nexit 1",
    )
    lay_models(tmp_path, model)
    url = "https://127.0.0.1:1/smol.gguf"
    with serving_app(tmp_path, {"LLAMA_DIR": str(tmp_path)}, model_url=url) as app:
        told = app.ask("GET", "/api/health")[1]["cards_message"]
        assert told == (
            f"{NAME} does not compute: llama-server failed with it. The memory of the graphics "
            "card is too small for this: set gpu_layers or context_size to less, or choose a "
            "smaller model."
        )
        assert told in app.log()


@pytest.mark.usefixtures("socket_enabled")
def test_the_processor_goes_on(tmp_path: Path, model: Path) -> None:
    """llama-server fails with the card, and answers without it; log and health tell of both."""
    real = path_from_environment("LLAMACPP_SERVER")
    lost = "0.01.000.000 E ggml_vulkan: device lost"
    server_with(
        tmp_path,
        ONE,
        f'case "$*" in\n  --version | *"--device none"*) exec {real} "$@" ;;\nesac\n'
        f"echo '{lost}'\nexit 1",
    )
    lay_models(tmp_path, model)
    environment = {"LLAMA_DIR": str(tmp_path)}
    url = "https://127.0.0.1:1/smol.gguf"
    with serving_app(tmp_path, environment, model_url=url) as app:
        assert app.ask("POST", "/api/chat", {"message": "Hello", "max_tokens": 4})[0] == 200
        health = app.ask("GET", "/api/health")[1]
        assert (health["cards"], health["crashes"]) == ([], 1)
        reason = "llama-server ended: ggml_vulkan: device lost"
        assert health["cards_message"] == (
            f"{NAME} does not compute: llama-server failed with it. {reason}"
        )
        log = app.log()
        assert f"{NAME} computes." in log
        assert f"{reason} The next start does without the graphics card" in log
        assert health["cards_message"] in log
