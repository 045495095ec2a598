"""From an empty Home Assistant to an agent that answers, and through what may happen to it."""

import asyncio
import contextlib
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from dev.agent_setup import DOMAIN, find_agent, is_available, prefer_agent
from dev.ha_client import Answer, HomeAssistantClient
from dev.hass import HomeAssistant
from dev.llama import LlamaServer
from dev.processes import LOOPBACK, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

LONG_QUESTION = "Tell me a long story about a lighthouse and the sea, with many details."
PIECES_BEFORE_THE_KILL = 3
# What the issue allows between the end of the server and the words that tell of it.
ERROR_SECONDS = 5.0
# The server is asked every five seconds while it is away.
BACK_SECONDS = 20.0
LATE_SECONDS = 60.0
# A small model may not find an end by itself; its answers are the same in every run.
BOUNDED = ("--predict", "200", "--temp", "0")
# Home Assistant has no such sentence, so the model is asked.
SWITCH = "Flick on the light, please"


@contextlib.asynccontextmanager
async def home_assistant(
    config_dir: Path, port: int, ffmpeg: Path | None = None
) -> AsyncGenerator[HomeAssistantClient]:
    """Run Home Assistant and log in. ffmpeg: what it makes MP3 by."""
    hass = HomeAssistant(config_dir, port=port, ffmpeg=ffmpeg)
    hass.start()
    try:
        hass.wait_ready()
        async with HomeAssistantClient(hass.base_url) as client:
            await client.wait_started()
            yield client
    finally:
        hass.stop()


async def until_available(client: HomeAssistantClient, agent: str, *, available: bool) -> None:
    """Wait until the agent is available, or is not."""
    while await is_available(client, agent) is not available:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.1)


async def flow_from_mistake_to_agent(client: HomeAssistantClient, server: LlamaServer) -> None:
    """Make every mistake once on the way through the form, then succeed."""
    step = await client.start_flow(DOMAIN)
    assert (step["type"], step["step_id"]) == ("form", "user")
    for address, error in (
        ("not an address", {"url": "invalid_address"}),
        (f"{LOOPBACK}:{free_port()}", {"base": "cannot_connect"}),
        (client.base_url, {"base": "not_llama_server"}),
    ):
        step = await client.next_step(step["flow_id"], {"url": address})
        assert step["errors"] == error
    step = await client.next_step(step["flow_id"], {"url": f"{LOOPBACK}:{server.port}"})
    assert step["type"] == "create_entry"
    again = await client.start_flow(DOMAIN)
    again = await client.next_step(again["flow_id"], {"url": f"{server.base_url}/v1"})
    assert (again["type"], again["reason"]) == ("abort", "already_configured")


async def killed_in_mid_answer(client: HomeAssistantClient, server: LlamaServer) -> Answer:
    """Kill the server when some pieces of the answer are there, and return what follows."""
    answer = Answer()
    async with asyncio.timeout(LATE_SECONDS) as limit:
        async for event in client.run_pipeline(LONG_QUESTION):
            answer.add(event)
            if len(answer.pieces) == PIECES_BEFORE_THE_KILL and server.running:
                server.kill()
                limit.reschedule(asyncio.get_running_loop().time() + ERROR_SECONDS)
    return answer


@pytest.mark.timeout(300)
async def test_first_path(tmp_path: Path, model: Path) -> None:
    """Set up in the browser, talk, lose the server, get it back, restart Home Assistant."""
    flags = ("--ctx-size", "8192", "--parallel", "1", *BOUNDED)
    server = LlamaServer(tmp_path / "llama-server.log", *flags, model=model)
    server.start()
    server.wait_ready()
    port = free_port()
    try:
        async with home_assistant(tmp_path / "config", port) as client:
            config = await client.request("GET", "/api/config")
            assert config["version"] == version("homeassistant")
            await flow_from_mistake_to_agent(client, server)
            agent = await find_agent(client)
            await prefer_agent(client, agent)

            # An automation that is saved in the editor is there.
            saved = {"alias": "Saved", "triggers": [], "actions": []}
            await client.request("POST", "/api/config/automation/config/1", saved)
            async with asyncio.timeout(BACK_SECONDS):
                await until_available(client, "automation.saved", available=True)

            answer = await client.ask("What is the capital of France?")
            assert not answer.is_error
            assert len(answer.pieces) > 1
            assert "".join(answer.pieces) == answer.speech

            broken = await killed_in_mid_answer(client, server)
            assert not broken.is_error
            assert broken.speech.endswith("The rest of the answer did not come.")
            async with asyncio.timeout(ERROR_SECONDS):
                await until_available(client, agent, available=False)

            server.start()
            server.wait_ready()
            async with asyncio.timeout(BACK_SECONDS):
                await until_available(client, agent, available=True)
            assert not (await client.ask("Are you there?")).is_error

        async with home_assistant(tmp_path / "config", port) as client:
            assert await find_agent(client) == agent
            answer = await client.ask("Are you still there?")
            assert not answer.is_error
            assert answer.pieces
    finally:
        server.stop()


def complaints(config_dir: Path) -> list[str]:
    """Return the warnings in Home Assistant's log that are ours or about us."""
    lines = (config_dir / "output.log").read_text().splitlines()
    loud = [line for line in lines if re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)]
    # What Home Assistant says of every custom integration.
    known = "not been tested by Home Assistant"
    return [line for line in loud if DOMAIN in line and known not in line]


@pytest.mark.timeout(300)
async def test_switches_the_light_of_the_room(tmp_path: Path, model: Path) -> None:
    """A model that knows no tools really switches the light of the room that a satellite is in."""
    flags = ("--ctx-size", "4096", "--parallel", "1", *BOUNDED)
    server = LlamaServer(tmp_path / "llama-server.log", *flags, model=model)
    server.start()
    try:
        server.wait_ready()
        async with home_assistant(tmp_path / "config", free_port()) as client:
            step = await client.start_flow(DOMAIN)
            await client.next_step(step["flow_id"], {"url": server.base_url})
            await prefer_agent(client, await find_agent(client))
            devices = await client.command("config/device_registry/list")
            satellite = next(one for one in devices if one["name"] == "Kitchen Satellite")
            assert (await client.state("light.kitchen_light"))["state"] == "off"
            answer = await client.ask(SWITCH, device_id=satellite["id"])
            assert answer.speech == "Turned on Kitchen Light."
            assert (await client.state("light.kitchen_light"))["state"] == "on"
            await client.command(
                "call_service",
                domain=DOMAIN,
                service="chat",
                service_data={"message": "Hello"},
                return_response=True,
            )
        assert complaints(tmp_path / "config") == []
    finally:
        server.stop()
