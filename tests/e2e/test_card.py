"""The dashboard card in a real browser, on the real pages of a real Home Assistant."""

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from dev.agent_setup import add_server, find_agent
from dev.ha_client import HomeAssistantClient
from dev.processes import free_port
from dev.scripted_model import write_scripted_model
from tests.app.browser import barriers, chromium
from tests.conftest import serving

from .running_home import home_assistant
from .sights import looking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from playwright.async_api import Locator

    from dev.llama import LlamaServer

    from .sights import Sight

STORY = "Tell me how the day was"
# Seconds of words, in which a busy browser draws at least once, and markup to be shown as text.
TOLD = (
    "It was <b>sunny</b>, then a storm came over the hill and everybody ran into the barn. "
    + (
        "There we sat, ate bread and cheese, and told each other what we had seen on the way. " * 6
    ).strip()
)
GREETING = "Good evening"
GREETED = "And to you!"
PASSWORD = "of-anna"
DASHBOARD = "llama-card"
PATH = f"/{DASHBOARD}/0"

# Records the length of the newest answer whenever it has grown.
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


def card_of(seen: Sight) -> Locator:
    """Return the card."""
    return seen.page.locator("house-llama-card")


async def say(card: Locator, message: str) -> None:
    """Say something, by the keyboard."""
    await card.locator("textarea").fill(message)
    await card.locator("textarea").press("Enter")


async def faults(card: Locator) -> list[str]:
    """Return what is hard to read."""
    found: list[str] = await card.evaluate(FAULTS)
    return found


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
    """Let the dashboard show the card with these options."""
    card = {"type": "custom:house-llama-card", **config}
    await client.command(
        "lovelace/config/save", url_path=DASHBOARD, config={"views": [{"cards": [card]}]}
    )


@pytest.mark.timeout(300)
async def test_card(tmp_path: Path, model: Path) -> None:
    """Ask, see the answer stream, find it again, continue, close; no other user sees it."""
    scripted = tmp_path / "scripted.gguf"
    write_scripted_model(scripted, model, {STORY: [TOLD], GREETING: [GREETED]}, "Hm.")
    flags = ("--ctx-size", "8192", "--parallel", "1")
    async with chromium() as browser:
        with serving(tmp_path / "llama-server.log", *flags, model=scripted) as server:
            async with house(tmp_path, server) as admin:
                await admin.add_user("Anna", "anna", PASSWORD)
                async with HomeAssistantClient(admin.base_url, "anna", PASSWORD) as anna:
                    async with looking(browser, anna, PATH) as seen:
                        await say_and_find_again(seen)
                    async with looking(
                        browser, anna, PATH, language="it", scheme="dark", width=360
                    ) as seen:
                        await go_on_and_close(seen)
                async with looking(browser, admin, PATH) as seen:
                    await lose_the_server(seen, server)


async def say_and_find_again(seen: Sight) -> None:
    """Start a conversation, on a large and light screen."""
    card = card_of(seen)
    await expect(card.get_by_role("heading")).to_have_text("House Llama")
    await expect(card.get_by_role("status")).to_contain_text("No conversations yet")
    assert await faults(card) == []
    await card.evaluate(WATCH)
    await say(card, STORY)
    await expect(card.locator(".messages .note")).to_contain_text("tokens/s")
    await expect(card.locator(".assistant")).to_have_text(f"Answer: {TOLD}")
    assert await card.locator(".assistant b").count() == 0
    lengths = await seen.page.evaluate("window.lengths")
    first, whole = len("Answer: It"), len(f"Answer: {TOLD}")
    assert [one for one in lengths if first <= one < whole]
    assert lengths == sorted(lengths)
    await expect(card.get_by_role("heading")).to_have_text(STORY)
    assert await faults(card) == []
    assert await barriers(card) == []
    await card.get_by_label("All conversations").click()
    await expect(card.get_by_role("listitem")).to_have_count(1)
    await expect(card.get_by_role("listitem")).to_contain_text(STORY)
    assert await faults(card) == []
    assert await barriers(card) == []


async def go_on_and_close(seen: Sight) -> None:
    """Find the conversation, on a small and dark one, in another language."""
    card = card_of(seen)
    await card.get_by_role("listitem").get_by_role("button").click()
    await expect(card.locator(".user")).to_have_text(f"Tu: {STORY}")
    await expect(card.locator(".assistant")).to_have_text(f"Risposta: {TOLD}")
    await say(card, GREETING)
    answers = [f"Risposta: {one}" for one in (TOLD, GREETED)]
    await expect(card.locator(".assistant")).to_have_text(answers)
    await expect(card.get_by_label("Chiudi la conversazione")).to_be_visible()
    assert await faults(card) == []
    assert await barriers(card) == []
    await card.get_by_label("Chiudi la conversazione").click()
    await card.get_by_role("listitem").get_by_role("button").click()
    await expect(card.get_by_role("status")).to_have_text(
        "Chiusa: si può leggere, ma non continuare."
    )
    await expect(card.locator(".assistant")).to_have_count(2)
    await expect(card.locator("textarea")).to_be_hidden()
    assert await faults(card) == []
    assert await barriers(card) == []


async def lose_the_server(seen: Sight, server: LlamaServer) -> None:
    """See nothing of others, and an error without a server."""
    card = card_of(seen)
    await expect(card.get_by_role("status")).to_contain_text("No conversations yet")
    assert await barriers(card) == []
    server.stop()
    await say(card, GREETING)
    await expect(card.locator(".messages .problem")).to_contain_text("server")
    await expect(card.get_by_label("Send")).to_be_visible()
    assert await faults(card) == []
    assert await barriers(card) == []
