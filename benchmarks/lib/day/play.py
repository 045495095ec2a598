"""Plays the day with one agent, and returns the tokens and the time of every ask."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dev.ha_client import HomeAssistantError

from ..command import say
from ..errors import BenchmarkError
from .prompts import PromptCounter
from .script import DAY, RUSHES, Change, DayAction, DayAsk, Pause, Restart, Task
from .stage import phone

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from .agent import DayAgent
    from .exchange import Exchange
    from .script import DayStep, Rush
    from .stage import DayStage

# Longer than any answer takes, even if a full model prefills the home in each round of tools.
ANSWER_SECONDS = 900.0
QUIET_SECONDS = 300.0
START = "the start"


@dataclass(frozen=True, slots=True)
class Taken:
    """Tokens and time of an ask.

    processed: tokens that the server processed while the user waited: those of the ask's own
    requests, and `delayed`, those of a prefill in its way. new: tokens that could not be prefilled.
    seconds: to the first words, None for tasks, whose answers are not streamed. queued: seconds
    until the server began with the first request.
    """

    name: str
    processed: int
    delayed: int
    new: int
    n_prompt: int
    n_requests: int
    seconds: float | None
    answer: str
    queued: float = 0.0
    bodies: tuple[Mapping[str, Any], ...] = ()
    words: str = ""


@dataclass(slots=True)
class Prefilled:
    """The prefills after an event. changes_home: whether it is a change of the home."""

    after: str
    changes_home: bool
    began: float
    tokens: int = 0
    requests: int = 0
    prompt: int = 0


@dataclass(slots=True)
class Played:
    """A whole day. batch: of the server. batch_seconds: of the longest batch of a prefill."""

    batch: int
    batch_seconds: float = 0.0
    version: str = ""
    asks: list[Taken] = field(default_factory=list)
    rushes: list[Taken] = field(default_factory=list)
    prefills: list[Prefilled] = field(default_factory=list)


class DayPlayer:
    """Plays the steps of the day."""

    def __init__(
        self,
        stage: DayStage,
        agent: DayAgent,
        pauses: Mapping[Pause, float],
        session: aiohttp.ClientSession,
    ) -> None:
        """Initialize. pauses: seconds of each kind. session: for requests to the server itself."""
        self._stage = stage
        self._agent = agent
        self._pauses = pauses
        self._prompts = PromptCounter(session, stage.server.base_url)
        self._talks: dict[str, str] = {}
        self._n_phones = 0
        self._played = Played(stage.settings.batch, version=stage.version)

    async def play(self) -> Played:
        """Play the day and what comes after it. Raises BenchmarkError, HomeAssistantError."""
        self._mark(START, changes_home=False)
        for step in DAY:
            if isinstance(step, DayAsk | Task):
                await self._pause(step.pause)
                self._played.asks.append(await self._take(step))
            else:
                await self._happen(step)
        for rush in RUSHES:
            await self._rush(rush)
        # Time for the prefill after the last change.
        await self._pause(Pause.SETTLE)
        self._count_prefills()
        return self._played

    async def _pause(self, kind: Pause) -> None:
        """Wait for the time of a pause.

        A pause after a change does not end during a prefill, so that counts are the same on slow
        machines: in a real home, more time passes.
        """
        await asyncio.sleep(self._pauses[kind])
        if kind in {Pause.MORNING, Pause.SETTLE, Pause.LONG}:
            await self._stage.proxy.wait_for_quiet(QUIET_SECONDS)

    async def _rush(self, rush: Rush) -> None:
        await self._pause(Pause.SETTLE)
        changed = time.perf_counter()
        await self._happen(rush.change)
        if rush.during_prefill:
            await self._stage.proxy.wait_for_prefill(changed, self._pauses[Pause.SETTLE])
        self._played.rushes.append(await self._take(rush.ask))

    def _mark(self, name: str, *, changes_home: bool) -> None:
        self._played.prefills.append(Prefilled(name, changes_home, time.perf_counter()))

    async def _happen(self, step: DayStep) -> None:
        """Change something in the home, or restart programs."""
        owner = self._stage.owner
        if isinstance(step, DayAction):
            await owner.call(step.domain, step.action, step.data)
        elif isinstance(step, Change):
            self._mark(step.name, changes_home=True)
            for command, fields in step.commands:
                device = self._stage.devices[step.device] if step.device else None
                named = {"device_id": device} if command.startswith("config/device") else {}
                await owner.command(command, **fields, **named)
        elif isinstance(step, Restart):
            say(f"  {step.name} ...")
            self._mark(step.name, changes_home=False)
            await self._stage.restart(home_assistant=step.home_assistant, server=step.server)

    async def _take(self, step: DayAsk | Task) -> Taken:
        """Play an ask or a task, and return its tokens and time."""
        known = len(self._stage.proxy.exchanges)
        began = time.perf_counter()
        async with asyncio.timeout(ANSWER_SECONDS):
            if isinstance(step, Task):
                answer, seconds = await self._task(step), None
            else:
                answer, seconds = await self._ask(step)
        exchanges = self._stage.proxy.exchanges
        own = [one for one in exchanges[known:] if not one.is_prefill]
        if not own:
            raise BenchmarkError(f"the server got no request for: {step.name}")
        for one in own:
            if not one.complete:
                raise BenchmarkError(f"status {one.status} from the server for: {step.name}")
        until = max(one.ended or began for one in own)
        delayed = sum(
            one.overlap(began, until, self._played.batch) for one in exchanges if one.is_prefill
        )
        taken = Taken(
            name=step.name,
            processed=sum(one.processed for one in own) + delayed,
            delayed=delayed,
            new=await self._new_tokens(own, step.words),
            n_prompt=own[-1].n_prompt,
            n_requests=len(own),
            seconds=seconds,
            answer=answer,
            queued=own[0].queued,
            bodies=tuple(one.body for one in own),
            words=step.words,
        )
        ahead = f" ({delayed} of a prefill)" if delayed else ""
        say(f"  {taken.name}: {taken.processed} tokens{ahead}, {taken.new} new")
        return taken

    async def _new_tokens(self, own: list[Exchange], words: str) -> int:
        new = 0
        for one in own:
            n_prompt, n_new = await self._prompts.count(one.body, words)
            if n_prompt != one.n_prompt:
                raise BenchmarkError(f"a prompt of {one.n_prompt} tokens is counted as {n_prompt}")
            new += n_new
        return new

    async def _ask(self, step: DayAsk) -> tuple[str, float | None]:
        """Ask, and return the answer and the time to its first words; raises BenchmarkError.

        The time is None if core's agent has no answer.
        """
        client = self._stage.guest if step.guest else self._stage.owner
        device = self._stage.devices[step.where] if step.where else self._phone()
        answer = await client.ask(
            step.words,
            pipeline=self._agent.pipeline,
            device_id=device,
            conversation_id=self._talks.get(step.talk or ""),
        )
        if answer.is_error and not self._agent.task_entity:
            # Core's agent fails if a tool call is cut off: its tokens until then count.
            say(f"  {step.name}: no answer ({answer.speech})")
            return answer.speech, None
        if answer.is_error or answer.first_text_after is None:
            raise BenchmarkError(f"no answer for: {step.name} ({answer.speech})")
        if step.talk:
            self._talks[step.talk] = answer.conversation_id or ""
        return answer.speech, answer.first_text_after

    def _phone(self) -> str | None:
        """Return a new phone, None if phones are not devices."""
        self._n_phones += 1
        return self._stage.devices.get(phone(self._n_phones - 1))

    async def _task(self, step: Task) -> str:
        """Give a task as an automation does, and return the result.

        An agent without a task entity is asked instead, as its users would do.
        """
        if entity_id := self._agent.task_entity:
            action = "ai_task/generate_data"
            data = {"entity_id": entity_id, "task_name": step.name, "instructions": step.words}
        else:
            action = "conversation/process"
            data = {"agent_id": self._agent.entity_id, "text": step.words}
        path = f"/api/services/{action}?return_response"
        try:
            answered = await self._stage.owner.request("POST", path, data, seconds=ANSWER_SECONDS)
        except HomeAssistantError as err:
            if "cut off" not in str(err):
                raise
            # A task fails if its answer is cut off, as short ones are here: its tokens count.
            say(f"  {step.name}: no answer ({err})")
            return ""
        answer = answered["service_response"]
        if self._agent.task_entity:
            return str(answer["data"])
        return str(answer["response"]["speech"]["plain"]["speech"])

    def _count_prefills(self) -> None:
        """Add each prefill to the last event before it."""
        for exchange in self._stage.proxy.exchanges:
            if not exchange.is_prefill:
                continue
            longest = max(exchange.batch_seconds(self._played.batch), default=0.0)
            self._played.batch_seconds = max(self._played.batch_seconds, longest)
            marks = [one for one in self._played.prefills if one.began <= exchange.received]
            if marks:
                marks[-1].requests += 1
                marks[-1].tokens += exchange.most_processed(self._played.batch)
                marks[-1].prompt = max(marks[-1].prompt, exchange.n_prompt)
