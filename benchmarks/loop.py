"""How long the integration keeps Home Assistant's event loop busy, in homes of three sizes.

A real Home Assistant runs in this process, with a virtual home of 30, 300 and 2,000 exposed
entities. The server is a script in another thread. Only the CPU time of the event loop's thread
counts, not that of other programs, the server and the executor.
"""

import asyncio
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from asyncio import events
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from homeassistant.components import conversation, llm
from homeassistant.core import Context
from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.const import (
    CONF_EXACT_FIRST,
    DOMAIN,
    HOME_CHANGE_SECONDS,
    SUBENTRY_CONVERSATION,
)
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls

from .lib.command import arguments, say
from .lib.environment import environment
from .lib.errors import BenchmarkError
from .lib.in_process import AGENT, running_home, set_up_agent
from .lib.large_home import DOMAINS, ROOMS, entity_name, room_name, write_large_home
from .lib.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.llm import APIInstance, LLMContext

# By number of entities: the limit of a short ask, in milliseconds.
ASK_LIMITS_MS = {30: 5.0, 300: 10.0, 2000: 25.0}
LONG_LIMIT_MS = 25.0
RENAME_LIMIT_MS = 25.0
MODES = {"commands": ToolCalls.COMMANDS, "tools": ToolCalls.NATIVE}
GREETINGS = (
    *("hello", "good morning", "how are you today", "thanks a lot for your help", "hi there"),
    *("nice to meet you", "good evening", "what a lovely day", "you are funny", "see you soon"),
)
LONG_TEXT = "32,000 characters"
RENAME = "a rename"
LONG_CHARACTERS = 32_000
PROSE = (
    "The weather today will be mostly cloudy with some rain in the northern parts and wind from "
    "the south, the temperature around nineteen degrees. Tomorrow sunny intervals are expected, "
    "and people should keep their windows closed because of maintenance near the station. "
)
MILLISECONDS = 1000
# Time for the work that follows a change, beyond its delay.
SETTLE_SECONDS = 0.3


def short_asks(number: int) -> dict[str, str]:
    """Return sentences by their kind, with other words for each number.

    The integration caches what it understood of a sentence, and people seldom repeat one.
    """
    start, room = number % 5 * len(DOMAINS), room_name(number % len(ROOMS)).lower()
    light = entity_name(start + DOMAINS.index("light")).lower()
    cover = entity_name(start + DOMAINS.index("cover")).lower()
    return {
        "an order": f"turn on the {light}",
        "a question": f"is the window open in the {room}",
        "a greeting": GREETINGS[number % len(GREETINGS)],
        "two orders in one": f"turn off the {light} and close the {cover}",
    }


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU milliseconds of the event loop for one ask or rename.

    core: the part of `total` that Home Assistant itself takes, before it asks the agent and to
    render the prompt and the tools. longest_step: the longest callback.
    """

    total: float
    core: float
    longest_step: float

    @property
    def ours(self) -> float:
        """Return the part that the integration takes."""
        return self.total - self.core


type LoopSamples = dict[str, list[Sample]]
type LoopFigures = Mapping[tuple[int, str], LoopSamples]


class LoopClock:
    """Reads the CPU time of the thread that made it, from any thread."""

    def __init__(self) -> None:
        """Measure the current thread."""
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self.core_seconds = 0.0
        self._begun = 0.0
        self.longest_step = 0.0

    def seconds(self) -> float:
        """Return the CPU seconds of the thread so far."""
        return time.clock_gettime(self._clock)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Measure the part of Home Assistant itself, and the longest callback of the event loop."""
        render, run = llm.AssistAPI.async_get_api_instance, events.Handle._run  # noqa: SLF001
        answer = conversation.ConversationEntity.internal_async_process

        async def rendered(api: llm.AssistAPI, context: LLMContext) -> APIInstance:
            started = self.seconds()
            try:
                return await render(api, context)
            finally:
                self.core_seconds += self.seconds() - started

        async def asked(
            agent: conversation.ConversationEntity, said: conversation.ConversationInput
        ) -> conversation.ConversationResult:
            self.core_seconds += self.seconds() - self._begun
            return await answer(agent, said)

        def stepped(handle: events.Handle) -> None:
            started = time.thread_time()
            run(handle)
            self.longest_step = max(self.longest_step, time.thread_time() - started)

        with (
            patch.object(llm.AssistAPI, "async_get_api_instance", rendered),
            patch.object(conversation.ConversationEntity, "internal_async_process", asked),
            patch.object(events.Handle, "_run", stepped),
        ):
            yield

    def begin(self) -> tuple[float, float]:
        """Begin a sample; return its start for `sample`."""
        self.longest_step = 0.0
        self._begun = self.seconds()
        return self._begun, self.core_seconds

    def sample(self, begun: tuple[float, float], ended: float | None = None) -> Sample:
        """Return the sample since `begin`. ended: in seconds of this clock, None: now."""
        started, core = begun
        return Sample(
            ((self.seconds() if ended is None else ended) - started) * MILLISECONDS,
            (self.core_seconds - core) * MILLISECONDS,
            self.longest_step * MILLISECONDS,
        )


