"""Models for the demo: files and downloads."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from dev.models import ModelError, find_model
from dev.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CONTENT = b"GGUF" + bytes(range(256)) * 64


class _Files(BaseHTTPRequestHandler):
    """Serves CONTENT, in parts if asked to, and with the faults that a test sets."""

    content = CONTENT
    ranges: tuple[str | None, ...] = ()
    breaks_after: int | None = None

    def do_GET(self) -> None:
        """Answer."""
        wanted = self.headers["Range"]
        type(self).ranges = (*self.ranges, wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start : self.breaks_after])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def files(**behaviour: object) -> Generator[tuple[str, type[_Files]]]:
    """Serve files; return the address of one and the handler, which has the requests."""
    handler = type("Files", (_Files,), behaviour)
    server = ThreadingHTTPServer((LOOPBACK, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/some/model.gguf?download=true", handler
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _sockets(socket_enabled: None) -> None:
    """Allow sockets: the files come from the loopback interface."""


def test_a_file(tmp_path: Path) -> None:
    """A file is used as it is."""
    path = tmp_path / "model.gguf"
    path.write_bytes(CONTENT)
    assert find_model(str(path), tmp_path / "cache") == path


def test_a_download_is_made_once(tmp_path: Path) -> None:
    """The second time the file is there."""
    with files() as (url, handler):
        first = find_model(url, tmp_path)
        assert find_model(url, tmp_path) == first
        assert handler.ranges == (None,)
    assert first.read_bytes() == CONTENT
    assert first.name.endswith("-model.gguf")


def test_an_interrupted_download_goes_on(tmp_path: Path) -> None:
    """After a break only the rest is downloaded."""
    with files(breaks_after=1000) as (url, handler):
        with pytest.raises(ModelError, match=r"could not be downloaded .* start again"):
            find_model(url, tmp_path)
        handler.breaks_after = None
        assert find_model(url, tmp_path).read_bytes() == CONTENT
        assert handler.ranges == (None, "bytes=1000-")


def test_interrupted_after_the_last_byte(tmp_path: Path) -> None:
    """A complete part needs nothing more."""
    with files() as (url, _):
        path = find_model(url, tmp_path)
        path.rename(path.with_name(path.name + ".part"))
        assert find_model(url, tmp_path).read_bytes() == CONTENT


def test_a_page_is_no_model(tmp_path: Path) -> None:
    """A file that is no GGUF is not kept."""
    with files(content=b"<html>Please log in</html>") as (url, _):
        with pytest.raises(ModelError, match="is not a GGUF file"):
            find_model(url, tmp_path)
        assert list(tmp_path.iterdir()) == []
