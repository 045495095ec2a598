"""The page of the app in a real browser: its state, chat, charts, languages and colours."""

import asyncio
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from playwright.async_api import expect

from tests.app.browser import Ingress, barriers, chromium, visit
from tests.app.running_app import RunningApp, lay_models, serving_app
from tests.app.supervisor import TOKEN, Supervisor
from tests.app.test_app import children_of, until
from tests.app.test_texts import texts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from playwright.async_api import Browser, Route

pytestmark = pytest.mark.usefixtures("socket_enabled")

LONG = "Tell a very long story about a dragon, a castle, a river and a king."

# Notes how long the newest answer is, whenever it has grown.
WATCH = """() => {
    window.lengths = [];
    new MutationObserver(() => {
        const said = document.querySelector("#messages .assistant:last-child span:nth-child(2)");
        if (said && said.textContent.length !== window.lengths.at(-1)) {
            window.lengths.push(said.textContent.length);
        }
    }).observe(document.getElementById("messages"), {childList: true, subtree: true});
}"""

# Returns the words on the page that do not stand out from their background (WCAG, level AA).
TOO_FAINT = """() => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((one) => {
            const share = one / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = rgba(getComputedStyle(one).backgroundColor);
            if (colour[3] === 255) {
                return colour;
            }
        }
        return [255, 255, 255];
    };
    const hasWords = (one) =>
        [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return [...document.querySelectorAll("body *")]
        .filter((one) => hasWords(one) && one.checkVisibility())
        .filter((one) => !one.matches("option, :disabled"))
        .filter((one) => {
            const pair = [light(rgba(getComputedStyle(one).color)), light(ground(one))];
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
        })
        .map((one) => one.outerHTML);
}"""

