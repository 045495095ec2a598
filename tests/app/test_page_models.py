"""The models on the page, in a real browser: downloads, switching, adding, deleting."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from playwright.async_api import expect

from llamacpp_app.model_names import model_name
from tests.app.browser import barriers, chromium, visit
from tests.app.file_server import saying
from tests.app.gguf_files import write
from tests.app.running_app import RunningApp, lay_models
from tests.app.test_app import children_of
from tests.conftest import sockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from playwright.async_api import Browser

    from tests.app.file_server import FileServer

    type MakeApp = Callable[..., RunningApp]

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Return a browser."""
    async with chromium() as browser:
        yield browser


@pytest.fixture
def make_app(tmp_path: Path, model: Path) -> Generator[MakeApp]:
    """Return what starts an app with the small model under these names."""
    apps: list[RunningApp] = []

    def make(*names: str, **options: str) -> RunningApp:
        lay_models(tmp_path, model, names)
        options = {"model_url": "http://127.0.0.1:1/smol.gguf", "context_size": "512", **options}
        app = RunningApp(tmp_path, {}, **options)
        apps.append(app)
        app.start()
        # The key is there as soon as the API is.
        app.wait_for("Downloading" if not names else "llama-server is ready")
        return app

    with sockets():
        yield make
        for app in apps:
            app.stop()


class SlowFile:
    """Sends a file in pieces, each when it is told to."""

    def __init__(self, server: FileServer, n_pieces: int) -> None:
        """Describe it."""
        self._server = server
        self._n_pieces = n_pieces
        self.go_on = asyncio.Semaphore(0)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for the whole file."""
        content = self._server.content
        size = -(-len(content) // self._n_pieces)
        response = web.StreamResponse(
            headers={"Content-Length": str(len(content)), "ETag": '"one"'}
        )
        await response.prepare(request)
        for number in range(self._n_pieces):
            await response.write(content[number * size : (number + 1) * size])
            await self.go_on.acquire()
        return response


async def test_download(
    browser: Browser, make_app: MakeApp, file_server: FileServer, model: Path
) -> None:
    """The bar moves with the bytes, and goes when all are there; then the model answers."""
    file_server.content = await asyncio.to_thread(model.read_bytes)
    slow = SlowFile(file_server, 4)
    file_server.script = [slow]
    app = make_app(model_url=f"{file_server.url}/smol.gguf")
    async with visit(browser, app.url, key=app.key) as page:
        await expect(page.page.locator("#status")).to_have_text("A model is being downloaded")
        await expect(page.page.locator("#models li")).to_contain_text("being downloaded")
        bar, share = (page.page.locator(f"#downloads {one}") for one in ("progress", ".share"))
        # What comes is written in blocks, so a little is still under way.
        for shown in ("2[0-5]%", "(4[5-9]|50)%", "7[0-5]%"):
            await expect(share).to_have_text(re.compile(f"^{shown}$"))
            assert await barriers(page.page.locator("html")) == []
            assert await bar.evaluate("bar => `${Math.round(100 * bar.position)}%`") == (
                await share.inner_text()
            )
            slow.go_on.release()
        slow.go_on.release()
        await expect(page.page.locator("#downloads")).to_be_hidden()
        await expect(page.page.locator("#status")).to_have_text("Ready")
        await page.said("Hi.")
        assert await page.answered()


async def test_a_download_that_does_not_go_on(browser: Browser, make_app: MakeApp) -> None:
    """While nobody answers at the address, page and API tell so, and it is tried again."""
    app = make_app()
    async with visit(browser, app.url, key=app.key) as page:
        fault = page.page.locator("#downloads .wrong")
        await expect(fault).to_contain_text("cannot be reached (Connection refused)")
        await expect(page.page.locator("#status")).to_have_text("There is a problem")
        assert await barriers(page.page.locator("html")) == []
        health = (await asyncio.to_thread(app.ask, "GET", "/api/health"))[1]
        assert health["message"].startswith(
            "The model smol cannot be downloaded just now: 127.0.0.1 cannot be reached"
        )


async def test_switch(browser: Browser, make_app: MakeApp) -> None:
    """Another model is used by a click, and answers from then on."""
    app = make_app("smol", "second", models='[{"name": "second", "url": "o/r:f.gguf"}]')
    async with visit(browser, app.url, key=app.key) as page:
        await expect(page.page.locator("#status")).to_have_text("Ready")
        await expect(page.page.locator("#facts")).to_contain_text("smol")
        rows = {
            name: page.page.locator("#models li", has=page.page.get_by_text(name, exact=True))
            for name in ("smol", "second")
        }
        await expect(rows["smol"]).to_contain_text("in use")
        await expect(rows["smol"].get_by_role("button", name="Use")).to_have_count(0)
        await rows["second"].get_by_role("button", name="Use").click()
        await expect(rows["second"]).to_contain_text("in use")
        await expect(rows["second"]).to_contain_text("in memory")
        await expect(rows["smol"]).to_contain_text("on disk")
        await expect(page.page.locator("#facts")).to_contain_text("second")
        await page.said("Hi.")
        assert await page.answered()
        status, answer = await asyncio.to_thread(
            app.ask, "POST", "/api/chat", {"message": "Hi", "max_tokens": 1}
        )
        assert (status, answer["model"]) == (200, "second")
        # What holds the model is a child of the server, and is counted with it.
        (alone,) = [pid for pid, name in children_of(app.process.pid).items() if "llama" in name]
        resident = resident_of(alone)
        assert app.ask("GET", "/api/health")[1]["memory_bytes"] > resident + 50e6


def resident_of(process: int) -> int:
    """Return the resident memory of one process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = [one for one in lines if one.startswith("VmRSS:")]
    return 1024 * int(line.split()[1])


