"""What each feature of the prefill is worth: tokens processed while a user waits, in a day.

The day of the benchmark `day` runs directly on the owner of the server's cache, with a real
llama-server and without Home Assistant. Every step waits until the prefills are done, so the
figures do not depend on the speed of the machine. One feature is left out at a time.
"""

import argparse
import asyncio
import importlib
import inspect
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, override
from unittest import mock

import aiohttp
from homeassistant.util.yaml import load_yaml_dict

from custom_components.llamacpp.client import Completion, LlamaServerClient, TextDelta
from custom_components.llamacpp.serving import machine, owner, slot_files
from custom_components.llamacpp.serving.events import Polled
from custom_components.llamacpp.serving.owner import Serving
from custom_components.llamacpp.serving.slot_affinity import ConversationRef
from custom_components.llamacpp.serving.state import AgentPrompt
from dev.hass import DEMO_HOME
from dev.llama import LlamaServer

from .lib.command import say
from .lib.day.models import MODELS
from .lib.day.script import DAY, Change, DayAsk, Pause, Restart, Task, Where

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from custom_components.llamacpp.serving.events import Action, Event

    from .lib.day.script import DayStep

SLOTS = (1, 4)
CONTEXT_TOKENS = 8192
ANSWER_TOKENS = 24
LONG_PAUSE_SECONDS = 600.0
SOON_SECONDS = 0.02
LIMIT_SECONDS = 300.0
HOUSE, PHONE = "house", "phone"
DAY_HOME = DEMO_HOME.with_name("day.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The features that are on. parts: the code of the one that is left out."""

    name: str
    has_notes: bool = True
    has_next_turn: bool = True
    has_slots: bool = True
    has_files: bool = True
    is_file_per_agent: bool = True
    has_diagnosis: bool = True
    flags: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


ALL = Variant(name="all")
WITHOUT = (
    Variant(
        name="notes on speakers",
        has_notes=False,
        parts=(
            "serving.machine:_quiet_steps",
            "serving.slot_affinity:SlotAffinity.missing_notes",
            "prompt.builder:SharedPrefixBuilder.async_notes",
            "prompt.notes:beginnings_of",
            "client.constrained:stream_beginning",
            "conversation:LlamaCppConversationEntity._async_notes",
        ),
    ),
    Variant(
        name="next turn",
        has_next_turn=False,
        parts=(
            "serving.machine:_next_turn_steps",
            "serving.owner:Serving.turn_ended",
            "serving.state:NextTurn",
        ),
    ),
    Variant(
        name="slot per conversation",
        has_slots=False,
        parts=(
            "serving.machine:_use_one_of_several",
            "serving.slot_affinity:SlotAffinity.best_for",
            "serving.slot_affinity:SlotAffinity.give",
            "serving.owner:Serving.slot_for",
        ),
    ),
    Variant(
        name="slot files",
        has_files=False,
        parts=(
            "serving.slot_files:SlotFiles",
            "serving.machine:_fill_steps",
            "serving.machine:_probe_steps",
            "serving.machine:_end_restore",
        ),
    ),
    Variant(
        name="a file for each agent",
        is_file_per_agent=False,
        parts=("serving.slot_files:file_name",),
    ),
)
NO_CACHE = ("--cache-ram", "0")
BAD_FLAGS = (
    replace(ALL, name="all, no host cache", flags=NO_CACHE),
    Variant(
        name="diagnosis, no host cache",
        has_diagnosis=False,
        flags=NO_CACHE,
        parts=("serving.diagnosis:ModelDiagnosis", "serving.diagnosis:suffers"),
    ),
)


class Clock:
    """A monotonic clock that can be put forward."""

    def __init__(self) -> None:
        """Begin with the real time."""
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic() + self.ahead


class ServingWithoutDiagnosis(Serving):
    """An owner that learns nothing from the answers."""

    @override
    def send(self, event: Event) -> list[Action]:
        """Forget after each event what it revealed about the cache."""
        actions = super().send(event)
        self.state.diagnoses.clear()
        return actions


class ServingPlayer:
    """Plays a day with two agents at one server."""

    def __init__(
        self,
        server: LlamaServer,
        client: LlamaServerClient,
        variant: Variant,
        n_slots: int,
        *,
        has_thoughts: bool,
    ) -> None:
        """Begin with an empty cache."""
        self._has_thoughts = has_thoughts
        self._server = server
        self._client = client
        self._variant = variant
        self._n_slots = n_slots
        self._clock = Clock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._home = load_yaml_dict(str(DAY_HOME))
        self._changes: list[str] = []
        self._instance = 0
        self._n_counted = 0
        self._talks: dict[str, tuple[str, list[dict[str, str]]]] = {}
        self._serving = self._new_serving()
        # Tokens processed while a user waited, by the name of the ask.
        self.read: dict[str, int] = {}

    def _new_serving(self) -> Serving:
        kind = Serving if self._variant.has_diagnosis else ServingWithoutDiagnosis
        return kind(self._client, self._start, self._clock)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def play(self, steps: Sequence[DayStep]) -> None:
        """Play the steps, one after the other."""
        await self._set_up()
        for step in steps:
            match step:
                case DayAsk():
                    if step.pause is Pause.LONG:
                        self._clock.ahead += LONG_PAUSE_SECONDS
                        self._poll()
                    await self._ask(step)
                case Task():
                    await self._task(step)
                case Change():
                    self._changes.append(step.name)
                    self._make_prompts()
                case Restart():
                    await self._restart(step)
                case _:
                    continue
            await self._quiet()

    async def _quiet(self) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            while self._tasks:
                await asyncio.wait(self._tasks)

    async def _set_up(self) -> None:
        for agent in (PHONE, HOUSE):
            self._serving.add_agent(agent)
        self._poll()
        self._make_prompts()
        await self._quiet()

    def _poll(self) -> None:
        self._serving.poll_begins()
        self._serving.polled(
            Polled(
                n_slots=self._n_slots,
                is_router=False,
                is_front=False,
                build="b",
                in_memory={"": str(self._instance)},
                n_prompt_tokens=None,
            )
        )

    async def _restart(self, step: Restart) -> None:
        if step.server:
            self._server.kill()
            await asyncio.to_thread(self._server.start)
            await asyncio.to_thread(self._server.wait_ready)
            self._instance += 1
        if step.home_assistant:
            self._talks.clear()
            self._serving = self._new_serving()
            await self._set_up()
        self._poll()

    def _make_prompts(self) -> None:
        for agent in (PHONE, HOUSE):
            notes = {}
            if self._variant.has_notes:
                notes = {
                    note: [self._request(agent, [{"role": "user", "content": note}])]
                    for note in map(_note, Where)
                }
            request = self._request(agent, [{"role": "user", "content": ""}])
            self._start(self._serving.prefill(AgentPrompt.of(agent, request, notes)))

    def _request(self, agent: str, said: list[dict[str, str]]) -> Any:
        entities = "\n".join(
            f"- names: {one['name']}\n  domain: {one['id'].partition('.')[0]}\n"
            f"  areas: {one.get('area', 'none').replace('_', ' ').title()}"
            for one in self._home["entities"]
        )
        system = (
            f"You are the voice assistant of this home, for the {agent}. Answer briefly.\n"
            f"An overview of the areas and the devices in this home:\n{entities}\n"
            + "\n".join(self._changes)
        )
        return {"messages": [{"role": "system", "content": system}, *said], "stream": True}

    async def _ask(self, step: DayAsk) -> None:
        agent = HOUSE if step.where else PHONE
        speaker = step.where.value or ("guest" if step.guest else "owner")
        note = _note(step.where)
        talk_id, said = self._talks.get(step.talk or "", (f"talk {len(self.read)}", []))
        said = [*said, {"role": "user", "content": f"{note}\n{step.words}"}]
        talk = ConversationRef(talk_id, speaker, note)
        answer, request = await self._answer(step.name, agent, said, talk, is_own=True)
        if self._has_thoughts:
            answer = answer[len(answer) // 2 :]
        said.append({"role": "assistant", "content": answer})
        if step.talk:
            self._talks[step.talk] = (talk_id, said)
        if self._variant.has_next_turn:
            following = self._request(agent, [*said, {"role": "user", "content": ""}])
            if "id_slot" in request:
                following["id_slot"] = request["id_slot"]
            self._serving.turn_ended(following)

    async def _task(self, step: Task) -> None:
        said = [{"role": "user", "content": step.words}]
        talk = ConversationRef(step.name, is_once=True)
        await self._answer(step.name, "tasks", said, talk, is_own=False)

    async def _answer(
        self,
        name: str,
        agent: str,
        said: list[dict[str, str]],
        talk: ConversationRef,
        *,
        is_own: bool,
    ) -> tuple[str, Any]:
        """Ask; record the tokens that are processed, and return the answer."""
        request = self._request(agent, said)
        if not is_own:
            request["messages"].pop(0)
        request["max_tokens"] = ANSWER_TOKENS
        has_slot = self._variant.has_slots or talk.is_once
        words, completion = "", Completion(usage=None, timings=None)
        with self._serving.ask(agent, talk if has_slot else None, is_own=is_own) as asked:
            await asked.prepare(request)
            async for event in self._client.stream_chat(request):
                if isinstance(event, TextDelta):
                    words += event.text
                elif isinstance(event, Completion):
                    completion = event
            asked.answered(request, completion)
        assert completion.usage  # noqa: S101 - the server reports it
        usage = completion.usage
        self.read[name] = usage.prompt_tokens - usage.cached_tokens
        return words, request


def _note(where: Where) -> str:
    """Return the note on a speaker for the model."""
    if not where:
        return "The user speaks by phone, and is in no area of the home. Answer in English."
    area = where.value.removesuffix(" Satellite")
    return f"You are in area {area} and all generic commands should target this area."


async def _play(
    variant: Variant, n_slots: int, model: Path, folder: Path, *, has_thoughts: bool
) -> dict[str, int]:
    """Play the day with one variant; return the tokens that were processed, by ask."""
    slots = folder / "slots"
    await asyncio.to_thread(slots.mkdir, parents=True)
    flags: list[str | Path] = [
        *("--parallel", str(n_slots), "--ctx-size", str(CONTEXT_TOKENS * n_slots)),
        *variant.flags,
        *(("--slot-save-path", f"{slots}/") if variant.has_files else ()),
    ]
    server = LlamaServer(folder / "log.txt", *flags, model=model)
    with ExitStack() as stack:
        for name in ("QUIET_SECONDS", "NEXT_TURN_SECONDS"):
            stack.enter_context(mock.patch.object(machine, name, SOON_SECONDS))
        if not variant.is_file_per_agent:
            for module in (owner, slot_files):
                stack.enter_context(mock.patch.object(module, "file_name", return_value="all.bin"))
        server.start()
        stack.callback(server.stop)
        await asyncio.to_thread(server.wait_ready)
        async with aiohttp.ClientSession() as session:
            client = LlamaServerClient(session, server.base_url)
            player = ServingPlayer(server, client, variant, n_slots, has_thoughts=has_thoughts)
            await player.play(DAY)
    return player.read


def n_lines(parts: Sequence[str]) -> int:
    """Return the lines of these functions and classes, docstrings included."""
    count = 0
    for part in parts:
        module, _, path = part.partition(":")
        found: Any = importlib.import_module(f"custom_components.llamacpp.{module}")
        for name in path.split("."):
            found = getattr(found, name)
        count += len(inspect.getsource(found).splitlines())
    return count


async def run(
    variants: Sequence[Variant], slots: Sequence[int], model_name: str, *, has_thoughts: bool
) -> None:
    """Play all variants, and print the table."""
    totals: dict[tuple[str, int], int] = {}
    n_asks = 0
    with tempfile.TemporaryDirectory(prefix="llamacpp-serving-") as name:
        model = MODELS[model_name].file(Path(name))
        for variant in variants:
            for n_slots in slots:
                say(f"{variant.name}, {n_slots} slots ...")
                folder = Path(name, f"{variant.name} {n_slots}")
                read = await _play(variant, n_slots, model, folder, has_thoughts=has_thoughts)
                totals[variant.name, n_slots] = sum(read.values())
                n_asks = len(read)
    print(
        f"{n_asks} asks; tokens processed while a user waits, and what each feature saves per ask\n"
    )
    print("| without | lines |" + "".join(f" {n} slots | an ask |" for n in slots))
    print("|---|---|" + "---|---|" * len(slots))
    for variant in variants:
        cells = [variant.name, str(n_lines(variant.parts) or "")]
        base = BAD_FLAGS[0].name if variant.flags else ALL.name
        for n_slots in slots:
            total = totals[variant.name, n_slots]
            cells.append(f"{total:,}")
            saved = (total - totals[base, n_slots]) / n_asks
            cells.append("" if variant.name == base else f"{saved:.1f}")
        print(f"| {' | '.join(cells)} |")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark serving", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--slots", type=int, nargs="+", default=SLOTS, metavar="N")
    parser.add_argument("--model", choices=MODELS, default="cut", help="as in the benchmark day")
    parser.add_argument(
        "--thoughts", action="store_true", help="later turns leave out half of each answer"
    )
    names = [one.name for one in WITHOUT]
    parser.add_argument("--without", choices=names, nargs="*", help="by default each feature")
    options = parser.parse_args()
    variants: tuple[Variant, ...] = (ALL, *WITHOUT, *BAD_FLAGS)
    if options.without is not None:
        variants = (ALL, *(one for one in WITHOUT if one.name in options.without))
    asyncio.run(run(variants, options.slots, options.model, has_thoughts=options.thoughts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
