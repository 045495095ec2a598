"""What people name as a model: addresses and references to Hugging Face."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from .errors import AppError
from .gguf import GgufError, part_names, stem_of

HUGGING_FACE: Final = "https://huggingface.co"
_HUGGING_FACE_HOSTS: Final = {"huggingface.co", "www.huggingface.co", "hf.co"}
MAX_REFERENCE: Final = 2000
MAX_FILE_NAME: Final = 200
MAX_MODEL_NAME: Final = 128
# What llama.cpp takes of a repository, too, if nothing else is said.
DEFAULT_QUANTISATION: Final = "Q4_K_M"

_SUFFIX: Final = ".gguf"
_SEGMENT: Final = re.compile(r"[^\x00-\x1f\x7f/\\]+")
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_TAG: Final = re.compile(r"[\w-]{1,40}", re.ASCII)
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.+@-]+|\.\.+")
_FIRST_PART: Final = re.compile(r"-00001-of-(\d{5})(?=\.gguf$)", re.IGNORECASE | re.ASCII)


class InvalidReferenceError(AppError):
    """What was named is no model that could be downloaded."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a file of a model comes from. file_name: its own. sha256: None if unknown."""

    url: str
    file_name: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Quantisation:
    """A model of a repository on Hugging Face, by its quantisation: the hub knows its file."""

    repository: str
    tag: str = DEFAULT_QUANTISATION
    sha256: str | None = None


type Reference = ModelSource | Quantisation


def check_file_name(name: str) -> str:
    """Return the name of a model's file if it can be used. Raises InvalidReferenceError."""
    stem = name[: -len(_SUFFIX)]
    if (
        not name.lower().endswith(_SUFFIX)
        or not _SEGMENT.fullmatch(name)
        or len(name) > MAX_FILE_NAME
        or not stem.strip("-. ")
        or ".." in name
    ):
        raise InvalidReferenceError(
            f"{name[:80]!r} is no name for a model's file: it must end in .gguf."
        )
    return name


def model_name(text: str) -> str:
    """Return what a model is called if nobody gives it a name: by its file, or its repository.

    Raises InvalidReferenceError.
    """
    reference = parse_reference(text)
    if isinstance(reference, Quantisation):
        repository = reference.repository.rpartition("/")[2]
        stem = f"{re.sub(r'-GGUF$', '', repository, flags=re.IGNORECASE)}-{reference.tag}"
    else:
        stem = stem_of(reference.file_name)
    name = _NOT_IN_NAMES.sub("-", stem)[:MAX_MODEL_NAME].strip("-._+@")
    return name or "model"


def parse_reference(text: str, sha256: str | None = None, *, hub: str = HUGGING_FACE) -> Reference:
    """Return what is meant: an address, `owner/repository:file.gguf` or `owner/repository:Q4_K_M`.

    hub: the address of Hugging Face, or of its mirror. Raises InvalidReferenceError.
    """
    text = text.strip()
    if text.partition("/")[0] in _HUGGING_FACE_HOSTS:
        text = f"https://{text}"
    if not text or len(text) > MAX_REFERENCE or not text.isprintable() or "\\" in text:
        raise InvalidReferenceError("This is no address of a model.")
    if "://" not in text or text.startswith("hf://"):
        return _of_hub(text.removeprefix("hf://"), sha256, hub)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidReferenceError(f"{redacted(text)} is no address.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidReferenceError(f"{redacted(text)} is no address with https or http.")
    if parts.username is not None or parts.password is not None:
        raise InvalidReferenceError(
            "The address holds a user or password: use the option hf_token instead."
        )
    if host in _HUGGING_FACE_HOSTS:
        return _of_hub_address(parts.path, sha256, hub)
    segments = _segments(parts.path)
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))
    return ModelSource(url, check_file_name(segments[-1]), sha256)


def _segments(path: str) -> list[str]:
    """Return the parts of an address's path, none of which leads anywhere else."""
    segments = [unquote(one) for one in path.strip("/").split("/")]
    for segment in segments:
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise InvalidReferenceError(f"{path[:200]} is no path to a model.")
    return segments


def _of_hub(text: str, sha256: str | None, hub: str) -> Reference:
    """Return what `owner/repository:path/file.gguf` means, with a slash for the colon, too.

    Behind the colon may be a quantisation; without one it is the default.
    """
    repository, colon, path = text.rstrip("/").partition(":")
    if not colon:
        owner, _, rest = repository.partition("/")
        name, _, path = rest.partition("/")
        repository = f"{owner}/{name}"
    if not _REPOSITORY.fullmatch(repository) or (colon and not path):
        raise InvalidReferenceError(
            f"{text[:200]!r} is no model: enter an address that ends in .gguf, "
            "owner/repository:file.gguf or owner/repository:Q4_K_M. A file of your own goes into "
            "the folder of models."
        )
    if not path.lower().endswith(_SUFFIX) and (not path or (colon and _TAG.fullmatch(path))):
        return Quantisation(repository, path or DEFAULT_QUANTISATION, sha256)
    return _source(hub, repository.split("/"), "main", _segments(path), sha256)


def _of_hub_address(path: str, sha256: str | None, hub: str) -> Reference:
    """Return what an address of Hugging Face means, also a page about a file or a repository."""
    kinds = ("resolve", "blob", "raw")
    segments = _segments(path)
    is_page = len(segments) == 2 or segments[2:] in (["tree", "main"], ["tree", "main", ""])  # noqa: PLR2004 - owner/name
    if is_page:
        repository, _, tag = f"{segments[0]}/{segments[1]}".partition(":")
        return _of_hub(f"{repository}:{tag}" if tag else repository, sha256, hub)
    if len(segments) < 5 or segments[2] not in kinds:  # noqa: PLR2004 - owner/name/kind/revision/file
        raise InvalidReferenceError(
            "This address of Hugging Face names no file: it must look like "
            "https://huggingface.co/owner/repository/resolve/main/file.gguf."
        )
    return _source(hub, segments[:2], segments[3], segments[4:], sha256)


def _source(
    hub: str, repository: list[str], revision: str, path: list[str], sha256: str | None
) -> ModelSource:
    name = check_file_name(path[-1])
    steps = "/".join(quote(one) for one in [*repository, "resolve", revision, *path])
    return ModelSource(f"{hub.rstrip('/')}/{steps}", name, sha256)


def part_sources(source: ModelSource) -> tuple[ModelSource, ...]:
    """Return all files of a model that comes in several parts, otherwise the one.

    A hash is that of the first part. Raises InvalidReferenceError for a part but the first.
    """
    try:
        names = part_names(source.file_name)
    except GgufError as err:
        raise InvalidReferenceError(str(err)) from err
    parts = urlsplit(source.url)
    return tuple(
        replace(
            source,
            url=urlunsplit(parts._replace(path=_of_part(parts.path, number + 1))),
            file_name=name,
            sha256=source.sha256 if number == 0 else None,
        )
        for number, name in enumerate(names)
    )


def _of_part(path: str, number: int) -> str:
    """Return the path of another part of a model than the first."""
    return _FIRST_PART.sub(lambda match: f"-{number:05}-of-{match[1]}", path)


def redacted(url: str) -> str:
    """Return an address as it may be logged: without user, password and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit((parts.scheme, (parts.hostname or "") + port, parts.path, "", ""))[:300]
    except ValueError:
        return "the address"