# Returns the fields and buttons that have no name for those who cannot see them.
NAMELESS = """() => [...document.querySelectorAll("input, select, textarea, button, [role=img]")]
    .filter((one) => !(one.labels?.length || one.ariaLabel || one.textContent.trim()))
    .map((one) => one.outerHTML)"""


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Return a browser."""
    async with chromium() as browser:
        yield browser


async def ask(app: RunningApp, method: str, path: str, body: object = None) -> Any:
    """Return what the app answers, while the browser goes on."""
    return (await asyncio.to_thread(app.ask, method, path, body))[1]


async def test_state_and_log(browser: Browser, shared_app: RunningApp) -> None:
    """One sees what answers, what it takes of the memory, and the newest lines of the log."""
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        await expect(page.page.locator("#status")).to_have_text("Ready")
        facts = page.page.locator("#facts")
        await expect(facts).to_contain_text("smol")
        await expect(facts).to_contain_text("8,192 tokens")
        context = (await ask(shared_app, "GET", "/api/health"))["context_size"]
        await expect(facts).to_contain_text(f"Context\n{context:,} tokens", use_inner_text=True)
        await expect(facts).to_contain_text("the processor")
        taken = (await ask(shared_app, "GET", "/api/health"))["memory_bytes"]
        # The model's file alone has 98 MB, which the server has mapped and read.
        assert 98e6 < taken < 2e9
        (shown,) = [one for one in (await page.text("#facts")).split("\n") if " MB" in one]
        assert abs(int(shown.removesuffix(" MB")) - taken / 1e6) < 50
        await expect(page.page.locator("#models li")).to_contain_text("smol")
        await expect(page.page.locator("#models li")).to_contain_text("135 million parameters")
        await expect(page.page.locator("#log")).to_contain_text("llama-server is ready")
        assert await page.page.evaluate(NAMELESS) == []


async def test_chat(browser: Browser, shared_app: RunningApp) -> None:
    """An answer comes word by word; a second message is within the same conversation."""
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        await page.page.evaluate(WATCH)
        # A long answer: what the browser draws at once are many words on a busy machine.
        await page.said(LONG)
        assert await page.answered()
        lengths = await page.page.evaluate("window.lengths")
        assert len(lengths) >= 5
        assert lengths == sorted(lengths)
        await page.said("Hello!")
        await page.answered()
        (newest,) = (await ask(shared_app, "GET", "/api/conversations?limit=1"))["conversations"]
        assert newest["message_count"] == 4
        path = f"/api/conversation/{newest['conversation_id']}/history"
        kept = (await ask(shared_app, "GET", path))["messages"]
        assert [one["content"] for one in kept if one["role"] == "user"] == [
            LONG,
            "Hello!",
        ]
        shown = await page.page.locator(
            "#messages .assistant > span:nth-child(2)"
        ).all_inner_texts()
        answers = [one["content"] for one in kept if one["role"] == "assistant"]
        assert [one.split() for one in shown] == [one.split() for one in answers]
        await page.page.click("#anew")
        await expect(page.page.locator("#messages p")).to_have_count(0)
        await expect(page.page.locator("#message")).to_be_focused()
        await page.said("Hi.")
        await page.answered()
        (later,) = (await ask(shared_app, "GET", "/api/conversations?limit=1"))["conversations"]
        assert later["conversation_id"] != newest["conversation_id"]
        assert later["message_count"] == 2


async def test_reload(browser: Browser, shared_app: RunningApp) -> None:
    """What was said is there again after a reload, and goes on; earlier ones can be opened."""
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        ideas = page.page.locator("#ideas button")
        await expect(ideas).to_have_count(3)
        idea = await ideas.first.inner_text()
        await ideas.first.click()
        await expect(ideas.first).to_be_hidden()
        await page.answered()
        await expect(page.page.locator("#messages .user")).to_contain_text(idea)
        said = await page.page.locator("#messages p").all_inner_texts()
        used = await page.text("#chat-context")
        health = await ask(shared_app, "GET", "/api/health")
        assert f"of {health['context_size']:,} tokens" in used

        await page.page.reload()
        await expect(page.page.locator("#messages p")).to_have_count(2)
        assert await page.page.locator("#messages p").all_inner_texts() == said
        await expect(page.page.locator("#chat-context")).to_have_text(used)
        await expect(ideas.first).to_be_hidden()
        await page.said("Hello!")
        await page.answered()
        (newest,) = (await ask(shared_app, "GET", "/api/conversations?limit=1"))["conversations"]
        assert (newest["message_count"], newest["title"]) == (4, idea)

        await page.page.click("#anew")
        await page.page.reload()
        await expect(ideas.first).to_be_visible()
        await expect(page.page.locator("#messages p")).to_have_count(0)
        await page.page.click("#earlier summary")
        await page.page.locator("#earlier-list button").filter(has_text=idea).first.click()
        await expect(page.page.locator("#messages p")).to_have_count(4)
        assert await page.page.evaluate(TOO_FAINT) == []
        assert await page.page.evaluate(NAMELESS) == []


async def test_a_conversation_that_is_gone(browser: Browser, shared_app: RunningApp) -> None:
    """Who had it open is told so, and begins anew."""
    path = "/api/conversation/start"
    gone = (await ask(shared_app, "POST", path, {}))["conversation_id"]
    await ask(shared_app, "DELETE", f"/api/conversation/{gone}")
    refusals = ((404, "/api/conversation/…/history"),)
    async with visit(browser, shared_app.url, key=shared_app.key, refusals=refusals) as page:
        await expect(page.page.locator("#status")).to_have_text("Ready")
        await page.page.evaluate("id => sessionStorage.setItem('llamacpp-conversation', id)", gone)
        await page.page.reload()
        words = "This conversation is gone: say it again to begin a new one."
        await expect(page.page.locator("#messages")).to_contain_text(words)
        await page.said("Hello!")
        await page.answered()
        (newest,) = (await ask(shared_app, "GET", "/api/conversations?limit=1"))["conversations"]
        assert newest["message_count"] == 2


async def test_stop(browser: Browser, shared_app: RunningApp) -> None:
    """A stop ends the computing, too, and one is told that nothing of it is remembered."""
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        await page.said(LONG)
        await expect(page.page.locator("#messages .assistant")).to_have_text(re.compile(".{30,}"))
        assert (await ask(shared_app, "GET", "/api/health"))["waiting"] == 1
        await page.page.click("#stop")
        assert "Stopped." in await page.answered()

        def until_idle() -> bool:
            return not shared_app.ask("GET", "/api/health")[1]["waiting"]

        await asyncio.to_thread(until, until_idle, 10)
        (newest,) = (await ask(shared_app, "GET", "/api/conversations?limit=1"))["conversations"]
        assert newest["message_count"] == 0


async def test_keyboard(browser: Browser, shared_app: RunningApp) -> None:
    """Everything is reached by the keyboard; Shift and Enter begin a line, and send nothing."""
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        await expect(page.page.locator("#models li")).to_have_count(1)
        await page.page.focus("#message")
        await page.page.keyboard.type("one")
        await page.page.keyboard.press("Shift+Enter")
        await page.page.keyboard.type("two")
        assert await page.page.input_value("#message") == "one\ntwo"
        reached = []
        for _ in range(3):
            await page.page.keyboard.press("Tab")
            reached.append(
                await page.page.evaluate(
                    "document.activeElement.id || document.activeElement.tagName"
                )
            )
        assert reached == ["send", "SUMMARY", "log"]
        ring = "getComputedStyle(document.activeElement).outlineStyle"
        assert await page.page.evaluate(ring) == "solid"


async def test_charts(browser: Browser, shared_app: RunningApp) -> None:
    """After some answers there are lines of the speed, and of what the prompt cache saved."""
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        async with asyncio.timeout(150):
            for name in ("speed", "cached"):
                line = page.page.locator(f"#{name}-chart .line")
                while "L" not in (await line.get_attribute("d") or ""):
                    body = {"message": "Say hello.", "max_tokens": 4}
                    await ask(shared_app, "POST", "/api/chat", body)
                    await asyncio.sleep(3)
        samples = (await ask(shared_app, "GET", "/api/statistics"))["samples"]
        speeds = [one["generation_speed"] for one in samples if one["generation_speed"]]
        shown = float((await page.text("#speed-newest")).replace(",", ""))
        assert any(abs(shown - one) < 0.1 for one in speeds)
        assert (await page.text("#cached-newest")).endswith("%")
        label = await page.page.get_attribute("#speed-chart", "aria-label")
        assert (label or "").startswith("Generated tokens per second: ")


async def test_key(browser: Browser, shared_app: RunningApp) -> None:
    """Without ingress the key is asked for; a wrong one is told in words, the right one kept."""
    refusals = ((401, "/api/health"),)
    async with visit(browser, shared_app.url, refusals=refusals) as page:
        await expect(page.page.locator("#key")).to_be_focused()
        await expect(page.page.locator("#content")).to_be_hidden()
        await expect(page.page.locator("#key-problem")).to_be_hidden()
        await page.page.keyboard.type("wrong")
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator("#key-problem")).to_have_text("This is not the app's key.")
        await page.page.fill("#key", f" {shared_app.key} ")
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator("#status")).to_have_text("Ready")
        await expect(page.page.locator("#key-form")).to_be_hidden()
        await page.page.reload()
        await expect(page.page.locator("#status")).to_have_text("Ready")
        assert shared_app.key not in page.page.url


async def test_key_to_copy(browser: Browser, shared_app: RunningApp) -> None:
    """The key for other programs is shown when that is asked for, and copied by a press."""
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        await expect(page.page.locator("#status")).to_have_text("Ready")
        assert await page.page.input_value("#shown-key") == ""
        await page.page.click("#access summary")
        await expect(page.page.locator("#shown-key")).to_have_value(shared_app.key)
        await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.page.click("#copy-key")
        await expect(page.page.locator("#copied")).to_have_text("The key is in the clipboard.")
        assert await page.page.evaluate("navigator.clipboard.readText()") == shared_app.key
        assert await page.page.evaluate(TOO_FAINT) == []
        await page.page.click("#access summary")
        await expect(page.page.locator("#shown-key")).to_have_value("")


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("en-US", "en"),
        ("cs-CZ", "cs"),
        ("da-DK", "da"),
        ("de-AT", "de"),
        ("es-419", "es"),
        ("fr-CA", "fr"),
        ("hu-HU", "hu"),
        ("it-IT", "it"),
        ("nl-BE", "nl"),
        ("pl-PL", "pl"),
        ("pt-PT", "pt-BR"),
        ("ru-RU", "ru"),
        ("sv-SE", "sv"),
        ("zh-CN", "zh-Hans"),
        # Neither its script nor its language is there.
        ("zh-TW", "en"),
        ("nb-NO", "en"),
    ],
)
async def test_languages(
    browser: Browser, shared_app: RunningApp, locale: str, language: str
) -> None:
    """All words are in the reader's language, of which alone the file is asked for, and fit."""
    words = texts(language)
    async with visit(browser, shared_app.url, key=shared_app.key, locale=locale, width=360) as page:
        await expect(page.page.locator("#status")).to_have_text(words["status_ok"])
        assert await page.page.get_attribute("html", "lang") == language
        assert [one for one in page.paths if one.startswith("/texts/")] == [
            f"/texts/{language}.json"
        ]
        await page.page.click("#add-model summary")
        shown = await page.text("main")
        for key in ("models", "memory", "log", "chat_hint", "model_url_hint", "last_hour"):
            assert words[key] in shown
        assert "{" not in shown
        assert await page.page.evaluate("document.documentElement.scrollWidth") == 360
        assert await page.page.evaluate(NAMELESS) == []


