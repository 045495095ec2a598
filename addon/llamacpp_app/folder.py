"""What lies in the folder of models: models with their projectors, what rests, what is no model."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from .errors import in_words
from .gguf import GgufError, Use, is_later_part, part_names, read_parts, stem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .gguf import GgufInfo

# Who copies a file writes to it at least so often.
REST_SECONDS: Final = 10.0
# Models may be kept in folders of their own, as other programs do.
MAX_DEPTH: Final = 4
MAX_FILES: Final = 1000
SUFFIX: Final = ".gguf"
PART_SUFFIX: Final = ".gguf.part"
PROJECTOR_PREFIX: Final = "mmproj"

# The router's list of models has names in brackets, and `--alias` parts them by commas.
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x1f\x7f/\\\[\],]+")
_QUANTISATION: Final = re.compile(r"[-._](?:ud[-_])?(?:i?q\d.*|b?f16|f32|mxfp4.*)$", re.IGNORECASE)
_SEPARATORS: Final = "-._ "

type Signature = tuple[tuple[int, int, int], ...]


def name_of(path: Path) -> str:
    """Return what a model is called by its file: all of its name that a name may hold."""
    return _NOT_IN_NAMES.sub("-", stem_of(path.name)).strip()


def signature_of(paths: Iterable[Path]) -> Signature:
    """Return what changes whenever files are written to. Raises OSError."""
    stats = [path.stat() for path in paths]
    return tuple((one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in stats)


class Rest:
    """Tells whether files rest: the size alone does not, for some set it before the content."""

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        running: Callable[[], float] = time.monotonic,
    ) -> None:
        """now: by the clock of files. running: by one that nobody sets."""
        self._now = now
        self._running = running
        self._seen: dict[Path, tuple[Signature, float]] = {}

    def is_resting(self, path: Path) -> bool:
        """Return whether a file has not been written to for a while. Raises OSError."""
        signature = signature_of([path])
        known, since = self._seen.get(path, (None, 0.0))
        if signature != known:
            since = self._running()
            self._seen[path] = (signature, since)
        # The clock of a network's disk may go otherwise.
        age = self._now() - signature[0][2] / 1e9
        return age >= REST_SECONDS or self._running() - since >= REST_SECONDS

    def trust(self, paths: Iterable[Path]) -> None:
        """Take files for resting, for we have written them. Raises OSError."""
        for path in paths:
            self._seen[path] = (signature_of([path]), -REST_SECONDS)

    def forget_all_but(self, paths: set[Path]) -> None:
        """Forget files that are gone."""
        for path in set(self._seen) - paths:
            del self._seen[path]


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model in the folder. info: None with an error, and while it is being copied.

    is_model: no for what is none, which only an option may have meant.
    """

    name: str
    paths: tuple[Path, ...]
    signature: Signature = ()
    projector: Path | None = None
    info: GgufInfo | None = None
    error: str | None = None
    is_model: bool = True


@dataclass(slots=True)
class Found:
    """What a look at the folder has found.

    ignored: why files are no models, by their names. parts: downloads that are not at their end.
    """

    models: list[FoundModel] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    parts: list[Path] = field(default_factory=list)
    is_restless: bool = False