class ServerThread:
    """A scripted server in its own thread, so that its work is not part of the measurement."""

    def __init__(self, clock: LoopClock) -> None:
        """Describe it. clock: for the times of its requests."""
        self.server = ScriptedServer(clock=clock.seconds)
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        async with self.server:
            self._ready.set()
            await self._over.wait()


class LoopStage:
    """A home with our agent."""

    def __init__(self, hass: HomeAssistant, clock: LoopClock, server: ScriptedServer) -> None:
        """Use these."""
        self._hass = hass
        self._clock = clock
        self._server = server
        entities = er.async_get(hass).entities.values()
        self._device = next(one.device_id for one in entities if one.domain == "assist_satellite")
        self._n_renames = 0

    async def add_agent(self, mode: ToolCalls) -> None:
        """Set up the integration; raises BenchmarkError if it does not take the server."""
        entry = await set_up_agent(self._hass, self._server.base_url)
        agent = next(iter(entry.get_subentries_of_type(SUBENTRY_CONVERSATION)))
        # A sentence that Home Assistant carries out itself never reaches the server.
        data = {**agent.data, CONF_TOOL_CALLS: mode, CONF_EXACT_FIRST: False}
        self._hass.config_entries.async_update_subentry(entry, agent, data=data)
        await self._hass.async_block_till_done()
        await self._settled()

    async def ask(self, text: str) -> Sample:
        """Ask in a new conversation; the sample ends when the request is at the server."""
        self._server.take_chats()
        begun = self._clock.begin()
        await conversation.async_converse(
            self._hass,
            text,
            None,
            Context(),
            language="en",
            agent_id=AGENT,
            device_id=self._device,
        )
        chats = self._server.take_chats()
        sample = self._clock.sample(begun, chats[0].received if chats else None)
        await self._hass.async_block_till_done(wait_background_tasks=True)
        return sample

    async def rename(self) -> Sample:
        """Rename an entity; the sample ends when the work that follows is done."""
        self._n_renames += 1
        begun = self._clock.begin()
        er.async_get(self._hass).async_update_entity(
            "light.entity_0", name=f"Renamed light {self._n_renames}"
        )
        await self._settled()
        return self._clock.sample(begun)

    async def _settled(self) -> None:
        await asyncio.sleep(HOME_CHANGE_SECONDS + SETTLE_SECONDS)
        await self._hass.async_block_till_done(wait_background_tasks=True)


