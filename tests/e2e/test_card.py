"""The dashboard card in a real browser, on the real pages of a real Home Assistant."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest
from playwright.async_api import expect

from dev.agent_setup import add_server, find_agent
from dev.ha_client import HomeAssistantClient
from dev.processes import free_port
from dev.scripted_model import write_scripted_model
from tests.app.browser import WAIT_MILLISECONDS, chromium
from tests.conftest import serving

from .test_first_path import home_assistant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from playwright.async_api import Browser, ConsoleMessage, Locator, Page

    from dev.llama import LlamaServer

STORY = "Tell me how the day was"
# Enough words to be seen coming, and markup that must be shown as it is.
TOLD = "It was <b>sunny</b>, then a storm came over the hill and everybody ran into the barn."
GREETING = "Good evening"
GREETED = "And to you!"
PASSWORD = "of-anna"
DASHBOARD = "llama-card"

# Notes how long the newest answer is, whenever it has grown.
WATCH = """(card) => {
    window.lengths = [];
    new MutationObserver(() => {
        const lines = card.shadowRoot.querySelectorAll(".assistant");
        const length = lines.length && lines[lines.length - 1].textContent.length;
        if (length !== window.lengths.at(-1)) {
            window.lengths.push(length);
        }
    }).observe(card.shadowRoot, {childList: true, subtree: true, characterData: true});
}"""

# Returns the words of the card that do not stand out from its background (WCAG, level AA), the
# fields and buttons without a name, and what is wider than the card.
FAULTS = """(card) => {
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
    const parent = (one) => one.parentElement ?? one.getRootNode().host;
    const ground = (element) => {
        for (let one = element; one; one = parent(one)) {
            const colour = rgba(getComputedStyle(one).backgroundColor);
            if (colour[3] === 255) {
                return colour;
            }
        }
        return [255, 255, 255];
    };
    const all = [...card.shadowRoot.querySelectorAll("*")].filter((one) => one.checkVisibility());
    const hasWords = (one) =>
        one.tagName !== "STYLE"
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const faint = all.filter(hasWords).filter((one) => {
        const pair = [light(rgba(getComputedStyle(one).color)), light(ground(one))];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
    });
    const nameless = all.filter((one) => one.matches("button, textarea, [role=log]"))
        .filter((one) => !(one.ariaLabel || one.textContent.trim()));
    const edge = card.getBoundingClientRect().right;
    const wide = all.filter((one) => one.getBoundingClientRect().right > edge + 1);
    return [...faint, ...nameless, ...wide].map((one) => one.outerHTML);
}"""


@dataclass
class Dashboard:
    """A page with the card that somebody looks at, and what its console complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to listen."""
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" or (message.type == "warning" and "llama" in message.text):
            self.complaints.append(message.text)

    @property
    def card(self) -> Locator:
        """The card."""
        return self.page.locator("house-llama-card")

    async def say(self, message: str) -> None:
        """Say something, by the keyboard."""
        await self.card.locator("textarea").fill(message)
        await self.card.locator("textarea").press("Enter")

    async def faults(self) -> list[str]:
        """Return what can be read badly, or not at all."""
        found: list[str] = await self.card.evaluate(FAULTS)
        return found


@asynccontextmanager
async def looking(
    browser: Browser,
    client: HomeAssistantClient,
    *,
    language: str = "en",
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
) -> AsyncGenerator[Dashboard]:
    """Look at the dashboard as a user, until the block ends; the console must not complain."""
    context = await browser.new_context(
        locale=language, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    context.set_default_timeout(WAIT_MILLISECONDS)
    tokens = {
        "access_token": client.access_token,
        "token_type": "Bearer",
        "refresh_token": "",
        "expires_in": 1800,
        "hassUrl": client.base_url,
        "clientId": f"{client.base_url}/",
        # Never, as far as the page knows: the test is over before.
        "expires": 32503680000000,
    }
    stored = {"hassTokens": tokens, "selectedLanguage": language}
    await context.add_init_script(
        "".join(
            f"localStorage.setItem({json.dumps(name)}, {json.dumps(json.dumps(value))});"
            for name, value in stored.items()
        )
    )
    seen = Dashboard(await context.new_page())
    await seen.page.goto(f"{client.base_url}/{DASHBOARD}/0")
    await seen.card.wait_for()
    yield seen
    await context.close()
    assert seen.complaints == []


@asynccontextmanager
async def house(tmp_path: Path, server: LlamaServer) -> AsyncGenerator[HomeAssistantClient]:
    """Run Home Assistant with an agent, and a dashboard with the card."""
    async with home_assistant(tmp_path / "config", free_port()) as client:
        await add_server(client, server.base_url)
        await find_agent(client)
        await client.command(
            "lovelace/dashboards/create", url_path=DASHBOARD, title="Llama", mode="storage"
        )
        await show(client)
        yield client


async def show(client: HomeAssistantClient, **config: Any) -> None:
    """Have the dashboard show the card, with its options."""
    card = {"type": "custom:house-llama-card", **config}
    await client.command(
        "lovelace/config/save", url_path=DASHBOARD, config={"views": [{"cards": [card]}]}
    )


@pytest.mark.timeout(300)
async def test_card(tmp_path: Path, model: Path) -> None:
    """Say something, see it come, find it again, go on, close it; nobody else sees it."""
    scripted = tmp_path / "scripted.gguf"
    write_scripted_model(scripted, model, {STORY: [TOLD], GREETING: [GREETED]}, "Hm.")
    flags = ("--ctx-size", "8192", "--parallel", "1")
    async with chromium() as browser:
        with serving(tmp_path / "llama-server.log", *flags, model=scripted) as server:
            async with house(tmp_path, server) as admin:
                await admin.add_user("Anna", "anna", PASSWORD)
                async with HomeAssistantClient(admin.base_url, "anna", PASSWORD) as anna:
                    async with looking(browser, anna) as seen:
                        await say_and_find_again(seen)
                    async with looking(
                        browser, anna, language="it", scheme="dark", width=360
                    ) as seen:
                        await go_on_and_close(seen)
                async with looking(browser, admin) as seen:
                    await lose_the_server(seen, server)


async def say_and_find_again(seen: Dashboard) -> None:
    """Begin a conversation, on a large and light screen."""
    card = seen.card
    await expect(card.get_by_role("heading")).to_have_text("House Llama")
    await expect(card.get_by_role("status")).to_contain_text("No conversations yet")
    assert await seen.faults() == []
    await card.evaluate(WATCH)
    await seen.say(STORY)
    await expect(card.locator(".messages .note")).to_contain_text("tokens/s")
    await expect(card.locator(".assistant")).to_have_text(f"Answer: {TOLD}")
    assert await card.locator(".assistant b").count() == 0
    lengths = await seen.page.evaluate("window.lengths")
    assert len(lengths) > 4
    assert lengths == sorted(lengths)
    await expect(card.get_by_role("heading")).to_have_text(STORY)
    assert await seen.faults() == []
    await card.get_by_label("All conversations").click()
    await expect(card.get_by_role("listitem")).to_have_count(1)
    await expect(card.get_by_role("listitem")).to_contain_text(STORY)
    assert await seen.faults() == []


async def go_on_and_close(seen: Dashboard) -> None:
    """Find the conversation, on a small and dark one, in another language."""
    card = seen.card
    await card.get_by_role("listitem").get_by_role("button").click()
    await expect(card.locator(".user")).to_have_text(f"Tu: {STORY}")
    await expect(card.locator(".assistant")).to_have_text(f"Risposta: {TOLD}")
    await seen.say(GREETING)
    answers = [f"Risposta: {one}" for one in (TOLD, GREETED)]
    await expect(card.locator(".assistant")).to_have_text(answers)
    await expect(card.get_by_label("Chiudi la conversazione")).to_be_visible()
    assert await seen.faults() == []
    await card.get_by_label("Chiudi la conversazione").click()
    await card.get_by_role("listitem").get_by_role("button").click()
    await expect(card.get_by_role("status")).to_have_text(
        "Chiusa: si può leggere, ma non continuare."
    )
    await expect(card.locator(".assistant")).to_have_count(2)
    await expect(card.locator("textarea")).to_be_hidden()
    assert await seen.faults() == []


async def lose_the_server(seen: Dashboard, server: LlamaServer) -> None:
    """See nothing of others, and a sentence where nobody can answer."""
    card = seen.card
    await expect(card.get_by_role("status")).to_contain_text("No conversations yet")
    server.stop()
    await seen.say(GREETING)
    await expect(card.locator(".messages .problem")).to_contain_text("server")
    await expect(card.get_by_label("Send")).to_be_visible()
    assert await seen.faults() == []
