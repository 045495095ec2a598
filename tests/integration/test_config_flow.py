"""Set-up as the browser does it, with real servers and with what else people point it at."""

from typing import TYPE_CHECKING, Any

import probatio
import pytest
from aiohttp import web
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_USER,
    ConfigEntryState,
    SubentryFlowContext,
)
from homeassistant.const import (
    CONF_API_KEY,
    CONF_LLM_HASS_API,
    CONF_MODEL,
    CONF_PROMPT,
    CONF_URL,
    CONF_VERIFY_SSL,
)
from homeassistant.data_entry_flow import FlowResultType, section
from homeassistant.helpers import llm

from custom_components.llamacpp import config_flow
from custom_components.llamacpp.client import address
from custom_components.llamacpp.const import DOMAIN
from dev.processes import LOOPBACK, free_port
from tests.conftest import serving

from .conftest import agent_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigFlowResult, SubentryFlowResult
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

KEY = "right"
LOADING = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
PROPS = {"default_generation_settings": {"n_ctx": 2048}, "build_info": "b1-test"}


@pytest.fixture(scope="module")
def locked_server(
    scripted_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LlamaServer]:
    """Return a real server that wants an API key."""
    log = tmp_path_factory.mktemp("locked") / "log.txt"
    with serving(log, "--ctx-size", "512", model=scripted_model, api_key=KEY) as server:
        yield server


@pytest.fixture
def router(scripted_model: Path, tmp_path: Path) -> Generator[LlamaServer]:
    """Return a real server in router mode with two models, none of them loaded."""
    models = tmp_path / "models"
    models.mkdir()
    for name in ("apple", "pear-4B"):
        (models / f"{name}.gguf").symlink_to(scripted_model)
    flags = ("--models-dir", models, "--ctx-size", "512", "--models-max", "1")
    with serving(tmp_path / "log.txt", *flags) as server:
        yield server


def choices(step: ConfigFlowResult | SubentryFlowResult) -> dict[str, str]:
    """Return the models that a form offers, with their labels."""
    assert step["data_schema"] is not None
    fields = {str(key): value for key, value in step["data_schema"].schema.items()}
    return {one["value"]: one["label"] for one in fields[CONF_MODEL].config["options"]}


async def start(hass: HomeAssistant, url: str, **values: Any) -> ConfigFlowResult:
    """Open the form, send it, and return the next step."""
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert form["type"] is FlowResultType.FORM
    assert form["errors"] == {}
    return await hass.config_entries.flow.async_configure(
        form["flow_id"], {CONF_URL: url, **values}
    )


def suggested(step: ConfigFlowResult) -> dict[str, Any]:
    """Return what the fields of a form are filled in with."""
    assert step["data_schema"] is not None
    return {
        str(key): key.description["suggested_value"]
        for key in step["data_schema"].schema
        if key.description
    }


