"""The owner of one server's KV cache: carries out what `machine.decide` decides."""

import asyncio
import time
from contextlib import aclosing, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from ..client import (
    BadRequestError,
    Completion,
    LlamaServerError,
    NotSupportedError,
    ServerTimeoutError,
    stream_beginning,
)
from ..const import LOGGER, NOTICE_SECONDS
from .events import (
    Abort,
    AgentAdded,
    AgentRemoved,
    Answered,
    AskBegan,
    AskedWith,
    AskEnded,
    FilesTried,
    JobEnded,
    Noticed,
    PollBegan,
    PromptReady,
    Restored,
    Run,
    SlotWanted,
    Tick,
    TurnEnded,
    UseSlot,
    WakeAt,
)
from .fingerprint import Fingerprint
from .machine import decide, is_pending
from .slot_files import file_name
from .state import FIRST_SLOT, JobKind, ServingState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from ..client import ChatRequest, LlamaServerClient, Usage
    from .diagnosis import CacheProblem
    from .events import Action, Event, Polled
    from .fingerprint import Changed
    from .slot_affinity import ConversationRef
    from .state import AgentPrompt, Job

# A Raspberry Pi prefills the prompt of a large home in some six minutes.
PREFILL_SECONDS = 1200.0
# The slot of a large model has gigabytes, and the disks of small computers are slow.
FILE_SECONDS = 60.0


