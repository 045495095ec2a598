"""The models: those of the options, those added on the page, and files put there by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from .command import LocalModel
from .download import DownloadError
from .errors import AppError, in_words
from .gguf import GgufError, part_names, read_parts
from .options import MAX_MODELS, ModelOption
from .references import InvalidReferenceError, check_file_name, parse_reference, part_sources

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .download import Downloader, Progress
    from .gguf import GgufInfo
    from .references import ModelSource
    from .startup import Setup

_LOGGER = logging.getLogger(__name__)

# A model that could not be had is tried again after so long.
RETRY_SECONDS: Final = 900.0
SCAN_SECONDS: Final = 30.0
PROJECTOR_PREFIX: Final = "mmproj-"


class Origin(StrEnum):
    """Who wants the model."""

    OPTIONS = "options"
    PAGE = "page"
    FOLDER = "folder"


class ModelState(StrEnum):
    """How far it is."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    READY = "ready"
    FAILED = "failed"


class CatalogError(AppError):
    """What is to be done with a model cannot be done."""


class UnknownModelError(CatalogError):
    """There is no such model."""


@dataclass(slots=True)
class Entry:
    """A model. path, info: once its file is there. error: why it cannot be served.

    warning: what it lacks, though it can be served.
    n_bytes: of a file that lies in the folder. retry_at: when to try again (monotonic seconds).
    """

    name: str
    origin: Origin
    option: ModelOption | None = None
    state: ModelState = ModelState.WAITING
    progress: Progress | None = None
    error: str | None = None
    warning: str | None = None
    path: Path | None = None
    projector: Path | None = None
    info: GgufInfo | None = None
    n_bytes: int = 0
    retry_at: float = math.inf


