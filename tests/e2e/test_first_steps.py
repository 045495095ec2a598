"""The first steps after set-up, in a real browser."""

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from dev.agent_setup import add_server, find_agent
from dev.processes import free_port
from tests.app.browser import chromium

from .running_home import home_assistant
from .sights import looking

if TYPE_CHECKING:
    from pathlib import Path

    from dev.llama import LlamaServer

    from .sights import Sight


@pytest.mark.timeout(300)
async def test_first_steps(tmp_path: Path, llama_server: LlamaServer) -> None:
    """The list has the open steps in the user's language; a click does the first one."""
    async with chromium() as browser, home_assistant(tmp_path / "config", free_port()) as client:
        await add_server(client, llama_server.base_url)
        agent = await find_agent(client)
        async with looking(
            browser, client, "/config/repairs", language="it", scheme="dark", width=360
        ) as seen:
            await open_list(seen, "Completa la configurazione di House Llama", [False, True])
            await expect(seen.page.get_by_text("Di' qualcosa.")).to_be_visible()
        async with looking(browser, client, "/config/repairs") as seen:
            await open_list(seen, "Finish setting up House Llama", [False, True])
            await seen.page.get_by_text("Use House Llama in").click()
            await expect(seen.page.get_by_text("Done", exact=True)).to_be_visible()
            assert await ticks(seen) == [True, True, False, False]
            await seen.page.get_by_text("Done", exact=True).click()
        found = await client.command("assist_pipeline/pipeline/list")
        [assistant] = found["pipelines"]
        assert assistant["conversation_engine"] == agent
        issues = (await client.command("repairs/list_issues"))["issues"]
        assert not [one for one in issues if one["domain"] == "llamacpp"]


async def open_list(seen: Sight, title: str, done: list[bool]) -> None:
    """Open the list; its ticks must be true, and no placeholder be left."""
    await seen.page.get_by_text(title).first.click()
    boxes = seen.page.locator("input[type=checkbox]")
    await expect(boxes).to_have_count(4)
    assert await ticks(seen) == [*done, False, False]
    words = await seen.page.locator("ha-markdown li").all_inner_texts()
    assert not [one for one in words if "{" in one or "[" in one]


async def ticks(seen: Sight) -> list[bool]:
    """Return which steps are ticked."""
    boxes = await seen.page.locator("input[type=checkbox]").all()
    return [await box.is_checked() for box in boxes]
