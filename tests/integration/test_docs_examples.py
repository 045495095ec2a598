"""The automations of the docs, unchanged, in a home with their entities."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.llamacpp import action_turn, attachments, const
from custom_components.llamacpp.model import abilities
from custom_components.llamacpp.nlu import utterance
from custom_components.llamacpp.turn import turn
from tests.conftest import serving

from .automations import SEEING, FrontDoor, next_time
from .talk import llama_peer, piece

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
EXAMPLES: dict[str, dict[str, Any]] = {
    example["alias"]: example
    for path in sorted(ROOT.glob("docs/*.md"))
    for block in BLOCK.findall(path.read_text())
    if "actions" in (example := yaml.safe_load(block))
}
# States after an example that lets the model control the home.
ENDS = {
    "light.floor_lamp": "off",
    "cover.living_room_curtain": "closed",
    "lock.side_door": "locked",
}
MESSAGE = "The water in the cellar is rising!"


@pytest.fixture(autouse=True)
def _large_models() -> None:
    """Let a small model choose among commands, which is the default."""


@pytest.fixture(autouse=True)
def _model_first() -> None:
    """Try Home Assistant's sentences first, which is the default."""


@pytest.fixture
async def house(home: HomeAssistant) -> HomeAssistant:
    """Return the demo's home, with a camera and a bell at the front door."""
    assert await async_setup_component(home, "camera", {})
    assert await async_setup_component(home, "persistent_notification", {})
    await home.data["camera"].async_add_entities([FrontDoor()])
    home.states.async_set("binary_sensor.front_door_bell", "off")
    await home.async_block_till_done()
    return home


def fire(hass: HomeAssistant, trigger: dict[str, Any]) -> None:
    """Fire a trigger."""
    match trigger["trigger"]:
        case "time":
            async_fire_time_changed(hass, next_time(trigger["at"]))
        case "state":
            hass.states.async_set(trigger["entity_id"], trigger["to"])
        case "event":
            hass.bus.async_fire(trigger["event_type"], {"text": MESSAGE})
        case other:
            pytest.fail(f"nobody here makes a trigger {other} happen")


@pytest.fixture
async def requests(
    request: pytest.FixtureRequest, add_server: AddServer, peers: Peers
) -> list[Any]:
    """Set up a real server, or a scripted one with vision; return the requests to the latter."""
    if "attachments" in str(EXAMPLES[request.node.callspec.params["name"]]):
        answer = [piece(content="A dot."), piece("stop")]
        url, requests = await llama_peer(peers, answer, props=SEEING)
        await add_server(url)
        return requests
    server: LlamaServer = request.getfixturevalue("llama_server")
    await add_server(server.base_url)
    return []


@pytest.mark.parametrize("name", EXAMPLES)
async def test_it_works(
    house: HomeAssistant, requests: list[Any], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Its trigger fires, each of its actions returns, and the notification has words."""
    example = EXAMPLES[name]
    notified = async_capture_events(house, EVENT_CALL_SERVICE)
    assert await async_setup_component(house, "automation", {"automation": [example]})
    (state,) = house.states.async_all("automation")
    assert state.state == "on"
    caplog.clear()
    for trigger in example["triggers"]:
        fire(house, trigger)
        await house.async_block_till_done()
    every = {"entity_id": "all"}
    await house.services.async_call("automation", "turn_off", every, blocking=True)
    loggers = ("homeassistant.components.automation", "custom_components.llamacpp")
    records = [one for one in caplog.records if one.name.startswith(loggers)]
    assert not [one for one in records if one.levelno > logging.INFO]
    messages = [
        event.data["service_data"]["message"].strip()
        for event in notified
        if event.data["domain"] == "persistent_notification"
    ]
    # The model may decide whether one is sent.
    assert messages or "'if'" in str(example["actions"])
    assert not {"", "None"} & {*messages}
    assert all("image_url" in str(one) for one in requests[-1:])
    if "llm_hass_api" in str(example):
        states = {one: house.states.get(one) for one in ENDS}
        assert {one: state and state.state for one, state in states.items()} == ENDS


@pytest.mark.parametrize(
    ("page", "said", "value"),
    [
        ("options", "| Rounds of tool calls | {} |", turn.MAX_TOOL_ROUNDS),
        ("automations", "at most {} characters", action_turn.MAX_CHARACTERS),
        ("automations", "up to {} pictures", attachments.MAX_ATTACHMENTS),
        ("entities", "every {} seconds", const.POLL_SECONDS),
        ("entities", "after {} seconds", const.RETRY_SECONDS),
        ("how-it-works", "of more than {} words", utterance.MAX_WORDS),
        ("how-it-works", "or of {} characters", utterance.MAX_CHARACTERS),
        ("how-it-works", "below {} billion", abilities.MIN_TOOL_PARAMS / 10**9),
        ("models", "Models of {} billion", abilities.MIN_TOOL_PARAMS / 10**9),
    ],
)
def test_numbers_are_those_of_the_code(page: str, said: str, value: float) -> None:
    """The docs have the code's limits."""
    text = " ".join((ROOT / "docs" / f"{page}.md").read_text().split())
    assert said.format(f"{value:,}") in text


@pytest.mark.parametrize("page", ["README.md", "docs/quick-start.md", "docs/servers.md"])
async def test_the_line_that_starts_a_server(
    assist: HomeAssistant, add_server: AddServer, model: Path, tmp_path: Path, page: str
) -> None:
    """llama-server accepts its flags, and the integration the server with the key."""
    (line,) = re.findall(r"^ *llama-server (-.*)$", (ROOT / page).read_text(), re.MULTILINE)
    flags = line.split()
    where, api_key = flags[0], flags[flags.index("--api-key") + 1]
    assert where in ("-hf", "-m")
    # With another model, address and port.
    for name in (where, "--host", "--port", "--api-key"):
        del flags[flags.index(name) : flags.index(name) + 2]
    with serving(tmp_path / "log.txt", *flags, model=model, api_key=api_key) as server:
        entry = await add_server(server.base_url, api_key)
        assert entry.state is ConfigEntryState.LOADED
        sensors = {one.entity_id.partition(".")[2] for one in assist.states.async_all("sensor")}
        assert any(one.endswith("prompt_tokens_processed") for one in sensors)
        await assist.config_entries.async_unload(entry.entry_id)
