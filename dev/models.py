"""GGUF files for the demo: local ones, or downloads in the cache."""

import hashlib
import time
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.error import HTTPError
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPResponse

GGUF_MAGIC = b"GGUF"
CHUNK_BYTES = 1 << 20
PROGRESS_SECONDS = 5.0
READ_SECONDS = 60.0


class ModelError(Exception):
    """The model is not available, or the file is not a model."""


def find_model(file_or_url: str, cache: Path) -> Path:
    """Return the GGUF file for a path or an http(s) URL, downloaded to `cache` if missing.

    An interrupted download is resumed. Raises ModelError.
    """
    if urlsplit(file_or_url).scheme in ("http", "https"):
        return _downloaded(file_or_url, cache)
    path = Path(file_or_url).expanduser()
    if not path.is_file():
        message = f"there is no file {path}"
        raise ModelError(message)
    _check_magic(path)
    return path


def _downloaded(url: str, cache: Path) -> Path:
    name = Path(urlsplit(url).path).name or "model.gguf"
    target = cache / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        try:
            _download(url, part)
        except OSError as err:
            message = f"{name} could not be downloaded ({err}); start again to resume"
            raise ModelError(message) from err
        _check_magic(part)
        part.rename(target)
    return target


def _download(url: str, part: Path) -> None:
    """Append the missing bytes of the file at `url` to `part`. Raises OSError."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s), checked above
    try:
        with urllib.request.urlopen(request, timeout=READ_SECONDS) as response:  # noqa: S310
            resumed = response.status == HTTPStatus.PARTIAL_CONTENT
            with part.open("ab" if resumed else "wb") as file:
                _copy(response, file, have if resumed else 0)
    except HTTPError as err:
        # The interruption came after the last byte.
        if not (have and err.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            raise


def _copy(response: HTTPResponse, file: BinaryIO, have: int) -> None:
    length = int(response.headers.get("Content-Length") or 0)
    total = have + length
    next_report = time.monotonic()
    while chunk := response.read(CHUNK_BYTES):
        file.write(chunk)
        have += len(chunk)
        if time.monotonic() >= next_report:
            share = f" of {total / 1e6:.0f} MB ({100 * have // total}%)" if length else " MB"
            print(f"        {have / 1e6:.0f}{share}", flush=True)
            next_report = time.monotonic() + PROGRESS_SECONDS
    if length and have < total:
        message = f"the connection broke after {have} of {total} bytes"
        raise OSError(message)


def _check_magic(path: Path) -> None:
    """Raise ModelError, and remove a downloaded part, if the file is not in GGUF format."""
    with path.open("rb") as file:
        if file.read(len(GGUF_MAGIC)) == GGUF_MAGIC:
            return
    if path.suffix == ".part":
        path.unlink()
    message = f"{path.name} is not a GGUF file"
    raise ModelError(message)
