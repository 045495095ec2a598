"""Says the sentences of a home to its agents, and takes note of what comes of them."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from dev.ha_client import HomeAssistantError

from ..command import say
from .replies import faults_of, is_question
from .results import AfterYes, CaseOutcome, PromptSize
from .scoring import judge, judge_calls, moved, moved_by_mistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from dev.ha_client import AssistAnswer

    from .calls import AgentCall
    from .cases import AssistCase
    from .replies import Speech
    from .results import Column
    from .scoring import Snapshot
    from .stage import Asked, AssistStage

QUIET_SECONDS = 60.0
POLL_SECONDS = 0.05
# Nobody's home understands this: it is asked for the length of the prompt.
SIZE_SENTENCE = "Hello, how are you?"


class AskableHome(Protocol):
    """A running home in which agents can be asked."""

    async def bring(
        self, setup: Mapping[str, Mapping[str, Any]], now: datetime | None = None
    ) -> None:
        """Bring the home into the state of its file, and then into this one, at this time."""

    def device(self, device: str | None) -> str | None:
        """Return Home Assistant's id of a device of the home's file."""

    async def settled(self) -> Snapshot:
        """Return what all entities are like as soon as nothing changes any more."""

    async def ask(
        self, asked: Asked, sentence: str, device: str | None, conversation: str | None
    ) -> AssistAnswer:
        """Say a sentence to an agent; raises HomeAssistantError."""

    async def calls(self, conversation: str | None) -> Sequence[AgentCall]:
        """Return the calls of tools in a conversation."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """ask_seconds: for one answer. deadline: of `time.monotonic`, for everything."""

    ask_seconds: float
    deadline: float


class AssistPlayer:
    """Asks in one home."""

    def __init__(
        self,
        stage: AskableHome,
        limits: TimeLimits,
        speech: Speech | None = None,
        names: Sequence[str] = (),
    ) -> None:
        """Be ready.

        speech: how replies are understood, None: only their words are compared, and nobody says
        yes to what is asked back. names: of what is in the home.
        """
        self._stage = stage
        self._limits = limits
        self._speech = speech
        self._names = names

    async def play(self, asked: Asked, column: Column, cases: Iterable[AssistCase]) -> None:
        """Say all sentences to one agent, each in a conversation of its own."""
        for case in cases:
            if time.monotonic() > self._limits.deadline:
                reasons = ("it was not asked: the time for everything was up",)
                outcome = CaseOutcome(case, reasons=reasons, asked=False)
            else:
                outcome = await self._case(asked, case)
            column.outcomes.append(outcome)
            say(f"  {asked.name}: {case.sentence}: {_mark(outcome)}")

    async def measure(self, stage: AssistStage, asked: Asked, column: Column) -> None:
        """Take note of how the prompt grows with the entities.

        The prompt with all of them is compared with one with a single entity of each domain: which
        tools are offered depends on the domains. stage: the one that is played in.
        """
        hidden = second_ones(await stage.exposed())
        if not hidden or asked.proxy is None or time.monotonic() > self._limits.deadline:
            return
        tokens = await self._prompt(asked)
        await stage.expose(hidden, exposed=False)
        fewer = await self._prompt(asked)
        await stage.expose(hidden, exposed=True)
        if tokens and fewer:
            column.size = PromptSize(stage.home.name, tokens, fewer, len(hidden))

    async def _prompt(self, asked: Asked) -> int:
        """Return the tokens of the longest prompt of an ask, 0 if there was none."""
        await self._stage.bring({})
        known = _n_exchanges(asked)
        await self._answer(asked, SIZE_SENTENCE, None)
        return max(_prompts(asked, known), default=0)

    async def _case(self, asked: Asked, case: AssistCase) -> CaseOutcome:
        await self._stage.bring(case.setup, case.now)
        device, conversation = self._stage.device(case.device), None
        for sentence in case.before:
            answer = await self._answer(asked, sentence, device, conversation)
            conversation = None if isinstance(answer, str) else answer.conversation_id
        before = await self._stage.settled()
        known = _n_exchanges(asked)
        began = time.perf_counter()
        answer = await self._answer(asked, case.sentence, device, conversation)
        seconds = time.perf_counter() - began
        if isinstance(answer, str):
            reply, conversation, reasons = "", None, [answer]
        else:
            reply, conversation, reasons = answer.speech, answer.conversation_id, []
        after = await self._stage.settled()
        calls = await self._stage.calls(conversation)
        reasons += [*judge(case, before, after, reply), *judge_calls(case, calls)]
        if reasons and not isinstance(answer, str) and answer.is_error:
            # Not a reason by itself, but the best one to be told first.
            reasons.insert(0, f"the agent reports an error: {reply}")
        changed = moved(before, after)
        is_done = not reasons or bool(changed)
        outcome = CaseOutcome(
            case,
            reply,
            reasons,
            changed,
            moved_by_mistake(case, before, after),
            calls,
            tuple(_prompts(asked, known)),
            round(seconds, 3),
            faults=faults_of(case, reply, self._speech, self._names, is_done=is_done),
        )
        if conversation is None or not _may_be_told_yes(outcome):
            return outcome
        return replace(outcome, after_yes=await self._say_yes(asked, case, before, conversation))

    async def _say_yes(
        self, asked: Asked, case: AssistCase, before: Snapshot, conversation: str
    ) -> AfterYes | None:
        """Say yes to what the agent asks, and judge the command once more."""
        if self._speech is None or self._speech.yes is None:
            return None
        device = self._stage.device(case.device)
        answer = await self._answer(asked, self._speech.yes, device, conversation)
        reply, reasons = ("", [answer]) if isinstance(answer, str) else (answer.speech, [])
        after = await self._stage.settled()
        return AfterYes(reply, [*reasons, *judge(case, before, after, reply)], moved(before, after))

    async def _answer(
        self, asked: Asked, sentence: str, device: str | None, conversation: str | None = None
    ) -> AssistAnswer | str:
        """Ask, and return the answer, or why there is none."""
        try:
            async with asyncio.timeout(self._limits.ask_seconds):
                return await self._stage.ask(asked, sentence, device, conversation)
        except TimeoutError:
            # What is still under way must not fall into the next case.
            await _wait_for_quiet(asked)
            return f"no answer within {self._limits.ask_seconds:g} s"
        except HomeAssistantError as err:
            return f"no answer: {err}"


def _may_be_told_yes(outcome: CaseOutcome) -> bool:
    """Tell whether a command was not done, and the agent asks back.

    Where nothing is to be done nobody says yes.
    """
    return (
        outcome.case.is_command
        and not outcome.passed
        and not outcome.moved
        and is_question(outcome.reply)
    )


def _mark(outcome: CaseOutcome) -> str:
    if outcome.passed:
        return "passed"
    if outcome.passed_after_yes:
        return "passed after a yes"
    return [*outcome.reasons, *outcome.faults][0]


def second_ones(entity_ids: Iterable[str]) -> list[str]:
    """Return all entities but one of each domain."""
    by_domain = defaultdict(list)
    for entity_id in sorted(entity_ids):
        by_domain[entity_id.partition(".")[0]].append(entity_id)
    return [one for found in by_domain.values() for one in found[1:]]


def _n_exchanges(asked: Asked) -> int:
    return len(asked.proxy.exchanges) if asked.proxy else 0


def _prompts(asked: Asked, known: int) -> list[int]:
    """Return the tokens of the prompts since so many exchanges."""
    if asked.proxy is None:
        return []
    return [one.n_prompt for one in asked.proxy.exchanges[known:] if one.n_prompt]


async def _wait_for_quiet(asked: Asked) -> None:
    """Wait until the agent asks its server for nothing any more."""
    deadline = time.monotonic() + QUIET_SECONDS
    while (  # noqa: ASYNC110 - another task of this process ends the exchanges
        asked.proxy
        and any(one.ended is None for one in asked.proxy.exchanges)
        and time.monotonic() < deadline
    ):
        await asyncio.sleep(POLL_SECONDS)
