"""The state machine in any order of events: what is prefilled, when, and in which slot."""

from typing import TYPE_CHECKING, Any, override

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from custom_components.llamacpp.client import BadRequestError, CannotConnectError
from custom_components.llamacpp.serving import budget
from custom_components.llamacpp.serving.events import (
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
    Polled,
    PromptReady,
    Restored,
    Run,
    SlotWanted,
    Tick,
    TurnEnded,
    UseSlot,
    WakeAt,
)
from custom_components.llamacpp.serving.fingerprint import Fingerprint
from custom_components.llamacpp.serving.machine import decide
from custom_components.llamacpp.serving.slot_affinity import IDLE_SECONDS, ConversationRef
from custom_components.llamacpp.serving.slot_files import file_name
from custom_components.llamacpp.serving.state import AgentPrompt, JobKind, ServingState
from dev.simulated_server import SimulatedServer

if TYPE_CHECKING:
    from custom_components.llamacpp.client import Usage
    from custom_components.llamacpp.serving.events import Action, Event
    from custom_components.llamacpp.serving.state import Job
    from dev.simulated_server import Tokens

AGENTS = ("first", "second")
SPEAKERS = ("kitchen", "bedroom", "hall")
HOME_TOKENS = 600
MAX_TOKENS = 20_000
# More jobs than this between two events are an endless loop.
MANY_JOBS = 60


def tokens_of(request: Any) -> Tokens:
    """Return a prompt as tokens: many for a home, one for each word."""
    first, *others = request["messages"]
    home = tuple((first["content"], number) for number in range(HOME_TOKENS))
    words = [(one["role"], word) for one in others for word in one["content"].split()]
    return (*home, *words, "answer")


def request_of(system: str, *said: str) -> dict[str, Any]:
    """Return a request: the home, then messages of user and assistant in turns."""
    roles = ("user", "assistant") * len(said)
    turns = [{"role": role, "content": one} for role, one in zip(roles, said, strict=False)]
    return {"messages": [{"role": "system", "content": system}, *turns], "stream": True}


def budget_is_large() -> bool:
    """Return whether the hourly budget is larger than any test needs."""
    return budget.MAX_TOKENS_PER_HOUR >= MAX_TOKENS


class Someone:
    """A user who waits for an answer. slot: set when the request is sent."""

    def __init__(self, number: int, agent: str, speaker: str, request: dict[str, Any]) -> None:
        """Start to wait."""
        self.number = number
        self.agent = agent
        self.speaker = speaker
        self.request = request
        self.slot: int | None = None
        self.is_sent = self.is_answered = False