class Catalog:
    """Knows all models and fetches what is missing, one after the other.

    `changed` is set whenever a model has come or gone.
    """

    def __init__(self, setup: Setup, downloader: Downloader) -> None:
        """Take note of what is wanted."""
        self._paths = setup.paths
        self._downloader = downloader
        self._hub = setup.hub
        self._projector_url = setup.options.projector_url
        self.changed = asyncio.Event()
        self.entries: dict[str, Entry] = {
            one.name: Entry(one.name, Origin.OPTIONS, one)
            for one in setup.options.configured_models()
        }
        for one in self._added():
            self.entries.setdefault(one.name, Entry(one.name, Origin.PAGE, one))
        self._wake = asyncio.Event()
        self._fetching: tuple[str, asyncio.Task[None]] | None = None

    def ready(self) -> tuple[LocalModel, ...]:
        """Return the models that can be served, that of the options first."""
        return tuple(
            LocalModel(one.name, one.path, one.projector)
            for one in self.entries.values()
            if one.state is ModelState.READY and one.path is not None
        )

    def entry(self, name: str) -> Entry:
        """Return a model; raises UnknownModelError."""
        try:
            return self.entries[name]
        except KeyError:
            raise UnknownModelError(f"There is no model {name}.") from None

    async def run(self) -> None:
        """Look after the models until this is cancelled."""
        while True:
            await self.scan()
            waiting = [one for one in self.entries.values() if one.state is ModelState.WAITING]
            for entry in waiting[:1]:
                await self._run_fetch(entry)
            if not waiting:
                await self._rest()

    async def _rest(self) -> None:
        """Wait until there is something to do, at most until the folder is to be looked at."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SCAN_SECONDS):
                await self._wake.wait()
        self._wake.clear()
        for entry in self.entries.values():
            if entry.state is ModelState.FAILED and time.monotonic() >= entry.retry_at:
                entry.state = ModelState.WAITING

    async def _run_fetch(self, entry: Entry) -> None:
        """Fetch a model in a task of its own, which deleting the model can end."""
        task = asyncio.create_task(self._fetch(entry))
        self._fetching = (entry.name, task)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            (fault,) = await asyncio.gather(task, return_exceptions=True)
            self._fetching = None
            if isinstance(fault, Exception):
                # Whatever it is, the other models are looked after.
                _LOGGER.error("The model %s cannot be had", entry.name, exc_info=fault)
                self._set_failed(entry, f"The app made a mistake: {fault!r}")

    async def _fetch(self, entry: Entry) -> None:
        """Have all files of a model, looking first whether they are there."""

        def note(progress: Progress) -> None:
            entry.progress = progress

        option = entry.option
        if option is None:
            return
        entry.state, entry.error = ModelState.DOWNLOADING, None
        try:
            self._paths.models.mkdir(parents=True, exist_ok=True)
            paths = [
                await self._downloader.fetch(one, self._paths.models, note)
                for one in self._sources(option.name, option.url, option.sha256)
            ]
            if self._projector_url and entry is next(iter(self.entries.values())):
                projector = parse_reference(self._projector_url, hub=self._hub)
                named = replace(projector, file_name=f"{PROJECTOR_PREFIX}{option.name}.gguf")
                entry.projector = await self._downloader.fetch(named, self._paths.models, note)
            entry.info = await asyncio.to_thread(read_parts, paths)
        except (DownloadError, InvalidReferenceError, GgufError, OSError) as err:
            self._set_failed(entry, _told(err))
            _LOGGER.warning("The model %s cannot be had: %s", entry.name, entry.error)
            return
        finally:
            entry.progress = None
        entry.path = paths[0]
        self._set_ready(entry)

    def _sources(self, name: str, url: str, sha256: str | None) -> list[ModelSource]:
        """Return the files of a model, under its own name."""
        parts = part_sources(parse_reference(url, sha256, hub=self._hub))
        if len(parts) == 1:
            return [replace(parts[0], file_name=check_file_name(f"{name}.gguf"))]
        stem = parts[0].file_name.removesuffix(".gguf").rpartition("-00001-of-")[0]
        return [
            replace(one, file_name=check_file_name(name + one.file_name.removeprefix(stem)))
            for one in parts
        ]

    def _set_failed(self, entry: Entry, error: str) -> None:
        entry.state, entry.error = ModelState.FAILED, error
        entry.retry_at = time.monotonic() + RETRY_SECONDS

    def _set_ready(self, entry: Entry) -> None:
        entry.state, entry.error = ModelState.READY, None
        self.changed.set()

    async def scan(self) -> None:
        """Look for files that were put into the folder by hand, or taken out of it."""
        found = await asyncio.to_thread(_model_files, self._paths.models)
        for entry in list(self.entries.values()):
            is_there = entry.path in found
            if entry.path is not None and (not is_there or _has_changed(entry)):
                self._forget_file(entry)
        known = {one.path for one in self.entries.values()}
        for path in found:
            name = path.name.removesuffix(".gguf")
            if path in known or name in self.entries or len(self.entries) >= 2 * MAX_MODELS:
                continue
            await self._add_file(name, path)

    async def _add_file(self, name: str, path: Path) -> None:
        """Take a file that lies there, unless it is one that is just being fetched."""
        if any(one.option and self._is_file_of(one, path) for one in self.entries.values()):
            return
        entry = self.entries[name] = Entry(name, Origin.FOLDER, path=path)
        try:
            entry.n_bytes, entry.info = await asyncio.to_thread(_read_file, path)
        except (GgufError, OSError) as err:
            entry.state, entry.error = ModelState.FAILED, _told(err)
            _LOGGER.warning("The file %s cannot be served: %s", path.name, entry.error)
            return
        self._set_ready(entry)

    def _is_file_of(self, entry: Entry, path: Path) -> bool:
        return path.name.startswith((f"{entry.name}-0", f"{entry.name}.gguf"))

    def _forget_file(self, entry: Entry) -> None:
        """Fetch a file that is gone again, if somebody wants it."""
        entry.path = entry.info = None
        if entry.option is None:
            del self.entries[entry.name]
        else:
            entry.state = ModelState.WAITING
        self.changed.set()

    def add(self, option: ModelOption) -> None:
        """Want a further model. Raises CatalogError, InvalidReferenceError."""
        if option.name in self.entries:
            raise CatalogError(f"There is a model {option.name} already.")
        if len(self.entries) >= MAX_MODELS:
            raise CatalogError(f"There are {MAX_MODELS} models: delete one first.")
        self._sources(option.name, option.url, option.sha256)
        self.entries[option.name] = Entry(option.name, Origin.PAGE, option)
        self._save()
        self._wake.set()

    def drop_projector(self, name: str, reason: str) -> None:
        """Serve a model without its projector, which llama-server cannot use."""
        entry = self.entries.get(name)
        if entry is not None and entry.projector is not None:
            entry.projector = None
            entry.warning = f"The model sees no pictures. {reason}"
            self.changed.set()

    async def remove(self, name: str) -> None:
        """Delete a model with its files. Raises CatalogError for one of the options."""
        entry = self.entry(name)
        if entry.origin is Origin.OPTIONS:
            raise CatalogError(f"The model {name} is one of the app's options: remove it there.")
        if self._fetching and self._fetching[0] == name:
            self._fetching[1].cancel()
            await asyncio.wait([self._fetching[1]])
        del self.entries[name]
        self._save()
        names = _file_names(entry)
        await asyncio.to_thread(_remove, self._paths.models, names)
        _LOGGER.info("The model %s is deleted", name)
        self.changed.set()

    def _added(self) -> list[ModelOption]:
        """Return what was added on the page; a file that makes no sense counts as none."""
        try:
            return [ModelOption(**one) for one in json.loads(self._paths.added_models.read_text())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as err:
            _LOGGER.warning("What was added on the page cannot be read: %s", _told(err))
            return []

    def _save(self) -> None:
        """Write what was added on the page. Raises CatalogError."""
        added = [
            asdict(one.option)
            for one in self.entries.values()
            if one.origin is Origin.PAGE and one.option
        ]
        path = self._paths.added_models
        temporary = path.with_name(path.name + ".new")
        try:
            with temporary.open("w") as file:
                json.dump(added, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as err:
            raise CatalogError(f"The list of models cannot be written. {in_words(err)}") from err


def _told(err: Exception) -> str:
    return in_words(err) if isinstance(err, OSError) else str(err)


def _read_file(path: Path) -> tuple[int, GgufInfo]:
    parts = [path.with_name(name) for name in part_names(path.name)]
    return path.stat().st_size, read_parts(parts)


def _has_changed(entry: Entry) -> bool:
    """Tell whether a file that could not be served has another size now."""
    if entry.state is not ModelState.FAILED or entry.path is None:
        return False
    try:
        return entry.path.stat().st_size != entry.n_bytes
    except OSError:
        return True


def _model_files(folder: Path) -> list[Path]:
    """Return the models in a folder: of several parts the first, and no projectors."""
    found = []
    for path in sorted(folder.glob("*.gguf")) if folder.is_dir() else []:
        if path.name.startswith(PROJECTOR_PREFIX) or not path.is_file():
            continue
        try:
            check_file_name(path.name)
            part_names(path.name)
        except (GgufError, InvalidReferenceError):
            continue
        found.append(path)
    return found


def _file_names(entry: Entry) -> list[str]:
    """Return the names of all files of a model that may be there."""
    first = entry.path.name if entry.path else f"{entry.name}.gguf"
    names = [*part_names(first), f"{PROJECTOR_PREFIX}{entry.name}.gguf"]
    return [name + suffix for name in names for suffix in ("", ".part", ".part.json")]


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
