"""The issue after set-up, until an assistant uses the agent."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import assist_pipeline, conversation
from homeassistant.components.assist_pipeline.pipeline import async_get_pipeline
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.llamacpp.const import CONF_EXACT_FIRST, DOMAIN
from custom_components.llamacpp.home.exposed import exposed_home

from .conftest import AGENT, issues
from .talk import ask, llama_peer, speech

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import AddServer, Fix
    from .peers import Peers


@pytest.fixture
async def url(peers: Peers) -> str:
    """Return the address of a server."""
    url, _ = await llama_peer(peers)
    return url


async def use(home: HomeAssistant, agent: str) -> None:
    """Choose an agent for the preferred assistant, as its form does."""
    await assist_pipeline.async_update_pipeline(
        home, async_get_pipeline(home), conversation_engine=agent
    )
    await home.async_block_till_done()


async def open_steps(fix: Fix, issue_id: str) -> dict[str, Any]:
    """Open the dialogue."""
    return await fix(handler=DOMAIN, issue_id=issue_id)


async def test_from_the_set_up_to_the_first_sentence(
    home: HomeAssistant, add_server: AddServer, url: str, fix: Fix
) -> None:
    """One click changes the assistant, and the suggested sentence works."""
    entry = await add_server(url)
    [issue_id] = issues(home)
    issue = ir.async_get(home).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert (issue.is_fixable, issue.severity) == (True, ir.IssueSeverity.WARNING)
    step = await open_steps(fix, issue_id)
    assert (step["type"], step["menu_options"]) == ("menu", ["use_agent", "dismiss"])
    told = step["description_placeholders"]
    assert (told["agent"], told["engine"]) == ("House Llama", "Home Assistant")
    assert told["assistant"] == async_get_pipeline(home).name
    assert told["is_chosen"] != told["is_exposed"]
    assert int(told["exposed"]) == len(exposed_home(home, conversation.DOMAIN, ()).things)

    step = await fix(step["flow_id"], next_step_id="use_agent")
    assert async_get_pipeline(home).conversation_engine == AGENT
    assert issues(home) == set()
    assert (step["type"], step["menu_options"]) == ("menu", ["finish"])
    now = step["description_placeholders"]
    assert now["engine"] == "House Llama"
    assert now["is_chosen"] == now["is_exposed"]
    step = await fix(step["flow_id"], next_step_id="finish")
    assert step["type"] == "create_entry"

    before = {one.entity_id: one.state for one in home.states.async_all()}
    [agent] = entry.get_subentries_of_type("conversation")
    home.config_entries.async_update_subentry(
        entry, agent, data={**agent.data, CONF_EXACT_FIRST: True}
    )
    await home.async_block_till_done()
    result = await ask(home, now["sentence"])
    assert result.response.error_code is None, speech(result)
    [name] = [
        one.name
        for one in home.states.async_all()
        if before.get(one.entity_id) not in (None, one.state) and one.name in now["sentence"]
    ]
    assert name in now["sentence"]


async def test_counts(home: HomeAssistant, add_server: AddServer, url: str, fix: Fix) -> None:
    """It counts the exposed entities; without any, it says how to ask for help."""
    await add_server(url)
    [issue_id] = issues(home)
    told = (await open_steps(fix, issue_id))["description_placeholders"]
    for one in home.states.async_all():
        async_expose_entity(home, conversation.DOMAIN, one.entity_id, should_expose=False)
    none = (await open_steps(fix, issue_id))["description_placeholders"]
    assert (none["exposed"], none["sentence"]) == ("0", "help")
    assert none["is_exposed"] == none["is_chosen"] != told["is_exposed"]
    async_expose_entity(home, conversation.DOMAIN, "light.kitchen_light", should_expose=True)
    one_light = (await open_steps(fix, issue_id))["description_placeholders"]
    assert one_light["exposed"] == "1"
    assert "Kitchen Light" in one_light["sentence"]


async def test_in_the_assistants_language(
    home: HomeAssistant, add_server: AddServer, url: str, fix: Fix
) -> None:
    """The assistant understands the suggested sentence."""
    await add_server(url)
    pipeline = async_get_pipeline(home)
    await assist_pipeline.async_update_pipeline(home, pipeline, conversation_language="it")
    [issue_id] = issues(home)
    told = (await open_steps(fix, issue_id))["description_placeholders"]
    result = await ask(home, told["sentence"], language="it")
    assert told["sentence"].startswith(("accendi", "Accendi"))
    assert result.response.language == "it"


async def test_done_by_hand(home: HomeAssistant, add_server: AddServer, url: str) -> None:
    """After a choice in the assistant's form the issue is deleted, also after a reload."""
    entry = await add_server(url)
    assert issues(home) == {f"first_steps_{entry.entry_id}"}
    await home.config_entries.async_reload(entry.entry_id)
    await home.async_block_till_done()
    assert issues(home) == {f"first_steps_{entry.entry_id}"}
    await use(home, AGENT)
    assert issues(home) == set()
    # It does not return if another agent is chosen later.
    await use(home, conversation.HOME_ASSISTANT_AGENT)
    await home.config_entries.async_reload(entry.entry_id)
    await home.async_block_till_done()
    assert issues(home) == set()


async def test_not_again(home: HomeAssistant, add_server: AddServer, url: str, fix: Fix) -> None:
    """A dismissed issue stays away, and an ignored one stays ignored."""
    entry = await add_server(url)
    [issue_id] = issues(home)
    ir.async_get(home).async_ignore(DOMAIN, issue_id, ignore=True)
    await home.config_entries.async_reload(entry.entry_id)
    await home.async_block_till_done()
    issue = ir.async_get(home).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.dismissed_version is not None
    assert issue.is_persistent
    step = await open_steps(fix, issue_id)
    await fix(step["flow_id"], next_step_id="dismiss")
    assert issues(home) == set()
    assert async_get_pipeline(home).conversation_engine == conversation.HOME_ASSISTANT_AGENT
    await home.config_entries.async_reload(entry.entry_id)
    await home.async_block_till_done()
    assert issues(home) == set()


async def test_who_has_it_already(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """A second server, and one of an earlier version, create no issue."""
    first, _ = await llama_peer(peers)
    second, _ = await llama_peer(peers)
    entry = await add_server(first)
    await use(home, AGENT)
    await add_server(second)
    assert issues(home) == set()
    await home.config_entries.async_remove(entry.entry_id)
    earlier = MockConfigEntry(domain=DOMAIN, title="Earlier", data={"url": first})
    earlier.add_to_hass(home)
    assert await home.config_entries.async_setup(earlier.entry_id)
    await home.async_block_till_done()
    assert issues(home) == set()


async def test_a_server_that_is_gone(
    home: HomeAssistant, add_server: AddServer, url: str, fix: Fix
) -> None:
    """The dialogue says that the server is unreachable; the issue is deleted with it."""
    entry = await add_server(url)
    [issue_id] = issues(home)
    await home.config_entries.async_unload(entry.entry_id)
    step = await open_steps(fix, issue_id)
    assert (step["type"], step["reason"]) == ("abort", "agent_unavailable")
    assert issues(home) == {issue_id}
    await home.config_entries.async_remove(entry.entry_id)
    assert issues(home) == set()
