"""A real browser, and the proxy through which Home Assistant shows the page."""

import asyncio
import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from playwright.async_api import async_playwright, expect

from dev.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp
    from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, Response

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
KEY_IN_BROWSER = "sessionStorage.setItem('llamacpp-key', '{}')"
# A small machine with several tests at once takes its time.
WAIT_MILLISECONDS = 60_000
# The small model does not always find an end before the context does.
ANSWER_MILLISECONDS = 180_000
PREFIX = "/api/hassio_ingress/token/"
# Returns what axe-core finds within an element that is serious or worse: the rule, and where.
AXE = """async (element) => {
    const {violations} = await axe.run(element, {resultTypes: ["violations"]});
    return violations
        .filter((one) => ["serious", "critical"].includes(one.impact))
        .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.html}`));
}"""


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """Run a browser; the test is skipped where scripts/test has found none."""
    program = os.environ.get("LLAMACPP_BROWSER")
    if not program:
        pytest.skip("there is no Chromium: scripts/test looks for it, and sets LLAMACPP_BROWSER")
    expect.set_options(timeout=WAIT_MILLISECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


async def barriers(where: Locator) -> list[str]:
    """Return what keeps people from reading or using an element, by axe-core."""
    source = files("axe_playwright_python").joinpath("axe.min.js")
    await where.page.evaluate(await asyncio.to_thread(source.read_text))
    found: list[str] = await where.evaluate(AXE)
    return found


@dataclass
class Visit:
    """A page that somebody looks at, with what it asked for and what the console complained of."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to listen."""
        self.page.on("request", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("response", self._see)

    def _note(self, request: Request) -> None:
        asked = urlsplit(request.url)
        self.hosts.add(asked.netloc)
        self.paths.append(asked.path)

    def _hear(self, message: ConsoleMessage) -> None:
        # Refusals are told of in `refusals`.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _see(self, response: Response) -> None:
        if response.status >= 400:
            path = urlsplit(response.url).path.removeprefix(PREFIX.rstrip("/"))
            self.refusals.append((response.status, re.sub("conv_[0-9a-f_]+", "…", path)))

    async def text(self, selector: str) -> str:
        """Return the words of an element."""
        return await self.page.inner_text(selector)

    async def said(self, message: str) -> None:
        """Say something in the chat, by the keyboard."""
        await self.page.fill("#message", message)
        await self.page.press("#message", "Enter")

    async def answered(self) -> str:
        """Wait for the end of the answer; return its words."""
        await self.page.wait_for_selector("#send:visible", timeout=ANSWER_MILLISECONDS)
        return await self.page.inner_text("#messages .assistant:last-child")


@asynccontextmanager
async def visit(  # noqa: PLR0913 - what a browser tells of its user, by name
    browser: Browser,
    url: str,
    *,
    key: str | None = None,
    locale: str = "en-GB",
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
    refusals: tuple[tuple[int, str], ...] = (),
) -> AsyncGenerator[Visit]:
    """Look at a page until the block ends.

    key: given already. refusals: status and path of the answers that are to be refused. Whatever
    else goes wrong in the browser, or goes to another host, fails the test.
    """
    context = await browser.new_context(
        locale=locale, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    context.set_default_timeout(WAIT_MILLISECONDS)
    if key is not None:
        await context.add_init_script(KEY_IN_BROWSER.format(key))
    seen = Visit(await context.new_page())
    await seen.page.goto(url)
    yield seen
    await context.close()
    assert seen.complaints == []
    assert tuple(dict.fromkeys(seen.refusals)) == refusals
    assert seen.hosts == {urlsplit(url).netloc}


class Ingress:
    """Shows a page below a prefix, as the Supervisor does to whoever is logged in.

    target: the address of the app. key: what is sent along with each request. At the root, there is
    a page in the language and the colours that stand in for Home Assistant's.
    """

    def __init__(self, session: aiohttp.ClientSession, target: str, key: str) -> None:
        """Describe it; nothing is served yet."""
        self._session = session
        self._target = target
        self._headers = {"Authorization": f"Bearer {key}"}
        self.asked: list[str] = []
        self.home = ""
        self.is_shut = False

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        app = web.Application()
        app.router.add_get("/", self._home)
        app.router.add_route("*", PREFIX + "{path:.*}", self._pass_on)
        app.router.add_route("*", "/{path:.*}", self._astray)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        self.root = f"http://{LOOPBACK}:{self._runner.addresses[0][1]}/"
        return self

    @property
    def url(self) -> str:
        """The address of the page."""
        return self.root + PREFIX.removeprefix("/")

    async def __aexit__(self, *_: object) -> None:
        """Stop serving."""
        await self._runner.cleanup()

    async def _home(self, _: web.Request) -> web.Response:
        return web.Response(text=self.home, content_type="text/html")

    async def _astray(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.Response(status=404)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if self.is_shut:
            return web.Response(status=401, text="401: Unauthorized")
        path = request.match_info["path"]
        async with self._session.request(
            request.method,
            f"{self._target}/{path}",
            data=await request.read(),
            headers=self._headers,
        ) as found:
            answer = web.StreamResponse(status=found.status)
            answer.content_type = found.content_type
            await answer.prepare(request)
            async for block in found.content.iter_any():
                await answer.write(block)
            return answer
