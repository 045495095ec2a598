"""The blueprints: imported by Home Assistant, then run with a real model in the demo's home."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import yaml
from aiohttp import web
from homeassistant.components.automation.helpers import async_get_blueprints
from homeassistant.components.blueprint.importer import fetch_blueprint_from_url
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from .automations import SEEING, FrontDoor, next_time
from .conftest import AGENT, TASK_AGENT
from .talk import llama_peer, piece

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import Event, HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

    type Use = Callable[..., Awaitable[None]]
    type Notified = Callable[[], list[str]]

FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "llamacpp"
REPOSITORY = "https://github.com/llamacpp-home-assistant/llamacpp-home-assistant"
PAGE = (FOLDER.parents[2] / "docs" / "blueprints.md").read_text()
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
MOTION = "binary_sensor.garden_motion"
SOON = 0.3
FACTS = ["sensor.garden_temperature", "lock.side_door", "sensor.nothing"]


@pytest.fixture(autouse=True)
def _large_models() -> None:
    """Let a small model choose among commands, which is the default."""


@pytest.fixture
async def use(home: HomeAssistant, peers: Peers) -> Use:
    """Return a function that imports a blueprint from a URL and makes an automation of it."""
    assert await async_setup_component(home, "persistent_notification", {})

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=(FOLDER / Path(request.path).name).read_text())

    url = await peers.http(answer)

    async def start(name: str, **inputs: Any) -> None:
        found = await fetch_blueprint_from_url(home, f"{url}/{name}.yaml")
        await async_get_blueprints(home).async_add_blueprint(found.blueprint, f"{name}.yaml")
        automation = {"use_blueprint": {"path": f"{name}.yaml", "input": inputs}, "alias": name}
        assert await async_setup_component(home, "automation", {"automation": [automation]})
        (state,) = home.states.async_all("automation")
        assert state.state == "on"

    return start


@pytest.fixture
def notified(home: HomeAssistant, caplog: pytest.LogCaptureFixture) -> Notified:
    """Return a function that stops the automations and returns the notifications."""
    events: list[Event[Any]] = async_capture_events(home, EVENT_CALL_SERVICE)
    caplog.clear()

    def tell() -> list[str]:
        loggers = ("homeassistant.components.automation", "custom_components.llamacpp")
        records = [one for one in caplog.records if one.name.startswith(loggers)]
        assert not [one for one in records if one.levelno > logging.INFO]
        return [
            event.data["service_data"]["message"]
            for event in events
            if event.data["domain"] == "persistent_notification"
        ]

    return tell


async def stop(hass: HomeAssistant) -> None:
    """Stop all automations, with their timers."""
    every = {"entity_id": "all"}
    await hass.services.async_call("automation", "turn_off", every, blocking=True)
    await hass.async_block_till_done()


@pytest.fixture
async def server(
    home: HomeAssistant,  # noqa: ARG001 - it is there first
    add_server: AddServer,
    llama_server: LlamaServer,
) -> None:
    """Set up a real server with a real small model."""
    await add_server(llama_server.base_url)


@pytest.fixture
async def phone(home: HomeAssistant, peers: Peers) -> tuple[str, list[dict[str, Any]]]:
    """Return the device of a phone, and its notifications."""
    pushed: list[dict[str, Any]] = []

    async def push(request: web.Request) -> web.Response:
        pushed.append(await request.json())
        return web.json_response({}, status=201)

    app_data = {"push_token": "token", "push_url": await peers.http(push)}
    names = ("app_name", "app_version", "device_id", "manufacturer", "model", "os_name")
    data: dict[str, Any] = {name: name for name in (*names, "os_version", "user_id", "webhook_id")}
    data |= {"app_id": "app", "device_name": "Phone", "supports_encryption": False}
    entry = MockConfigEntry(domain="mobile_app", data={**data, "app_data": app_data})
    entry.add_to_hass(home)
    assert await async_setup_component(home, "mobile_app", {})
    await home.async_block_till_done()
    (device,) = dr.async_entries_for_config_entry(dr.async_get(home), entry.entry_id)
    return device.id, pushed


def asked(events: list[Event[Any]]) -> str:
    """Return the first message to the model."""
    return next(
        str(event.data["service_data"]["message"])
        for event in events
        if (event.data["domain"], event.data["service"]) == ("llamacpp", "chat")
    )


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition while an automation waits, too."""
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not come")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_blueprint_says(name: str) -> None:
    """It has a source, a description of each input, and a minimum version."""

    class Loader(yaml.SafeLoader):
        """YAML with inputs."""

    Loader.add_constructor("!input", lambda _, node: node.value)
    content = yaml.load((FOLDER / f"{name}.yaml").read_text(), Loader)  # noqa: S506 - a safe one
    head = content["blueprint"]
    assert head["name"].startswith("House Llama: ")
    assert (
        head["source_url"]
        == f"{REPOSITORY}/blob/main/{FOLDER.relative_to(FOLDER.parents[2])}/{name}.yaml"
    )
    assert all(one["name"] and one["selector"] for one in head["input"].values())
    assert head["homeassistant"]["min_version"] == "2026.10.0"
    quoted = quote(head["source_url"], safe="")
    assert f"/redirect/blueprint_import/?blueprint_url={quoted})" in PAGE