class ServingMachine(RuleBasedStateMachine):
    """A server, its agents and their users."""

    def __init__(self) -> None:
        """Start without any knowledge of the server."""
        super().__init__()
        self.state = ServingState()
        self.now = 1000.0
        self.job: Job | None = None
        self.wake: float | None = None
        self.waiting: list[Someone] = []
        self.homes = dict.fromkeys(AGENTS, 0)
        # By agent: the newest system prompt.
        self.made = dict.fromkeys(AGENTS, 0)
        self.talks: dict[tuple[str, str], list[str]] = {}
        self.n_asked = 0
        self.prefilled: list[tuple[float, int]] = []
        self.has_failed = self.is_shared = False
        # Agents whose job has failed and that have made no new prompt since.
        self.failed: set[str] = set()

    @initialize(
        n_slots=st.sampled_from([1, 2, 3]),
        has_files=st.sampled_from([True, True, False]),
        has_host_cache=st.booleans(),
    )
    def begin(self, n_slots: int, has_files: bool, has_host_cache: bool) -> None:  # noqa: FBT001 - of hypothesis
        """Set up an entry with two agents."""
        self.server = SimulatedServer(n_slots, has_files, has_host_cache)
        self.poll()
        for agent in AGENTS:
            self.send(AgentAdded(agent))
            self.change(agent)

    # ---- What the machine decides ----

    def send(self, event: Event) -> list[Action]:
        """Send an event and start what the machine decides."""
        before = self.state.copy()
        known = repr(before)
        self.state, actions = decide(before, event, self.now)
        assert repr(before) == known, "the state before was changed"
        self.wake = None
        for action in actions:
            match action:
                case Run():
                    assert self.job is None, "two jobs at once"
                    assert not self.waiting, "a job while a user waits"
                    self.job = action.job
                case WakeAt():
                    assert not self.waiting
                    self.wake = action.time
                case Abort():
                    assert self.job
                    assert self.job.kind.is_chat
        return actions

    def system_of(self, agent: str) -> str:
        """Return the newest system prompt of an agent."""
        self.made[agent] = self.homes[agent]
        return f"{agent} {self.homes[agent]}"

    def end_job(self, *, share: float = 1.0, error: Any = None) -> None:
        """End the job in progress. share: how much of its prompt is prefilled if it is aborted."""
        job, server = self.job, self.server
        assert job
        self.job = None
        usages: list[Usage] = []
        instance = None
        is_done = share == 1.0 and error is None
        name = file_name(job.agent_id, job.model)
        match job.kind:
            case JobKind.LOOK:
                instance = server.instance
            case JobKind.SAVE | JobKind.RESTORE if is_done:
                assert job.slot is not None
                if job.kind is JobKind.SAVE:
                    is_done = server.save(job.slot, name)
                else:
                    is_idle = job.slot == 0 or job.slot in server.idle()
                    is_done = is_idle and server.restore(job.slot, name)
                self.job = job
                self.send(FilesTried(server.has_files))
                self.job = None
            case JobKind.SAVE | JobKind.RESTORE:
                pass
            case _:
                for body in job.bodies:
                    slot = body.get("id_slot")
                    _, usage = server.process(tokens_of(body), slot, share=share)
                    n_new = usage.prompt_tokens - usage.cached_tokens
                    if job.kind is JobKind.NOTE:
                        # The home is in this slot.
                        assert n_new < HOME_TOKENS or self.is_shared
                    if is_done:
                        usages.append(usage)
                        self.prefilled.append((self.now, n_new))
        self.send(JobEnded(job, is_done, tuple(usages), error, instance))

    # ---- What happens ----

    @rule()
    @precondition(lambda self: self.job or self.wake)
    def all_jobs_end(self) -> None:
        """Let all jobs end."""
        self.settle()

    @rule()
    @precondition(lambda self: self.job)
    def job_ends(self) -> None:
        """End the job in progress."""
        self.end_job()

    @rule(is_away=st.booleans())
    @precondition(lambda self: self.job)
    def job_fails(self, is_away: bool) -> None:  # noqa: FBT001 - of hypothesis
        """Let the job fail: the server refuses it, or is away."""
        assert self.job
        self.has_failed = True
        self.failed.add(self.job.agent_id)
        self.end_job(error=CannotConnectError("away") if is_away else BadRequestError("no"))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 400.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        """Let time pass without an event, but for the alarm that is due."""
        end = self.now + seconds
        if self.wake is not None and self.wake <= end:
            self.now = max(self.now, self.wake)
            self.send(Tick())
        self.now = end

    @rule(agent=st.sampled_from(AGENTS))
    def change(self, agent: str) -> None:
        """Change the home."""
        self.homes[agent] += 1
        self.make(agent, is_wanted=False)

    @rule(agent=st.sampled_from(AGENTS))
    def shift(self, agent: str) -> None:
        """Change a state in the instructions: the next user makes a new prompt."""
        self.homes[agent] += 1

    @rule(agent=st.sampled_from(AGENTS), is_wanted=st.booleans())
    def make(self, agent: str, is_wanted: bool) -> None:  # noqa: FBT001 - of hypothesis
        """Make the prompt again, as when a user starts to speak."""
        self.failed.discard(agent)
        system = self.system_of(agent)
        notes = {f"In the {one}.": [request_of(system, f"In the {one}.")] for one in SPEAKERS}
        prompt = AgentPrompt.of(agent, request_of(system, ""), notes)
        self.send(PromptReady(prompt, is_wanted))

    @rule(
        agent=st.sampled_from(AGENTS),
        speaker=st.sampled_from(SPEAKERS),
        is_new=st.booleans(),
        share=st.sampled_from([0.0, 0.5]),
    )
    @precondition(lambda self: len(self.waiting) < 3)
    def ask(self, agent: str, speaker: str, is_new: bool, share: float) -> None:  # noqa: FBT001 - of hypothesis
        """Ask. share: how much of the job in progress is prefilled by then."""
        if any((one.agent, one.speaker) == (agent, speaker) for one in self.waiting):
            return
        if is_new or (agent, speaker) not in self.talks:
            self.talks.pop((agent, speaker), None)
        said = self.talks.setdefault((agent, speaker), [f"In the {speaker}. Hello {self.n_asked}"])
        someone = Someone(self.n_asked, agent, speaker, request_of(self.system_of(agent), *said))
        self.n_asked += 1
        self.waiting.append(someone)
        actions = self.send(AskBegan(someone.number))
        prefix = Fingerprint.of(someone.request).prefix
        self.send(AskedWith(agent, {**someone.request}, prefix))
        if any(isinstance(one, Abort) for one in actions):
            self.end_job(share=share)

    @rule(data=st.data(), notices=st.booleans())
    @precondition(lambda self: any(not one.is_sent for one in self.waiting))
    def send_request(self, data: st.DataObject, notices: bool) -> None:  # noqa: FBT001 - of hypothesis
        """Choose a slot, and send the request."""
        waiting = [one for one in self.waiting if not one.is_sent]
        self.send_request_of(data.draw(st.sampled_from(waiting)), notices=notices)

    def send_request_of(self, someone: Someone, *, notices: bool) -> None:
        """Choose a slot for a user. notices: checks whether the server has restarted."""
        if notices:
            self.send(Noticed(None, self.server.instance))
        prefix = Fingerprint.of(someone.request).prefix
        first_words = someone.request["messages"][1]["content"]
        talk = ConversationRef(first_words, someone.speaker, f"In the {someone.speaker}.")
        while True:
            wanted = SlotWanted(someone.agent, None, prefix, talk, self.server.idle())
            (use,) = (one for one in self.send(wanted) if isinstance(one, UseSlot))
            if use.restore:
                name = file_name(use.restore.agent_id, None)
                is_done = self.server.restore(use.restore.slot, name)
                self.send(FilesTried(self.server.has_files))
                self.send(Restored(use.restore, is_done))
            if use.is_final:
                break
        if use.slot is not None:
            someone.request["id_slot"] = use.slot
            busy = [one.speaker for one in self.waiting if one.is_sent and one.slot == use.slot]
            assert not busy, "two conversations in one slot"
        someone.slot = self.server.choose(tokens_of(someone.request), use.slot)
        if not self.server.slots[someone.slot].is_busy:
            self.server.slots[someone.slot].is_busy = True
        someone.is_sent = True

    @rule(data=st.data(), is_counted=st.booleans())
    @precondition(lambda self: any(one.is_sent for one in self.waiting))
    def answer(self, data: st.DataObject, is_counted: bool) -> None:  # noqa: FBT001 - of hypothesis
        """Answer, or fail; the user may continue the conversation."""
        waiting = [one for one in self.waiting if one.is_sent]
        self.answer_to(data.draw(st.sampled_from(waiting)), is_counted=is_counted)

    def answer_to(self, someone: Someone, *, is_counted: bool) -> None:
        """Answer a user. is_counted: the answer has token counts."""
        assert someone.slot is not None
        _, usage = self.server.process(tokens_of(someone.request), someone.slot)
        self.server.slots[someone.slot].is_busy = False
        if is_counted:
            self.send(
                Answered(
                    agent_id=someone.agent,
                    model=None,
                    fingerprint=Fingerprint.of(someone.request),
                    n_messages=len(someone.request["messages"]),
                    slot=someone.request.get("id_slot"),
                    usage=usage,
                    is_own=True,
                )
            )
        self.waiting.remove(someone)
        self.send(AskEnded(someone.number, is_counted))
        if is_counted:
            said = self.talks.setdefault((someone.agent, someone.speaker), [])
            said += ["Yes.", f"And {self.n_asked}?"]
            system = someone.request["messages"][0]["content"]
            following = request_of(system, *said[:-1], "")
            if (slot := someone.request.get("id_slot")) is not None:
                following["id_slot"] = slot
            self.send(TurnEnded(following))

    @rule()
    def restart(self) -> None:
        """Restart the server: requests and the job in progress fail."""
        while self.waiting:
            someone = self.waiting.pop()
            self.send(AskEnded(someone.number, is_counted=False))
        if self.job:
            self.end_job(error=CannotConnectError("away"))
        self.is_shared = True
        self.server.restart()

    @rule()
    def poll(self) -> None:
        """Poll the server."""
        self.send(PollBegan())
        self.send(
            Polled(
                n_slots=self.server.n_slots,
                is_router=False,
                is_front=False,
                build="b1",
                in_memory={"": self.server.instance},
                n_prompt_tokens=self.server.n_prompt_tokens,
            )
        )

    @rule()
    @precondition(lambda self: self.server.has_host_cache and not self.waiting and not self.job)
    def others(self) -> None:
        """Use the server from another program."""
        self.is_shared = True
        self.server.process(tokens_of(request_of("others", "Hi")), None)

    @rule(agent=st.sampled_from(AGENTS))
    def remove_and_add(self, agent: str) -> None:
        """Remove an agent and add it again."""
        self.send(AgentRemoved(agent))
        self.send(AgentAdded(agent))
        self.make(agent, is_wanted=False)

    # ---- What must hold ----

    @invariant()
    def budget_is_kept(self) -> None:
        """Within an hour no more is prefilled than allowed, but for the last prompt."""
        hour = sum(n for when, n in self.prefilled if self.now - when <= budget.HOUR_SECONDS)
        assert hour <= budget.MAX_TOKENS_PER_HOUR + 2 * HOME_TOKENS

    @override
    def teardown(self) -> None:
        """Once all is quiet, every agent's prompt is where the machine says."""
        if not hasattr(self, "server"):
            return
        while self.waiting:
            someone = self.waiting.pop()
            if someone.slot is not None:
                self.server.slots[someone.slot].is_busy = False
            self.send(AskEnded(someone.number, is_counted=False))
        for agent in AGENTS:
            if agent in self.failed:
                # What has failed is retried with the next prompt.
                self.make(agent, is_wanted=False)
        self.settle()
        self.now += budget.HOUR_SECONDS + 1
        self.poll()
        self.settle()
        for agent in self.state.agents:
            request = request_of(f"{agent} {self.made[agent]}", "")
            home = tokens_of(request)[:HOME_TOKENS]
            prefix = Fingerprint.of(request).prefix
            is_saved = self.server.files.get(file_name(agent, None), ())[:HOME_TOKENS] == home
            assert self.state.cache_of(None).prefilled.get(agent) == prefix
            if self.server.has_files and not self.has_failed and budget_is_large():
                assert is_saved, agent
            is_likeliest = agent == [*self.state.agents][-1]
            # Without slot files the server chooses the slot, and may evict another agent's prompt.
            is_chosen = self.server.n_slots == 1 or self.server.has_files
            # A prompt that could not be saved, or prefilled within the budget, may be evicted.
            is_lost = self.has_failed or not budget_is_large()
            if not is_lost and (self.server.has_host_cache or (is_likeliest and is_chosen)):
                assert self.server.holds(home) or is_saved, (agent, self.server)

    def settle(self) -> None:
        """Run jobs until none is left."""
        for _ in range(MANY_JOBS):
            if self.job:
                self.end_job()
            elif self.wake is not None:
                self.now = max(self.now, self.wake)
                self.send(Tick())
            else:
                return
        raise AssertionError(f"It never ends: {self.job}")


