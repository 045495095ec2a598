"""What is known of one server's KV cache and disk: plain data, changed by `machine.decide` only."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from .budget import PrefillBudget
from .diagnosis import CacheProblem, ModelDiagnosis, suffers
from .fingerprint import Fingerprint, with_prefix_of
from .slot_affinity import SlotAffinity
from .slot_files import SlotFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..client import ChatRequest

# Slot of the prefills that are saved, and the first one to be restored.
FIRST_SLOT = 0


@dataclass(frozen=True, slots=True, eq=False)
class AgentPrompt:
    """An agent's prompt, as it is to be in the KV cache before a user asks.

    request: body of a chat completion that ends with an empty user message. notes: by note on a
    speaker, the likeliest first, requests that end with more and more of the note, so that each has
    only few tokens more than the one before. prefix: digest of the request.
    """

    agent_id: str
    request: ChatRequest
    notes: Mapping[str, Sequence[ChatRequest]]
    prefix: bytes

    @classmethod
    def of(
        cls,
        agent_id: str,
        request: ChatRequest,
        notes: Mapping[str, Sequence[ChatRequest]] | None = None,
    ) -> Self:
        """Return the prompt of a request."""
        return cls(agent_id, request, notes or {}, Fingerprint.of(request).prefix)

    @property
    def model(self) -> str | None:
        """Return the model that the request names, None on a server with a single model."""
        return self.request.get("model")

    def with_prefix_of(self, request: ChatRequest, prefix: bytes) -> Self:
        """Return the same prompt with the prefix of another request, and the digest of it."""
        notes = {
            note: [with_prefix_of(request, one) for one in requests]
            for note, requests in self.notes.items()
        }
        return replace(
            self, request=with_prefix_of(request, self.request), notes=notes, prefix=prefix
        )


class JobKind(StrEnum):
    """What a server does while no user waits."""

    LOOK = "look"
    PREFILL = "prefill"
    PROBE = "probe"
    NOTE = "note"
    NEXT_TURN = "next turn"
    SAVE = "save"
    RESTORE = "restore"

    @property
    def is_chat(self) -> bool:
        """Return whether it is a chat completion, which gives way to a user who asks."""
        return self in {JobKind.PREFILL, JobKind.PROBE, JobKind.NOTE, JobKind.NEXT_TURN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing that a server does while no user waits.

    model: None on a server with a single model. agent_id, prefix: of the prompt. slot: of the
    server, None: it chooses. bodies: of the chat completions, one after the other. note: that these
    end with. may_load: whether a router may load the model for it.
    """

    kind: JobKind
    model: str | None
    agent_id: str = ""
    prefix: bytes = b""
    slot: int | None = None
    bodies: tuple[ChatRequest, ...] = ()
    note: str | None = None
    may_load: bool = False


@dataclass(frozen=True, slots=True)
class NextTurn:
    """The next turn of a conversation, to be prefilled up to the user's words.

    request: ends with an empty user message. due: monotonic seconds. n_begun: requests that had
    begun when the answer ended; after another one it is of no use.
    """

    request: ChatRequest
    due: float
    n_begun: int


@dataclass(slots=True)
class ModelCache:
    """What is known of the KV cache of one model since it was loaded.

    is_empty: nothing was processed yet, so slot files are worth restoring. is_volatile: the model
    was out of memory before. is_displaced: other prompts may have evicted those of the agents.

    prefilled: by agent, the prefix of its newest prompt. newest: by agent, the fingerprint of the
    newest request that a user waited for. first_slots: by agent, the slot of its first prefill.
    aborted: agent and slot of a prefill that was aborted when a user asked. next_turn: slot where
    the next turn is being prefilled, or was until a user asked. unsaved: agents whose prompts
    were processed while a user waited, and are still to be saved.

    restored: by slot, the prefix of a file that was restored and not used since. only_on_disk:
    prefixes that a restore has evicted. tried: what has failed in this state, and is not repeated:
    agents whose prefill failed, and slots with the digest of what was to be in there.

    to_save: agent and prefix that the first slot holds, to be saved. to_prove: prefix to find out
    with whether the model continues from a slot file, and the slot that it was restored to, if any.
    to_fill: whether the other slots are to be filled at once. just_restored: the prefix that the
    first slot was restored with, until it is used.
    """

    is_empty: bool = True
    is_volatile: bool = False
    is_displaced: bool = False
    prefilled: dict[str, bytes] = field(default_factory=dict)
    newest: dict[str, Fingerprint] = field(default_factory=dict)
    first_slots: dict[str, int] = field(default_factory=dict)
    aborted: tuple[str, int] | None = None
    next_turn: int | None = None
    unsaved: set[str] = field(default_factory=set)
    restored: dict[int, bytes] = field(default_factory=dict)
    only_on_disk: set[bytes] = field(default_factory=set)
    tried: set[str | tuple[int, bytes | str]] = field(default_factory=set)
    to_save: tuple[str, bytes] | None = None
    to_prove: tuple[bytes, int | None] | None = None
    to_fill: bool = False
    just_restored: bytes | None = None
    slots: SlotAffinity = field(default_factory=SlotAffinity)

    def copy(self) -> Self:
        """Return a copy that shares nothing that changes."""
        return replace(
            self,
            prefilled={**self.prefilled},
            newest={**self.newest},
            first_slots={**self.first_slots},
            unsaved={*self.unsaved},
            restored={**self.restored},
            only_on_disk={*self.only_on_disk},
            tried={*self.tried},
            slots=self.slots.copy(),
        )

    def note_restored(self, slot: int, prefix: bytes, *, is_known: bool) -> None:
        """Record that a slot was restored.

        is_known: the file holds this prefix; if not, it may be one of another home.
        """
        if evicted := self.slots.prefix_in(slot):
            self.only_on_disk.add(evicted)
            self.only_on_disk &= {*self.prefilled.values()}
        self.note_processed(slot, prefix)
        if is_known:
            self.restored[slot] = prefix

    def note_processed(self, slot: int, prefix: bytes, note: str | None = None) -> None:
        """Record that a slot holds a prefix. note: on the speaker, that follows it."""
        self.only_on_disk.discard(prefix)
        self.slots.fill(slot, prefix, note)

    def is_outdated(self, slot: int) -> bool:
        """Return whether a slot holds what is no agent's newest prompt."""
        prefix = self.slots.prefix_in(slot)
        return prefix is not None and prefix not in self.prefilled.values()

    def slot_beside_others(self, n_slots: int) -> int:
        """Return a slot without the first prefill of another agent, if there is one."""
        taken = {*self.first_slots.values()}
        free = (slot for slot in range(n_slots) if slot not in taken)
        return next(free, len(self.first_slots) % n_slots)

    def displace(self, agents: Iterable[str]) -> None:
        """Forget what the slots hold, and the prefill of the first of these agents that has one.

        agents: the likeliest to be asked first.
        """
        self.is_displaced = False
        self.slots.forget()
        self.tried.clear()
        likeliest = next((one for one in agents if one in self.prefilled), "")
        self.prefilled.pop(likeliest, None)

    def drop(self, agent_id: str) -> None:
        """Forget the prefills of an agent."""
        self.prefilled.pop(agent_id, None)
        self.first_slots.pop(agent_id, None)
        self.unsaved.discard(agent_id)
        self.tried.discard(agent_id)


