"""Where the files in the folder of models were downloaded from."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_LOGGER = logging.getLogger(__name__)


def same_as(url: str, hub: str) -> str:
    """Return what is the same for all addresses of a file: no mirror, no key for a while."""
    text = url.removeprefix(hub.rstrip("/"))
    if text != url:
        return text.partition("?")[0]
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"


class Sources:
    """Notes on downloaded files, by their names; a file that was put there by hand has none."""

    def __init__(self, path: Path) -> None:
        """Read the notes; what makes no sense counts as none."""
        self._path = path
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError):
            found = {}
        notes = found.items() if isinstance(found, dict) else ()
        self._notes = {name: one for name, one in notes if isinstance(one, str)}

    def of(self, file_name: str) -> str | None:
        """Return where a file was downloaded from; None if it was not."""
        return self._notes.get(file_name)

    def note(self, file_name: str, source: str) -> None:
        """Note where a file comes from."""
        self._notes[file_name] = source
        self._write()

    def forget(self, *file_names: str) -> None:
        """Forget files that are deleted."""
        known = [name for name in file_names if self._notes.pop(name, None)]
        if known:
            self._write()

    def _write(self) -> None:
        temporary = self._path.with_name(f"{self._path.name}.new")
        try:
            with temporary.open("w") as file:
                json.dump(self._notes, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as err:
            # The file is served all the same.
            _LOGGER.warning("Where files come from cannot be noted: %s", err)