@pytest.mark.parametrize("max_tokens", [MAX_TOKENS, 3 * HOME_TOKENS])
def test_in_any_order(max_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One job at a time, none while a user waits, and in the end every prompt is there."""
    monkeypatch.setattr(budget, "MAX_TOKENS_PER_HOUR", max_tokens)
    run_state_machine_as_test(
        ServingMachine,
        settings=settings(
            max_examples=400,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            report_multiple_bugs=False,
            suppress_health_check=[*HealthCheck],
        ),
    )


def machine(*, n_slots: int, has_files: bool, has_host_cache: bool = True) -> ServingMachine:
    """Return a server with its agents, before any prefill."""
    one = ServingMachine()
    one.begin(n_slots=n_slots, has_files=has_files, has_host_cache=has_host_cache)
    return one


def kinds_until_quiet(one: ServingMachine) -> list[JobKind]:
    """Let all jobs end; return their kinds."""
    kinds = []
    while one.job:
        kinds.append(one.job.kind)
        one.end_job()
    return kinds


def until(one: ServingMachine, kind: JobKind) -> None:
    """Let jobs end until one of this kind is in progress."""
    while one.job and one.job.kind is not kind:
        one.end_job()
    assert one.job


def ask(one: ServingMachine, agent: str = "second") -> None:
    """Ask an agent and answer."""
    one.ask(agent, "kitchen", is_new=True, share=0.0)
    (someone,) = one.waiting
    one.send_request_of(someone, notices=True)
    one.answer_to(someone, is_counted=True)


def test_a_prefill_that_is_not_saved_in_time_is_saved_when_it_is_quiet() -> None:
    """A user asks between a prefill and its slot file."""
    one = machine(n_slots=1, has_files=True)
    one.settle()
    one.change("second")
    until(one, JobKind.SAVE)
    one.job = None
    one.state.job = None
    ask(one, "first")
    assert one.state.cache_of(None).unsaved == {"second"}
    kinds_until_quiet(one)
    assert one.state.cache_of(None).unsaved == {"second"}
    one.time_passes(IDLE_SECONDS)
    one.poll()
    assert JobKind.SAVE in kinds_until_quiet(one)
    assert not one.state.cache_of(None).unsaved
    one.teardown()


def test_the_agent_that_was_asked_last_keeps_the_only_slot() -> None:
    """If another agent's home changes, its prompt is prefilled and this one again after it."""
    one = machine(n_slots=1, has_files=False, has_host_cache=False)
    one.settle()
    ask(one, "second")
    one.settle()
    one.change("first")
    one.settle()
    home = tokens_of(request_of(one.system_of("second"), ""))[:HOME_TOKENS]
    assert one.server.holds(home)


def test_three_speak_by_turns() -> None:
    """Each speaker has a slot, where only the new words are prefilled."""
    one = machine(n_slots=3, has_files=True)
    one.settle()
    slots: dict[str, set[int | None]] = {speaker: set() for speaker in SPEAKERS}
    for turn in range(3):
        for speaker in SPEAKERS:
            one.ask("second", speaker, is_new=not turn, share=0.0)
            (someone,) = one.waiting
            one.send_request_of(someone, notices=True)
            slots[speaker].add(someone.slot)
            before = one.server.slots[someone.slot or 0].tokens
            shared = sum(
                first == second
                for first, second in zip(before, tokens_of(someone.request), strict=False)
            )
            assert len(tokens_of(someone.request)) - shared < 10
            one.answer_to(someone, is_counted=True)
            one.settle()
    assert all(len(found) == 1 for found in slots.values())
    assert len(set.union(*slots.values())) == len(SPEAKERS)


def begun() -> ServingMachine:
    """Return a quiet server with two slots and slot files, but without a host cache."""
    machine = ServingMachine()
    machine.begin(n_slots=2, has_files=True, has_host_cache=False)
    machine.settle()
    return machine


def test_a_prompt_is_saved_before_the_next_one() -> None:
    """An agent that is added again while it is prefilled loses nothing to the agent before it."""
    machine = begun()
    machine.poll()
    machine.change("first")
    machine.job_ends()
    machine.change("second")
    machine.remove_and_add("first")
    machine.teardown()


def test_a_request_that_the_server_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a request without a slot that is never counted, no slot is taken for filled."""
    monkeypatch.setattr(budget, "MAX_TOKENS_PER_HOUR", 3 * HOME_TOKENS)
    machine = begun()
    machine.change("first")
    machine.remove_and_add("first")
    machine.settle()
    machine.change("second")
    machine.ask("second", "kitchen", is_new=False, share=0.0)
    machine.send_request_of(machine.waiting[0], notices=False)
    machine.answer_to(machine.waiting[0], is_counted=False)
    machine.teardown()