async def test_a_language_that_does_not_come(browser: Browser, shared_app: RunningApp) -> None:
    """Without the file of a language the page speaks English."""
    async with visit(browser, shared_app.url, key=shared_app.key, locale="it-IT") as page:
        await expect(page.page.locator("#status")).to_have_text("Pronto")
        await page.page.route("**/texts/it.json", lambda route: route.abort())
        await page.page.reload()
        await expect(page.page.locator("#status")).to_have_text("Ready")
        assert await page.page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colours(browser: Browser, shared_app: RunningApp, scheme: Any) -> None:
    """The page is as dark as the browser wants it, and all words can be read."""
    async with visit(browser, shared_app.url, key=shared_app.key, scheme=scheme) as page:
        await expect(page.page.locator("#status")).to_have_text("Ready")
        await page.page.click("#add-model summary")
        await page.said(LONG)
        await page.page.click("#stop")
        await page.answered()
        ground = await page.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(17, 17, 17)") is (scheme == "dark")
        assert await page.page.evaluate(TOO_FAINT) == []


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe(browser: Browser, shared_app: RunningApp, scheme: Any, width: int) -> None:
    """By axe-core, nothing keeps anybody from using the page, with all of it open."""
    refusals = ((401, "/api/health"),)
    async with visit(
        browser, shared_app.url, scheme=scheme, width=width, refusals=refusals
    ) as page:
        await expect(page.page.locator("#key")).to_be_focused()
        assert await barriers(page.page.locator("html")) == []
        await page.page.fill("#key", shared_app.key)
        await page.page.keyboard.press("Enter")
        await expect(page.page.locator("#log")).to_contain_text("llama-server is ready")
        await page.said("Hi.")
        await page.answered()
        await page.said(LONG)
        await page.page.click("#stop")
        await page.answered()
        for name in ("access", "earlier", "add-model"):
            await page.page.click(f"#{name} summary")
        await expect(page.page.locator("#earlier-list li")).not_to_have_count(0)
        assert await barriers(page.page.locator("html")) == []
        # What it is to find is found.
        await page.page.evaluate("document.body.append(document.createElement('button'))")
        (found,) = await barriers(page.page.locator("html"))
        assert found.startswith("button-name: ")


