"""The models: those of the options, those added on the page, and files put there by hand."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass, replace
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Final

from .command import LocalModel
from .download import DownloadError, WrongHashError
from .errors import AppError, in_words
from .folder import PROJECTOR_PREFIX, Folder
from .gguf import GgufError, Use, read_gguf, stem_of
from .model_names import (
    InvalidReferenceError,
    Quantisation,
    check_file_name,
    parse_reference,
    part_sources,
)
from .options import MAX_MODELS, ModelOption
from .sources import Sources, same_as

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from pathlib import Path

    from .download import Downloader, Progress
    from .folder import FoundModel
    from .gguf import GgufInfo
    from .model_names import ModelSource, Reference
    from .startup import Setup

_LOGGER = logging.getLogger(__name__)

# A model that could not be had is tried again after so long.
RETRY_SECONDS: Final = 900.0
SCAN_SECONDS: Final = 30.0
# While a file is being copied.
RESTLESS_SECONDS: Final = 2.0
_PARTS: Final = (".part", ".part.json")


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


class Lacking(Enum):
    """What is to be fetched of a model that is there: some of its parts, or all of it again."""

    PARTS = "parts"
    ALL = "all"


class CatalogError(AppError):
    """What is to be done with a model cannot be done."""


class UnknownModelError(CatalogError):
    """There is no such model."""


@dataclass(slots=True)
class Entry:
    """A model. found: its files in the folder. error: why it cannot be served.

    warning: what it lacks, though it can be served. left: what was there when fetching it failed,
    such as the first of several parts. retry_at, projector_at: when to try again to
    fetch it, or its projector (monotonic seconds).
    """

    name: str
    origin: Origin
    option: ModelOption | None = None
    state: ModelState = ModelState.WAITING
    progress: Progress | None = None
    error: str | None = None
    warning: str | None = None
    found: FoundModel | None = None
    left: FoundModel | None = None
    projector: Path | None = None
    retry_at: float = math.inf
    projector_at: float = math.inf

    @property
    def info(self) -> GgufInfo | None:
        """What its file tells, once it is there."""
        return self.found.info if self.found else None


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
        self._folder = Folder(setup.paths.models, embeddings=setup.options.embeddings)
        self._sources = Sources(setup.paths.sources)
        self._found: dict[str, FoundModel] = {}
        # Projectors that llama-server could not use.
        self._dropped: set[Path] = set()
        # What was downloaded in this run, and is not again.
        self._fetched: set[str] = set()
        self._is_restless = False
        self._looking = asyncio.Lock()
        # Why files in the folder are no models, by their names.
        self.ignored: dict[str, str] = {}
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
            LocalModel(one.name, one.found.paths[0], one.projector, one.found.signature)
            for one in self.entries.values()
            if one.state is ModelState.READY and one.found is not None
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
            if not await self._work():
                await self._rest()

    async def _work(self) -> bool:
        """Fetch the next model or projector; return whether there was one."""
        now = time.monotonic()
        for entry in self.entries.values():
            if entry.state is ModelState.WAITING:
                await self._run_fetch(entry, self._fetch(entry))
                return True
        for entry in self.entries.values():
            if entry.state is ModelState.READY and now >= entry.projector_at:
                await self._run_fetch(entry, self._fetch_projector(entry))
                return True
        return False

    @property
    def _pause(self) -> float:
        return RESTLESS_SECONDS if self._is_restless else SCAN_SECONDS

    async def _rest(self) -> None:
        """Wait until there is something to do, at most until the folder is to be looked at."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._wake.wait()
        self._wake.clear()
        for entry in self.entries.values():
            if entry.state is ModelState.FAILED and time.monotonic() >= entry.retry_at:
                entry.state = ModelState.WAITING

    async def _run_fetch(self, entry: Entry, work: Coroutine[Any, Any, None]) -> None:
        """Fetch something in a task of its own, which deleting the model can end.

        The folder is looked at meanwhile: a large model takes hours.
        """
        task = asyncio.create_task(work)
        self._fetching = (entry.name, task)
        try:
            while not (await asyncio.wait([task], timeout=self._pause))[0]:
                await self.scan()
        finally:
            task.cancel()
            (fault,) = await asyncio.gather(task, return_exceptions=True)
            self._fetching = None
            if isinstance(fault, Exception):
                # Whatever it is, the other models are looked after.
                _LOGGER.error("The model %s cannot be had", entry.name, exc_info=fault)
                words = f"The app made a mistake: {fault!r}"
                if entry.state is ModelState.READY:
                    self._warn(entry, words)
                else:
                    self._set_failed(entry, words)

    async def _fetch(self, entry: Entry) -> None:
        """Have all files of a model, looking first whether they are there."""
        option = entry.option
        if option is None:
            return
        entry.error = None
        try:
            reference = parse_reference(option.url, option.sha256, hub=self._hub)
            source = _source_of(reference, self._hub)
            found = self._found.get(entry.name)
            if found is None or (lacking := self._lacking(found, source)):
                entry.state = ModelState.DOWNLOADING
                replaces = found is not None and lacking is Lacking.ALL
                found = await self._download(entry, reference, source, replaces=replaces)
        except (DownloadError, InvalidReferenceError, GgufError, OSError) as err:
            self._set_failed(entry, _told(err))
            if isinstance(err, (WrongHashError, InvalidReferenceError)):
                # What is known to be wrong is not fetched again before it was changed.
                entry.retry_at = math.inf
            _LOGGER.warning("The model %s cannot be had: %s", entry.name, entry.error)
            await self._look()
            entry.left = self._found.get(entry.name)
            return
        finally:
            entry.progress = None
        self._show(entry, found)

    def _lacking(self, found: FoundModel, source: str) -> Lacking | None:
        """Return what is to be fetched though a model is there; None: nothing."""
        first = found.paths[0]
        noted = self._sources.of(first.name) if first.parent == self._paths.models else None
        is_new = first.name in self._fetched
        if noted not in (None, source) and not is_new:
            return Lacking.ALL
        if not found.is_model or not found.signature:
            return None
        if not all(one.is_file() for one in found.paths):
            return Lacking.PARTS
        # What came damaged is fetched again once at each start: its source may be mended.
        return Lacking.ALL if found.error and noted and not is_new else None

    async def _download(
        self, entry: Entry, reference: Reference, source: str, *, replaces: bool
    ) -> FoundModel:
        """Fetch the files of a model, and read them. replaces: those that are there are replaced.

        Raises DownloadError, InvalidReferenceError, GgufError, OSError.
        """

        def note(progress: Progress) -> None:
            entry.progress = progress

        folder = self._paths.models
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(reference, Quantisation):
            reference = await self._downloader.find(reference)
        before = self._found.get(entry.name) if replaces else None
        paths = []
        for one in _named(entry.name, reference):
            is_there = not replaces and await asyncio.to_thread((folder / one.file_name).is_file)
            paths.append(await self._downloader.fetch(one, folder, note, replaces=replaces))
            self._fetched.add(one.file_name)
            if not is_there:
                self._sources.note(one.file_name, source)
        if before:
            left = [one.name for one in before.paths if one not in paths]
            await asyncio.to_thread(_remove, folder, left)
            self._sources.forget(*left)
        self._folder.rest.trust(paths)
        await self._look()
        found = self._found.get(entry.name)
        if found is None:
            raise DownloadError(f"{paths[0].name} was taken away as soon as it was there.")
        return found

    async def _fetch_projector(self, entry: Entry) -> None:
        """Fetch what the first model sees with; it answers meanwhile, and without it."""
        entry.projector_at = math.inf
        try:
            await self._have_projector(entry, self._projector_url or "")
        except (DownloadError, InvalidReferenceError, GgufError, OSError) as err:
            self._warn(entry, _told(err))
            if not isinstance(err, (InvalidReferenceError, GgufError)):
                entry.projector_at = time.monotonic() + RETRY_SECONDS
        finally:
            entry.progress = None

    async def _have_projector(self, entry: Entry, url: str) -> None:
        """Have the projector of a model. Raises as `_download` does."""

        def note(progress: Progress) -> None:
            entry.progress = progress

        reference = parse_reference(url, hub=self._hub)
        if isinstance(reference, Quantisation):
            raise InvalidReferenceError(
                "The option projector_url must name a file, as owner/repository:mmproj-F16.gguf."
            )
        file = replace(reference, file_name=f"{PROJECTOR_PREFIX}-{entry.name}.gguf")
        source = _source_of(reference, self._hub)
        noted = self._sources.of(file.file_name)
        is_other = noted not in (None, source)
        target = self._paths.models / file.file_name
        is_there = not is_other and await asyncio.to_thread(target.is_file)
        path = await self._downloader.fetch(file, self._paths.models, note, replaces=is_other)
        if not is_there:
            self._dropped.discard(path)
            self._sources.note(file.file_name, source)
        self._folder.rest.trust([path])
        info = await asyncio.to_thread(read_gguf, path)
        if info.use is not Use.PROJECTOR:
            raise GgufError(f"{path.name} is no projector: look at the option projector_url.")
        if path not in self._dropped and entry.projector != path:
            entry.projector, entry.warning = path, None
            self.changed.set()

    def _warn(self, entry: Entry, reason: str) -> None:
        entry.warning = f"The model sees no pictures. {reason}"
        _LOGGER.warning("%s: %s", entry.name, entry.warning)

    def _set_failed(self, entry: Entry, error: str) -> None:
        entry.state, entry.error = ModelState.FAILED, error
        entry.retry_at = time.monotonic() + RETRY_SECONDS

    def _show(self, entry: Entry, found: FoundModel) -> None:
        """Take what was found of a model: it can be served, or the reason is told."""
        is_same = entry.found is not None and entry.found.signature == found.signature
        entry.found, entry.retry_at = found, math.inf
        is_first = entry is next(iter(self.entries.values()))
        if not self._projector_url or not is_first:
            entry.projector = self._own_projector(found)
        elif not is_same:
            entry.projector, entry.projector_at = None, time.monotonic()
        if found.error is None:
            entry.state, entry.error = ModelState.READY, None
        else:
            entry.state, entry.error = ModelState.FAILED, found.error
            _LOGGER.warning("The model %s cannot be served: %s", entry.name, found.error)
        self.changed.set()

    def _own_projector(self, found: FoundModel) -> Path | None:
        """Return the projector that lies beside a model."""
        path = found.projector
        if path is None or path in self._dropped:
            return None
        # One that the option has fetched is not used without it.
        return path if self._sources.of(path.name) is None else None

    async def _look(self) -> None:
        """Look what lies in the folder."""
        async with self._looking:
            found = await asyncio.to_thread(self._folder.look)
        self._is_restless = found.is_restless
        ignored = dict(found.ignored)
        self._found = {}
        for one in sorted(found.models, key=lambda one: not one.is_model):
            known = self._found.setdefault(one.name, one)
            if known is not one and one.is_model:
                file = str(one.paths[0].relative_to(self._paths.models))
                ignored[file] = "There is another model of this name."
        for file in sorted(set(ignored) - set(self.ignored)):
            _LOGGER.info("The file %s is not offered as a model. %s", file, ignored[file])
        self.ignored = ignored
        self._show_parts(found.parts)

    async def scan(self) -> None:
        """Look for files that were put into the folder by hand, changed, or taken out of it."""
        await self._look()
        fetched = self._fetching[0] if self._fetching else None
        for entry in list(self.entries.values()):
            found = self._found.get(entry.name)
            if entry.name == fetched and entry.state is not ModelState.READY:
                continue
            if entry.found is None:
                is_failed = entry.state is ModelState.FAILED
                if found and entry.option and is_failed and found != entry.left:
                    # Put there by hand, instead of the download.
                    entry.state = ModelState.WAITING
                elif found and not entry.option:
                    self._show(entry, found)
            elif found is None or not (found.is_model or entry.option):
                self._forget_files(entry)
            elif found != entry.found:
                self._show(entry, found)
        for name, found in self._found.items():
            is_new = name not in self.entries and len(self.entries) < 2 * MAX_MODELS
            if found.is_model and is_new:
                entry = self.entries[name] = Entry(name, Origin.FOLDER)
                self._show(entry, found)

    def _show_parts(self, parts: Iterable[Path]) -> None:
        """Show downloads that nobody goes on with, so that they can be deleted."""
        left = set()
        for path in parts:
            name = stem_of(path.name.removesuffix(".part"))
            wanted = self.entries.get(name.removeprefix(f"{PROJECTOR_PREFIX}-"))
            if wanted is None or (wanted.option is None and wanted.found is None):
                left.add(name)
        for name, entry in list(self.entries.items()):
            if not entry.option and not entry.found and name not in left:
                del self.entries[name]
        for name in left - set(self.entries):
            entry = self.entries[name] = Entry(name, Origin.FOLDER, None, ModelState.FAILED)
            entry.error = "This download was given up: delete it, or add the model again."

    def _forget_files(self, entry: Entry) -> None:
        """Fetch files that are gone again, if a user wants them."""
        entry.found = entry.projector = None
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
        reference = parse_reference(option.url, option.sha256, hub=self._hub)
        if not isinstance(reference, Quantisation):
            _named(option.name, reference)
        self.entries[option.name] = Entry(option.name, Origin.PAGE, option)
        try:
            self._save()
        except CatalogError:
            # What is refused is not fetched either.
            del self.entries[option.name]
            raise
        self._wake.set()

    def drop_projector(self, name: str, reason: str) -> None:
        """Serve a model without its projector, which llama-server cannot use."""
        entry = self.entries.get(name)
        if entry is not None and entry.projector is not None:
            self._dropped.add(entry.projector)
            entry.projector = None
            self._warn(entry, reason)
            self.changed.set()

    async def remove(self, name: str) -> None:
        """Delete a model with its files. Raises CatalogError for one of the options."""
        entry = self.entry(name)
        if entry.origin is Origin.OPTIONS:
            raise CatalogError(f"The model {name} is one of the app's options: remove it there.")
        if self._fetching and self._fetching[0] == name:
            self._fetching[1].cancel()
            await asyncio.wait([self._fetching[1]])
        names = _file_names(entry, self._paths.models)
        try:
            await asyncio.to_thread(_remove, self._paths.models, names)
        except OSError as err:
            raise CatalogError(f"The model {name} cannot be deleted. {in_words(err)}") from err
        self._sources.forget(*names)
        del self.entries[name]
        self._save()
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


