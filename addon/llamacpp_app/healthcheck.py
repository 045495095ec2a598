"""Tells the container engine whether the app is well: it is while it downloads or loads, too."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from .options import Mode, OptionsError, load_options
from .paths import Paths, Ports

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS: Final = 5.0
UNAUTHORIZED: Final = 401


def is_well(environment: Mapping[str, str]) -> bool:
    """Tell whether the API answers; a worker has none."""
    try:
        if load_options(Paths.of(environment).options, environment).mode is Mode.WORKER:
            return True
        url = f"http://127.0.0.1:{Ports.of(environment).api}/api/health"
        with urllib.request.urlopen(url, timeout=SECONDS):
            return True
    except urllib.error.HTTPError as err:
        # It asks for the key, so it is there.
        return err.code == UNAUTHORIZED
    except (OSError, OptionsError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_well(os.environ) else 1)