@dataclass(slots=True)
class ServingState:
    """What is known of one server.

    All times are monotonic seconds. Models are keyed by the router's id, a single model by "".

    n_slots, is_router, is_front: of the server; a front is a proxy that may swap models at any
    time. in_memory: the models that can answer at once, each with a string that is unique for this
    start of it, "" if unknown; None before the first poll. n_prompt_tokens: of all prompts since
    the server's start, as it counts them; None if it does not.

    agents: in the order in which they were asked last, the likeliest to be asked next is the last
    one; None before their prompts are known. wanted: agents that a user is about
    to ask, so that a router may load their models.

    waiting: ids of those who wait for an answer. asked_at: when the last of them got one. n_begun:
    requests so far. job: in progress. is_checked: whether the server was found awake since a user
    asked last. is_blocked: it was found asleep or away. is_polled: it was asked for its state
    before. n_begun_at_poll: `n_begun` when the current poll began, None if a request was in
    progress.
    """

    n_slots: int = 1
    is_router: bool = False
    is_front: bool = False
    in_memory: dict[str, str] | None = None
    n_prompt_tokens: float | None = None
    models: dict[str, ModelCache] = field(default_factory=dict)
    diagnoses: dict[str, ModelDiagnosis] = field(default_factory=dict)
    files: SlotFiles = field(default_factory=SlotFiles)
    budget: PrefillBudget = field(default_factory=PrefillBudget)
    agents: dict[str, AgentPrompt | None] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    next_turn: NextTurn | None = None
    waiting: set[int] = field(default_factory=set)
    asked_at: float | None = None
    n_begun: int = 0
    job: Job | None = None
    is_checked: bool = False
    is_blocked: bool = False
    is_polled: bool = False
    n_begun_at_poll: int | None = None

    def copy(self) -> Self:
        """Return a copy that shares nothing that changes."""
        return replace(
            self,
            models={key: one.copy() for key, one in self.models.items()},
            diagnoses={key: one.copy() for key, one in self.diagnoses.items()},
            files=self.files.copy(),
            budget=self.budget.copy(),
            agents={**self.agents},
            wanted={*self.wanted},
            waiting={*self.waiting},
        )

    @property
    def is_busy(self) -> bool:
        """Return whether a user waits, or a chat completion of ours is in progress."""
        return bool(self.waiting) or (self.job is not None and self.job.kind.is_chat)

    @property
    def likeliest(self) -> AgentPrompt | None:
        """Return the prompt of the agent that is likeliest to be asked next."""
        return self.agents[next(reversed(self.agents))] if self.agents else None

    def key_of(self, model: str | None) -> str:
        """Return the key of the model that a request names."""
        return (model or "") if self.is_router else ""

    def cache_of(self, model: str | None) -> ModelCache:
        """Return what is known of the cache of the model that a request names."""
        return self.models.setdefault(self.key_of(model), ModelCache())

    def diagnosis_of(self, model: str | None) -> ModelDiagnosis:
        """Return what is known of how the server keeps the prompts of a model."""
        return self.diagnoses.setdefault(self.key_of(model), ModelDiagnosis())

    def suffers(self, problem: CacheProblem) -> bool | None:
        """Return whether the server loses prompts in this way, None if that is not known."""
        if problem is CacheProblem.PUSHED_OUT and (helps := self.files.helps) is not False:
            # What was evicted is restored from the disk.
            return False if helps else None
        return suffers(self.diagnoses, problem)

    @property
    def n_tokens_lost(self) -> int:
        """Return the tokens that were prefilled again for a lost prompt, at most."""
        return max((one.n_tokens for one in self.diagnoses.values()), default=0)
