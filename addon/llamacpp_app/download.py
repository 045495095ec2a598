"""Downloads models: resumed, tried again, checked, and under their names only when whole."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from .folder import PROJECTOR_PREFIX
from .gguf import is_later_part, stem_of
from .model_names import (
    DEFAULT_QUANTISATION,
    HUGGING_FACE,
    Quantisation,
    parse_reference,
    redacted,
)
from .partial_download import Part
from .transfer import (
    DownloadError,
    Fetch,
    InterruptedTransferError,
    NoModelError,
    WrongHashError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    import aiohttp

    from .model_names import ModelSource
    from .partial_download import Remote

    type OnProgress = Callable[[Progress], None]

__all__ = ["DownloadError", "Downloader", "Progress", "WrongHashError"]

_LOGGER = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0
# So many tries in a row without a new byte.
MAX_TRIES: Final = 10
# Captive portals answer with a page: retry a few times, then give up.
MAX_PAGES: Final = 3
MAX_WRONG_HASHES: Final = 2
MARGIN_BYTES: Final = 64_000_000
TELL_SECONDS: Final = 0.25
LOG_SECONDS: Final = 10.0
SPEED_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file is. total_bytes and seconds_left: None if nobody knows.

    fault: why nothing comes, in words, None while something does. retry_at: when that is tried
    again (monotonic seconds).
    """

    file_name: str
    done_bytes: int
    total_bytes: int | None
    bytes_per_second: float
    seconds_left: float | None
    fault: str | None = None
    retry_at: float | None = None


class Meter:
    """Tells how far a file is, and how fast it comes."""

    def __init__(self, part: Part, on_progress: OnProgress) -> None:
        """Begin to measure."""
        self._part = part
        self._on_progress = on_progress
        self._points: deque[tuple[float, int]] = deque()
        self._logged = time.monotonic()
        # What is wrong, how much was there then, and when it is tried again.
        self._fault: tuple[str, int, float] | None = None

    async def run(self) -> None:
        """Tell again and again, until this is cancelled."""
        while True:
            self.tell()
            await asyncio.sleep(TELL_SECONDS)

    def fail(self, fault: str, pause: float) -> None:
        """Tell that nothing comes, until something does. pause: seconds to the next try."""
        self._fault = fault, self._part.n_bytes, time.monotonic() + pause
        self.tell()

    def tell(self) -> None:
        """Tell now."""
        progress = self._progress()
        self._on_progress(progress)
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS and progress.total_bytes:
            self._logged = now
            _LOGGER.info(
                "%s: %d %%, %.1f MB/s, %s s left",
                progress.file_name,
                100 * progress.done_bytes // progress.total_bytes,
                progress.bytes_per_second / 1e6,
                "?" if progress.seconds_left is None else round(progress.seconds_left),
            )

    def _progress(self) -> Progress:
        now, done, total = time.monotonic(), self._part.n_bytes, self._part.remote.n_bytes
        if self._points and done < self._points[-1][1]:
            self._points.clear()
        self._points.append((now, done))
        while now - self._points[0][0] > SPEED_SECONDS:
            self._points.popleft()
        began, before = self._points[0]
        speed = (done - before) / (now - began) if now > began else 0.0
        left = (total - done) / speed if total is not None and speed else None
        if self._fault and done > self._fault[1]:
            self._fault = None
        fault, _, retry_at = self._fault or (None, 0, None)
        return Progress(self._part.target.name, done, total, speed, left, fault, retry_at)


