"""The part of a file that has been downloaded so far; it outlives a restart."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

READ_BYTES: Final = 4 * 1024 * 1024
MAX_SIDECAR_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class Remote:
    """What is known of the file that is downloaded.

    validator: its ETag or date, None if the server tells neither. n_bytes: of the whole file.
    sha256: in hexadecimal, as the server tells it.
    """

    url: str
    validator: str | None = None
    n_bytes: int | None = None
    sha256: str | None = None


class Part:
    """A file that grows beside its final name, with a note on where it comes from."""

    def __init__(self, target: Path, url: str) -> None:
        """target: the final name. url: a part of anything else is not gone on with."""
        self.target = target
        self.path = target.with_name(target.name + ".part")
        self._sidecar = target.with_name(target.name + ".part.json")
        self.remote = Remote(url)
        self.n_bytes = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    @property
    def sha256(self) -> str:
        """The hash of what there is, in hexadecimal."""
        return self._hash.hexdigest()

    async def open(self) -> None:
        """Go on with what an earlier run left, or begin again. Raises OSError."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        remote = self._noted()
        if remote is None or remote.url != self.remote.url:
            self._file = self.path.open("wb")
            return
        self.remote = remote
        self._file = self.path.open("r+b")
        while block := self._file.read(READ_BYTES):
            self._hash.update(block)
            self.n_bytes += len(block)

    def _noted(self) -> Remote | None:
        """Return what was noted of the remote file, None if that is no use."""
        try:
            if not self.path.is_file() or self._sidecar.stat().st_size > MAX_SIDECAR_BYTES:
                return None
            return Remote(**json.loads(self._sidecar.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    async def note(self, remote: Remote) -> None:
        """Keep what is known of the remote file. Raises OSError."""
        if remote != self.remote or not self._sidecar.exists():
            self.remote = remote
            await asyncio.to_thread(self._sidecar.write_text, json.dumps(asdict(remote)))

    async def write(self, block: bytes) -> None:
        """Append to it. Raises OSError."""
        await asyncio.to_thread(self._write, block)

    def _write(self, block: bytes) -> None:
        if self._file is None:
            raise OSError("the file is closed")
        self._file.write(block)
        # What is noted as there must be there after a crash of the app.
        self._file.flush()
        self._hash.update(block)
        self.n_bytes += len(block)

    async def clear(self) -> None:
        """Begin from the start. Raises OSError."""
        await asyncio.to_thread(self._clear)

    def _clear(self) -> None:
        self.close()
        self._sidecar.unlink(missing_ok=True)
        self._file = self.path.open("wb")
        self._hash = hashlib.sha256()
        self.n_bytes = 0
        self.remote = Remote(self.remote.url)

    async def finish(self) -> None:
        """Give the file its final name, once all of it is on disk. Raises OSError."""
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
        self.close()
        try:
            self.path.replace(self.target)
        except FileNotFoundError:
            # Another app on the same folder may have been faster.
            if not self.target.is_file():
                raise
        folder = os.open(self.target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._sidecar.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave it as it is; what is empty is no use."""
        if self._file is not None:
            self._file.close()
            self._file = None
            if not self.n_bytes:
                self.path.unlink(missing_ok=True)
