"""Says the sentences of a home to its agents, and takes note of what comes of them."""

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from dev.ha_client import HomeAssistantError

from ..command import say
from .results import Outcome, PromptSize
from .scoring import judge, moved, moved_by_mistake

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dev.ha_client import Answer

    from .cases import Case
    from .results import Column
    from .stage import Asked, Stage

QUIET_SECONDS = 60.0
POLL_SECONDS = 0.05
# Nobody's home understands this: it is asked for the length of the prompt.
SIZE_SENTENCE = "Hello, how are you?"


class Player:
    """Asks in one home."""

    def __init__(self, stage: Stage, ask_seconds: float, deadline: float) -> None:
        """Be ready. ask_seconds: for one answer. deadline: of `time.monotonic`, for everything."""
        self._stage = stage
        self._ask_seconds = ask_seconds
        self._deadline = deadline

    async def play(self, asked: Asked, column: Column, cases: Iterable[Case]) -> None:
        """Say all sentences to one agent, each in a conversation of its own."""
        for case in cases:
            if time.monotonic() > self._deadline:
                reasons = ("it was not asked: the time for everything was up",)
                outcome = Outcome(case, reasons=reasons, asked=False)
            else:
                outcome = await self._case(asked, case)
            column.outcomes.append(outcome)
            mark = "passed" if outcome.passed else outcome.reasons[0]
            say(f"  {asked.name}: {case.sentence}: {mark}")

    async def measure(self, asked: Asked, column: Column) -> None:
        """Take note of how the prompt grows with the entities.

        The prompt with all of them is compared with one with a single entity of each domain: which
        tools are offered depends on the domains.
        """
        hidden = second_ones(await self._stage.exposed())
        if not hidden or asked.proxy is None or time.monotonic() > self._deadline:
            return
        tokens = await self._prompt(asked)
        await self._stage.expose(hidden, exposed=False)
        fewer = await self._prompt(asked)
        await self._stage.expose(hidden, exposed=True)
        if tokens and fewer:
            column.size = PromptSize(self._stage.home.name, tokens, fewer, len(hidden))

    async def _prompt(self, asked: Asked) -> int:
        """Return the tokens of the longest prompt of an ask, 0 if there was none."""
        await self._stage.bring({})
        known = _n_exchanges(asked)
        await self._answer(asked, SIZE_SENTENCE, None)
        return max(_prompts(asked, known), default=0)

    async def _case(self, asked: Asked, case: Case) -> Outcome:
        await self._stage.bring(case.setup)
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
        reasons += judge(case, before, after, reply)
        if reasons and not isinstance(answer, str) and answer.is_error:
            # Not a reason by itself, but the best one to be told first.
            reasons.insert(0, f"the agent reports an error: {reply}")
        return Outcome(
            case,
            reply,
            reasons,
            moved(before, after),
            moved_by_mistake(case, before, after),
            await self._stage.calls(conversation),
            tuple(_prompts(asked, known)),
            round(seconds, 3),
        )

    async def _answer(
        self, asked: Asked, sentence: str, device: str | None, conversation: str | None = None
    ) -> Answer | str:
        """Ask, and return the answer, or why there is none."""
        given = {"device_id": device, "conversation_id": conversation}
        fields = {"pipeline": asked.pipeline} | {name: one for name, one in given.items() if one}
        try:
            async with asyncio.timeout(self._ask_seconds):
                return await self._stage.client.ask(sentence, **fields)
        except TimeoutError:
            # What is still under way must not fall into the next case.
            await _wait_for_quiet(asked)
            return f"no answer within {self._ask_seconds:g} s"
        except HomeAssistantError as err:
            return f"no answer: {err}"


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