@pytest.mark.parametrize("form", ["{0}:{1}", "http://{0}:{1}", "http://{0}:{1}/v1/", " {0}:{1} "])
async def test_every_spelling_of_an_address(
    assist: HomeAssistant, scripted_server: LlamaServer, form: str
) -> None:
    """The entry holds the canonical address, and one agent with good defaults."""
    step = await start(assist, form.format(LOOPBACK, scripted_server.port))
    assert step["type"] is FlowResultType.CREATE_ENTRY
    await assist.async_block_till_done()
    entry = step["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert entry.title == f"{LOOPBACK}:{scripted_server.port}"
    assert entry.data == {CONF_URL: scripted_server.base_url}
    agent, task = entry.subentries.values()
    assert (agent.subentry_type, agent.title) == ("conversation", "House Llama")
    assert agent.data == {CONF_LLM_HASS_API: ["assist"]}
    assert (task.subentry_type, task.title) == ("ai_task_data", "House Llama AI Task")
    assert task.data == {}


async def test_the_port_of_newer_servers(
    assist: HomeAssistant,
    scripted_server: LlamaServer,
    locked_server: LlamaServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An address without a port is tried at both, and the key is asked for there, too."""
    monkeypatch.setattr(address, "DEFAULT_PORT", free_port())
    monkeypatch.setattr(address, "NEWER_PORT", free_port())
    step = await start(assist, LOOPBACK)
    assert step["errors"] == {"base": "cannot_connect"}
    assert suggested(step)[CONF_URL] == f"http://{LOOPBACK}:{address.DEFAULT_PORT}"
    # Another program may have the older one.
    other = (await peers.answering(200, "Hello")).rpartition(":")[2]
    monkeypatch.setattr(address, "DEFAULT_PORT", int(other))
    monkeypatch.setattr(address, "NEWER_PORT", locked_server.port)
    step = await start(assist, LOOPBACK)
    assert step["errors"] == {CONF_API_KEY: "invalid_auth"}
    assert suggested(step)[CONF_URL] == locked_server.base_url
    monkeypatch.setattr(address, "DEFAULT_PORT", free_port())
    monkeypatch.setattr(address, "NEWER_PORT", scripted_server.port)
    step = await start(assist, f"{LOOPBACK}:{address.DEFAULT_PORT}")
    assert step["errors"] == {"base": "cannot_connect"}
    step = await start(assist, LOOPBACK)
    assert step["type"] is FlowResultType.CREATE_ENTRY
    await assist.async_block_till_done()
    assert step["result"].data == {CONF_URL: scripted_server.base_url}
    step = await start(assist, LOOPBACK)
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_the_same_server_only_once(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Another spelling of an address that is set up already is not another server."""
    await add_server(scripted_server.base_url)
    step = await start(assist, f"{scripted_server.base_url}/v1")
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_no_address(assist: HomeAssistant) -> None:
    """What is no address is told at its field, and kept in the form."""
    step = await start(assist, "ftp://here")
    assert step["errors"] == {CONF_URL: "invalid_address"}
    assert suggested(step) == {CONF_URL: "ftp://here", CONF_VERIFY_SSL: True}


async def test_nobody_there_then_somebody(
    assist: HomeAssistant, scripted_server: LlamaServer
) -> None:
    """After an error the same form goes on."""
    step = await start(assist, f"{LOOPBACK}:{free_port()}")
    assert step["errors"] == {"base": "cannot_connect"}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: scripted_server.base_url}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY


async def test_wrong_key_then_right(assist: HomeAssistant, locked_server: LlamaServer) -> None:
    """A key that is missing or wrong is told at its field."""
    step = await start(assist, locked_server.base_url)
    assert step["errors"] == {CONF_API_KEY: "invalid_auth"}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: locked_server.base_url, CONF_API_KEY: "wrong"}
    )
    assert step["errors"] == {CONF_API_KEY: "invalid_auth"}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: locked_server.base_url, CONF_API_KEY: KEY}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY
    assert step["result"].data == {CONF_URL: locked_server.base_url, CONF_API_KEY: KEY}


async def test_a_key_with_what_was_copied_along(
    assist: HomeAssistant, locked_server: LlamaServer
) -> None:
    """Blanks around a key are taken away; a character inside that cannot be sent is told."""
    step = await start(assist, locked_server.base_url, api_key="ri\nght")
    assert step["errors"] == {CONF_API_KEY: "invalid_key"}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: locked_server.base_url, CONF_API_KEY: f" {KEY}\n"}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY
    assert step["result"].data[CONF_API_KEY] == KEY


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (404, "404 page not found", "text/plain"),
        (404, "404: Not Found", "text/plain"),
        (200, "<html>Welcome to the router</html>", "text/html"),
        (200, '{"status": "ok"}', "application/json"),
    ],
    ids=["ollama", "home assistant", "web page", "some api"],
)
async def test_something_else(
    assist: HomeAssistant, peers: Peers, status: int, body: str, content_type: str
) -> None:
    """What is no llama-server is told to be none."""
    step = await start(assist, await peers.answering(status, body, content_type))
    assert step["errors"] == {"base": "not_llama_server"}


async def test_a_server_with_a_fault(assist: HomeAssistant, peers: Peers) -> None:
    """The server's own words about its fault reach the form."""
    body = '{"error": {"code": 500, "message": "out of memory", "type": "server_error"}}'
    step = await start(assist, await peers.answering(500, body, "application/json"))
    assert step["errors"] == {"base": "server_error"}
    assert (step["description_placeholders"] or {})["message"] == "out of memory"


async def loading_peer(peers: Peers, *answers: tuple[int, Any]) -> str:
    """Start a server whose health gives these answers in turn, the last one for good."""
    waiting = list(answers)

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/health":
            status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return web.json_response(body, status=status)
        return web.json_response(PROPS)

    return await peers.http(handle)


