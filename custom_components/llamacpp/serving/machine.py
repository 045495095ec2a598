"""Decides what a server prefills when and where: a pure function of a state and an event.

A user who asks comes before prefills, and these before slot files. A prefill of the home takes
nearly all of the time to a small model's answer, so it is done before a user asks.
"""

from typing import TYPE_CHECKING

from ..client import CannotConnectError
from .diagnosis import CacheProblem, Observation
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
    Polled,
    PromptReady,
    Restore,
    Restored,
    Run,
    SlotWanted,
    Tick,
    TurnEnded,
    UseSlot,
    WakeAt,
)
from .slot_affinity import IDLE_SECONDS
from .state import FIRST_SLOT, Job, JobKind, ModelCache, NextTurn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..client import ChatRequest, Usage
    from .events import Action, Event
    from .state import AgentPrompt, ServingState

# Seconds after an answer until notes are prefilled: who has just spoken may speak again, and would
# find the server busy.
QUIET_SECONDS = 3.0
# Seconds after an answer until the next turn is prefilled. Who asks at once, as automations do, may
# overtake the aborted request: it would then take the slot from them.
NEXT_TURN_SECONDS = 0.5
# What a probe says: no prefill ends with it.
OTHER_WORDS = "?"


def decide(state: ServingState, event: Event, now: float) -> tuple[ServingState, list[Action]]:
    """Return the state after an event, and what to do. now: monotonic seconds."""
    new = state.copy()
    actions = [*_apply(new, event, now), *_plan(new, now)]
    return new, actions


def _apply(state: ServingState, event: Event, now: float) -> Iterable[Action]:  # noqa: C901, PLR0912 - one case for each event
    match event:
        case AgentAdded():
            state.agents.setdefault(event.agent_id, None)
        case AgentRemoved():
            state.agents.pop(event.agent_id, None)
            state.wanted.discard(event.agent_id)
            for cache in state.models.values():
                cache.drop(event.agent_id)
        case PromptReady():
            _take_prompt(state, event)
        case AskBegan():
            return _begin_ask(state, event)
        case AskedWith():
            _take_prefix(state, event)
        case SlotWanted():
            return [_use_slot(state, event, now)]
        case Restored():
            _note_restored(state, event)
        case FilesTried():
            state.files.is_supported = event.is_supported
        case Answered():
            _note_answer(state, event)
        case AskEnded():
            _end_ask(state, event, now)
        case TurnEnded():
            due = now + NEXT_TURN_SECONDS
            state.next_turn = NextTurn(event.next_turn, due, state.n_begun)
        case PollBegan():
            state.n_begun_at_poll = None if state.is_busy else state.n_begun
        case Polled():
            _note_poll(state, event)
        case Noticed():
            _notice(state, event)
        case JobEnded():
            _end_job(state, event, now)
        case Tick():
            # It may have fallen asleep.
            state.is_checked = False
    return []


# ---- Prompts ----


def _take_prompt(state: ServingState, event: PromptReady) -> None:
    prompt = event.prompt
    state.agents[prompt.agent_id] = prompt
    state.is_blocked = False
    for cache in state.models.values():
        cache.tried.discard(prompt.agent_id)
        if event.is_forced:
            cache.drop(prompt.agent_id)
    if event.is_wanted and not state.waiting:
        state.wanted.add(prompt.agent_id)


def _take_prefix(state: ServingState, event: AskedWith) -> None:
    """Have the agent's prompt begin as one that was made later, for a user who asks.

    They differ if a state that the instructions name has changed: the agent makes no new prompt
    for that.
    """
    prompt = state.agents.get(event.agent_id)
    if prompt is not None and prompt.prefix != event.prefix:
        state.agents[event.agent_id] = prompt.with_prefix_of(event.request, event.prefix)


# ---- A user asks ----