async def measure_home(folder: Path, n_entities: int, mode: str, n_samples: int) -> LoopSamples:
    """Return the samples of one home and one way to control it, by kind."""
    clock = LoopClock()
    long_text = (PROSE * (LONG_CHARACTERS // len(PROSE) + 1))[:LONG_CHARACTERS]
    home = folder / "home.yaml"
    await asyncio.to_thread(write_large_home, home, n_entities)
    with ServerThread(clock) as thread:
        async with running_home(folder / "config", home) as hass:
            stage = LoopStage(hass, clock, thread.server)
            with clock.watching():
                await stage.rename()
                without = [(await stage.rename()).total for _ in range(n_samples)]
                await stage.add_agent(MODES[mode])
                samples: LoopSamples = {}
                for name in short_asks(0):
                    await stage.ask(short_asks(0)[name])
                    samples[name] = [
                        await stage.ask(short_asks(number)[name])
                        for number in range(1, n_samples + 1)
                    ]
                samples[LONG_TEXT] = [
                    await stage.ask(f"{number} {long_text}") for number in range(n_samples)
                ]
                renames = [await stage.rename() for _ in range(n_samples)]
            # The work of Home Assistant and other integrations for a rename is not ours.
            samples[RENAME] = [
                Sample(one.total, one.core + median(without), one.longest_step) for one in renames
            ]
            for entry in hass.config_entries.async_loaded_entries(DOMAIN):
                await hass.config_entries.async_unload(entry.entry_id)
    return samples


def measure_alone(folder: Path, n_entities: int, mode: str, n_samples: int) -> LoopSamples:
    """Measure one home, in a process of its own."""
    return asyncio.run(measure_home(folder, n_entities, mode, n_samples))


def measure(folder: Path, n_samples: int) -> LoopFigures:
    """Return all samples, by number of entities and way to control the home."""
    figures = {}
    for n_entities, mode in product(ASK_LIMITS_MS, MODES):
        say(f"{n_entities} entities, {mode} ...")
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as executor:
            home = folder / f"{n_entities}-{mode}"
            figures[n_entities, mode] = executor.submit(
                measure_alone, home, n_entities, mode, n_samples
            ).result()
    return figures


def limit_ms(n_entities: int, what: str) -> float:
    """Return the limit of an ask or a rename."""
    if what == LONG_TEXT:
        return LONG_LIMIT_MS
    return RENAME_LIMIT_MS if what == RENAME else ASK_LIMITS_MS[n_entities]


def misses_of(figures: LoopFigures) -> list[str]:
    """Return the missed limits, in words."""
    return [
        f"{what} ({n_entities} entities, {mode})"
        for (n_entities, mode), samples in figures.items()
        for what, found in samples.items()
        if median(one.ours for one in found) > limit_ms(n_entities, what)
    ]


def table(figures: LoopFigures) -> str:
    """Return the medians as text."""
    head = f"{'entities':>8}  {'control':10}{'what':20}{'ours':>9}{'limit':>8}{'':8}{'core':>9}"
    lines = [f"{head}{'longest step':>14}"]
    for (n_entities, mode), samples in figures.items():
        for what, found in samples.items():
            ours, core, step = (
                median(values)
                for values in zip(
                    *((one.ours, one.core, one.longest_step) for one in found), strict=True
                )
            )
            limit = limit_ms(n_entities, what)
            lines.append(
                f"{n_entities:8}  {mode:10}{what:20}{ours:9.1f}{limit:8g}"
                f"{'  missed' if ours > limit else '':8}{core:9.1f}{step:14.1f}"
            )
    return "\n".join(lines)


def report(figures: LoopFigures) -> str:
    """Return the figures and their conditions as text."""
    where = environment(home_assistant="homeassistant")
    misses = misses_of(figures)
    return f"""\
CPU milliseconds of the event loop (medians):
{table(figures)}

Home Assistant {where["home_assistant"]}, Python {where["python"]}, {where["machine"]}, \
{where["cores"]} cores, load {where["load"]}.
Aim (`ours` within the limit): {f"missed: {'; '.join(misses)}" if misses else "holds"}."""


def document(figures: LoopFigures) -> dict[str, Any]:
    """Return the figures and all samples for JSON."""
    return {
        "environment": environment(home_assistant="homeassistant"),
        "misses": misses_of(figures),
        "samples_ms": [
            {
                "entities": n_entities,
                "control": mode,
                "what": what,
                "limit": limit_ms(n_entities, what),
                "samples": [asdict(one) for one in found],
            }
            for (n_entities, mode), samples in figures.items()
            for what, found in samples.items()
        ],
    }


def main() -> int:
    """Run the benchmark and return the exit status."""
    options = arguments("loop", __doc__ or "", "samples", 5, "of each thing that happens")
    try:
        with tempfile.TemporaryDirectory(prefix="llamacpp-loop-") as folder:
            figures = measure(Path(folder), options.samples)
        print(report(figures))
        if options.json:
            options.json.write_text(json.dumps(document(figures), indent=1) + "\n")
    except KeyboardInterrupt:
        say("Stopped.")
        return 1
    except (BenchmarkError, OSError) as err:
        say(f"error: {err}")
        return 1
    return 1 if options.check and misses_of(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
