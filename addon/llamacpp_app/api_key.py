"""The key of both ports."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES: Final = 32


def api_key_of(path: Path, wanted: str | None) -> str:
    """Return the key that is set, or the one that was made at the first start; it is in the file.

    Raises OSError if the file cannot be read or written.
    """
    try:
        stored = path.read_text().strip()
    except FileNotFoundError:
        stored = ""
    key = stored if wanted is None else wanted
    key = key or secrets.token_urlsafe(KEY_BYTES)
    if key != stored:
        _write(path, key)
    return key


def _write(path: Path, key: str) -> None:
    """Write the key so that a power cut leaves the old file or the new one."""
    temporary = path.with_name(f"{path.name}.new")
    # Only the app may read it.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
