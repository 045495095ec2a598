"""Processed prompts on disk: what llama-server has written of its slots."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_LOGGER = logging.getLogger(__name__)

# Each agent of Home Assistant has one file for each model. Those of agents and models that are gone
# are never read again.
MAX_FILES: Final = 16
MAX_BYTES: Final = 4 * 1024**3


def prepare_slots(folder: Path) -> Path:
    """Make the folder, and remove the oldest files beyond what is kept; return the folder.

    Raises OSError if it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for path in folder.iterdir():
        status = path.stat()
        if not status.st_size:
            # Begun on a full disk.
            path.unlink(missing_ok=True)
            continue
        found.append((status.st_mtime, status.st_size, path))
    n_bytes = 0
    for number, (_, size, path) in enumerate(sorted(found, reverse=True)):
        n_bytes += size
        if number >= MAX_FILES or n_bytes > MAX_BYTES:
            path.unlink(missing_ok=True)
            _LOGGER.debug("The processed prompt %s is old and removed", path.name)
    return folder
