"""A llama-server without a model: its slots, host cache and slot files, in whole tokens.

Follows `server_context` of llama.cpp b11669: a request without a slot goes to the slot whose prompt
shares the largest part with it, at least a tenth, else to the one unused for longest. A prompt that
shares less than half with the slot's goes to the host cache first, and is looked up there.
"""

from dataclasses import dataclass, field

from custom_components.llamacpp.client import Usage

SIMILARITY = 0.1
SAME_SHARE = 0.5

type Tokens = tuple[object, ...]


@dataclass
class SimulatedSlot:
    """A slot. tokens: in its KV cache. used: time of its last use. is_busy: with a request."""

    tokens: Tokens = ()
    used: int = 0
    is_busy: bool = False


@dataclass
class SimulatedServer:
    """A llama-server with one model.

    has_files: it was started with `--slot-save-path`. has_host_cache: it was not started with
    `--cache-ram 0`. instance: unique for each start. files: saved slots by name. n_prompt_tokens:
    of all prompts since the start.
    """

    n_slots: int
    has_files: bool
    has_host_cache: bool = True
    instance: str = "0"
    files: dict[str, Tokens] = field(default_factory=dict)
    slots: list[SimulatedSlot] = field(default_factory=list)
    host_cache: list[Tokens] = field(default_factory=list)
    n_prompt_tokens: int = 0
    _clock: int = 0

    def __post_init__(self) -> None:
        """Begin with empty slots."""
        self.slots = [SimulatedSlot() for _ in range(self.n_slots)]

    def restart(self) -> None:
        """Forget everything but the files."""
        self.instance = str(int(self.instance) + 1)
        self.host_cache.clear()
        self.n_prompt_tokens = 0
        self.__post_init__()

    def idle(self) -> tuple[int, ...]:
        """Return the slots that are not processing."""
        return tuple(number for number, slot in enumerate(self.slots) if not slot.is_busy)

    def choose(self, tokens: Tokens, slot: int | None) -> int:
        """Return the slot for a request. slot: the one that it names."""
        if slot is not None:
            return slot
        idle = self.idle() or tuple(range(self.n_slots))
        best = max(idle, key=lambda one: _shared(self.slots[one].tokens, tokens))
        if _shared(self.slots[best].tokens, tokens) > SIMILARITY * len(tokens):
            return best
        return min(idle, key=lambda one: self.slots[one].used)

    def process(self, tokens: Tokens, slot: int | None, *, share: float = 1.0) -> tuple[int, Usage]:
        """Process a prompt; return the slot and the usage. share: processed before an abort."""
        number = self.choose(tokens, slot)
        chosen = self.slots[number]
        self._clock += 1
        chosen.used = self._clock
        is_other = _shared(chosen.tokens, tokens) < SAME_SHARE * len(chosen.tokens)
        if is_other and self.has_host_cache:
            self.host_cache.append(chosen.tokens)
            cached = max(self.host_cache, key=lambda one: _shared(one, tokens))
            if _shared(cached, tokens) > _shared(chosen.tokens, tokens):
                chosen.tokens = cached
                self.host_cache.remove(cached)
        n_cached = min(_shared(chosen.tokens, tokens), len(tokens) - 1)
        n_done = n_cached + int(share * (len(tokens) - n_cached))
        chosen.tokens = tokens[:n_done]
        self.n_prompt_tokens += len(tokens)
        return number, Usage(
            prompt_tokens=len(tokens),
            completion_tokens=1,
            total_tokens=len(tokens) + 1,
            cached_tokens=n_cached,
        )

    def save(self, slot: int, name: str) -> bool:
        """Save a slot; return whether that is supported."""
        if self.has_files:
            self.files[name] = self.slots[slot].tokens
        return self.has_files

    def restore(self, slot: int, name: str) -> bool:
        """Restore a slot; return whether there was such a file."""
        if not self.has_files or name not in self.files:
            return False
        self.slots[slot].tokens = self.files[name]
        return True

    def holds(self, tokens: Tokens) -> bool:
        """Return whether a prompt that begins with these tokens is cached in memory."""
        held = [*(slot.tokens for slot in self.slots), *self.host_cache]
        return any(one[: len(tokens)] == tokens for one in held)


def _shared(one: Tokens, other: Tokens) -> int:
    """Return the number of tokens that two prompts have in common at their beginning."""
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count
