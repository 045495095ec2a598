"""How much memory llama-server has taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(session: int) -> int:
    """Return the resident memory of all processes of a session, the mapped model file included.

    session: the process id of its leader; a router's models are children of their own in it.
    """
    return sum(_resident_bytes_of(one) for one in _processes() if _session_of(one) == session)


def private_bytes(session: int) -> int:
    """Return what of that is free again when they end: not what the system keeps of files anyway.

    session: as of `resident_bytes`.
    """
    members = [one for one in _processes() if _session_of(one) == session]
    return sum(_resident_bytes_of(one) - _shared_bytes_of(one) for one in members)


def _processes() -> list[int]:
    return [int(one.name) for one in _PROC.iterdir() if one.name.isdecimal()]


def _session_of(process: int) -> int | None:
    try:
        return os.getsid(process)
    except OSError:
        # It has ended meanwhile, or belongs to another user.
        return None


def _resident_bytes_of(process: int) -> int:
    return _statm(process, 1)


def _shared_bytes_of(process: int) -> int:
    return _statm(process, 2)


def _statm(process: int, field: int) -> int:
    try:
        return _PAGE_BYTES * int((_PROC / str(process) / "statm").read_text().split()[field])
    except OSError:
        return 0
