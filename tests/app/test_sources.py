"""Sources of downloaded files, and errors of the system in words."""

import errno
from typing import TYPE_CHECKING

import pytest

from llamacpp_app.errors import in_words
from llamacpp_app.sources import Sources, same_as

if TYPE_CHECKING:
    from pathlib import Path


def test_notes_outlive_a_restart(tmp_path: Path) -> None:
    """A noted source is kept until it is forgotten."""
    path = tmp_path / "sources.json"
    sources = Sources(path)
    assert sources.of("m.gguf") is None
    sources.note("m.gguf", "o/r")
    sources.note("n.gguf", "o/s")
    assert Sources(path).of("m.gguf") == "o/r"
    sources.forget("m.gguf", "none")
    assert Sources(path).of("m.gguf") is None
    assert Sources(path).of("n.gguf") == "o/s"
    assert [one.name for one in tmp_path.iterdir()] == ["sources.json"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"m.gguf": 1}'])
def test_notes_that_make_no_sense(tmp_path: Path, content: str) -> None:
    """They are ignored."""
    path = tmp_path / "sources.json"
    path.write_text(content)
    assert Sources(path).of("m.gguf") is None


def test_notes_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The file is served anyway."""
    sources = Sources(tmp_path / "none" / "sources.json")
    sources.note("m.gguf", "o/r")
    assert sources.of("m.gguf") == "o/r"
    assert "cannot be noted" in caplog.text


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://hub/o/r/m.gguf", "https://hub/o/r/m.gguf?download=true", True),
        ("https://a.org/m.gguf?key=1", "https://a.org/m.gguf?key=2", True),
        ("https://a.org/m.gguf", "http://a.org/m.gguf", True),
        ("https://a.org/m.gguf", "https://b.org/m.gguf", False),
        ("https://a.org/m.gguf", "https://a.org/n.gguf", False),
    ],
)
def test_the_same_file(one: str, other: str, *, is_same: bool) -> None:
    """Keys in URLs are ignored."""
    assert (same_as(one, "https://hub") == same_as(other, "https://hub")) is is_same


def test_a_mirror_has_the_same_files() -> None:
    """Another hub does not download everything again."""
    assert same_as("https://hub/o/m.gguf", "https://hub/") == same_as(
        "http://m/o/m.gguf", "http://m"
    )


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_errors_of_the_system(number: int) -> None:
    """Each is a sentence; the usual ones have no number, and name the file."""
    told = in_words(OSError(number, "words", "/data/file"))
    assert "words" in told or told.endswith(".")
    usual = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EIO, errno.ENOTDIR)
    if number in usual:
        assert "/data/file" in told
        assert "Errno" not in told
    # Without a file name in the system's error, none is invented.
    assert "None" not in in_words(OSError(number, "words"))
