"""Starts the app; a stop while it is still being read is one in good order."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # The imports take a second on a small board, in which the Supervisor may stop it again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    from .launcher import main

    sys.exit(main())
