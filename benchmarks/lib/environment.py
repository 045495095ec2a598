"""The conditions of a run, which its figures depend on besides the code."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any


def environment(**packages: str) -> dict[str, Any]:
    """Return date, versions, machine and load. packages: distributions, by the name to show."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **{name: version(package) for name, package in packages.items()},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