async def test_phone(browser: Browser, shared_app: RunningApp) -> None:
    """On a phone nothing is wider than its screen, however long the words are."""
    async with visit(browser, shared_app.url, key=shared_app.key, width=360) as page:
        await expect(page.page.locator("#log")).to_contain_text("llama-server is ready")
        await page.page.click("#add-model summary")
        await page.said(f"{LONG} {'a' * 200}")
        await page.page.click("#stop")
        await page.answered()
        assert await page.page.evaluate("document.documentElement.scrollWidth") == 360
        boxes = [
            await one.bounding_box() for one in await page.page.locator("button:visible").all()
        ]
        assert boxes
        assert all(box and box["height"] >= 40 and box["x"] + box["width"] <= 360 for box in boxes)


async def test_ingress(
    browser: Browser, shared_app: RunningApp, session: aiohttp.ClientSession
) -> None:
    """Below the prefix of ingress all works without a key, in Home Assistant's language."""
    async with Ingress(session, shared_app.url, shared_app.key) as ingress:
        async with visit(browser, ingress.url) as page:
            await expect(page.page.locator("#status")).to_have_text("Ready")
            await page.said("Hi.")
            assert await page.answered()
        ingress.home = (
            '<html lang="it"><meta name="color-scheme" content="dark">'
            f'<link rel="icon" href="data:,"><iframe src="{ingress.url}"></iframe></html>'
        )
        async with visit(browser, ingress.root) as page:
            frame = page.page.frame_locator("iframe")
            await expect(frame.locator("#status")).to_have_text("Pronto")
            link = frame.get_by_role("link", name="Assistenti vocali")
            await expect(link).to_have_attribute("href", "/config/voice-assistants/assistants")
            await expect(frame.locator("body")).to_have_css("background-color", "rgb(17, 17, 17)")
        refusals = ((401, "/api/health"),)
        async with visit(browser, ingress.url, refusals=refusals) as page:
            # The log is asked for last: the next question is after the app's health.
            await expect(page.page.locator("#log")).not_to_be_empty()
            ingress.is_shut = True
            sentence = "Home Assistant does not let this page in any more: load it again."
            await expect(page.page.locator("#reason")).to_have_text(sentence)
            # It is not the app's key that is missing.
            await expect(page.page.locator("#key-form")).to_be_hidden()
        assert ingress.asked == []


