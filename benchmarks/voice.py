"""What the time from the end of speech to the first sound of the answer is made of.

Whisper, a real Home Assistant, a real llama-server and Piper, all on this machine. Piper speaks the
questions, too, and they are said as fast as somebody speaks.
"""

import asyncio
import json
import os
import platform
import signal
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import aiohttp

from dev.agent_setup import ensure_agent
from dev.ha_client import HomeAssistantClient, HomeAssistantError
from dev.hass import HomeAssistant
from dev.llama import LlamaServer, path_from_environment
from dev.processes import ProcessError
from dev.voice import Voice, ensure_voice, ffmpeg, talk

from .lib.command import arguments, say
from .lib.errors import BenchmarkError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from dev.sound import Sound

type Parts = Mapping[str, float]

# What is said, and what is done before, so that there is always something to do.
SCENES: Final = {
    "Home Assistant's own sentence": "Turn on the kitchen light.",
    "in other words": "Make the bathroom light go off, please.",
    "by the model": "What is the capital of France?",
    "by the model, a long answer": "Tell me a long story about a lighthouse.",
}
BEFORE: Final = {
    "turn_off": ["light.kitchen_light"],
    "turn_on": ["light.bathroom_light"],
}
# Of the time until the first sound, where the agent is asked for what it does without a model.
AIM: Final = 0.25
BY_THE_WORDS: Final = ("Home Assistant's own sentence", "in other words")
SURE, HEARD, ANSWERED, SPOKEN = "silence", "speech to text", "agent", "text to speech"
# A voice that begins at once loses its first sound.
SILENCE_BEFORE: Final = 0.5
# Home Assistant finds the end within.
SILENCE_AFTER: Final = 5.0
FLAGS: Final = ("--ctx-size", "4096", "--parallel", "1", "--predict", "120", "--temp", "0")


async def measure(client: HomeAssistantClient, sound: Sound) -> Parts:
    """Say it, and return the parts of the time until the first sound; raises BenchmarkError."""
    said = await talk(client, sound.padded(SILENCE_BEFORE, SILENCE_AFTER), live=True)
    times = said.times
    if said.answer.is_error or not {"stt-vad-end", "audio"} <= times.keys():
        raise BenchmarkError(f"{said.heard!r} was not answered: {said.answer.speech}")
    marks = (
        SILENCE_BEFORE + sound.seconds(),
        times["stt-vad-end"],
        times["stt-end"],
        times["to be spoken"],
        times["audio"],
    )
    names = (SURE, HEARD, ANSWERED, SPOKEN)
    return {name: end - start for name, start, end in zip(names, marks, marks[1:], strict=False)}


async def play(client: HomeAssistantClient, voice: Voice, n_rounds: int) -> dict[str, list[Parts]]:
    """Say everything in each round, but for a first one that does not count."""
    sounds = {name: await voice.speak(text) for name, text in SCENES.items()}
    samples: dict[str, list[Parts]] = {name: [] for name in SCENES}
    for number in range(n_rounds + 1):
        say(f"Round {number} of {n_rounds} ..." if number else "Once to warm up ...")
        for name, sound in sounds.items():
            for action, entities in BEFORE.items():
                await client.call("light", action, {"entity_id": entities})
            # Home Assistant keeps what was spoken.
            await client.call("tts", "clear_cache", {})
            parts = await measure(client, sound)
            if number:
                samples[name].append(parts)
    return samples


async def run_all(folder: Path, n_rounds: int) -> dict[str, list[Parts]]:
    """Start everything and return the samples of each scene. Raises what `main` explains."""
    voice = Voice(folder, threads=os.cpu_count() or 1, steady=True)
    llama = LlamaServer(
        folder / "llama-server.log", *FLAGS, model=path_from_environment("LLAMACPP_MODEL")
    )
    hass = HomeAssistant(folder / "config", ffmpeg=ffmpeg())
    programs = (*voice.servers, llama, hass)
    with ExitStack() as stack:
        for program in programs:
            stack.callback(program.stop)
            program.start()
        for program in programs:
            program.wait_ready()
        async with HomeAssistantClient(hass.base_url) as client:
            await client.wait_started()
            await ensure_agent(client, llama.base_url)
            await ensure_voice(client, voice)
            return await play(client, voice, n_rounds)


def table(samples: Mapping[str, Sequence[Parts]]) -> str:
    """Return the median of each part and its share of the whole, for people to read."""
    names = (SURE, HEARD, ANSWERED, SPOKEN)
    lines = [f"| | {' | '.join(names)} | all |", f"|---|{'---|' * (len(names) + 1)}"]
    for scene, rounds in samples.items():
        whole = median(sum(parts.values()) for parts in rounds)
        cells = []
        for name in names:
            share = median(parts[name] / sum(parts.values()) for parts in rounds)
            cells.append(f"{share:.0%} ({median(parts[name] for parts in rounds):.2f} s)")
        lines.append(f"| {scene} | {' | '.join(cells)} | {whole:.2f} s |")
    return "\n".join(lines)


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status. Raises the errors that `main` explains."""
    with tempfile.TemporaryDirectory(prefix="llamacpp-voice-") as folder:
        samples = asyncio.run(run_all(Path(folder), options.rounds))
    where = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "home_assistant": version("homeassistant"),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    print(table(samples))
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    slower = [
        name
        for name in BY_THE_WORDS
        if median(parts[ANSWERED] / sum(parts.values()) for parts in samples[name]) > AIM
    ]
    verdict = f"missed: {slower}" if slower else "holds"
    print(f"Aim (the agent has at most {AIM:.0%} where no answer is written): {verdict}.")
    if options.json:
        told = {"environment": where, "aim": AIM, "misses": slower, "seconds": samples}
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 1 if options.check and slower else 0


def main() -> int:
    """Run the benchmark and return the exit status; failures are told in one sentence."""
    # A polite request to end is like Ctrl-C: what was started must be stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(arguments("voice", __doc__ or "", "rounds", 5, "how often each is said"))
    except KeyboardInterrupt:
        say("Stopped.")
    except (BenchmarkError, ProcessError, HomeAssistantError) as err:
        say(f"error: {err}")
    except (aiohttp.ClientError, TimeoutError) as err:
        say(f"error: Home Assistant did not answer as it should: {err!r}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
