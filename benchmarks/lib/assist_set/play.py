"""Says the sentences of a home to its agents, and judges the outcomes."""

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
# A sentence that no home understands, to measure the length of the prompt.
SIZE_SENTENCE = "Hello, how are you?"


class AskableHome(Protocol):
    """A running home with agents."""

    async def bring(
        self, setup: Mapping[str, Mapping[str, Any]], now: datetime | None = None
    ) -> None:
        """Reset the home to the state of its file, then set these states and this time."""

    def device(self, device: str | None) -> str | None:
        """Return Home Assistant's id of a device in the home's file."""

    async def settled(self) -> Snapshot:
        """Return the states of all entities as soon as nothing changes any more."""

    async def ask(
        self, asked: Asked, sentence: str, device: str | None, conversation: str | None
    ) -> AssistAnswer:
        """Say a sentence to an agent; raises HomeAssistantError."""

    async def calls(self, conversation: str | None) -> Sequence[AgentCall]:
        """Return the tool calls in a conversation."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Time limits. ask_seconds: of one answer. deadline: of `time.monotonic`, for all cases."""

    ask_seconds: float
    deadline: float


class AssistPlayer:
    """Asks the agents of one home."""

    def __init__(
        self,
        stage: AskableHome,
        limits: TimeLimits,
        speech: Speech | None = None,
        names: Sequence[str] = (),
    ) -> None:
        """Initialize.

        speech: to understand replies. None: only the expected words count, and a question back
        gets no yes. names: of everything in the home.
        """
        self._stage = stage
        self._limits = limits
        self._speech = speech
        self._names = names

    async def play(self, asked: Asked, column: Column, cases: Iterable[AssistCase]) -> None:
        """Say all sentences to one agent, each in a new conversation."""
        for case in cases:
            if time.monotonic() > self._limits.deadline:
                reasons = ("it was not asked: the time for all cases was up",)
                outcome = CaseOutcome(case, reasons=reasons, asked=False)
            else:
                outcome = await self._case(asked, case)
            column.outcomes.append(outcome)
            say(f"  {asked.name}: {case.sentence}: {_mark(outcome)}")

    async def measure(self, stage: AssistStage, asked: Asked, column: Column) -> None:
        """Measure how the prompt grows with the entities.

        Compares the prompt with all of them to one with a single entity of each domain, as the
        tools depend on the domains. stage: the one of the home.
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
            # An error alone is no reason, but it explains the others best.
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
        if conversation is None or not _gets_a_yes(outcome):
            return outcome
        return replace(outcome, after_yes=await self._say_yes(asked, case, before, conversation))

    async def _say_yes(
        self, asked: Asked, case: AssistCase, before: Snapshot, conversation: str
    ) -> AfterYes | None:
        """Answer the agent's question with yes, and judge the command again."""
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
        """Ask, and return the answer, or the reason why there is none."""
        try:
            async with asyncio.timeout(self._limits.ask_seconds):
                return await self._stage.ask(asked, sentence, device, conversation)
        except TimeoutError:
            # Requests in progress must not end in the next case.
            await _wait_for_quiet(asked)
            return f"no answer within {self._limits.ask_seconds:g} s"
        except HomeAssistantError as err:
            return f"no answer: {err}"


def _gets_a_yes(outcome: CaseOutcome) -> bool:
    """Return whether a command was not done, and the agent asks back."""
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
    """Return the tokens of the prompts after the first `known` exchanges."""
    if asked.proxy is None:
        return []
    return [one.n_prompt for one in asked.proxy.exchanges[known:] if one.n_prompt]


async def _wait_for_quiet(asked: Asked) -> None:
    """Wait until the agent has no request in progress."""
    deadline = time.monotonic() + QUIET_SECONDS
    while (  # noqa: ASYNC110 - another task of this process ends the exchanges
        asked.proxy
        and any(one.ended is None for one in asked.proxy.exchanges)
        and time.monotonic() < deadline
    ):
        await asyncio.sleep(POLL_SECONDS)