async def wait(hass: HomeAssistant, flow_id: str) -> ConfigFlowResult:
    """Choose to wait, see the progress, and return what comes after it."""
    step = await hass.config_entries.flow.async_configure(flow_id, {"next_step_id": "wait"})
    assert step["type"] is FlowResultType.SHOW_PROGRESS
    assert step["progress_action"] == "loading"
    await hass.async_block_till_done()
    return await hass.config_entries.flow.async_configure(flow_id)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a loading server more often than a person needs."""
    monkeypatch.setattr(config_flow, "LOADING_POLL_SECONDS", 0.01)


@pytest.mark.usefixtures("_impatient")
async def test_wait_for_the_model(assist: HomeAssistant, peers: Peers) -> None:
    """A server that is loading can be waited for."""
    url = await loading_peer(peers, *[(503, LOADING)] * 3, (200, {"status": "ok"}))
    step = await start(assist, url)
    assert step["type"] is FlowResultType.MENU
    assert step["menu_options"] == ["wait", "user"]
    step = await wait(assist, step["flow_id"])
    assert step["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("_impatient")
async def test_wait_in_vain(
    assist: HomeAssistant, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has an end, and so does the server's patience: both lead back to the form."""
    monkeypatch.setattr(config_flow, "LOADING_SECONDS", 0.05)
    step = await start(assist, await loading_peer(peers, (503, LOADING)))
    step = await wait(assist, step["flow_id"])
    assert step["errors"] == {"base": "model_loading"}

    crash = {"error": {"code": 500, "message": "no memory", "type": "server_error"}}
    url = await loading_peer(peers, (503, LOADING), (500, crash))
    step = await assist.config_entries.flow.async_configure(step["flow_id"], {CONF_URL: url})
    step = await wait(assist, step["flow_id"])
    assert step["errors"] == {"base": "server_error"}


async def test_do_not_wait(assist: HomeAssistant, peers: Peers) -> None:
    """Another address can be entered instead, or the same one changed."""
    url = await loading_peer(peers, (503, LOADING))
    step = await start(assist, url)
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {"next_step_id": "user"}
    )
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "user")
    assert suggested(step) == {CONF_URL: url}


async def test_a_router_gets_an_agent_with_a_model(
    assist: HomeAssistant, router: LlamaServer
) -> None:
    """In router mode the agent names a model that was chosen, and the model can be changed."""
    step = await start(assist, router.base_url)
    assert (step["type"], step["step_id"]) == (FlowResultType.FORM, "model")
    assert choices(step) == {"apple": "apple", "pear-4B": "pear-4B · home, talk"}
    added = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_MODEL: "pear-4B"}
    )
    assert added["type"] is FlowResultType.CREATE_ENTRY
    await assist.async_block_till_done()
    entry = added["result"]
    subentry = agent_of(entry)
    assert subentry.data[CONF_MODEL] == "pear-4B"

    form = await assist.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"),
        context={"source": "reconfigure", "subentry_id": subentry.subentry_id},
    )
    assert set(choices(form)) == {"apple", "pear-4B"}
    done = await assist.config_entries.subentries.async_configure(
        form["flow_id"], {CONF_MODEL: "apple", CONF_PROMPT: llm.DEFAULT_INSTRUCTIONS_PROMPT}
    )
    assert done["reason"] == "reconfigure_successful"
    await assist.async_block_till_done()
    subentry = agent_of(entry)
    assert subentry.data == {CONF_MODEL: "apple"}


@pytest.mark.parametrize("kind", ["conversation", "ai_task_data"])
async def test_all_options_of_an_agent(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, kind: str
) -> None:
    """What is set is stored without the form's folds, shown again, and cleared again."""
    entry = await add_server(scripted_server.base_url)
    subentry = next(iter(entry.get_subentries_of_type(kind)))
    context = SubentryFlowContext(source="reconfigure", subentry_id=subentry.subentry_id)
    flows = assist.config_entries.subentries

    step = await flows.async_init((entry.entry_id, kind), context=context)
    options = {"temperature": 0.5, "top_k": 20.0, "stop": ["END"]}
    limits = {"thinking": "off", "max_tokens": 100.0, "max_tool_rounds": 10.0}
    done = await flows.async_configure(step["flow_id"], {"answer": limits, "sampling": options})
    assert done["reason"] == "reconfigure_successful"
    await assist.async_block_till_done()
    stored = entry.subentries[subentry.subentry_id].data
    # Ten rounds are the default, so that is not stored.
    assert stored == {"thinking": "off", "max_tokens": 100.0, **options}

    step = await flows.async_init((entry.entry_id, kind), context=context)
    assert step["data_schema"] is not None
    folded = step["data_schema"].schema["sampling"].schema.schema
    shown = {str(key): key.description for key in folded}
    assert shown["temperature"] == {"suggested_value": 0.5}
    assert shown["min_p"] is None
    done = await flows.async_configure(step["flow_id"], {"answer": {}, "sampling": {}})
    await assist.async_block_till_done()
    assert entry.subentries[subentry.subentry_id].data == {}