async def test_add_and_delete(
    browser: Browser, make_app: MakeApp, file_server: FileServer, model: Path
) -> None:
    """A model is added by its address; it is deleted only when that is confirmed."""
    file_server.content = await asyncio.to_thread(model.read_bytes)
    app = make_app("smol")
    async with visit(browser, app.url, key=app.key) as page:
        await page.page.click("#add-model summary")
        await page.page.get_by_label("Address").fill(f"{file_server.url}/folder/added.gguf")
        await page.page.get_by_label("Name").focus()
        # The name of the file is proposed.
        assert await page.page.get_by_label("Name").input_value() == "added"
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator("#added")).to_contain_text("added is on the list")
        await expect(page.page.locator("#model-form")).to_be_hidden()
        row = page.page.locator("#models li", has=page.page.get_by_text("added", exact=True))
        await expect(row).to_contain_text("on disk")
        path = app.folder / "config" / "models" / "added.gguf"
        assert path.stat().st_size == len(file_server.content)
        dialog = page.page.get_by_role("dialog", name="Delete the model added and its file?")
        await row.get_by_role("button", name="Delete").click()
        assert await barriers(page.page.locator("html")) == []
        # Who presses Enter at once deletes nothing.
        await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        await page.page.keyboard.press("Enter")
        await expect(dialog).to_be_hidden()
        await row.get_by_role("button", name="Delete").click()
        await page.page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        assert path.exists()
        await row.get_by_role("button", name="Delete").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(row).to_have_count(0)
        await expect(page.page.locator("#models-title")).to_be_focused()
        assert not path.exists()
        await expect(page.page.locator("#status")).to_have_text("Ready")


