"""Graphics cards: which there are, whether they compute, and what becomes of one that fails."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .build import said
from .reasons import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .reasons import Reason

_LOGGER = logging.getLogger(__name__)

# "  Vulkan0: Intel(R) Graphics (ADL-N) (15811 MiB, 14002 MiB free)"; what has no memory of its own
# is no card.
_CARD: Final = re.compile(r"^ +(\S+): (.+) \(([1-9]\d*) MiB, \d+ MiB free\)$", re.MULTILINE)
# By these words of a server that was ready, it ended because of its card.
_OF_CARDS: Final = ("vulkan", "vk::", "cuda")
# These are nothing that a card could do.
_OTHERS: Final = (Kind.PROJECTOR, Kind.MODEL, Kind.SETTING, Kind.PORT)
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Card:
    """A graphics card. name: llama-server's own for it."""

    name: str
    description: str
    memory_bytes: int


def cards_in(devices: str) -> tuple[Card, ...]:
    """Return the cards in what llama-server says of its devices."""
    return tuple(
        Card(name, description, int(size) * _MIB)
        for name, description, size in _CARD.findall(devices)
    )


class Cards:
    """The cards of this machine, as the option gpu_layers wants them.

    used: those that compute. message: why none does that is there or wanted.
    """

    def __init__(self, server: Path, layers: int | None) -> None:
        """Take note; nothing is known yet. layers: the option, None: as many as fit."""
        self._server = server
        self._layers = layers
        self._found: tuple[Card, ...] | None = None
        self._failure: str | None = None
        self._told: str | None = None
        self.used: tuple[Card, ...] = ()
        self.message: str | None = None

    async def look(self, *, has_workers: bool) -> None:
        """Find out which there are, and tell what is new.

        Cards may go while the app runs; where there is none, none comes.
        """
        found = self._found
        if found is None or found:
            found = self._found = cards_in(await said(self._server, "--list-devices"))
        names = _listed(found)
        self.used, self.message = (), None
        if found and self._failure:
            self.message = f"{names} does not compute: llama-server failed with it. {self._failure}"
        elif found and self._layers == 0:
            self.message = f"{names} does not compute, for gpu_layers is 0."
        elif found:
            self.used = found
        elif self._layers and not has_workers:
            self.message = (
                f"gpu_layers is {self._layers}, but llama-server finds no graphics card: the "
                "processor computes."
            )
        self._tell(names)

    def _tell(self, names: str) -> None:
        told = self.message or f"{names} computes."
        if not (self.message or self.used):
            told = "There is no graphics card: the processor computes."
        if told != self._told:
            is_wanted = self.message and self._layers != 0
            _LOGGER.log(logging.WARNING if is_wanted else logging.INFO, "%s", told)
        self._told = told

    def blame(self, reason: Reason, lines: Sequence[str], *, was_ready: bool) -> str | None:
        """Take note of a crash of llama-server; return what follows from it in words.

        reason: of the crash. lines: its last words. A card may be to blame for a server that has
        never been ready for no other reason; if it is not ready without it either, it was not.
        """
        if not self.used:
            if not was_ready:
                self.forgive()
            return None
        if reason.kind in _OTHERS:
            return None
        text = "\n".join(lines).lower()
        if was_ready and not any(words in text for words in _OF_CARDS):
            return None
        self._failure = reason.text
        return f"The next start does without the graphics card {self.used[0].description}."

    def forgive(self) -> None:
        """Use a card again that has failed."""
        self._failure = None


def _listed(cards: Sequence[Card]) -> str:
    names = ", ".join(f"{one.description} ({one.name})" for one in cards)
    return f"The graphics card {names}"
