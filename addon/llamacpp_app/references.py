"""What people name as a model: addresses and references to Hugging Face."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from .errors import AppError
from .gguf import GgufError, part_names

HUGGING_FACE: Final = "https://huggingface.co"
_HUGGING_FACE_HOSTS: Final = {"huggingface.co", "www.huggingface.co", "hf.co"}
MAX_REFERENCE: Final = 2000
MAX_FILE_NAME: Final = 200

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][\w.+@=,-]*\.gguf", re.ASCII | re.IGNORECASE)
_SEGMENT: Final = re.compile(r"[\w.+@=, -]+", re.ASCII)
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class InvalidReferenceError(AppError):
    """What was named is no model that could be downloaded."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a file of a model comes from. file_name: as it is stored. sha256: None if unknown."""

    url: str
    file_name: str
    sha256: str | None = None


def check_file_name(name: str) -> str:
    """Return the name of a model's file if it can be used. Raises InvalidReferenceError."""
    if not _FILE_NAME.fullmatch(name) or len(name) > MAX_FILE_NAME or ".." in name:
        raise InvalidReferenceError(
            f"{name[:80]!r} is no name for a model's file: it must end in .gguf, and hold letters, "
            "digits and . _ + @ = , - alone."
        )
    return name


def parse_reference(
    text: str, sha256: str | None = None, *, hub: str = HUGGING_FACE
) -> ModelSource:
    """Return the source that is meant by an address or by `owner/repository:file.gguf`.

    hub: the address of Hugging Face, or of its mirror. Raises InvalidReferenceError.
    """
    text = text.strip()
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
    segments = _segments(parts.path)
    if host in _HUGGING_FACE_HOSTS:
        return _of_hub_address(segments, sha256, hub)
    url = urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))
    return ModelSource(url, check_file_name(segments[-1]), sha256)


def _segments(path: str) -> list[str]:
    """Return the parts of an address's path, none of which leads anywhere else."""
    segments = [unquote(one) for one in path.strip("/").split("/")]
    for segment in segments:
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise InvalidReferenceError(f"{path[:200]} is no path to a model.")
    return segments


def _of_hub(text: str, sha256: str | None, hub: str) -> ModelSource:
    """Return the source for `owner/repository:path/file.gguf` (or with a slash for the colon)."""
    repository, colon, path = text.partition(":")
    if not colon:
        owner, _, rest = text.partition("/")
        name, _, path = rest.partition("/")
        repository = f"{owner}/{name}"
    if not _REPOSITORY.fullmatch(repository) or not path:
        raise InvalidReferenceError(
            f"{text[:200]!r} is no model: enter an address that ends in .gguf, or "
            "owner/repository:file.gguf."
        )
    return _source(hub, repository.split("/"), "main", _segments(path), sha256)


def _of_hub_address(segments: list[str], sha256: str | None, hub: str) -> ModelSource:
    """Return the source for an address of Hugging Face, also of a page about a file."""
    kinds = ("resolve", "blob", "raw")
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
    head, _, tail = source.url.rpartition(source.file_name)
    return tuple(
        replace(
            source,
            url=head + name + tail,
            file_name=name,
            sha256=source.sha256 if number == 0 else None,
        )
        for number, name in enumerate(names)
    )


def redacted(url: str) -> str:
    """Return an address as it may be logged: without user, password and query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit((parts.scheme, (parts.hostname or "") + port, parts.path, "", ""))[:300]
    except ValueError:
        return "the address"