class Serving:
    """Has one server prefill its agents' prompts: one at a time, and never while a user waits."""

    def __init__(
        self,
        client: LlamaServerClient,
        start: Callable[[Coroutine[Any, Any, None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Initialize for a server of which nothing is known.

        start: runs a coroutine in a task that ends with the server's config entry. clock: returns
        monotonic seconds.
        """
        self._client = client
        self._clock = clock
        self._start = start
        self.state = ServingState()
        self._ids = count()
        self._is_working = False
        self._wake_at: float | None = None
        # Set after each event, for the worker that waits for one.
        self._changed = asyncio.Event()
        # Ends the chat completion in progress; one that has not begun yet is in `_aborted`.
        self._limit: asyncio.Timeout | None = None
        self._aborted: Job | None = None
        # By agent: those who wait for its prefill.
        self._waiters: dict[str, asyncio.Future[None]] = {}

    @property
    def n_slots(self) -> int:
        """Return the number of slots of the server."""
        return self.state.n_slots

    @property
    def n_agents(self) -> int:
        """Return the number of agents that share the server."""
        return len(self.state.agents)

    @property
    def n_tokens_lost(self) -> int:
        """Return the tokens that were prefilled again when a prompt was lost."""
        return self.state.n_tokens_lost

    def instance_of(self, model: str | None) -> str | None:
        """Return a string that is unique for this start of a model, "" if unknown.

        None if the model cannot answer at once: it is not in memory, or the server sleeps.
        """
        return (self.state.in_memory or {}).get(self.state.key_of(model))

    def suffers(self, problem: CacheProblem) -> bool | None:
        """Return whether the server loses prompts in this way, None if that is not known."""
        return self.state.suffers(problem)

    # ---- Agents ----

    def add_agent(self, agent_id: str) -> Callable[[], None]:
        """Add an agent; returns a function that removes it."""
        self.send(AgentAdded(agent_id))

        def remove() -> None:
            self.send(AgentRemoved(agent_id))

        return remove

    async def prefill(
        self, prompt: AgentPrompt, *, is_wanted: bool = False, is_forced: bool = False
    ) -> None:
        """Take an agent's newest prompt, and prefill it as soon as no user waits for an answer.

        is_wanted: a user is about to ask, so a router may load the model, and a sleeping server
        wakes. is_forced: even if it counts as prefilled. Returns once it is prefilled, or cannot be
        for now: then it is done later. Raises LlamaServerError if it fails.
        """
        agent_id = prompt.agent_id
        self.send(PromptReady(prompt, is_wanted, is_forced))
        if is_pending(self.state, agent_id, self._clock()):
            loop = asyncio.get_running_loop()
            waiter = self._waiters.setdefault(agent_id, loop.create_future())
            await asyncio.shield(waiter)

    # ---- Those who wait ----

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep prefills away, and abort the one in progress."""
        with self.ask("", None, is_own=False):
            yield

    def ask(self, agent_id: str, ref: ConversationRef | None, *, is_own: bool) -> Ask:
        """Return a context for a user who waits for an answer of an agent.

        ref: the conversation, None if it needs no slot. is_own: the agent is asked with its own
        prompt, which is prefilled.
        """
        return Ask(self, next(self._ids), agent_id, ref, is_own=is_own)

    def turn_ended(self, next_turn: ChatRequest) -> None:
        """Have a conversation's next turn prefilled up to the user's words, unless a user asks.

        next_turn: ends with an empty user message. The server has generated its answer itself, and
        may tokenize it in another way.
        """
        self.send(TurnEnded(next_turn))

    async def notice(self, model: str | None, *, keeps_open: bool = False) -> None:
        """Find out whether the server has forgotten a model's prompts since the last poll.

        It was restarted, sleeps, or has unloaded the model: then a slot file can be restored before
        the answer. keeps_open: a chat follows at once.
        """
        if self.state.is_front:
            return
        try:
            async with asyncio.timeout(NOTICE_SECONDS):
                self.send(Noticed(model, await self._instance_of(model, keeps_open=keeps_open)))
        except LlamaServerError, TimeoutError:
            return

    async def _instance_of(self, model: str | None, *, keeps_open: bool = False) -> str | None:
        """Return the string that is unique for this start of a model, None if it is not in memory.

        Raises LlamaServerError.
        """
        try:
            props = await self._client.props(
                model if self.state.is_router else None, autoload=False, keeps_open=keeps_open
            )
        except BadRequestError:
            LOGGER.debug("The server has not loaded %s", model)
            return None
        return None if props.is_sleeping else props.instance

    async def slot_for(
        self, agent_id: str, request: ChatRequest, prefix: bytes, ref: ConversationRef
    ) -> int | None:
        """Return the slot in which a conversation continues; None: the server chooses.

        Restores it first if that saves a prefill.
        """
        model = request.get("model")
        idle: tuple[int, ...] = ()
        if self.state.n_slots > 1:
            idle = await self._idle_slots(model)
        while True:
            wanted = SlotWanted(agent_id, model, prefix, ref, idle)
            use = next(one for one in self.send(wanted) if isinstance(one, UseSlot))
            if restore := use.restore:
                is_done = await self._on_slot(
                    "restore", restore.slot, restore.agent_id, model, may_load=not use.is_final
                )
                self.send(Restored(restore, is_done))
            if use.is_final:
                return use.slot

    async def _idle_slots(self, model: str | None) -> tuple[int, ...]:
        """Return the slots that are not processing, none if the server does not report them."""
        try:
            return tuple(one.id for one in await self._client.slots(model) if not one.is_processing)
        except LlamaServerError as err:
            LOGGER.debug("The server does not report its slots: %s", err)
            return ()

    # ---- Polls ----

    def poll_begins(self) -> None:
        """Record that the server is about to be asked for its state."""
        self.send(PollBegan())

    def polled(self, state: Polled) -> None:
        """Record the state of the server, and prefill what it has forgotten."""
        self.send(state)

    # ---- The machine ----

    def send(self, event: Event) -> list[Action]:
        """Decide what to do after an event, begin with it, and return it."""
        self.state, actions = decide(self.state, event, self._clock())
        self._wake_at = None
        for action in actions:
            match action:
                case Abort():
                    self._aborted = self.state.job
                    if self._limit and not self._limit.expired():
                        self._limit.reschedule(asyncio.get_running_loop().time())
                case Run() | WakeAt():
                    if isinstance(action, WakeAt):
                        self._wake_at = action.time
                    if not self._is_working:
                        self._is_working = True
                        self._start(self._work())
                case UseSlot():
                    pass
        self._changed.set()
        self._resolve(event)
        return actions

    def _resolve(self, event: Event) -> None:
        """Let those continue whose prefill is done, or is not going to be."""
        now, failed, error = self._clock(), "", None
        if isinstance(event, JobEnded) and event.job.kind is JobKind.PREFILL and event.error:
            failed, error = event.job.agent_id, event.error
        for agent_id in [*self._waiters]:
            if agent_id == failed and error:
                waiter = self._waiters.pop(agent_id)
                waiter.set_exception(error)
                # Who waited may be gone.
                waiter.exception()
            elif not is_pending(self.state, agent_id, now):
                self._waiters.pop(agent_id).set_result(None)

    async def _work(self) -> None:
        """Do one job after the other, until there is none and none comes soon."""
        try:
            while True:
                self._changed.clear()
                if job := self.state.job:
                    await self._run(job)
                elif self._wake_at is not None:
                    await self._wait_until(self._wake_at)
                else:
                    return
        finally:
            self._is_working = False

    async def _wait_until(self, wake_at: float) -> None:
        """Wait until a time, or for an event."""
        try:
            async with asyncio.timeout(max(0.0, wake_at - self._clock())):
                await self._changed.wait()
        except TimeoutError:
            self.send(Tick())

    async def _run(self, job: Job) -> None:
        """Do a job, and tell the machine how it has ended."""
        usages: list[Usage | None] = []
        ended = JobEnded(job, is_done=False)
        try:
            ended = await self._do(job, usages)
        except LlamaServerError as err:
            LOGGER.debug("The %s has failed: %s", job.kind, err)
            ended = JobEnded(job, is_done=False, usages=tuple(usages), error=err)
        finally:
            self.send(ended)

    async def _do(self, job: Job, usages: list[Usage | None]) -> JobEnded:
        """Do a job, and return how it has ended. Raises LlamaServerError.

        usages: gets the usage of each answered request.
        """
        match job.kind:
            case JobKind.LOOK:
                instance = await self._instance_of(job.model)
                return JobEnded(job, is_done=True, instance=instance)
            case JobKind.SAVE | JobKind.RESTORE:
                return JobEnded(job, is_done=await self._do_file(job))
        if self._aborted is job:
            return JobEnded(job, is_done=False)
        try:
            async with asyncio.timeout(None) as self._limit:
                for body in job.bodies:
                    completion = await self._chat(job, body)
                    usages.append(completion.usage)
        except TimeoutError:
            return JobEnded(job, is_done=False, usages=tuple(usages))
        finally:
            self._limit = None
        return JobEnded(job, is_done=True, usages=tuple(usages))

    async def _chat(self, job: Job, body: ChatRequest) -> Completion:
        """Have a chat completion processed, and return its usage. Raises LlamaServerError."""
        completion = Completion(usage=None, timings=None)
        # The answer is of no use, so it need not fit a grammar either.
        body = {name: value for name, value in body.items() if name != "grammar"}
        limits: dict[str, Any] = {"autoload": job.may_load, "between_events": PREFILL_SECONDS}
        if job.kind is JobKind.NOTE:
            # More words follow the last ones.
            stream = stream_beginning(self._client, body, **limits)
        else:
            stream = self._client.stream_chat(body, **limits)
        try:
            async with asyncio.timeout(PREFILL_SECONDS), aclosing(stream) as events:
                async for event in events:
                    if isinstance(event, Completion):
                        completion = event
        except TimeoutError as err:
            raise ServerTimeoutError("The prompt was not prefilled in time") from err
        return completion

    async def _do_file(self, job: Job) -> bool:
        """Save or restore a slot; return whether that was done."""
        assert job.slot is not None  # noqa: S101 - for the type
        is_other = job.kind is JobKind.RESTORE and job.slot != FIRST_SLOT
        if is_other and job.slot not in await self._idle_slots(job.model):
            # Another program uses it.
            return False
        action = "save" if job.kind is JobKind.SAVE else "restore"
        return await self._on_slot(action, job.slot, job.agent_id, job.model, may_load=job.may_load)

    async def _on_slot(
        self, action: str, slot: int, agent_id: str, model: str | None, *, may_load: bool
    ) -> bool:
        """Save or restore a slot; return whether that was done.

        may_load: whether a router may load the model for it.
        """
        name = file_name(agent_id, model)
        try:
            async with asyncio.timeout(FILE_SECONDS):
                await self._client.slot_action(slot, action, name, model=model, autoload=may_load)
        except NotSupportedError:
            self.send(FilesTried(is_supported=False))
        except (LlamaServerError, TimeoutError) as err:
            LOGGER.debug("The server does not %s %s: %s", action, name, err)
        else:
            self.send(FilesTried(is_supported=True))
            return True
        return False


class Ask:
    """A user waits for an answer: no prefill begins, and the one in progress is aborted.

    slot: of the server in which the conversation continues, None: the server chooses.
    """

    def __init__(
        self,
        serving: Serving,
        ask_id: int,
        agent_id: str,
        ref: ConversationRef | None,
        *,
        is_own: bool,
    ) -> None:
        """Initialize; `with` begins to keep prefills away."""
        self.slot: int | None = None
        self._serving = serving
        self._id = ask_id
        self._agent_id = agent_id
        self._ref = ref
        self._is_own = is_own
        self._is_counted = True
        # The newest request, and its fingerprint.
        self._known: tuple[Mapping[str, Any], Fingerprint] | None = None

    def __enter__(self) -> Self:
        """Keep prefills away."""
        self._serving.send(AskBegan(self._id))
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Let prefills begin again."""
        is_counted = self._is_counted and error is None
        self._serving.send(AskEnded(self._id, is_counted))

    async def prepare(self, request: ChatRequest) -> None:
        """Name the slot of the conversation in the turn's first request, if it needs one.

        The slot is restored first if that saves a prefill.
        """
        if self._ref is None:
            return
        prefix = self._fingerprint(request).prefix
        if self._is_own:
            self._serving.send(AskedWith(self._agent_id, {**request}, prefix))
        await self._serving.notice(request.get("model"), keeps_open=True)
        self.slot = await self._serving.slot_for(self._agent_id, request, prefix, self._ref)
        if self.slot is not None:
            request["id_slot"] = self.slot

    def answered(self, request: Mapping[str, Any], completion: Completion) -> Changed:
        """Record an answer, and return what differs from the agent's request before."""
        state, model = self._serving.state, request.get("model")
        fingerprint = self._fingerprint(request)
        before = state.cache_of(model).newest.get(self._agent_id)
        self._serving.send(
            Answered(
                agent_id=self._agent_id,
                model=model,
                fingerprint=fingerprint,
                n_messages=len(request["messages"]),
                slot=request.get("id_slot"),
                usage=completion.usage,
                is_own=self._is_own,
            )
        )
        return fingerprint.changed_since(before)

    def cut(self) -> None:
        """Record that the server has not reported the usage of the last answer."""
        self._is_counted = False

    def _fingerprint(self, request: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint of a request, computed once."""
        if self._known is None or self._known[0] is not request:
            self._known = (request, Fingerprint.of(request))
        return self._known[1]
