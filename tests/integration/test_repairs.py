"""The repair flows of our issues."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from homeassistant.components import conversation
from homeassistant.core import Context
from homeassistant.helpers import issue_registry as ir

from custom_components.llamacpp.const import DOMAIN
from dev.processes import free_port
from tests.conftest import serving

from .conftest import AGENT, FLAGS, agent_of, issues
from .talk import ask

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer, Fix


async def test_a_home_that_fits_by_now(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path, fix: Fix
) -> None:
    """The flow asks the server, and stays open until there is room."""
    port = free_port()
    registry = ir.async_get(home)
    with serving(
        tmp_path / "1.txt", "--ctx-size", "512", model=scripted_model, port=port
    ) as server:
        entry = await add_server(server.base_url)
        # No user has asked yet: the prefill has found out.
        await home.async_block_till_done(wait_background_tasks=True)
        issue_id = f"context_too_small_{agent_of(entry).subentry_id}"
        assert registry.async_get_issue(DOMAIN, issue_id)
        step = await fix(handler=DOMAIN, issue_id=issue_id)
        assert (step["type"], step["step_id"]) == ("form", "confirm")
        assert step["description_placeholders"]["context"] == "512"
        step = await fix(step["flow_id"])
        assert step["errors"] == {"base": "context_exceeded"}
    step = await fix(step["flow_id"])
    assert step["errors"] == {"base": "cannot_connect"}
    with serving(tmp_path / "2.txt", *FLAGS, model=scripted_model, port=port):
        step = await fix(step["flow_id"])
    assert step["type"] == "create_entry"
    assert registry.async_get_issue(DOMAIN, issue_id) is None


async def test_an_agent_that_is_gone(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path, fix: Fix
) -> None:
    """The issue is deleted with its agent; an open flow says so."""
    with serving(tmp_path / "log.txt", "--ctx-size", "512", model=scripted_model) as server:
        entry = await add_server(server.base_url)
        await ask(home, "Hello")
        issue_id = f"context_too_small_{agent_of(entry).subentry_id}"
        step = await fix(handler=DOMAIN, issue_id=issue_id)
        await home.config_entries.async_unload(entry.entry_id)
        assert ir.async_get(home).async_get_issue(DOMAIN, issue_id) is None
        step = await fix(step["flow_id"])
    assert (step["type"], step["reason"]) == ("abort", "agent_unavailable")


async def test_a_question_that_is_too_long_is_no_issue(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """In a small home the question is too long, not the home."""
    with serving(
        tmp_path / "log.txt", "--ctx-size", "4096", "--parallel", "1", model=scripted_model
    ) as server:
        entry = await add_server(server.base_url)
        home.config_entries.async_update_subentry(entry, agent_of(entry), data={})
        await home.async_block_till_done()
        result = await ask(home, "blah " * 6000)
    assert result.response.error_code == "failed_to_handle"
    assert issues(home) <= {f"first_steps_{entry.entry_id}"}


@pytest.mark.parametrize(("choice", "is_kept"), [("keep", True), ("delete", False)])
async def test_a_file_that_was_set_aside(  # noqa: PLR0913 - fixtures and parameters
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    fix: Fix,
    *,
    choice: str,
    is_kept: bool,
) -> None:
    """It is kept or deleted, and the issue is deleted."""
    entry = await add_server(scripted_server.base_url)
    started = await home.services.async_call(
        DOMAIN, "start", {}, blocking=True, return_response=True
    )
    assert started is not None
    conversation_id = str(started["conversation_id"])
    folder = Path(home.config.path(".storage", f"{DOMAIN}.history", entry.entry_id))
    envelope = {"version": 1, "minor_version": 1, "key": "", "data": {"turns": "many"}}
    (folder / f"{conversation_id}.json").write_text(json.dumps(envelope))
    await conversation.async_converse(home, "Hello", conversation_id, Context(), agent_id=AGENT)
    [issue_id] = issues(home) - {f"first_steps_{entry.entry_id}"}
    (path,) = await home.async_add_executor_job(lambda: list(folder.glob("*.corrupt.*")))

    step = await fix(handler=DOMAIN, issue_id=issue_id)
    assert (step["type"], step["menu_options"]) == ("menu", ["keep", "delete"])
    assert step["description_placeholders"]["new_path"] == str(path)
    step = await fix(step["flow_id"], next_step_id=choice)
    assert step["type"] == "create_entry"
    assert path.exists() is is_kept
    assert ir.async_get(home).async_get_issue(DOMAIN, issue_id) is None