def _begin_ask(state: ServingState, event: AskBegan) -> list[Action]:
    state.waiting.add(event.ask_id)
    state.n_begun += 1
    # Who waits for a prefill waits no longer: it is done after the answer.
    state.wanted.clear()
    job = state.job
    for cache in state.models.values():
        cache.to_prove = cache.just_restored = None
        if cache.to_save and not (job and job.kind is JobKind.SAVE):
            cache.unsaved.add(cache.to_save[0])
            cache.to_save = None
    if job is None or not job.kind.is_chat:
        return []
    if job.kind is JobKind.PREFILL and job.slot is not None:
        state.cache_of(job.model).aborted = (job.agent_id, job.slot)
    return [Abort()]


def _use_slot(state: ServingState, event: SlotWanted, now: float) -> UseSlot:
    """Return the slot in which a conversation continues, and what to restore first."""
    cache, files = state.cache_of(event.model), state.files
    if event.ref.is_once:
        if state.n_slots < 2 or not files.supports(event.model):  # noqa: PLR2004 - there is no choice
            return UseSlot(None)
        # So that it is known which prompt it evicts.
        slot = cache.slots.least_wanted(event.idle, now)
        if slot is not None:
            cache.slots.give(slot, event.ref, event.prefix, now)
        return UseSlot(slot)
    is_known = files.has(event.agent_id, event.model, event.prefix)
    if cache.is_empty:
        cache.is_empty = False
        if files.supports(event.model) is not False:
            return UseSlot(None, _restore(event, FIRST_SLOT, is_known=is_known), is_final=False)
    if state.n_slots > 1:
        return _use_one_of_several(state, cache, event, now, is_known=is_known)
    has_lost = state.diagnosis_of(event.model).has_lost
    is_lost = has_lost and not cache.slots.is_filled(FIRST_SLOT, event.prefix)
    if is_known and (is_lost or event.prefix in cache.only_on_disk):
        return UseSlot(None, _restore(event, FIRST_SLOT, is_known=True))
    return UseSlot(None)


def _use_one_of_several(
    state: ServingState, cache: ModelCache, event: SlotWanted, now: float, *, is_known: bool
) -> UseSlot:
    """Return the conversation's own slot, or one that is free and holds the prefix."""
    idle = {*event.idle}
    if cache.next_turn is not None:
        # It is busy with few tokens at most: who has just spoken there may speak again.
        idle.add(cache.next_turn)
        cache.next_turn = None
    slot = cache.slots.slot_of(event.ref.conversation_id)
    if cache.aborted:
        agent_id, aborted_slot = cache.aborted
        if slot is None and agent_id == event.agent_id:
            slot = aborted_slot
        if slot == aborted_slot:
            # It may still be busy with a batch: any other slot would begin from scratch.
            cache.aborted = None
            cache.slots.give(slot, event.ref, event.prefix, now)
            return UseSlot(slot)
    can_restore = is_known and state.files.is_proven(event.model)
    if slot is None and can_restore:
        slot = cache.slots.best_for(idle, event.prefix, event.ref, now)
    if slot is None or slot not in idle:
        # The server chooses, and does not report its choice.
        cache.slots.forget_contents(idle)
        cache.aborted = None
        return UseSlot(None)
    if cache.aborted and slot == cache.aborted[1]:
        # It is another conversation's from now on.
        cache.aborted = None
    cache.slots.give(slot, event.ref, event.prefix, now)
    if can_restore and not cache.slots.is_filled(slot, event.prefix):
        return UseSlot(slot, _restore(event, slot, is_known=True))
    return UseSlot(slot)


def _restore(event: SlotWanted, slot: int, *, is_known: bool) -> Restore:
    return Restore(slot, event.agent_id, event.model, event.prefix, is_known)


def _note_restored(state: ServingState, event: Restored) -> None:
    restore = event.restore
    if event.is_done:
        cache = state.cache_of(restore.model)
        cache.note_restored(restore.slot, restore.prefix, is_known=restore.is_known)