@pytest.mark.parametrize("kind", ["conversation", "ai_task_data"])
async def test_little_is_asked_at_first(
    assist: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, kind: str
) -> None:
    """What most people want to set fits on a small screen; all else is folded away."""
    entry = await add_server(scripted_server.base_url)
    step = await assist.config_entries.subentries.async_init(
        (entry.entry_id, kind), context=SubentryFlowContext(source="user")
    )
    assert step["data_schema"] is not None
    fields = step["data_schema"].schema
    folded = {str(key): one for key, one in fields.items() if isinstance(one, section)}
    assert set(folded) == {"answer", "sampling"}
    assert all(one.options["collapsed"] for one in folded.values())
    assert len(fields) - len(folded) <= 5
    assert {str(key) for key in fields if isinstance(key, probatio.Required)} == {"name"}


async def test_an_agent_needs_its_server(
    assist: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """No agent can be added while its server is not set up."""
    entry = await add_server(own_server.base_url)
    assert await assist.config_entries.async_unload(entry.entry_id)
    step = await assist.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"), context={"source": SOURCE_USER}
    )
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "entry_not_loaded")


async def test_models_of_a_router_that_is_gone(
    assist: HomeAssistant, add_server: AddServer, router: LlamaServer
) -> None:
    """No agent can be added while the list of models is not to be had."""
    entry = await add_server(router.base_url)
    router.kill()
    step = await assist.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"), context={"source": SOURCE_USER}
    )
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "cannot_connect")


async def test_a_key_that_is_refused_later(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A server that comes back with another key asks for it."""
    port = free_port()
    flags = ("--ctx-size", "512")
    options = {"model": scripted_model, "port": port}
    with serving(tmp_path / "1.txt", *flags, api_key="old", **options) as server:
        entry = await add_server(server.base_url, api_key="old")
    with serving(tmp_path / "2.txt", *flags, api_key="new", **options):
        await entry.runtime_data.coordinator.async_refresh()
        (flow,) = assist.config_entries.flow.async_progress()
        assert flow["context"]["source"] == SOURCE_REAUTH
        step = await assist.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_API_KEY: "wrong"}
        )
        assert step["errors"] == {CONF_API_KEY: "invalid_auth"}
        step = await assist.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_API_KEY: "ne\rw"}
        )
        assert step["errors"] == {CONF_API_KEY: "invalid_key"}
        step = await assist.config_entries.flow.async_configure(
            flow["flow_id"], {CONF_API_KEY: "new\n"}
        )
        assert step["reason"] == "reauth_successful"
        await assist.async_block_till_done()
        assert entry.state is ConfigEntryState.LOADED
        assert entry.data[CONF_API_KEY] == "new"


async def test_a_key_that_is_refused_at_the_start(
    assist: HomeAssistant, add_server: AddServer, locked_server: LlamaServer
) -> None:
    """With a new key the server is set up at once."""
    entry = await add_server(locked_server.base_url, api_key=KEY)
    assist.config_entries.async_update_entry(entry, data={**entry.data, CONF_API_KEY: "old"})
    await assist.async_block_till_done()
    failed: ConfigEntryState = entry.state
    assert failed is ConfigEntryState.SETUP_ERROR
    (flow,) = assist.config_entries.flow.async_progress()
    step = await assist.config_entries.flow.async_configure(flow["flow_id"], {CONF_API_KEY: KEY})
    assert step["reason"] == "reauth_successful"
    await assist.async_block_till_done()
    again: ConfigEntryState = entry.state
    assert again is ConfigEntryState.LOADED


async def test_reauth_while_loading(
    assist: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A key that the server takes while it loads is as good as any."""
    url = await loading_peer(peers, (200, {"status": "ok"}), (503, LOADING))
    entry = await add_server(url)
    entry.async_start_reauth(assist)
    await assist.async_block_till_done()
    (flow,) = assist.config_entries.flow.async_progress()
    step = await assist.config_entries.flow.async_configure(flow["flow_id"], {CONF_API_KEY: "k"})
    assert step["reason"] == "reauth_successful"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ((503, LOADING), ConfigEntryState.SETUP_RETRY),
        (
            (401, {"error": {"message": "no", "type": "authentication_error", "code": 401}}),
            ConfigEntryState.SETUP_ERROR,
        ),
    ],
)
async def test_set_up_waits_for_the_server(
    assist: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    answer: tuple[int, Any],
    state: ConfigEntryState,
) -> None:
    """An entry whose server cannot answer yet is tried again; with a wrong key, it asks."""
    url = await loading_peer(peers, (200, {"status": "ok"}), (200, {"status": "ok"}), answer)
    entry = await add_server(url)
    await assist.config_entries.async_reload(entry.entry_id)
    assert entry.state is state
    await assist.config_entries.async_unload(entry.entry_id)
