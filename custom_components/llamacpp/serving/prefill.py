"""The prompts of agents, processed before somebody waits for an answer.

Reading the prompt of a home takes nearly all of the time to a small model's answer, and a
llama-server that has read it once starts the next answer behind it.
"""

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ..const import LOGGER
from .background import PreemptibleRequests
from .budget import PrefillBudget
from .cache_state import CacheState
from .diagnosis import CacheDiagnosis, CacheProblem, Observation
from .fingerprint import PromptParts, prefix_of
from .slot_affinity import IDLE_SECONDS
from .slot_allocator import SLOT, SlotAllocator
from .slot_files import SlotFiles
from .speaker_prefill import QUIET_SECONDS, SpeakerPrefill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..client import ChatRequest, Completion, LlamaServerClient, Usage
    from .fingerprint import Changed
    from .slot_affinity import ConversationRef
    from .speaker_prefill import Told

# What nobody has said yet, and what a prompt that is processed ahead does not end with.
OTHER_WORDS = "?"


class PrefillJob(Protocol):
    """Makes an agent's prompt and has the prefiller process it."""

    async def __call__(self, *, autoload: bool) -> None:
        """autoload: whether the model may be loaded for that. Raises what that raises."""


class Prefiller:
    """Has one server process its agents' prompts: one at a time, and never while somebody waits.

    What a server has processed is forgotten with `forget`, when a model has come into its memory
    or has left it.
    """

    def __init__(
        self, client: LlamaServerClient, on_displaced: Callable[[], None] = lambda: None
    ) -> None:
        """Begin with a server of which nothing is known, and that serves a single model.

        on_displaced: called when prompts are to be processed: another one may have pushed that of
        the agent out that is likeliest to be asked next, or somebody who asked has put it off.
        """
        self._on_displaced = on_displaced
        self._saved = SlotFiles(client)
        self.filling = SlotAllocator(client, self._saved)
        self._lock = asyncio.Lock()
        self.ahead = PreemptibleRequests(client)
        self._telling = SpeakerPrefill(self.ahead, self.filling)
        # By model, that of a server with a single one is empty.
        self._kept: dict[str, CacheState] = {}
        self._losses = CacheDiagnosis()
        self._is_looked_at = False
        self._asked_at = -IDLE_SECONDS
        # By agent, the one that was asked or made last behind all others.
        self._warm_ups: dict[str, PrefillJob] = {}
        self.spending = PrefillBudget()
        # Whether a prompt was not processed because somebody asked.
        self._is_put_off = False
        self.is_router = False

    def served_by(self, what: str) -> None:
        """Take note of the build and the model of the server, as one word."""
        self._saved.served_by(what)

    def register(self, agent_id: str, warm_up: PrefillJob) -> Callable[[], None]:
        """Take note of how an agent's prompt is made and processed; returns what ends that."""
        self._warm_ups[agent_id] = warm_up

        def unregister() -> None:
            self._warm_ups.pop(agent_id, None)
            self._telling.drop(agent_id)
            self._drop(agent_id)

        return unregister

    async def warm_all(self, *, anew: bool = False, autoload: bool = False) -> None:
        """Process the prompts of all agents that are not; the one that was asked last comes last.

        Then its prompt is the one that a server keeps which has room for only one. anew: also those
        that count as processed. Raises what the warm-ups raise, once all have been tried.
        """
        failure: Exception | None = None
        self._is_put_off = False
        for agent_id, warm_up in list(self._warm_ups.items()):
            if anew:
                self._drop(agent_id)
            try:
                await warm_up(autoload=autoload)
            except Exception as err:  # noqa: BLE001 - raised below
                failure = err
        if failure:
            raise failure

    async def warm_up(self, agent_id: str) -> None:
        """Process the prompt of an agent anew; raises KeyError, and what its warm-up raises."""
        self._drop(agent_id)
        await self._warm_ups[agent_id](autoload=True)

    def _drop(self, agent_id: str) -> None:
        for kept in self._kept.values():
            kept.drop(agent_id)

    def forget(self, models: Iterable[str], *, is_empty: bool = True) -> None:
        """Take note that these models have come into the server's memory, or have left it.

        models: by id, that of a server's single one is empty. is_empty: nothing was processed since
        then; if not, that is not known.
        """
        for model in models:
            self._kept[model] = CacheState(is_empty=is_empty, is_volatile=self._is_looked_at)
            self._losses.of(model).interrupt()
        self._is_looked_at = True
        self._is_put_off |= self.ahead.is_paused
        self._saved.forget()

    def _key_of(self, model: str | None) -> str:
        return (model or "") if self.is_router else ""

    def _kept_of(self, model: str | None) -> CacheState:
        """Return what is known of the memory of the model that a request names."""
        return self._kept.setdefault(self._key_of(model), CacheState())

    def suffers(self, loss: CacheProblem) -> bool | None:
        """Tell whether the server loses prompts in this way, None if that is not known."""
        if loss is CacheProblem.PUSHED_OUT and (is_saved := self._saved.helps) is not False:
            # What has been pushed out is read from its disk.
            return False if is_saved else None
        return self._losses.suffers(loss)

    @property
    def n_tokens_lost(self) -> int:
        """Return how many tokens were processed again when a prompt was lost last."""
        return self._losses.n_tokens

    @property
    def n_agents(self) -> int:
        """Return how many agents have prompts that can be kept warm."""
        return len(self._warm_ups)

    @property
    def is_to_write(self) -> bool:
        """Return whether a prompt is still to be written, and nobody goes on with a conversation.

        It is written without what was said, so the server forgets that.
        """
        is_unwritten = any(kept.unwritten for kept in self._kept.values())
        return is_unwritten and time.monotonic() - self._asked_at >= IDLE_SECONDS

    @contextmanager
    def asking(
        self, agent_id: str, *, is_own: bool = True
    ) -> Iterator[Callable[[Mapping[str, Any], Completion], Changed]]:
        """Keep warm-ups away while somebody waits for an answer.

        is_own: the agent is asked with the prompt that is kept warm. Yields what takes note of a
        request that the server has processed, and of what that took; it returns what was another
        than in the agent's request before.
        """

        def note(request: Mapping[str, Any], completion: Completion) -> Changed:
            kept, prefix = self._kept_of(request.get("model")), prefix_of(request)
            kept.is_empty = False
            slot = request.get("id_slot", None if self.filling.n_slots > 1 else SLOT)
            if slot is not None:
                kept.note_processed(slot, prefix, kept.slots.note_for(slot) if is_own else None)
            parts = PromptParts.of(request)
            changed = parts.changed_since(kept.parts.get(agent_id))
            kept.parts[agent_id] = parts
            self.spending.add(completion.usage)
            if usage := completion.usage:
                self._learn(kept, request, usage)
            if is_own and agent_id in self._warm_ups:
                self._warm_ups[agent_id] = self._warm_ups.pop(agent_id)
                self._note_processed(kept, agent_id, request)
            elif slot is not None and self.filling.n_slots > 1:
                # What it has pushed out is read again when it is quiet.
                kept.slots.release(slot)
                self._is_put_off = True
            elif prefix not in kept.processed.values():
                kept.is_displaced = True
            return changed

        with self.paused():
            try:
                yield note
            except BaseException:
                self.spending.add_unknown()
                raise

    def _note_processed(self, kept: CacheState, agent_id: str, request: Mapping[str, Any]) -> None:
        """Take note that an agent's prompt was processed while somebody waited."""
        prefix = kept.processed[agent_id] = prefix_of(request)
        if kept.begun and kept.begun[0] == agent_id:
            kept.begun = None
        if self._saved.lacks(agent_id, request.get("model"), prefix):
            kept.unwritten.add(agent_id)
            # The next change of models, or the next sleep, may come before it is quiet.
            self._is_put_off |= kept.is_volatile

    def _learn(
        self,
        kept: CacheState,
        request: Mapping[str, Any],
        usage: Usage,
        *,
        is_warm_up: bool = False,
    ) -> None:
        """Learn from an answer whether the server keeps prompts, and goes on from what it read."""
        model, prefix = request.get("model"), prefix_of(request)
        slot = request.get("id_slot", None if self.filling.n_slots > 1 else SLOT)
        was_read = prefix in kept.read.values() if slot is None else kept.read.get(slot) == prefix
        if slot is not None:
            kept.read.pop(slot, None)
        if was_read and slot is not None:
            self._saved.note_use(model, usage, is_same=is_warm_up)
        asked = Observation(
            prefix,
            usage,
            n_messages=len(request["messages"]),
            is_warm_up=is_warm_up,
            was_read=was_read,
        )
        self._losses.of(self._key_of(model)).note(asked)

    def displaced(self) -> None:
        """Have the prompt processed again of the agent that is likeliest to be asked next."""
        for kept in self._kept.values():
            kept.is_displaced = True
        self._catch_up()

    def _put_off(self) -> None:
        """Have a prompt processed later, if somebody waits for an answer, or else soon."""
        self._is_put_off = True
        self._catch_up()

    def _catch_up(self) -> None:
        """Have processed what had to wait and what was pushed out, unless somebody waits."""
        if self.ahead.is_paused:
            return
        for kept in self._kept.values():
            if kept.is_displaced:
                self._is_put_off |= kept.displace(reversed(self._warm_ups))
        if self._is_put_off and self._warm_ups:
            self._is_put_off = False
            self._on_displaced()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep warm-ups away, and end the one that is under way."""
        try:
            with self.ahead.paused():
                yield
        finally:
            self._asked_at = time.monotonic()
            self._catch_up()

    async def slot_for(
        self, agent_id: str, request: ChatRequest, talk: ConversationRef
    ) -> int | None:
        """Return the slot in which a conversation with an agent is to go on, warm.

        request: what the server is about to be asked. None: it is to choose.
        """
        model = request.get("model")
        kept, has_lost = self._kept_of(model), self._losses.of(self._key_of(model)).has_lost
        return await self.filling.slot_for(kept, agent_id, request, talk, has_lost=has_lost)

    async def warm(
        self,
        agent_id: str,
        request: ChatRequest,
        *,
        autoload: bool,
        told: Told | None = None,
    ) -> bool:
        """Have the server process the prompt of a request, unless it just has.

        autoload: whether a router may load the model for that; if not, it refuses. told: what is
        to be processed besides when `tell` is called, as `SpeakerPrefill.note` takes it.

        Returns whether it did: not if nothing has changed, nor if somebody waits for an answer,
        before or meanwhile, nor if too much was processed ahead in the last hour. Raises
        LlamaServerError.
        """
        async with self._lock:
            kept = self._kept_of(request.get("model"))
            is_done = self._is_done(kept, agent_id, request)
            if self.spending.is_over:
                LOGGER.debug("Nothing is warmed up: too much was, within the hour")
                return False
            self._telling.note(agent_id, request, told or {})
            return not is_done and await self._warm(kept, agent_id, request, autoload=autoload)

    async def _warm(
        self, kept: CacheState, agent_id: str, request: ChatRequest, *, autoload: bool
    ) -> bool:
        """Have a prompt processed and written, and other slots read it; return whether it was."""
        is_read = not self.ahead.is_paused and await self.filling.read_ahead(
            kept, agent_id, request, autoload=autoload
        )
        if self.ahead.is_paused:
            self._put_off()
            return False
        body, slot = {**request, "max_tokens": 1}, self._slot_to_warm(kept, agent_id, request)
        if slot is not None:
            body["id_slot"] = slot
        completion = await self._process(body, autoload=autoload)
        if completion is None:
            kept.begun = None if slot is None else (agent_id, slot)
            return False
        self._note_warm(kept, agent_id, body, completion)
        await self._saved.save(SLOT, agent_id, request.get("model"), prefix_of(request))
        is_kept = completion.usage is not None and completion.usage.cached_tokens > 0
        await self._prove(kept, agent_id, body, in_first=is_read and is_kept)
        await self.filling.fill_others(
            kept, agent_id, request, may_go_on=lambda: not self.ahead.is_paused
        )
        return True

    async def _prove(
        self, kept: CacheState, agent_id: str, body: ChatRequest, *, in_first: bool
    ) -> None:
        """Find out whether the model goes on from what was read, before somebody waits for that.

        body: the request for the prompt that was written. in_first: it has just gone on from what
        was read, as any model does with the very same prompt; others may not.
        """
        if self._saved.is_proven(model := body.get("model")):
            return
        slot = SLOT if in_first else await self.filling.slot_to_prove(kept, agent_id, body)
        if slot is None or self.ahead.is_paused:
            return
        *others, last = body["messages"]
        other = {**body, "messages": [*others, {**last, "content": OTHER_WORDS}]}
        if self.filling.n_slots > 1:
            other["id_slot"] = slot
        completion = await self._process(other, autoload=False)
        if completion is None:
            return
        self.spending.add(completion.usage, is_ahead=True)
        kept.read.pop(slot, None)
        kept.note_processed(slot, prefix_of(body))
        self._saved.note_use(model, completion.usage, is_same=False)

    async def tell(self) -> None:
        """Have the notes processed on those who may speak, for the agent that was asked last.

        Raises LlamaServerError.
        """
        async with self._lock:
            kept = self._kept_of(self.model_to_tell)
            if not await self._telling.tell(kept, self._likeliest, self.spending):
                self.spending.add_unknown()
                self._put_off()

    async def follow(self, request: ChatRequest, n_begun: int) -> None:
        """Have a conversation's next turn processed, of which the words are not known yet.

        request: ends with words that are empty. n_begun: how many requests had begun when the
        answer ended; nothing is done if another has since. Raises LlamaServerError.
        """
        async with self._lock:
            if self.ahead.n_begun == n_begun and not self.spending.is_over:
                kept = self._kept_of(request.get("model"))
                await self._telling.follow(kept, request, self.spending)

    @property
    def seconds_until_telling(self) -> float | None:
        """Return when notes can be processed, None if there are none."""
        kept = self._kept_of(self.model_to_tell)
        if self.spending.is_over or not self._telling.is_due(kept, self._likeliest):
            return None
        return max(0.0, self._asked_at + QUIET_SECONDS - time.monotonic())

    @property
    def model_to_tell(self) -> str | None:
        """Return the model for which notes are to be processed, None for a server's single one."""
        return self._telling.model_of(self._likeliest)

    @property
    def _likeliest(self) -> str:
        """Return the agent that is likeliest to be asked next, empty if there is none."""
        return next(reversed(self._warm_ups), "")

    async def _process(self, body: ChatRequest, *, autoload: bool) -> Completion | None:
        """Have a request processed, or later if somebody asks meanwhile: then return None."""
        completion = await self.ahead.process(body, autoload=autoload)
        if completion is None:
            self.spending.add_unknown()
            self._put_off()
        return completion

    def _is_done(self, kept: CacheState, agent_id: str, request: ChatRequest) -> bool:
        """Tell whether the server has a prompt, also on its disk if it is time for that."""
        keeping = self._losses.of(self._key_of(request.get("model")))
        if agent_id in kept.warmed and keeping.suffers(CacheProblem.NOT_CACHED):
            # The server would forget it at once, as it has done before.
            return True
        is_to_write = agent_id in kept.unwritten and (kept.is_volatile or self.is_to_write)
        return kept.processed.get(agent_id) == prefix_of(request) and not is_to_write

    def _slot_to_warm(self, kept: CacheState, agent_id: str, request: ChatRequest) -> int | None:
        """Return the slot in which an agent's prompt is processed ahead; None: the server chooses.

        It does so by what is in its slots and in its host cache, but what it has chosen is not
        known, and one must be written.
        """
        n_slots, is_saved = self.filling.n_slots, self._saved.is_supported(request.get("model"))
        if n_slots > 1 and is_saved is not False:
            return SLOT
        if n_slots > 1 and agent_id not in kept.warmed:
            # So that the prompts of several agents do not push each other out.
            return kept.slot_beside_others(n_slots)
        return None

    def _note_warm(
        self, kept: CacheState, agent_id: str, body: ChatRequest, completion: Completion
    ) -> None:
        """Take note that an agent's prompt was processed ahead."""
        prefix = kept.processed[agent_id] = prefix_of(body)
        kept.is_empty, kept.begun = False, None
        slot = body.get("id_slot", SLOT)
        # What was said there in a conversation is gone.
        kept.slots.release(slot)
        kept.note_processed(slot, prefix)
        kept.warmed.setdefault(agent_id, slot)
        kept.unwritten.discard(agent_id)
        self.spending.add(completion.usage, is_ahead=True)
        if usage := completion.usage:
            self._learn(kept, body, usage, is_warm_up=True)
