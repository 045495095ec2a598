"""The model that a user has chosen instead of the one of the options."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .options import Options
    from .paths import Paths

_LOGGER = logging.getLogger(__name__)


class Selection:
    """Remembers it over restarts, until the options name another model than they did then.

    name: of the chosen model, whether it is there or not; None: that of the options.
    """

    def __init__(self, paths: Paths, options: Options) -> None:
        """Read what was chosen; a file that makes no sense counts as none."""
        self._path = paths.selected
        first = options.configured_models()[0]
        self._instead_of = [first.name, first.url]
        self.name: str | None = None
        try:
            found = json.loads(self._path.read_text())
            if found["instead_of"] == self._instead_of and isinstance(found["model"], str):
                self.name = found["model"]
        except (OSError, ValueError, TypeError, KeyError):
            pass

    def choose(self, name: str | None) -> None:
        """Choose a model, or that of the options."""
        self.name = name
        try:
            self._path.write_text(json.dumps({"model": name, "instead_of": self._instead_of}))
        except OSError as err:
            # It is used all the same, until the next start.
            _LOGGER.warning("The choice of a model cannot be written: %s", err)
