"""Set-up of a server that core's llama.cpp integration uses, too."""

from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from homeassistant.components import assist_pipeline
from homeassistant.components.assist_pipeline.pipeline import KEY_ASSIST_PIPELINE
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigSubentryData
from homeassistant.const import CONF_URL
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.llamacpp.const import DOMAIN
from dev.processes import LOOPBACK, free_port

from .conftest import AGENT
from .flows import discover, start

if TYPE_CHECKING:
    import aiohttp
    from homeassistant.config_entries import ConfigFlowResult
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers


def add_core(hass: HomeAssistant, url: str, **data: str) -> MockConfigEntry:
    """Add core's integration for a server; return its entry."""
    entry = MockConfigEntry(domain="llama_cpp", title="Core's", data={"base_url": url, **data})
    entry.add_to_hass(hass)
    return entry


def explains_difference(step: ConfigFlowResult) -> bool:
    """Return whether the step explains the difference."""
    return step["type"] is FlowResultType.FORM and step["step_id"] == "core_integration"


@pytest.mark.parametrize("spelling", ["http://{0}:{1}/v1", "http://{0}:{1}", "http://{0}:{1}/v1/"])
async def test_the_difference_is_told(
    assist: HomeAssistant, scripted_server: LlamaServer, spelling: str
) -> None:
    """One more form explains it, with the title of core's entry; then the server is set up."""
    add_core(assist, spelling.format(LOOPBACK, scripted_server.port))
    step = await start(assist, scripted_server.base_url)
    assert explains_difference(step)
    assert step["description_placeholders"] == {"name": "Core's", "assistants": ""}
    assert step["data_schema"] is not None
    assert not step["data_schema"].schema
    step = await assist.config_entries.flow.async_configure(step["flow_id"], {})
    assert step["type"] is FlowResultType.CREATE_ENTRY
    assert step["data"] == {CONF_URL: scripted_server.base_url}


@pytest.mark.parametrize("change_over", [True, False])
async def test_assistants_are_changed_over(
    assist: HomeAssistant, scripted_server: LlamaServer, *, change_over: bool
) -> None:
    """Assistants with an agent of core's entry use ours, if wanted; no others."""
    core = add_core(assist, f"{scripted_server.base_url}/v1")
    theirs = er.async_get(assist).async_get_or_create(
        "conversation", "llama_cpp", "one", suggested_object_id="theirs", config_entry=core
    )
    (first,) = assist_pipeline.async_get_pipelines(assist)
    another = {key: value for key, value in first.to_json().items() if key != "id"}
    await assist.data[KEY_ASSIST_PIPELINE].pipeline_store.async_create_item(another)
    second = assist_pipeline.async_get_pipelines(assist)[1]
    await assist_pipeline.async_update_pipeline(assist, first, conversation_engine=theirs.entity_id)
    step = await start(assist, scripted_server.base_url)
    assert step["description_placeholders"] == {"name": "Core's", "assistants": first.name}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {"change_over": change_over}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY
    engines = [one.conversation_engine for one in assist_pipeline.async_get_pipelines(assist)]
    assert engines == [AGENT if change_over else theirs.entity_id, second.conversation_engine]


async def test_the_same_server_at_another_address(
    assist: HomeAssistant,
    scripted_server: LlamaServer,
    peers: Peers,
    session: aiohttp.ClientSession,
) -> None:
    """The server is recognised behind a proxy, with the key of core's entry."""
    keys: list[str | None] = []

    async def forward(request: web.Request) -> web.Response:
        keys.append(request.headers.get("Authorization"))
        async with session.get(scripted_server.base_url + request.path) as answer:
            return web.json_response(await answer.json(), status=answer.status)

    add_core(assist, await peers.http(forward), api_key="core's")
    assert explains_difference(await start(assist, scripted_server.base_url))
    assert keys == ["Bearer core's"]


@pytest.mark.parametrize("url", ["http://{0}:{1}/v1", "ftp://here", ""])
async def test_another_server(
    assist: HomeAssistant, scripted_server: LlamaServer, url: str
) -> None:
    """Another server, an unreachable one or no address: nothing is explained."""
    add_core(assist, url.format(LOOPBACK, free_port()))
    step = await start(assist, scripted_server.base_url)
    assert step["type"] is FlowResultType.CREATE_ENTRY


async def test_the_app(assist: HomeAssistant, scripted_server: LlamaServer) -> None:
    """A discovered server has the form, too."""
    add_core(assist, f"{scripted_server.base_url}/v1")
    step = await discover(assist, scripted_server.port)
    assert explains_difference(
        await assist.config_entries.flow.async_configure(step["flow_id"], {})
    )


async def test_agents_keep_their_names(assist: HomeAssistant, scripted_server: LlamaServer) -> None:
    """An agent from before the integration was renamed keeps its name and id."""
    agent = ConfigSubentryData(
        subentry_type="conversation", title="Llama.cpp", unique_id=None, data={}
    )
    data = {CONF_URL: scripted_server.base_url}
    entry = MockConfigEntry(domain=DOMAIN, title="Llama.cpp", data=data, subentries_data=[agent])
    entry.add_to_hass(assist)
    (subentry,) = entry.subentries.values()
    registry = er.async_get(assist)
    registry.async_get_or_create(
        "conversation",
        DOMAIN,
        subentry.subentry_id,
        suggested_object_id="llama_cpp",
        config_entry=entry,
        config_subentry_id=subentry.subentry_id,
    )
    assert await assist.config_entries.async_setup(entry.entry_id)
    await assist.async_block_till_done()
    (state,) = [one for one in assist.states.async_all("conversation") if one.name == "Llama.cpp"]
    assert state.entity_id == "conversation.llama_cpp"
    assert entry.title == "Llama.cpp"
    await assist.config_entries.async_unload(entry.entry_id)


async def test_not_at_a_change(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """The form is not shown again."""
    entry = await add_server(scripted_server.base_url)
    add_core(assist, f"{scripted_server.base_url}/v1")
    form = await assist.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    step = await assist.config_entries.flow.async_configure(
        form["flow_id"], {CONF_URL: scripted_server.base_url}
    )
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