class Folder:
    """The folder of models; files are only read again when they have changed."""

    def __init__(self, path: Path, *, embeddings: bool) -> None:
        """embeddings: models that are made for these are served, too."""
        self.path = path
        self.rest = Rest()
        self._embeddings = embeddings
        self._known: dict[Path, tuple[Signature, FoundModel, Use | None]] = {}

    def look(self) -> Found:
        """Look which models there are."""
        found = Found()
        files = _files(self.path, found.ignored)
        self.rest.forget_all_but(set(files))
        self._known = {path: one for path, one in self._known.items() if path in files}
        projectors: list[Path] = []
        for path in files:
            if path.name.lower().endswith(PART_SUFFIX):
                found.parts.append(path)
                continue
            if is_later_part(path.name):
                continue
            try:
                self._take(path, found, projectors)
            except OSError as err:
                found.ignored[self._shown(path)] = in_words(err)
        found.models = [self._with_projector(one, projectors, found) for one in found.models]
        used = {one.projector for one in found.models}
        for path in projectors:
            if path not in used:
                self._ignore(path, "It is a projector, and no model is named alike.", found)
        return found

    def _ignore(self, path: Path, why: str, found: Found) -> None:
        found.ignored[self._shown(path)] = why
        found.models.append(FoundModel(name_of(path), (path,), error=why, is_model=False))

    def _take(self, path: Path, found: Found, projectors: list[Path]) -> None:
        """Read a file, and note what it is. Raises OSError."""
        try:
            paths = tuple(path.with_name(name) for name in part_names(path.name))
        except GgufError as err:
            found.ignored[self._shown(path)] = str(err)
            return
        there = [one for one in paths if one.is_file()]
        if not all([self.rest.is_resting(one) for one in there]):  # noqa: C419 - each is looked at
            found.is_restless = True
            words = f"{path.name} is still being copied: it is served when it is whole."
            found.models.append(FoundModel(name_of(path), paths, error=words))
            return
        signature = signature_of(there)
        known = self._known.get(path)
        if known is None or known[0] != signature:
            known = self._known[path] = (signature, *self._read(path, paths, signature))
        _, model, use = known
        if use is Use.PROJECTOR:
            projectors.append(path)
        elif path.name.lower().startswith(PROJECTOR_PREFIX):
            self._ignore(path, "It is named as a projector, and is none.", found)
        elif use is Use.ADAPTER:
            self._ignore(path, "It is an adapter, which changes a model, and is none.", found)
        elif use is Use.EMBEDDING and not self._embeddings:
            why = "It is a model for embeddings, and cannot chat: the option embeddings serves it."
            self._ignore(path, why, found)
        else:
            found.models.append(model)

    def _read(
        self, path: Path, paths: tuple[Path, ...], signature: Signature
    ) -> tuple[FoundModel, Use | None]:
        model = FoundModel(name_of(path), paths, signature)
        try:
            info = read_parts(paths)
        except (GgufError, OSError) as err:
            words = in_words(err) if isinstance(err, OSError) else str(err)
            return replace(model, error=words), None
        return replace(model, info=info), info.use

    def _with_projector(
        self, model: FoundModel, projectors: list[Path], found: Found
    ) -> FoundModel:
        """Return a model with its projector: one with its name, or the one in its own folder."""
        folder = model.paths[0].parent
        beside = [one for one in projectors if one.parent == folder]
        fitting = [one for one in beside if _base(one.name) == _base(model.paths[0].name)]
        models = [one for one in found.models if one.is_model and one.paths[0].parent == folder]
        if not fitting and folder != self.path and models == [model] and len(beside) == 1:
            fitting = beside
        if not fitting or model.info is None:
            return model
        return replace(model, projector=fitting[0])

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self.path))


def _base(file_name: str) -> str:
    """Return what a model and its projector have in common."""
    stem = stem_of(file_name).lower().replace(PROJECTOR_PREFIX, "")
    return _QUANTISATION.sub("", stem).strip(_SEPARATORS)


def _files(folder: Path, ignored: dict[str, str]) -> list[Path]:
    """Return the files of models below a folder; what cannot be read is noted as ignored."""

    def note(err: OSError) -> None:
        if not isinstance(err, FileNotFoundError):
            ignored[str(err.filename)] = in_words(err)

    found: list[Path] = []
    for place, folders, names in folder.walk(on_error=note):
        if len(place.relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        found.extend(
            place / name
            for name in sorted(names)
            if not name.startswith(".") and name.lower().endswith((SUFFIX, PART_SUFFIX))
        )
        if len(found) > MAX_FILES:
            break
    return [one for one in found[:MAX_FILES] if one.is_file()]
