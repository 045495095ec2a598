"""Processed prompts on the server's own disk, so that they outlive it.

A llama-server with `--slot-save-path` writes a slot to a file and reads it again in milliseconds.
"""

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

from ..client import LlamaServerError, NotSupportedError
from ..const import LOGGER

if TYPE_CHECKING:
    from ..client import LlamaServerClient, Usage

# A large model's slot has gigabytes, and disks of small boxes are slow.
SECONDS = 60.0


class SlotFiles:
    """Has one server write and read the prompts of agents.

    Each agent has one file for each model, which is written over, so that no old ones are left. One
    of another home or build does no harm: the server compares it with the prompt, token by token.
    """

    def __init__(self, client: LlamaServerClient) -> None:
        """Begin with a server that is not known to have written anything."""
        self._client = client
        # By file: what it holds, and what was to be written last, whether that worked or not.
        self._written: dict[str, bytes] = {}
        self._tried: dict[str, bytes] = {}
        # Whether the server writes and reads at all, None: it was not asked to.
        self._is_supported: bool | None = None
        # By model: whether it goes on from what was read. One with a state, or whose attention
        # slides, does so only if the server writes where it may go on: older ones do not.
        self._is_of_use: dict[str | None, bool] = {}
        self._served_by = ""

    def forget(self) -> None:
        """Take note that the server may have been started in another way."""
        self._is_supported = None

    def served_by(self, what: str) -> None:
        """Take note of what serves: another build or model may go on from what was read."""
        if what != self._served_by:
            self._served_by = what
            self._is_of_use.clear()

    def is_supported(self, model: str | None) -> bool | None:
        """Tell whether the server writes and reads prompts of a model; None: it was not asked to.

        Not if what it reads is of no use.
        """
        return self._is_of_use.get(model, True) and self._is_supported

    @property
    def helps(self) -> bool | None:
        """Return whether all models go on from what the server has written; None: not known."""
        return False not in self._is_of_use.values() and self._is_supported

    def is_proven(self, model: str | None) -> bool:
        """Tell whether the model is known to go on from what was read."""
        return self._is_of_use.get(model, False)

    def note_use(self, model: str | None, usage: Usage | None, *, is_same: bool) -> None:
        """Take note of what a request took that could go on from what had just been read.

        usage: None if the server does not tell: it is taken at its word then. is_same: it is the
        very prompt that was written, from which any server goes on.
        """
        if usage and not usage.cached_tokens:
            self._is_of_use.setdefault(model, False)
        elif not is_same:
            self._is_of_use[model] = True

    def has(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Tell whether this very prompt of the agent was written."""
        is_written = self._written.get(_file_name(agent_id, model)) == prefix
        return is_written and self.is_supported(model) is not False

    def lacks(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Tell whether this prompt of the agent is still to be written."""
        is_tried = self._tried.get(_file_name(agent_id, model)) == prefix
        return not is_tried and self.is_supported(model) is not False

    async def save(self, slot: int, agent_id: str, model: str | None, prefix: bytes) -> None:
        """Write a slot that holds the agent's prompt, unless it was written with this one."""
        name = _file_name(agent_id, model)
        if self._written.get(name) == prefix:
            return
        self._tried[name] = prefix
        if await self._do(slot, "save", name, model, autoload=False):
            self._written[name] = prefix

    async def restore(self, slot: int, agent_id: str, model: str | None, *, autoload: bool) -> bool:
        """Read into a slot what was written of the agent's prompt; tell whether there was any.

        autoload: whether a router may load the model for that.
        """
        name = _file_name(agent_id, model)
        return await self._do(slot, "restore", name, model, autoload=autoload)

    async def _do(
        self, slot: int, action: str, name: str, model: str | None, *, autoload: bool
    ) -> bool:
        if self.is_supported(model) is False:
            return False
        try:
            async with asyncio.timeout(SECONDS):
                await self._client.slot_action(slot, action, name, model=model, autoload=autoload)
        except NotSupportedError:
            self._is_supported = False
        except (LlamaServerError, TimeoutError) as err:
            LOGGER.debug("The server does not %s %s: %s", action, name, err)
        else:
            self._is_supported = True
            return True
        return False


def _file_name(agent_id: str, model: str | None) -> str:
    return f"home-assistant-{sha256(f'{agent_id} {model}'.encode()).hexdigest()[:24]}.bin"