def _note_answer(state: ServingState, event: Answered) -> None:
    """Record what an answer reveals about the cache."""
    cache, prefix = state.cache_of(event.model), event.fingerprint.prefix
    cache.is_empty = False
    slot = _slot_of(state, event.slot)
    if slot is not None:
        note = cache.slots.note_for(slot) if event.is_own else None
        cache.note_processed(slot, prefix, note)
    cache.newest[event.agent_id] = event.fingerprint
    state.budget.add(event.usage)
    if event.usage:
        _learn(state, event.model, prefix, event.usage, slot, n_messages=event.n_messages)
    if event.is_own and event.agent_id in state.agents:
        state.agents[event.agent_id] = state.agents.pop(event.agent_id)
        cache.prefilled[event.agent_id] = prefix
        if cache.aborted and cache.aborted[0] == event.agent_id:
            cache.aborted = None
        if state.files.lacks(event.agent_id, event.model, prefix):
            cache.unsaved.add(event.agent_id)
    elif slot is not None and state.n_slots > 1:
        # What it has evicted is restored when it is quiet.
        cache.slots.release(slot)
    elif prefix not in cache.prefilled.values():
        cache.is_displaced = True


def _slot_of(state: ServingState, slot: int | None) -> int | None:
    """Return the slot of a request, None if unknown."""
    return FIRST_SLOT if slot is None and state.n_slots == 1 else slot


def _learn(  # noqa: PLR0913 - all that an answer tells
    state: ServingState,
    model: str | None,
    prefix: bytes,
    usage: Usage,
    slot: int | None,
    *,
    n_messages: int,
    is_prefill: bool = False,
) -> None:
    """Learn whether the server keeps prompts, and continues from what it restored."""
    restored = state.cache_of(model).restored
    if slot is None:
        was_restored = prefix in restored.values()
    else:
        was_restored = restored.pop(slot, None) == prefix
        if was_restored:
            state.files.note_use(model, usage, is_same=is_prefill)
    seen = Observation(prefix, usage, n_messages, is_prefill, was_restored)
    state.diagnosis_of(model).note(seen)


def _end_ask(state: ServingState, event: AskEnded, now: float) -> None:
    state.waiting.discard(event.ask_id)
    state.asked_at = now
    state.is_checked = state.is_blocked = False
    if not event.is_counted:
        state.budget.add_unknown()
    _displace(state)


def _displace(state: ServingState) -> None:
    """Forget prefills that other prompts may have evicted, unless a user waits."""
    if state.waiting:
        return
    for cache in state.models.values():
        if cache.is_displaced:
            cache.displace(reversed(state.agents))


# ---- The server ----


def _note_poll(state: ServingState, event: Polled) -> None:
    state.n_slots, state.is_router, state.is_front = event.n_slots, event.is_router, event.is_front
    state.files.served_by(event.build)
    state.is_checked = False
    if state.is_busy or state.n_begun != state.n_begun_at_poll:
        # A model may be being loaded, and the server counts a request at another time than we do.
        return
    state.is_blocked = False
    before, now = state.in_memory, event.in_memory
    if before is None:
        # A server that was running before Home Assistant may hold the prompts.
        _forget(state, now, is_empty=not event.n_prompt_tokens)
        state.in_memory = {**now}
    elif changed := {one for one in {*before, *now} if _has_changed(one, before, now)}:
        _forget(state, changed)
        state.in_memory = {**now}
    else:
        state.in_memory = {one: word or before[one] for one, word in now.items()}
    _compare_counts(state, event.n_prompt_tokens)


def _compare_counts(state: ServingState, n_tokens: float | None) -> None:
    """Find out from the server's counter whether another program has used it."""
    before = state.n_prompt_tokens
    if n_tokens == before:
        # Nothing was asked, or the server was too busy to report it.
        return
    n_own, state.n_prompt_tokens = state.budget.take_own(), n_tokens
    if before is None:
        # A prefill that was aborted before a restart or reload is counted a batch later.
        state.budget.add_unknown()
    if n_tokens is None or before is None or n_own is None:
        return
    if n_tokens - before > n_own:
        for cache in state.models.values():
            cache.is_displaced = True
        _displace(state)


def _notice(state: ServingState, event: Noticed) -> None:
    key, before = state.key_of(event.model), state.in_memory or {}
    now = {} if event.instance is None else {key: event.instance}
    # The request itself loads the model.
    state.in_memory = {**before, key: event.instance or ""}
    if event.instance is None or _has_changed(key, before, now):
        _forget(state, [key])


