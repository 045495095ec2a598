"""Pages of a real Home Assistant in a real browser."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.app.browser import WAIT_MILLISECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser, ConsoleMessage, Page

    from dev.ha_client import HomeAssistantClient


@dataclass
class Sight:
    """An open page of Home Assistant, and the errors on its console."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start to listen."""
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" or (message.type == "warning" and "llama" in message.text):
            self.complaints.append(message.text)


@asynccontextmanager
async def looking(  # noqa: PLR0913 - what a browser tells of its user, by name
    browser: Browser,
    client: HomeAssistantClient,
    path: str,
    *,
    language: str = "en",
    scheme: Literal["light", "dark"] = "light",
    width: int = 1280,
) -> AsyncGenerator[Sight]:
    """Open a page as a user until the block ends; the console must have no errors."""
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
        # Never for the page: the test ends before.
        "expires": 32503680000000,
    }
    stored = {"hassTokens": tokens, "selectedLanguage": language}
    await context.add_init_script(
        "".join(
            f"localStorage.setItem({json.dumps(name)}, {json.dumps(json.dumps(value))});"
            for name, value in stored.items()
        )
    )
    seen = Sight(await context.new_page())
    await seen.page.goto(f"{client.base_url}{path}")
    yield seen
    await context.close()
    assert seen.complaints == []
