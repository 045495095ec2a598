"""Spoken commands and spoken answers: Whisper, the agent and Piper, all of them real."""

import asyncio
import os
import sys
import wave
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dev.agent_setup import add_server, find_agent, prefer_agent
from dev.processes import free_port
from dev.sound import SAMPLE_BYTES
from dev.voice import Voice, decoded, ensure_voice, ffmpeg, talk
from tests.conftest import serving

from .conftest import ROOT
from .running_home import home_assistant
from .test_first_path import BOUNDED

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from dev.ha_client import HomeAssistantClient

pytestmark = pytest.mark.skipif(
    not os.environ.get("LLAMACPP_VOICE"), reason="Whisper and Piper are not set up"
)
CHANGE_SECONDS = 20.0
# A voice that begins at once loses its first sound.
SILENCE_SECONDS = 0.5
LIGHTS, WARMER = "switch.garden_lights", "switch.towel_warmer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A command. answer: what is heard of the reply, among other words.

    before: actions, each with the entity that it is for. after: states, or an attribute's value
    behind a dot.
    """

    text: str
    answer: str
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


COMMANDS = (
    Spoken(text="Turn on the kitchen light.", answer="light", after={"light.kitchen_light": "on"}),
    Spoken(
        text="Close the living room curtain.",
        answer="closing",
        after={"cover.living_room_curtain": "closed"},
    ),
    Spoken(text="Turn on the bedroom fan.", answer="fan", after={"fan.bedroom_fan": "on"}),
    Spoken(
        text="Set the thermostat to twenty two degrees.",
        answer="22 degrees",
        after={"climate.thermostat.temperature": 22},
    ),
    Spoken(
        text="Add butter to the shopping list.", answer="butter", after={"todo.shopping_list": "3"}
    ),
    Spoken(text="Start the vacuum cleaner.", answer="started", after={"vacuum.robbie": "cleaning"}),
    Spoken(
        text="Make the bathroom light go off, please.",
        answer="bathroom light",
        before={"light.turn_on": "light.bathroom_light"},
        after={"light.bathroom_light": "off"},
    ),
    Spoken(
        text="Turn off the garden lights and the towel warmer.",
        answer="garden lights",
        before={"switch.turn_on": f"{LIGHTS},{WARMER}"},
        after={LIGHTS: "off", WARMER: "off"},
    ),
    Spoken(text="What is the temperature in the bedroom?", answer="18.2 degrees"),
    Spoken(text="What is the capital of France?", answer="capital"),
)


@pytest.fixture
def voice(tmp_path: Path) -> Generator[Voice]:
    """Return real servers that hear and speak, always in the same way."""
    servers = Voice(tmp_path, threads=1, steady=True)
    servers.start()
    try:
        servers.wait_ready()
        yield servers
    finally:
        servers.stop()


async def value(client: HomeAssistantClient, name: str) -> Any:
    """Return a state, or an attribute's value."""
    domain, entity, *attribute = name.split(".")
    state = await client.state(f"{domain}.{entity}")
    return state["attributes"][attribute[0]] if attribute else state["state"]


async def until_changed(client: HomeAssistantClient, wanted: Mapping[str, Any]) -> None:
    """Wait until everything is as wanted: a curtain takes a while."""
    async with asyncio.timeout(CHANGE_SECONDS):
        for name, last in wanted.items():
            while await value(client, name) != last:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)


async def say(client: HomeAssistantClient, voice: Voice, spoken: Spoken) -> None:
    """Say one of them, see what it does, and listen to the answer."""
    for action, entities in spoken.before.items():
        domain, name = action.split(".")
        await client.call(domain, name, {"entity_id": entities.split(",")})
    sound = (await voice.speak(spoken.text)).padded(SILENCE_SECONDS, SILENCE_SECONDS)
    said = await talk(client, sound)
    assert not said.answer.is_error, said
    await until_changed(client, spoken.after)
    heard = await voice.hear(decoded(said.audio))
    assert spoken.answer in heard.lower(), (said.heard, said.answer.speech)


@pytest.mark.timeout(300)
async def test_ten_spoken_commands(tmp_path: Path, model: Path, voice: Voice) -> None:
    """Each is heard, done, and answered in words that can be heard; then all is without voice."""
    flags = ("--ctx-size", "4096", "--parallel", "1", *BOUNDED)
    with serving(tmp_path / "llama-server.log", *flags, model=model) as server:
        async with home_assistant(tmp_path / "config", free_port(), ffmpeg()) as client:
            await add_server(client, server.base_url)
            await prefer_agent(client, await find_agent(client))
            await ensure_voice(client, voice)
            for spoken in COMMANDS:
                await say(client, voice, spoken)
            await ensure_voice(client, None)
            assert not (await client.ask("Turn off the kitchen light.")).is_error
            found = await client.command("assist_pipeline/pipeline/list")
            [assistant] = found["pipelines"]
            assert assistant["stt_engine"] is assistant["tts_engine"] is None


@pytest.mark.timeout(300)
async def test_demo_is_asked_aloud(tmp_path: Path, voice: Voice) -> None:
    """The demo hears a file, does what it says, and leaves the spoken answer."""
    sound = (await voice.speak("Turn on the kitchen light.")).padded(0.5, 0.5)
    question = tmp_path / "question.wav"
    with wave.open(str(question), "wb") as file:
        file.setparams((1, SAMPLE_BYTES, sound.rate, 0, "NONE", ""))
        file.writeframes(sound.samples)
    ports = ("--port", str(free_port()), "--server-port", str(free_port()))
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dev.demo", *ports, "--ask-audio", question),
        env=os.environ | {"LLAMACPP_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        answer, told = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.terminate()
            await demo.wait()
    assert demo.returncode == 0, told.decode()
    assert answer == b"Turned on the light\n"
    assert b"heard: Turn on the kitchen light." in told
    spoken = decoded((tmp_path / "demo" / "answer.mp3").read_bytes())
    assert "light" in (await voice.hear(spoken)).lower()
