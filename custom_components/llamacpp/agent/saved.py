"""Processed prompts on the server's own disk, so that they outlive it.

A llama-server with `--slot-save-path` writes a slot to a file and reads it again in milliseconds.
"""

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

from ..const import LOGGER
from ..server import LlamaServerError, NotSupportedError

if TYPE_CHECKING:
    from ..server import LlamaServerClient

# A large model's slot has gigabytes, and disks of small boxes are slow.
SECONDS = 60.0


class SavedPrompts:
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
        self.is_supported: bool | None = None

    def forget(self) -> None:
        """Take note that the server may have been started in another way."""
        self.is_supported = None

    def has(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Tell whether this very prompt of the agent was written."""
        is_written = self._written.get(_file_name(agent_id, model)) == prefix
        return is_written and self.is_supported is not False

    def lacks(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Tell whether this prompt of the agent is still to be written."""
        is_tried = self._tried.get(_file_name(agent_id, model)) == prefix
        return not is_tried and self.is_supported is not False

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
        if self.is_supported is False:
            return False
        try:
            async with asyncio.timeout(SECONDS):
                await self._client.slot_action(slot, action, name, model=model, autoload=autoload)
        except NotSupportedError:
            self.is_supported = False
        except (LlamaServerError, TimeoutError) as err:
            LOGGER.debug("The server does not %s %s: %s", action, name, err)
        else:
            self.is_supported = True
            return True
        return False


def _file_name(agent_id: str, model: str | None) -> str:
    return f"home-assistant-{sha256(f'{agent_id} {model}'.encode()).hexdigest()[:24]}.bin"