async def test_port_of_ingress(tmp_path: Path, session: aiohttp.ClientSession, model: Path) -> None:
    """The port without a key is there with a Supervisor, and lets nobody else in."""
    lay_models(tmp_path, model)
    supervisor = {"SUPERVISOR_TOKEN": TOKEN, "SUPERVISOR_URL": "http://127.0.0.1:1"}
    app = RunningApp(tmp_path, supervisor, model_url="http://127.0.0.1:1/smol.gguf")
    app.start()
    try:
        await asyncio.to_thread(app.wait_ready)
        for path in ("", "page.js", "api/health", "api/key"):
            url = f"http://127.0.0.1:{app.ingress_port}/{path}"
            async with session.get(url, headers=app.headers) as answer:
                assert answer.status == 403
                assert "ingress alone" in (await answer.json())["error"]["message"]
        # Who has no login of Home Assistant's does not learn the key, whatever else is let in.
        async with session.get(f"{app.url}/api/key", headers=app.headers) as answer:
            assert answer.status == 404
    finally:
        app.stop()


async def test_home_assistant(browser: Browser, shared_app: RunningApp) -> None:
    """One sees that Home Assistant uses the app, and within it, where to add what it lacks."""
    facts = "#facts div:has(dt:text-is('Home Assistant')) dd"
    await ask(shared_app, "GET", "/api/health?client=home_assistant")
    async with visit(browser, shared_app.url, key=shared_app.key) as page:
        await expect(page.page.locator(facts)).to_have_text("connected")

    async def later(route: Route) -> None:
        """Tell what the app tells minutes after the Supervisor, if nobody has asked."""
        health = await (await route.fetch()).json()
        await route.fulfill(json={**health, "home_assistant": "missing"})

    async with (
        aiohttp.ClientSession() as session,
        Ingress(session, shared_app.url, shared_app.key) as ingress,
    ):
        frame = f'<iframe src="{ingress.url}"></iframe>'
        ingress.home = f'<html lang="en"><link rel="icon" href="data:,">{frame}</html>'
        async with visit(browser, ingress.root) as page:
            await page.page.route("**/api/health", later)
            link = page.page.frame_locator("iframe").locator(f"{facts} a")
            await expect(link).to_have_attribute("href", "/config/integrations/dashboard")
            await link.focus()
            # It is still there after the next questions.
            await asyncio.sleep(5)
            await expect(link).to_be_focused()