def _source_of(reference: Reference, hub: str) -> str:
    """Return what is noted of the origin of a file."""
    if isinstance(reference, Quantisation):
        return f"{reference.repository}:{reference.tag}"
    return same_as(reference.url, hub)


def _named(name: str, source: ModelSource) -> list[ModelSource]:
    """Return the files of a model, under its own name. Raises InvalidReferenceError."""
    parts = part_sources(source)
    if len(parts) == 1:
        return [replace(parts[0], file_name=check_file_name(f"{name}.gguf"))]
    return [
        replace(one, file_name=f"{name}-{number:05}-of-{len(parts):05}.gguf")
        for number, one in enumerate(parts, 1)
    ]


def _file_names(entry: Entry, folder: Path) -> list[str]:
    """Return the names of all files of a model that may be there, as seen from the folder."""
    paths = entry.found.paths if entry.found else (folder / f"{entry.name}.gguf",)
    names = [str(one.relative_to(folder)) for one in paths]
    names.append(f"{PROJECTOR_PREFIX}-{entry.name}.gguf")
    # Of what is not at its end, nobody knows how many parts it has.
    stem = glob.escape(entry.name)
    begun = [
        one.name
        for pattern in (f"{stem}.gguf.part*", f"{stem}-?????-of-?????.gguf*")
        for one in folder.glob(pattern)
    ]
    return sorted({*names, *(f"{name}{suffix}" for name in names for suffix in _PARTS), *begun})


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