class Downloader:
    """Downloads files over one session of HTTP. token: of Hugging Face, whose address is `hub`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        token: str | None = None,
        hub: str = HUGGING_FACE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """sleep: waits between tries. free_bytes: tells the room on the disk of a folder."""
        self._fetch = Fetch(session, token, hub)
        self._sleep = sleep
        self._free_bytes = free_bytes
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def find(self, wanted: Quantisation) -> ModelSource:
        """Return the file that a repository has of a quantisation. Raises DownloadError."""
        try:
            names = await self._fetch.listed(wanted.repository)
        except InterruptedTransferError as err:
            raise DownloadError(
                f"The files of {wanted.repository} cannot be listed: {err}. Look at the network."
            ) from err
        path = file_of(names, wanted)
        source = parse_reference(f"{wanted.repository}:{path}", wanted.sha256, hub=self._fetch.hub)
        if isinstance(source, Quantisation):
            raise DownloadError(f"{wanted.repository} has no file of a model.")
        return source

    async def fetch(
        self, source: ModelSource, folder: Path, on_progress: OnProgress, *, replaces: bool = False
    ) -> Path:
        """Return the file of a source, downloading it if it is not there.

        A file is there under its name only when it is whole. What an interruption leaves is gone on
        with the next time. replaces: another file of this name is replaced. Raises DownloadError,
        OSError.
        """
        target = folder / source.file_name
        async with self._locks.setdefault(target, asyncio.Lock()):
            if not replaces and await asyncio.to_thread(target.is_file):
                return target
            part = Part(target, source.url)
            try:
                await part.open()
                _LOGGER.info("Downloading %s from %s", target.name, redacted(source.url))
                await self._fetch_whole(source, part, on_progress)
            finally:
                part.close()
        _LOGGER.info("%s is there (%.1f MB)", target.name, part.n_bytes / 1e6)
        return target

    async def _fetch_whole(self, source: ModelSource, part: Part, on_progress: OnProgress) -> None:
        """Have all bytes, and the right ones, and give them their name."""
        for _ in range(MAX_WRONG_HASHES):
            meter = Meter(part, on_progress)
            telling = asyncio.create_task(meter.run())
            try:
                await self._fetch_all(part, source.sha256, meter)
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
            meter.tell()
            wanted = source.sha256 or part.remote.sha256
            if wanted in (None, part.sha256):
                await part.finish()
                return
            _LOGGER.warning("%s has not the hash that it should have", part.target.name)
            await part.clear()
        await asyncio.to_thread(part.path.unlink, missing_ok=True)
        raise _wrong_hash(source.url)

    async def _fetch_all(self, part: Part, sha256: str | None, meter: Meter) -> None:
        """Try until all bytes are there. Raises DownloadError when that is no use any more.

        sha256: that the file must have. meter: is told of faults that last.
        """

        def admit(remote: Remote) -> None:
            if None not in (sha256, remote.sha256) and sha256 != remote.sha256:
                # The hub knows it before the first byte.
                raise _wrong_hash(remote.url)
            self._admit(part, remote)

        n_tries = n_pages = 0
        at_first = part.n_bytes
        pause = FIRST_PAUSE_SECONDS
        while True:
            before = part.n_bytes
            try:
                await self._fetch.transfer(part, admit)
            except InterruptedTransferError as err:
                fault = err
            else:
                return
            n_pages = n_pages + 1 if isinstance(fault, NoModelError) else 0
            if part.n_bytes > before:
                n_tries, pause = 0, FIRST_PAUSE_SECONDS
            n_tries += 1
            if n_tries >= MAX_TRIES or n_pages >= MAX_PAGES:
                raise DownloadError(
                    f"{redacted(part.remote.url)} cannot be had: {fault}. Look at the network "
                    "and at the address of the model."
                )
            seconds = max(pause, fault.pause)
            _LOGGER.warning("%s: %s; next try in %.0f s", part.target.name, fault, seconds)
            if n_tries > 1 or part.n_bytes == at_first:
                # A break in between, as there are many on the way, is not worth a word.
                meter.fail(str(fault), seconds)
            await self._sleep(seconds)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _admit(self, part: Part, remote: Remote) -> None:
        """Raise DownloadError if there is no room for what is missing."""
        needed = max(0, (remote.n_bytes or 0) - part.n_bytes) + MARGIN_BYTES
        free = self._free_bytes(part.target.parent)
        if needed > free:
            raise DownloadError(
                f"The disk is too full for {part.target.name}: {needed / 1e9:.1f} GB are needed, "
                f"{free / 1e9:.1f} GB are free. Delete something, or choose a smaller model."
            )


def _wrong_hash(url: str) -> WrongHashError:
    return WrongHashError(
        f"What {redacted(url)} sends has not the SHA-256 that it should have: empty the option "
        "model_sha256 or mend it, and restart the app."
    )


def file_of(paths: Sequence[str], wanted: Quantisation) -> str:
    """Return the path of the file of a quantisation. Raises DownloadError."""
    models = {
        path: stem_of(path.rpartition("/")[2])
        for path in sorted(paths, key=lambda path: (path.count("/"), len(path), path))
        if path.lower().endswith(".gguf")
        and PROJECTOR_PREFIX not in path.rpartition("/")[2].lower()
        and not is_later_part(path)
    }
    ending = re.compile(rf"(?:^|[-.]){re.escape(wanted.tag)}$", re.IGNORECASE)
    fitting = [path for path, stem in models.items() if ending.search(stem)]
    if not fitting and wanted.tag == DEFAULT_QUANTISATION and len(models) == 1:
        fitting = list(models)
    if fitting:
        return fitting[0]
    known = ", ".join(sorted(set(models.values())))[:300]
    raise DownloadError(
        f"{wanted.repository} has no model in {wanted.tag}. "
        + (
            f"It has {known}: name one as {wanted.repository}:file.gguf."
            if known
            else "It has none in GGUF at all: look for a repository whose name ends in -GGUF."
        )
    )