def _forget(state: ServingState, models: Iterable[str], *, is_empty: bool = True) -> None:
    """Forget the caches of models that were loaded or unloaded.

    is_empty: nothing was processed since then; if not, that is not known.
    """
    for key in models:
        state.models[key] = ModelCache(is_empty=is_empty, is_volatile=state.is_polled)
        state.diagnosis_of(key).interrupt()
    state.is_polled = True
    state.next_turn = None
    # It may have been started with other flags.
    state.files.is_supported = None


def _has_changed(model: str, before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether a model was loaded, unloaded, or both."""
    if model not in before or model not in now:
        return True
    return "" not in (before[model], now[model]) and before[model] != now[model]


# ---- Jobs ----


def _end_job(state: ServingState, event: JobEnded, now: float) -> None:
    job = event.job
    state.job = None
    cache = state.cache_of(job.model)
    match job.kind:
        case JobKind.LOOK:
            _end_look(state, event)
        case JobKind.SAVE:
            cache.to_save = None
            state.files.note_saved(job.agent_id, job.model, job.prefix, is_saved=event.is_done)
        case JobKind.RESTORE:
            _end_restore(state, cache, event)
        case JobKind.PREFILL:
            _end_prefill(state, cache, event, now)
        case JobKind.PROBE | JobKind.NOTE | JobKind.NEXT_TURN:
            _end_other_chat(state, cache, event, now)
    _displace(state)


def _end_look(state: ServingState, event: JobEnded) -> None:
    if not event.is_done:
        state.is_blocked = True
        return
    state.is_checked = True
    key = state.key_of(event.job.model)
    if event.instance is None:
        # Only a user who speaks may wake it.
        state.in_memory = {one: word for one, word in (state.in_memory or {}).items() if one != key}
        _forget(state, [key])
    else:
        _notice(state, Noticed(event.job.model, event.instance))


def _end_restore(state: ServingState, cache: ModelCache, event: JobEnded) -> None:
    job = event.job
    assert job.slot is not None  # noqa: S101 - for the type
    cache.is_empty = False
    if event.is_done:
        is_known = state.files.has(job.agent_id, job.model, job.prefix)
        cache.note_restored(job.slot, job.prefix, is_known=is_known)
        if job.slot == FIRST_SLOT:
            cache.just_restored = job.prefix
    if cache.to_prove and cache.to_prove[0] == job.prefix and job.slot != FIRST_SLOT:
        cache.to_prove = (job.prefix, job.slot) if event.is_done else None


def _end_prefill(state: ServingState, cache: ModelCache, event: JobEnded, now: float) -> None:
    job = event.job
    state.wanted.discard(job.agent_id)
    if not event.is_done:
        state.budget.add_unknown()
        _note_error(state, event, job.agent_id)
        return
    (usage,) = event.usages
    slot = FIRST_SLOT if job.slot is None else job.slot
    was_restored, cache.just_restored = cache.just_restored == job.prefix, None
    cache.prefilled[job.agent_id] = job.prefix
    if state.n_slots == 1 and (likeliest := state.likeliest) and likeliest.agent_id != job.agent_id:
        # The server may have room for one prompt only.
        cache.prefilled.pop(likeliest.agent_id, None)
    cache.is_empty, cache.aborted = False, None
    state.is_checked, state.is_blocked = True, False
    # The turns of a conversation in this slot are gone.
    cache.slots.release(slot)
    cache.note_processed(slot, job.prefix)
    cache.first_slots.setdefault(job.agent_id, slot)
    cache.unsaved.discard(job.agent_id)
    cache.tried = {one for one in cache.tried if isinstance(one, str)}
    state.budget.add_prefill(usage, now)
    if usage:
        seen_in, n_messages = _slot_of(state, job.slot), len(job.bodies[0]["messages"])
        _learn(state, job.model, job.prefix, usage, seen_in, n_messages=n_messages, is_prefill=True)
    if slot == FIRST_SLOT and state.files.supports(job.model) is not False:
        cache.to_save = (job.agent_id, job.prefix)
    if not state.files.is_proven(job.model):
        is_kept = was_restored and usage is not None and usage.cached_tokens > 0
        cache.to_prove = (job.prefix, FIRST_SLOT if is_kept else None)
    cache.to_fill = True


def _end_other_chat(state: ServingState, cache: ModelCache, event: JobEnded, now: float) -> None:
    """Record a probe, a note or a next turn."""
    job = event.job
    for usage in event.usages:
        state.budget.add_prefill(usage, now)
    if not event.is_done:
        state.budget.add_unknown()
    if job.kind is JobKind.NEXT_TURN:
        state.next_turn = None
        if event.is_done or event.error:
            cache.next_turn = None
        return
    if job.kind is JobKind.PROBE:
        cache.to_prove = None
    if not event.is_done:
        if job.slot is not None:
            _note_error(state, event, (job.slot, job.note or ""))
        return
    assert job.slot is not None  # noqa: S101 - for the type
    cache.note_processed(job.slot, job.prefix, job.note)
    if job.kind is JobKind.PROBE:
        cache.restored.pop(job.slot, None)
        state.files.note_use(job.model, event.usages[0], is_same=False)


def _note_error(
    state: ServingState, event: JobEnded, attempt: str | tuple[int, bytes | str]
) -> None:
    """Record why a chat completion has failed, so that it is not repeated at once."""
    if isinstance(event.error, CannotConnectError):
        state.is_blocked = True
    elif event.error:
        state.cache_of(event.job.model).tried.add(attempt)


def _plan(state: ServingState, now: float) -> list[Action]:
    """Begin the next job, if no user waits and none is in progress."""
    if state.job or state.waiting:
        return []
    is_over = state.budget.is_over(now)
    state.wanted = {one for one in state.wanted if is_pending(state, one, now)}
    for step in _steps(state, now):
        if isinstance(step, WakeAt):
            return [step]
        job = step
        if job.kind.is_chat and is_over:
            continue
        if not (job.may_load or state.is_checked or state.is_front):
            if state.is_blocked:
                continue
            job = Job(kind=JobKind.LOOK, model=job.model)
        if job.kind.is_chat:
            state.n_begun += 1
        if job.kind is JobKind.NEXT_TURN:
            state.cache_of(job.model).next_turn = job.slot
        if job.kind is JobKind.RESTORE and job.slot is not None:
            state.cache_of(job.model).tried.add((job.slot, job.prefix))
        state.job = job
        return [Run(job)]
    return []


def is_pending(state: ServingState, agent_id: str, now: float) -> bool:
    """Return whether an agent's prompt is about to be prefilled."""
    prompt = state.agents.get(agent_id)
    if prompt is None or state.waiting or state.budget.is_over(now):
        return False
    if state.is_blocked and agent_id not in state.wanted:
        return False
    return _may_prefill(state, prompt) and not _is_prefilled(state, prompt, now)


def _steps(state: ServingState, now: float) -> Iterator[Job | WakeAt]:
    """Yield what could be done next, the most urgent first.

    The agent that was asked last comes last: its prompt remains if the server has room for one.
    """
    prompts = [one for one in state.agents.values() if one and _may_prefill(state, one)]
    # What is to be saved is saved before another prefill evicts it.
    for prompt in sorted(prompts, key=lambda one: not _is_to_save(state, one)):
        yield from _home_steps(state, prompt, now)
    if state.next_turn and state.next_turn.n_begun == state.n_begun:
        yield from _next_turn_steps(state, state.next_turn, now)
    likeliest = {state.key_of(one.model): one for one in prompts}
    for prompt in likeliest.values():
        if state.cache_of(prompt.model).to_fill:
            yield from _fill_steps(state, prompt, now)
            state.cache_of(prompt.model).to_fill = False
    if prompts and prompts[-1] is state.likeliest:
        quiet_at = (state.asked_at or 0.0) + QUIET_SECONDS
        for job in _quiet_steps(state, prompts[-1], now):
            yield job if now >= quiet_at or state.asked_at is None else WakeAt(quiet_at)


def _may_prefill(state: ServingState, prompt: AgentPrompt) -> bool:
    is_in_memory = state.key_of(prompt.model) in (state.in_memory or {})
    has_failed = prompt.agent_id in state.cache_of(prompt.model).tried
    return (is_in_memory and not has_failed) or prompt.agent_id in state.wanted


def _home_steps(state: ServingState, prompt: AgentPrompt, now: float) -> Iterator[Job]:
    """Yield what is missing until an agent's prefix is in the KV cache and in its file."""
    cache, files = state.cache_of(prompt.model), state.files
    agent_id, model, prefix = prompt.agent_id, prompt.model, prompt.prefix
    may_load = agent_id in state.wanted
    if not _is_prefilled(state, prompt, now):
        is_worth_it = cache.is_empty or _is_saved(state, prompt)
        is_possible = files.supports(model) is not False and (FIRST_SLOT, prefix) not in cache.tried
        if is_worth_it and is_possible:
            yield _restore_job(prompt, FIRST_SLOT, may_load=may_load)
        slot = _slot_to_prefill(state, prompt)
        yield Job(
            kind=JobKind.PREFILL,
            model=model,
            agent_id=agent_id,
            prefix=prefix,
            slot=slot,
            bodies=(_body(prompt.request, slot),),
            may_load=may_load,
        )
    if _is_to_save(state, prompt):
        is_there = cache.slots.is_filled(FIRST_SLOT, prefix)
        if is_there and not _is_saved(state, prompt):
            yield Job(
                kind=JobKind.SAVE, model=model, agent_id=agent_id, prefix=prefix, slot=FIRST_SLOT
            )
        else:
            cache.to_save = None
            if not is_there:
                # Another prompt may have evicted it.
                cache.unsaved.add(agent_id)
    if cache.to_prove and cache.to_prove[0] == prefix:
        if jobs := [*_probe_steps(state, prompt, cache.to_prove[1], now)]:
            yield from jobs
        else:
            cache.to_prove = None


def _is_to_save(state: ServingState, prompt: AgentPrompt) -> bool:
    """Return whether the agent's prefix has just been prefilled, and is to be saved."""
    return state.cache_of(prompt.model).to_save == (prompt.agent_id, prompt.prefix)


def _is_saved(state: ServingState, prompt: AgentPrompt) -> bool:
    """Return whether the agent's file holds its newest prefix."""
    return state.files.has(prompt.agent_id, prompt.model, prompt.prefix)


def _is_prefilled(state: ServingState, prompt: AgentPrompt, now: float) -> bool:
    """Return whether the server holds a prefix, also in its file if it is time to save it."""
    cache, agent_id = state.cache_of(prompt.model), prompt.agent_id
    if agent_id in cache.first_slots and state.diagnosis_of(prompt.model).suffers(
        CacheProblem.NOT_CACHED
    ):
        # The server would forget it at once, as it did before.
        return True
    # A conversation that may continue would be evicted. But a model that was out of memory before
    # may leave it soon again.
    is_idle = state.asked_at is None or now - state.asked_at >= IDLE_SECONDS
    is_to_save = agent_id in cache.unsaved and (cache.is_volatile or is_idle)
    return cache.prefilled.get(agent_id) == prompt.prefix and not is_to_save


def _slot_to_prefill(state: ServingState, prompt: AgentPrompt) -> int | None:
    """Return the slot for an agent's prefill; None: the server chooses.

    It does so by what its slots and its host cache hold, but does not report its choice, and one
    slot must be saved.
    """
    if state.n_slots == 1:
        return None
    if state.files.supports(prompt.model) is not False:
        return FIRST_SLOT
    cache = state.cache_of(prompt.model)
    if prompt.agent_id not in cache.first_slots:
        # So that the prompts of several agents do not evict each other.
        return cache.slot_beside_others(state.n_slots)
    return None


def _probe_steps(
    state: ServingState, prompt: AgentPrompt, slot: int | None, now: float
) -> Iterator[Job]:
    """Yield how to find out whether the model continues from a file, before a user waits for it.

    slot: that was restored. None: a slot must be restored that holds nothing of use.
    """
    cache, files = state.cache_of(prompt.model), state.files
    if files.supports(prompt.model) is False or files.is_proven(prompt.model):
        return
    if slot is None:
        if state.n_slots == 1 or not _is_saved(state, prompt):
            return
        usable = [
            one
            for one in range(state.n_slots)
            if one != FIRST_SLOT and not cache.slots.is_needed(one, now)
        ]
        other = cache.slots.least_wanted(usable, now)
        if other is not None and (other, prompt.prefix) not in cache.tried:
            yield _restore_job(prompt, other)
        return
    *others, last = prompt.request["messages"]
    request: ChatRequest = {
        **prompt.request,
        "messages": [*others, {**last, "content": OTHER_WORDS}],
    }
    yield Job(
        kind=JobKind.PROBE,
        model=prompt.model,
        agent_id=prompt.agent_id,
        prefix=prompt.prefix,
        slot=slot,
        bodies=(_body(request, slot if state.n_slots > 1 else None),),
    )


def _next_turn_steps(
    state: ServingState, next_turn: NextTurn, now: float
) -> Iterator[Job | WakeAt]:
    if now < next_turn.due:
        yield WakeAt(next_turn.due)
    request = next_turn.request
    slot: int | None = request.get("id_slot")
    model: str | None = request.get("model")
    if state.is_front or state.key_of(model) in (state.in_memory or {}):
        yield Job(kind=JobKind.NEXT_TURN, model=model, slot=slot, bodies=(_body(request, slot),))


def _fill_steps(state: ServingState, prompt: AgentPrompt, now: float) -> Iterator[Job]:
    """Yield restores of the other slots, so that no user waits for them.

    Spares slots of conversations that may continue, unless they hold what is no agent's prefix any
    more: they would have to be restored then.
    """
    cache = state.cache_of(prompt.model)
    if not _can_fill(state, prompt):
        return
    for slot in range(state.n_slots):
        if cache.is_outdated(slot):
            cache.slots.release(slot)
        is_ready = cache.slots.is_filled(slot, prompt.prefix) or cache.slots.is_needed(slot, now)
        if not is_ready and (slot, prompt.prefix) not in cache.tried:
            yield _restore_job(prompt, slot)


def _can_fill(state: ServingState, prompt: AgentPrompt) -> bool:
    """Return whether slots can be restored from the agent's file."""
    is_proven = state.files.is_proven(prompt.model)
    return state.n_slots > 1 and is_proven and _is_saved(state, prompt)


def _quiet_steps(state: ServingState, prompt: AgentPrompt, now: float) -> Iterator[Job]:
    """Yield what is done once no user has spoken for a while: the notes on speakers."""
    cache = state.cache_of(prompt.model)
    yield from _fill_steps(state, prompt, now)
    if state.n_slots == 1 or not _is_saved(state, prompt):
        return
    usable = [one for one in range(state.n_slots) if not cache.slots.is_needed(one, now)]
    for slot, note in cache.slots.missing_notes(prompt.prefix, prompt.notes, usable).items():
        if not cache.slots.is_filled(slot, prompt.prefix) or (slot, note) in cache.tried:
            # The whole prefix would be prefilled.
            continue
        yield Job(
            kind=JobKind.NOTE,
            model=prompt.model,
            agent_id=prompt.agent_id,
            prefix=prompt.prefix,
            slot=slot,
            bodies=tuple(_body(one, slot) for one in prompt.notes[note]),
            note=note,
        )


def _restore_job(prompt: AgentPrompt, slot: int, *, may_load: bool = False) -> Job:
    return Job(
        kind=JobKind.RESTORE,
        model=prompt.model,
        agent_id=prompt.agent_id,
        prefix=prompt.prefix,
        slot=slot,
        may_load=may_load,
    )


def _body(request: ChatRequest, slot: int | None) -> ChatRequest:
    """Return the body that has a request processed, but nothing generated."""
    body: ChatRequest = {**request, "max_tokens": 1}
    if slot is not None:
        body["id_slot"] = slot
    return body
