"""What keeps the app going for months: faults of single parts end nothing else."""

import asyncio
import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

import llamacpp_app
from dev.processes import LOOPBACK
from llamacpp_app.catalog import Catalog, ModelState
from llamacpp_app.choice import Choice
from llamacpp_app.conversations import ConversationStore
from llamacpp_app.discovery import Discovery
from llamacpp_app.download import Downloader
from llamacpp_app.keyless import Keyless
from llamacpp_app.runner import Runner
from llamacpp_app.schemas import settings_of
from llamacpp_app.service import Service
from llamacpp_app.startup import Setup
from llamacpp_app.turns import Turns
from llamacpp_app.upstream import Upstream

if TYPE_CHECKING:
    import aiohttp

WAIT_SECONDS = 10.0


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """Return what an app with an empty folder is started with."""
    (tmp_path / "data").mkdir()
    return Setup.of(
        {
            "DATA_DIR": str(tmp_path / "data"),
            "CONFIG_DIR": str(tmp_path / "config"),
            "MODEL_URL": "http://127.0.0.1:1/m.gguf",
        }
    )


async def test_a_database_that_cannot_be_pruned(
    setup: Setup, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk, say: that is told, and everything else goes on."""
    # Never opened, so nothing can be read or written.
    store = ConversationStore(setup.paths.conversations)
    upstream = Upstream(session, "http://127.0.0.1:1", "")
    turns = Turns(upstream, store, 1)
    catalog = Catalog(setup, Downloader(session))
    runner = Runner(setup, catalog, upstream, lambda: turns.n_present)
    service = Service(
        runner=runner,
        catalog=catalog,
        choice=Choice(setup, runner, catalog, upstream),
        store=store,
        turns=turns,
        discovery=Discovery(session, setup),
        keyless=Keyless(session, setup),
        log_lines=[],
    )
    running = asyncio.create_task(service.run())
    async with asyncio.timeout(WAIT_SECONDS):
        while "cannot be read or written" not in caplog.text:  # noqa: ASYNC110 - a log
            await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def failed(catalog: Catalog) -> str | None:
    """Let a catalog run until its first model has failed; return why."""
    (entry,) = catalog.entries.values()
    running = asyncio.create_task(catalog.run())
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while entry.state is not ModelState.FAILED:  # noqa: ASYNC110 - a state
                await asyncio.sleep(0.01)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return entry.error


async def test_a_folder_that_cannot_be_made(setup: Setup, session: aiohttp.ClientSession) -> None:
    """The model has failed, with the reason, and the catalog goes on."""
    setup.paths.config.write_text("a file where a folder should be")
    assert "for a file is where a folder should be: rename it." in str(
        await failed(Catalog(setup, Downloader(session)))
    )


async def test_a_mistake_of_ours(
    setup: Setup, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Even what nobody thought of fails one model alone."""

    def free_bytes(_: Path) -> int:
        raise ZeroDivisionError("some inside")

    async def model(_: web.Request) -> web.Response:
        return web.Response(body=b"GGUF")

    app = web.Application()
    app.router.add_get("/m.gguf", model)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    catalog = Catalog(setup, Downloader(session, free_bytes=free_bytes))
    url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/m.gguf"
    (entry,) = catalog.entries.values()
    assert entry.option is not None
    catalog.entries = {}
    catalog.add(type(entry.option)("m", url))
    assert "some inside" in str(await failed(catalog))
    assert "ZeroDivisionError" in caplog.text
    await runner.cleanup()


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
async def test_names_that_no_machine_can_have(
    socket_enabled: None,  # noqa: ARG001 - asyncio's subprocesses
    host: str,
) -> None:
    """A worker with such a name is one that does not answer; no name server is asked for it."""
    # In a process of its own, for the tests' own lets nobody look up names.
    asked = f"asyncio.run(rpc.alive(['{host}:1']))"
    code = f"import asyncio; from llamacpp_app import rpc; print({asked})"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        env={"PYTHONPATH": str(Path(llamacpp_app.__file__).parents[1])},
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert told == b"()\n"


async def test_numbers_that_are_none(session: aiohttp.ClientSession) -> None:
    """What llama-server counts in no number is left out."""

    async def metrics(_: web.Request) -> web.Response:
        lines = ["a_total 3", "b_total nan", "c_total -", "d_total inf"]
        return web.Response(text="\n".join(f"llamacpp:{one}" for one in lines))

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    upstream = Upstream(session, f"http://{LOOPBACK}:{runner.addresses[0][1]}", "")
    found: dict[str, Any] = await upstream.metrics()
    assert found == {"a_total": 3.0}
    await runner.cleanup()


def test_every_answer_has_an_end() -> None:
    """Who does not say how long it may be gets what the description of the API says."""
    described = json.loads(files("llamacpp_app").joinpath("openapi.json").read_text())
    for name in ("Chat", "Message"):
        most = described["components"]["schemas"][name]["properties"]["max_tokens"]["default"]
        assert settings_of({"message": "Hi"}) == {"max_tokens": most}
    assert settings_of({"message": "Hi", "max_tokens": 5}) == {"max_tokens": 5}