async def test_refused(browser: Browser, make_app: MakeApp, file_server: FileServer) -> None:
    """A wrong address, a name that is taken, a missing file: each is told where it happened."""
    file_server.script = [saying(404)]
    app = make_app("smol")
    refusals = ((400, "/api/models"), (409, "/api/models"))
    async with visit(browser, app.url, key=app.key, refusals=refusals) as page:
        await page.page.click("#add-model summary")
        problem = page.page.locator("#form-problem")

        async def add(name: str, address: str) -> None:
            await page.page.fill("#model-url", address)
            await page.page.fill("#model-name", name)
            await page.page.press("#model-name", "Enter")

        await add("other", "ftp://nowhere/other.gguf")
        await expect(problem).to_contain_text("is no address with https or http.")
        await add("smol", f"{file_server.url}/smol.gguf")
        await expect(problem).to_contain_text("There is a model smol already.")
        # It stays there while the page asks for news, and what was typed stays, too.
        await asyncio.sleep(5)
        await expect(problem).to_contain_text("There is a model smol already.")
        assert await page.page.input_value("#model-name") == "smol"
        await add("missing", f"{file_server.url}/missing.gguf")
        await expect(problem).to_be_hidden()
        row = page.page.locator("#models li", has=page.page.get_by_text("missing", exact=True))
        await expect(row).to_contain_text("cannot be used")
        await expect(row.locator(".wrong")).to_contain_text("There is nothing at")
        await expect(page.page.locator("#status")).to_have_text("Ready")


async def test_suggestions(browser: Browser, make_app: MakeApp) -> None:
    """A suggestion fills in the form."""
    app = make_app("smol")
    async with visit(browser, app.url, key=app.key) as page:
        await page.page.click("#add-model summary")
        await page.page.get_by_label("Suggestions").select_option(index=1)
        address = await page.page.get_by_label("Address").input_value()
        name = await page.page.get_by_label("Name").input_value()
        assert address.endswith(f"{name}.gguf")
        assert name


async def test_speeds(browser: Browser, make_app: MakeApp) -> None:
    """Once the speed is measured, the page has it, and an estimate for what could be added."""
    app = make_app("smol")
    async with visit(browser, app.url, key=app.key) as page:
        await expect(page.page.locator("#status")).to_have_text("Ready")
        status, answer = await asyncio.to_thread(app.ask, "POST", "/api/speed")
        assert (status, answer["model"]) == (200, "smol")
        row = page.page.locator("#models li")
        await expect(row).to_contain_text("tokens/s")
        assert "≈" not in await row.inner_text()
        option = page.page.locator("#suggestion option", has_text="≈")
        await expect(option.first).to_contain_text("tokens/s")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://example.com/d/Model%20v2-Q4_K_M.GGUF?download=true", "Model-v2-Q4_K_M"),
        ("o/r:x-00001-of-00003.gguf", "x"),
        ("ggml-org/gemma-3-1b-it-GGUF:Q8_0", "gemma-3-1b-it-Q8_0"),
        (
            "https://huggingface.co/bartowski/Llama-3.2-3B-Instruct-GGUF",
            "Llama-3.2-3B-Instruct-Q4_K_M",
        ),
    ],
)
async def test_a_name_is_proposed(
    browser: Browser, make_app: MakeApp, address: str, name: str
) -> None:
    """It is the one that the app itself would give."""
    assert model_name(address) == name
    app = make_app("smol")
    async with visit(browser, app.url, key=app.key) as page:
        await page.page.click("#add-model summary")
        await page.page.get_by_label("Address").fill(address)
        await page.page.get_by_label("Name").focus()
        await expect(page.page.get_by_label("Name")).to_have_value(name)


async def test_what_is_ignored(browser: Browser, make_app: MakeApp, tmp_path: Path) -> None:
    """The page lists it, with the reason."""
    app = make_app("smol")
    folder = tmp_path / "config" / "models"
    async with visit(browser, app.url, key=app.key) as page:
        ignored = page.page.locator("#ignored")
        await expect(page.page.locator("#status")).to_have_text("Ready")
        await expect(ignored).to_be_hidden()
        write(folder / "embedder.gguf", "bert")
        await expect(ignored).to_be_visible(timeout=90_000)
        await page.page.click("#ignored summary")
        await expect(ignored).to_contain_text("embedder.gguf It is a model for embeddings")
