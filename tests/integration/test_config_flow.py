"""Set-up as in the browser, with real servers and with other programs."""

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
from dev.processes import LOOPBACK, free_port
from tests.conftest import serving

from .conftest import agent_of
from .flows import choices, start, suggested

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigFlowResult
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
    """Return a real server with an API key."""
    log = tmp_path_factory.mktemp("locked") / "log.txt"
    with serving(log, "--ctx-size", "512", model=scripted_model, api_key=KEY) as server:
        yield server


@pytest.fixture
def router(scripted_model: Path, tmp_path: Path) -> Generator[LlamaServer]:
    """Return a real router with two models, none loaded."""
    models = tmp_path / "models"
    models.mkdir()
    for name in ("apple", "pear-4B"):
        (models / f"{name}.gguf").symlink_to(scripted_model)
    flags = ("--models-dir", models, "--ctx-size", "512", "--models-max", "1")
    with serving(tmp_path / "log.txt", *flags) as server:
        yield server


@pytest.mark.parametrize("form", ["{0}:{1}", "http://{0}:{1}", "http://{0}:{1}/v1/", " {0}:{1} "])
async def test_every_spelling_of_an_address(
    assist: HomeAssistant, scripted_server: LlamaServer, form: str
) -> None:
    """The entry has the canonical address, and one agent with good defaults."""
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
    """An address without a port is tried at both, also to ask for the key."""
    monkeypatch.setattr(address, "DEFAULT_PORT", free_port())
    monkeypatch.setattr(address, "NEWER_PORT", free_port())
    step = await start(assist, LOOPBACK)
    assert step["errors"] == {"base": "cannot_connect"}
    assert suggested(step)[CONF_URL] == f"http://{LOOPBACK}:{address.DEFAULT_PORT}"
    # Another program may use the older port.
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
    """The same address in another spelling is the same server."""
    await add_server(scripted_server.base_url)
    step = await start(assist, f"{scripted_server.base_url}/v1")
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_no_address(assist: HomeAssistant) -> None:
    """An invalid address is reported at its field, and kept in the form."""
    step = await start(assist, "ftp://here")
    assert step["errors"] == {CONF_URL: "invalid_address"}
    assert suggested(step) == {CONF_URL: "ftp://here", CONF_VERIFY_SSL: True}


async def test_nobody_there_then_somebody(
    assist: HomeAssistant, scripted_server: LlamaServer
) -> None:
    """The same form succeeds after an error."""
    step = await start(assist, f"{LOOPBACK}:{free_port()}")
    assert step["errors"] == {"base": "cannot_connect"}
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {CONF_URL: scripted_server.base_url}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY


async def test_wrong_key_then_right(assist: HomeAssistant, locked_server: LlamaServer) -> None:
    """A missing or wrong key is reported at its field."""
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
    """Blanks around a key are removed; an invalid character inside is reported."""
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
    """A program that is no llama-server is reported as such."""
    step = await start(assist, await peers.answering(status, body, content_type))
    assert step["errors"] == {"base": "not_llama_server"}


async def test_a_server_with_a_fault(assist: HomeAssistant, peers: Peers) -> None:
    """The form shows the server's own message."""
    body = '{"error": {"code": 500, "message": "out of memory", "type": "server_error"}}'
    step = await start(assist, await peers.answering(500, body, "application/json"))
    assert step["errors"] == {"base": "server_error"}
    assert (step["description_placeholders"] or {})["message"] == "out of memory"


async def loading_peer(peers: Peers, *answers: tuple[int, Any]) -> str:
    """Start a server whose health gives these answers in turn, the last one forever."""
    waiting = list(answers)

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/health":
            status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            return web.json_response(body, status=status)
        return web.json_response(PROPS)

    return await peers.http(handle)


async def wait(hass: HomeAssistant, flow_id: str) -> ConfigFlowResult:
    """Choose to wait, see the progress, and return the next step."""
    step = await hass.config_entries.flow.async_configure(flow_id, {"next_step_id": "wait"})
    assert step["type"] is FlowResultType.SHOW_PROGRESS
    assert step["progress_action"] == "loading"
    await hass.async_block_till_done()
    return await hass.config_entries.flow.async_configure(flow_id)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll a loading server often."""
    monkeypatch.setattr(config_flow, "QUICK_SECONDS", 0)
    monkeypatch.setattr(config_flow, "LOADING_POLL_SECONDS", 0.01)


@pytest.mark.usefixtures("_impatient")
async def test_wait_for_the_model(assist: HomeAssistant, peers: Peers) -> None:
    """Set-up waits for a server that loads its model."""
    url = await loading_peer(peers, *[(503, LOADING)] * 3, (200, {"status": "ok"}))
    step = await start(assist, url)
    assert step["type"] is FlowResultType.MENU
    assert step["menu_options"] == ["wait", "user"]
    step = await wait(assist, step["flow_id"])
    assert step["type"] is FlowResultType.CREATE_ENTRY


async def test_a_wait_that_is_over_at_once(
    assist: HomeAssistant, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No progress is shown, whose end a browser would miss."""
    monkeypatch.setattr(config_flow, "QUICK_SECONDS", 60)
    url = await loading_peer(peers, (503, LOADING), (200, {"status": "ok"}))
    step = await start(assist, url)
    step = await assist.config_entries.flow.async_configure(
        step["flow_id"], {"next_step_id": "wait"}
    )
    assert step["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("_impatient")
async def test_wait_in_vain(
    assist: HomeAssistant, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has a limit; after that, and after a crash, the form is back."""
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
    """Another address can be entered instead, or the same one corrected."""
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
    """Options are stored without the form's sections, shown again, and cleared again."""
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
    # The default of ten rounds is not stored.
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
    """The usual options fit on a small screen; the others are collapsed."""
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
    """No agent can be added while its server is not loaded."""
    entry = await add_server(own_server.base_url)
    assert await assist.config_entries.async_unload(entry.entry_id)
    step = await assist.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"), context={"source": SOURCE_USER}
    )
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "entry_not_loaded")


async def test_models_of_a_router_that_is_gone(
    assist: HomeAssistant, add_server: AddServer, router: LlamaServer
) -> None:
    """No agent can be added without the list of models."""
    entry = await add_server(router.base_url)
    router.kill()
    step = await assist.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"), context={"source": SOURCE_USER}
    )
    assert (step["type"], step["reason"]) == (FlowResultType.ABORT, "cannot_connect")


async def test_a_key_that_is_refused_later(
    assist: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A server that returns with another key starts reauthentication."""
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
    """With a new key the server is set up immediately."""
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
    """A key that a loading server accepts is valid."""
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
    """A loading server is retried; a wrong key starts reauthentication."""
    url = await loading_peer(peers, (200, {"status": "ok"}), (200, {"status": "ok"}), answer)
    entry = await add_server(url)
    await assist.config_entries.async_reload(entry.entry_id)
    assert entry.state is state
    await assist.config_entries.async_unload(entry.entry_id)