@pytest.mark.usefixtures("server")
async def test_morning_greeting(home: HomeAssistant, use: Use, notified: Notified) -> None:
    """The first motion gets a greeting with the facts, the second does not."""
    events = async_capture_events(home, EVENT_CALL_SERVICE)
    day = {"after": "00:00:00", "before": "23:59:59"}
    await use("morning_greeting", motion=MOTION, agent=AGENT, facts=FACTS, **day)
    for state in ("on", "off", "on"):
        home.states.async_set(MOTION, state)
        await home.async_block_till_done()
    (text,) = notified()
    assert "Garden Temperature: 11.3 °C" in asked(events)
    assert "Side Door: locked" in asked(events)
    assert "nothing" not in asked(events)
    assert text
    await stop(home)


@pytest.mark.usefixtures("server")
async def test_announcement(home: HomeAssistant, use: Use, notified: Notified) -> None:
    """The model announces the event."""
    event = [{"trigger": "state", "entity_id": "vacuum.robbie", "to": "cleaning"}]
    await use("announcement", event=event, what="Robbie cleans.")
    home.states.async_set("vacuum.robbie", "cleaning")
    await home.async_block_till_done()
    (text,) = notified()
    assert text
    await stop(home)


@pytest.mark.usefixtures("server")
async def test_summary_of_the_day(home: HomeAssistant, use: Use, notified: Notified) -> None:
    """In the evening a summary is sent."""
    events = async_capture_events(home, EVENT_CALL_SERVICE)
    await use("summary_of_the_day", facts=FACTS)
    async_fire_time_changed(home, next_time("21:00:00"))
    await home.async_block_till_done()
    (text,) = notified()
    assert "Garden Temperature: 11.3 °C" in asked(events)
    assert "Side Door: locked" in asked(events)
    assert "nothing" not in asked(events)
    assert text
    await stop(home)


async def test_doorbell(
    home: HomeAssistant, add_server: AddServer, peers: Peers, use: Use, notified: Notified
) -> None:
    """The model gets the picture of the camera."""
    url, requests = await llama_peer(peers, [piece(content="A dot."), piece("stop")], props=SEEING)
    await add_server(url)
    assert await async_setup_component(home, "camera", {})
    await home.data["camera"].async_add_entities([FrontDoor()])
    home.states.async_set("binary_sensor.bell", "off")
    await use("doorbell", bell="binary_sensor.bell", camera="camera.front_door", agent=AGENT)
    home.states.async_set("binary_sensor.bell", "on")
    await home.async_block_till_done()
    assert notified() == ["A dot."]
    assert "image_url" in str(requests[-1])
    await stop(home)


@pytest.mark.usefixtures("server")
async def test_remind_me_when(
    home: HomeAssistant, use: Use, notified: Notified, hass_ws_client: WebSocketGenerator
) -> None:
    """It confirms the condition at once, and reminds when it is met."""
    await use("remind_me_when", things=["cover.garage_door", "sensor.nothing"], task=TASK_AGENT)
    client = await hass_ws_client(home)
    await client.send_json_auto_id({"type": "assist_pipeline/pipeline/list"})
    pipeline = (await client.receive_json())["result"]["pipelines"][0]
    fields = {name: value for name, value in pipeline.items() if name != "id"}
    update = {"type": "assist_pipeline/pipeline/update", "pipeline_id": pipeline["id"]}
    await client.send_json_auto_id({**update, **fields, "conversation_engine": AGENT})
    assert (await client.receive_json())["success"]
    said = {"text": "Remind me when the garage door is open"}
    run = {"type": "assist_pipeline/run", "start_stage": "intent", "end_stage": "intent"}
    await client.send_json_auto_id({**run, "input": said})
    types = []
    while "intent-end" not in types:
        event = (await client.receive_json()).get("event") or {}
        types.append(event.get("type"))
        assert "error" not in types, event
    speech = event["data"]["intent_output"]["response"]["speech"]["plain"]["speech"]
    assert speech == "I will tell you when Garage Door changes."
    home.states.async_set("cover.garage_door", "unavailable")
    home.states.async_set("cover.garage_door", "open", {"friendly_name": "Garage Door"})
    await until(notified)
    assert notified() == ["Garage Door: open"]
    await stop(home)


@pytest.mark.parametrize("control", [True, False])
@pytest.mark.usefixtures("server")
async def test_question_to_phone(
    home: HomeAssistant,
    phone: tuple[str, list[dict[str, Any]]],
    use: Use,
    notified: Notified,
    *,
    control: bool,
) -> None:
    """The answer on the phone continues the conversation, and may move things if allowed."""
    device, pushed = phone
    event = [{"trigger": "state", "entity_id": MOTION, "to": "on"}]
    what = "The floor lamp is on."
    inputs = {"event": event, "phone": device, "what": what, "control": control}
    await use("question_to_phone", **inputs)
    home.states.async_set(MOTION, "on")
    await until(lambda: pushed)
    action = pushed[0]["data"]["actions"][0]["action"]
    reply = {"action": action, "reply_text": "Turn off the floor lamp."}
    # Home Assistant listens for it only after the push was answered.
    await asyncio.sleep(SOON)
    home.bus.async_fire("mobile_app_notification_action", reply)
    await until(lambda: len(pushed) > 1)
    lamp = home.states.get("light.floor_lamp")
    assert lamp is not None
    assert lamp.state == ("off" if control else "on")
    assert notified() == []
    await stop(home)