async def test_a_card_that_is_missed(browser: Browser, tmp_path: Path, model: Path) -> None:
    """Who wants a graphics card to compute sees that none does, and why."""
    lay_models(tmp_path, model)
    app = RunningApp(tmp_path, model_url="http://127.0.0.1:1/smol.gguf", gpu_layers="35")
    app.start()
    try:
        await asyncio.to_thread(app.wait_ready)
        async with visit(browser, app.url, key=app.key) as page:
            words = "gpu_layers is 35, but llama-server finds no graphics card"
            await expect(page.page.locator("#facts")).to_contain_text(words)
            await expect(page.page.locator("#status")).to_have_text("Ready")
    finally:
        app.stop()


async def test_ports_without_a_key(browser: Browser, tmp_path: Path, model: Path) -> None:
    """It says which ports need none inside, and why another one does; itself it needs the key."""
    lay_models(tmp_path, model)
    async with Supervisor() as supervisor:
        app = RunningApp(
            tmp_path,
            {"SUPERVISOR_URL": supervisor.url, "SUPERVISOR_TOKEN": TOKEN},
            model_url="http://127.0.0.1:1/smol.gguf",
            context_size="512",
            api_key="none",
        )
        supervisor.ports = {f"{app.api_port}/tcp": None, f"{app.server_port}/tcp": 8080}
        await asyncio.to_thread(app.start)
        try:
            await asyncio.to_thread(app.wait_ready)
            async with visit(browser, app.url, key=app.key) as page:
                facts = page.page.locator("#facts")
                await expect(facts).to_contain_text(f"Home Assistant's network{app.api_port}")
                words = f"Port {app.server_port} is open to your network, and asks for the key"
                await expect(facts).to_contain_text(words)
        finally:
            await asyncio.to_thread(app.stop)


async def test_what_is_wrong(browser: Browser, tmp_path: Path, model: Path) -> None:
    """The page says by its first cause why the model does not run, and what to do."""
    lay_models(tmp_path, model)
    url, wrong = "https://127.0.0.1:1/smol.gguf", "--prio 9"
    with serving_app(tmp_path, status="error", model_url=url, extra_arguments=wrong) as app:
        async with visit(browser, app.url, key=app.key) as page:
            await expect(page.page.locator("#reason")).to_contain_text(
                "extra_arguments must not hold --prio 9 (invalid value). llama-server's help: "
            )


async def test_crash_and_end(browser: Browser, tmp_path: Path, model: Path) -> None:
    """A crash is told in a sentence and goes away; so is an app that is gone."""
    lay_models(tmp_path, model)
    app = RunningApp(tmp_path, model_url="http://127.0.0.1:1/smol.gguf", context_size="512")
    app.start()
    try:
        await asyncio.to_thread(app.wait_ready)
        refusals = ((503, "/api/conversation/…/message"),)
        async with visit(browser, app.url, key=app.key, refusals=refusals) as page:
            await expect(page.page.locator("#status")).to_have_text("Ready")
            crashed: list[int] = []
            for _ in range(3):
                crashed.append(await asyncio.to_thread(next_server, app, crashed))
                os.kill(crashed[-1], signal.SIGABRT)
            words = "llama-server was ended by SIGABRT. It is started again soon."
            await expect(page.page.locator("#reason")).to_have_text(words)
            await expect(page.page.locator("#status")).to_have_text("There is a problem")
            await page.said("Are you there?")
            assert "The model is not ready yet: try again in a moment." in await page.answered()
            # What was said is not lost.
            assert await page.page.input_value("#message") == "Are you there?"
            await expect(page.page.locator("#status")).to_have_text("Ready")
            await expect(page.page.locator("#reason")).to_be_hidden()
            await asyncio.to_thread(app.stop)
            words = "The app does not answer. Look whether it is running."
            await expect(page.page.locator("#reason")).to_have_text(words)
    finally:
        app.stop()


def next_server(app: RunningApp, earlier: list[int]) -> int:
    """Wait for a llama-server that is none of the earlier ones; return its process id."""

    def found() -> set[int]:
        children = children_of(app.process.pid)
        return {pid for pid, name in children.items() if name == "llama-server"} - set(earlier)

    until(lambda: bool(found()), 30)
    (pid,) = found()
    return pid
