"""The demo: a real llama-server, a real Home Assistant and a home to talk to, on this machine."""

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from .agent_setup import ensure_agent, newest_answer
from .ha_client import PASSWORD, USER, AssistAnswer, HomeAssistantClient, HomeAssistantError
from .hass import DEMO_HOME, HomeAssistant
from .llama import LlamaServer, path_from_environment
from .models import ModelError, find_model
from .processes import ProcessError, port_is_taken
from .voice import Voice, decoded, ensure_voice, ffmpeg, talk

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from .processes import ChildProcess
    from .sound import Sound
    from .voice import Talk

CONTEXT_TOKENS = 8192
# A small model may not find an end; nobody wants to watch that. Other answers are shorter.
ANSWER_TOKENS = 256
HEALTH_SECONDS = 1.0

WHAT_TO_TRY = """
Home Assistant   {url}
  user           {user}
  password       {password}
llama-server     {server_url}  (model {model})

What to try: press the speech bubble at the top right of the overview and type, for example
  Turn on the kitchen light.
  What is the capital of France?
or, from another terminal: scripts/demo --ask "What is the capital of France?"
{talk}Press Ctrl-C to stop all.
"""
# Elsewhere than on this machine, a browser wants https for that.
HOW_TO_TALK = (
    "To talk, open this address on this machine and press the microphone in that dialog.\n"
)


class DemoError(Exception):
    """The demo cannot go on; the message says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running demo is found."""

    home_assistant: str
    llama_server: str


def say(text: str) -> None:
    """Tell what is going on, where it does not mix with an answer."""
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--ask", metavar="TEXT", help="ask this, print the answer, and end")
    parser.add_argument(
        "--ask-audio", type=Path, metavar="FILE", help="the same, spoken; implies --voice"
    )
    parser.add_argument(
        "--voice", action="store_true", help="hear and speak, too: Whisper and Piper"
    )
    parser.add_argument("--model", metavar="FILE_OR_URL", help="another model, in GGUF format")
    parser.add_argument("--home", type=Path, default=DEMO_HOME, help="another home, in YAML")
    parser.add_argument("--port", type=int, default=8123, help="of Home Assistant (8123)")
    parser.add_argument("--server-port", type=int, default=8080, help="of llama-server (8080)")
    return parser.parse_args()


class Demo:
    """The programs, and the folder in which they keep what they know."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Describe them; raises ModelError, DemoError or ProcessError if something is missing."""
        cache = path_from_environment("LLAMACPP_CACHE")
        self.folder = cache / "demo"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._addresses_file = self.folder / "addresses.json"
        self._options = options
        self._cache = cache
        has_voice = options.voice or options.ask_audio
        self.voice = Voice(self.folder, threads=os.cpu_count() or 1) if has_voice else None

    @contextlib.contextmanager
    def alone(self) -> Generator[bool]:
        """Hold the folder's lock, and tell whether that was possible: no other demo runs."""
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def addresses(self) -> Addresses:
        """Return where the demo that runs already is; raises DemoError while it is starting."""
        try:
            return Addresses(**json.loads(self._addresses_file.read_text()))
        except FileNotFoundError as err:
            raise DemoError("a demo is just being started; try again in a moment") from err

    @contextlib.contextmanager
    def running(self) -> Generator[tuple[LlamaServer, HomeAssistant]]:
        """Start all programs, and stop them at the end. Raises ProcessError, DemoError."""
        options = self._options
        for port, option in ((options.port, "--port"), (options.server_port, "--server-port")):
            if port_is_taken(port):
                message = f"port {port} is taken by another program; choose another by {option}"
                raise DemoError(message)
        if not options.home.is_file():
            message = f"there is no file {options.home}"
            raise DemoError(message)
        model = find_model(
            options.model or os.environ["LLAMACPP_MODEL"], self._cache / "demo-models"
        )
        llama = LlamaServer(
            self.folder / "llama-server.log",
            *("--ctx-size", str(CONTEXT_TOKENS), "--parallel", "1"),
            *("--predict", str(ANSWER_TOKENS)),
            model=model,
            port=options.server_port,
        )
        hass = HomeAssistant(
            self.folder / "config",
            port=options.port,
            home=options.home,
            ffmpeg=ffmpeg() if self.voice else None,
        )
        speech = self.voice.servers if self.voice else ()
        with contextlib.ExitStack() as stack:
            stack.callback(self._addresses_file.unlink, missing_ok=True)
            for program in (llama, hass, *speech):
                program.log.unlink(missing_ok=True)
                say(f"Starting {program.name} (log: {program.log}) ...")
                stack.callback(program.stop)
                program.start()
            for program in (llama, hass, *speech):
                program.wait_ready()
            yield llama, hass

    def publish(self, addresses: Addresses) -> None:
        """Let `--ask` in another terminal find this demo."""
        self._addresses_file.write_text(json.dumps(asdict(addresses)))


