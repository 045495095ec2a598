"""Slot files: prefixes on the server's own disk, so that they survive its restarts.

A llama-server with `--slot-save-path` saves a slot to a file and restores it within milliseconds.
"""

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ..client import Usage


@dataclass(slots=True)
class SlotFiles:
    """What is known of the slot files of one server.

    Each agent has one file per model, which is overwritten, so that no old files remain. A file of
    another home or build does no harm: the server compares it with the prompt, token by token.

    saved: by file name, the prefix it holds. tried: by file name, the prefix of the last attempt to
    save it. is_supported: whether the server saves and restores at all, None: not tried. is_of_use:
    by model, whether it continues from what was restored: a recurrent model, or one with sliding
    window attention, does so only if the server also saves its checkpoints, as newer ones do.
    """

    saved: dict[str, bytes] = field(default_factory=dict)
    tried: dict[str, bytes] = field(default_factory=dict)
    is_supported: bool | None = None
    is_of_use: dict[str | None, bool] = field(default_factory=dict)
    build: str = ""

    def copy(self) -> Self:
        """Return a copy that shares nothing that changes."""
        return replace(
            self, saved={**self.saved}, tried={**self.tried}, is_of_use={**self.is_of_use}
        )

    def served_by(self, build: str) -> None:
        """Record the build and model of the server: others may continue from files."""
        if build != self.build:
            self.build = build
            self.is_of_use.clear()

    def supports(self, model: str | None) -> bool | None:
        """Return whether slot files of a model are of use; None: not tried."""
        return self.is_of_use.get(model, True) and self.is_supported

    @property
    def helps(self) -> bool | None:
        """Return whether all models continue from their files; None: not known."""
        return False not in self.is_of_use.values() and self.is_supported

    def is_proven(self, model: str | None) -> bool:
        """Return whether the model is known to continue from what was restored."""
        return self.is_of_use.get(model, False)

    def note_use(self, model: str | None, usage: Usage | None, *, is_same: bool) -> None:
        """Record the usage of the first request after a restore.

        usage: None if the server does not report it: then it is trusted. is_same: the request has
        the very prompt that was saved, from which any server continues.
        """
        if usage and not usage.cached_tokens:
            self.is_of_use.setdefault(model, False)
        elif not is_same:
            self.is_of_use[model] = True

    def has(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Return whether the agent's file holds this prefix."""
        is_saved = self.saved.get(file_name(agent_id, model)) == prefix
        return is_saved and self.supports(model) is not False

    def lacks(self, agent_id: str, model: str | None, prefix: bytes) -> bool:
        """Return whether to save this prefix of the agent."""
        is_tried = self.tried.get(file_name(agent_id, model)) == prefix
        return not is_tried and self.supports(model) is not False

    def note_saved(
        self, agent_id: str, model: str | None, prefix: bytes, *, is_saved: bool
    ) -> None:
        """Record an attempt to save a prefix."""
        name = file_name(agent_id, model)
        self.tried[name] = prefix
        if is_saved:
            self.saved[name] = prefix


def file_name(agent_id: str, model: str | None) -> str:
    """Return the name of an agent's slot file for a model, as the server expects it."""
    return f"home-assistant-{sha256(f'{agent_id} {model}'.encode()).hexdigest()[:24]}.bin"
