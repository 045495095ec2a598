"""What happens to a server's cache, and what is to be done about it: plain data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..client import ChatRequest, LlamaServerError, Usage
    from .fingerprint import Fingerprint
    from .slot_affinity import ConversationRef
    from .state import AgentPrompt, Job


@dataclass(frozen=True, slots=True)
class AgentAdded:
    """An agent exists; its prompt follows if it is to be prefilled."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class AgentRemoved:
    """An agent exists no more."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class PromptReady:
    """An agent's prompt was made.

    is_wanted: a user waits for the prefill, so a router may load the model for it. is_forced:
    prefill it even if it counts as prefilled.
    """

    prompt: AgentPrompt
    is_wanted: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class AskBegan:
    """A user waits for an answer."""

    ask_id: int


@dataclass(frozen=True, slots=True)
class AskedWith:
    """The agent's own prompt was made for a user who asks.

    request: with the prefix of that prompt. prefix: digest of it.
    """

    agent_id: str
    request: ChatRequest
    prefix: bytes


@dataclass(frozen=True, slots=True)
class SlotWanted:
    """A request is about to be sent. idle: the slots that are not processing."""

    agent_id: str
    model: str | None
    prefix: bytes
    ref: ConversationRef
    idle: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The server has answered a request that a user waits for.

    is_own: it has the agent's own prompt, which is prefilled. slot: that the request names.
    """

    agent_id: str
    model: str | None
    fingerprint: Fingerprint
    n_messages: int
    slot: int | None
    usage: Usage | None
    is_own: bool


@dataclass(frozen=True, slots=True)
class AskEnded:
    """A user has got an answer, or an error. is_counted: the usage of all requests is known."""

    ask_id: int
    is_counted: bool


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A conversation may continue with another turn.

    next_turn: the request for it, which ends with an empty user message.
    """

    next_turn: ChatRequest


@dataclass(frozen=True, slots=True)
class PollBegan:
    """The server is about to be asked for its state."""


@dataclass(frozen=True, slots=True)
class Polled:
    """The state of the server at a poll, as in `ServingState`. build: of the server and model."""

    n_slots: int
    is_router: bool
    is_front: bool
    build: str
    in_memory: Mapping[str, str]
    n_prompt_tokens: float | None


@dataclass(frozen=True, slots=True)
class Noticed:
    """What the server said of one model between two polls.

    instance: unique for this start of the model, "" if unknown; None if it is not in memory.
    """

    model: str | None
    instance: str | None


@dataclass(frozen=True, slots=True)
class Restored:
    """An attempt to restore a slot while a user waits."""

    restore: Restore
    is_done: bool


@dataclass(frozen=True, slots=True)
class FilesTried:
    """The server was asked to save or restore a slot. is_supported: whether it can, if known."""

    is_supported: bool


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job has ended.

    usages: of its requests that were answered, one for each body unless it was aborted. is_done: it
    was neither aborted nor has failed. error: why it failed. instance: of a look, as in `Noticed`.
    """

    job: Job
    is_done: bool
    usages: tuple[Usage | None, ...] = ()
    error: LlamaServerError | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


type Event = (
    AgentAdded
    | AgentRemoved
    | PromptReady
    | AskBegan
    | AskedWith
    | SlotWanted
    | Answered
    | AskEnded
    | TurnEnded
    | PollBegan
    | Polled
    | Noticed
    | Restored
    | FilesTried
    | JobEnded
    | Tick
)


@dataclass(frozen=True, slots=True)
class Abort:
    """Abort the job in progress: a user asks."""


@dataclass(frozen=True, slots=True)
class Run:
    """Begin a job."""

    job: Job


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a `Tick` at this time, in monotonic seconds."""

    time: float


@dataclass(frozen=True, slots=True)
class Restore:
    """Restore a slot from an agent's file before the request is sent.

    is_known: the file holds this prefix; if not, it may be one of another home.
    """

    slot: int
    agent_id: str
    model: str | None
    prefix: bytes
    is_known: bool


@dataclass(frozen=True, slots=True)
class UseSlot:
    """The answer to `SlotWanted`.

    slot: for the request, None: the server chooses. restore: to be done first. is_final: if not,
    ask for a slot again after the restore.
    """

    slot: int | None
    restore: Restore | None = None
    is_final: bool = True


type Action = Abort | Run | WakeAt | UseSlot