async def ask(addresses: Addresses, text: str) -> None:
    """Ask, print the answer as it comes and what it took; raises DemoError if it is an error."""
    async with HomeAssistantClient(addresses.home_assistant) as home:
        before = await newest_answer(home)
        answer = AssistAnswer()
        async for event in home.run_pipeline(text):
            answer.add(event)
            print(event.text, end="", flush=True)
        if answer.is_error:
            raise DemoError(answer.speech)
        print("" if answer.pieces else answer.speech)
        after = await newest_answer(home)
    first = answer.first_text_after
    say(
        f"[{'no tokens' if after == before else tokens_of(after)}, "
        f"{'no text was streamed' if first is None else f'first token {first:.2f} s'}, "
        f"whole answer {event.after:.2f} s]"
    )


def ask_spoken(addresses: Addresses, question: Path, answer: Path) -> None:
    """Say what is in an audio file, print the answer, and write its audio; raises DemoError."""

    async def say_and_listen(sound: Sound) -> Talk:
        async with HomeAssistantClient(addresses.home_assistant) as home:
            return await talk(home, sound)

    if not question.is_file():
        message = f"there is no file {question}"
        raise DemoError(message)
    try:
        sound = decoded(question.read_bytes())
    except subprocess.CalledProcessError as err:
        message = f"{question} is not an audio file"
        raise DemoError(message) from err
    try:
        said = asyncio.run(say_and_listen(sound))
    except HomeAssistantError as err:
        message = f"the demo that runs does not hear; start it with --voice ({err})"
        raise DemoError(message) from err
    if said.answer.is_error:
        raise DemoError(said.answer.speech)
    answer.write_bytes(said.audio)
    print(said.answer.speech)
    say(f"[heard: {said.heard}; the spoken answer is in {answer}]")


def tokens_of(answer: Mapping[str, Any] | None) -> str:
    """Return what the diagnostics' newest answer took, in words."""
    if answer is None or (usage := answer["completion"]["usage"]) is None:
        return "tokens unknown"
    return (
        f"prompt {usage['prompt_tokens']} tokens ({usage['cached_tokens']} from cache), "
        f"answer {usage['completion_tokens']} tokens"
    )


async def set_up(addresses: Addresses, voice: Voice | None) -> None:
    """Make the agent the one that answers, and have it hear and speak, or not."""
    async with HomeAssistantClient(addresses.home_assistant) as home:
        await home.wait_started()
        await ensure_agent(home, addresses.llama_server)
        await ensure_voice(home, voice)


def wait_for_the_end(programs: Sequence[ChildProcess]) -> None:
    """Wait for Ctrl-C; raises DemoError if a program ends by itself before."""
    while True:
        time.sleep(HEALTH_SECONDS)
        for program in programs:
            if not program.running:
                message = f"{program.name} has ended by itself:\n{program.log_tail()}"
                raise DemoError(message)


def ask_once(demo: Demo, options: argparse.Namespace, addresses: Addresses) -> bool:
    """Ask what the options say, and tell whether they say anything; raises DemoError."""
    if options.ask:
        asyncio.run(ask(addresses, options.ask))
    elif options.ask_audio:
        ask_spoken(addresses, options.ask_audio, demo.folder / "answer.mp3")
    else:
        return False
    return True


def run(options: argparse.Namespace) -> None:
    """Do what the options say; raises the errors that `main` explains."""
    demo = Demo(options)
    with demo.alone() as alone:
        if not alone:
            addresses = demo.addresses()
            if not ask_once(demo, options, addresses):
                message = f"the demo is running already, at {addresses.home_assistant}"
                raise DemoError(message)
            return
        started = time.monotonic()
        with demo.running() as (llama, hass):
            addresses = Addresses(hass.base_url, llama.base_url)
            asyncio.run(set_up(addresses, demo.voice))
            demo.publish(addresses)
            say(f"Ready after {time.monotonic() - started:.1f} s.")
            if ask_once(demo, options, addresses):
                return
            print(
                WHAT_TO_TRY.format(
                    url=addresses.home_assistant,
                    server_url=addresses.llama_server,
                    user=USER,
                    password=PASSWORD,
                    model=Path(options.model or os.environ["LLAMACPP_MODEL"]).name,
                    talk=HOW_TO_TALK if demo.voice else "",
                ),
                flush=True,
            )
            speech = demo.voice.servers if demo.voice else ()
            wait_for_the_end((llama, hass, *speech))


def main() -> int:
    """Run the demo and return the exit status; failures are told in one sentence."""
    # A polite request to end is like Ctrl-C, which a shell's background jobs begin with ignoring:
    # what was started must be stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        run(arguments())
    except KeyboardInterrupt:
        say("Stopped.")
    except (DemoError, ModelError, ProcessError, HomeAssistantError) as err:
        say(f"error: {err}")
        return 1
    except (aiohttp.ClientError, TimeoutError) as err:
        say(f"error: Home Assistant did not answer as it should ({err!r}); its log tells more")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
