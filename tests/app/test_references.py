"""What people name as a model, and what they may not."""

import pytest

from llamacpp_app.references import (
    InvalidReferenceError,
    ModelSource,
    check_file_name,
    parse_reference,
    part_sources,
    redacted,
)

HUB = "https://huggingface.co"
HASH = "0" * 64


@pytest.mark.parametrize(
    ("text", "url", "file_name"),
    [
        ("https://example.com/a/Model-1.gguf", None, "Model-1.gguf"),
        ("http://192.168.1.2:8000/m.gguf?download=true", None, "m.gguf"),
        ("https://example.com/m.gguf#part", "https://example.com/m.gguf", "m.gguf"),
        ("o/r:f.gguf", f"{HUB}/o/r/resolve/main/f.gguf", "f.gguf"),
        ("hf://o/r/sub/f.gguf", f"{HUB}/o/r/resolve/main/sub/f.gguf", "f.gguf"),
        (" o/r/f.gguf ", f"{HUB}/o/r/resolve/main/f.gguf", "f.gguf"),
        (f"{HUB}/o/r/blob/main/f.gguf", f"{HUB}/o/r/resolve/main/f.gguf", "f.gguf"),
        ("https://hf.co/o/r/resolve/v1/d/f.gguf?x=1", f"{HUB}/o/r/resolve/v1/d/f.gguf", "f.gguf"),
    ],
)
def test_what_is_meant(text: str, url: str | None, file_name: str) -> None:
    """Addresses, pages about a file, and short references all lead to the file."""
    assert parse_reference(text, HASH) == ModelSource(url or text, file_name, HASH)


def test_another_hub() -> None:
    """A mirror of Hugging Face is asked in its place."""
    source = parse_reference(f"{HUB}/o/r/resolve/main/f.gguf", hub="http://mirror:8000/")
    assert source.url == "http://mirror:8000/o/r/resolve/main/f.gguf"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x" * 2001,
        "o/r:a\nb.gguf",
        "o\\r:f.gguf",
        "gemma",
        "o/r",
        "o/r:",
        "o/r:f.bin",
        "o/r:../f.gguf",
        "o/r:%2e%2e/f.gguf",
        "ftp://example.com/f.gguf",
        "file:///etc/f.gguf",
        "https:///f.gguf",
        "https://example.com",
        "https://example.com:x/f.gguf",
        "https://[/f.gguf",
        "https://user:word@example.com/f.gguf",
        "https://example.com/a/../f.gguf",
        "https://example.com/a/%2e%2e%2ff.gguf",
        "https://example.com/.gguf",
        "https://example.com/page",
        f"{HUB}/o/r",
        f"{HUB}/o/r/tree/main/f.gguf",
    ],
)
def test_what_is_none(text: str) -> None:
    """Whatever is no model of a public place, or leads out of a folder, is refused."""
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)


@pytest.mark.parametrize("name", ["../a.gguf", "a/b.gguf", "-a.gguf", "a..gguf", "a", "a\0.gguf"])
def test_file_names(name: str) -> None:
    """A file's name stays within the folder of models."""
    with pytest.raises(InvalidReferenceError, match="is no name for a model's file"):
        check_file_name(name)


def test_parts() -> None:
    """Of several parts the first is named, and the hash is its own."""
    first, second = part_sources(parse_reference("o/r:q4/m-00001-of-00002.gguf", HASH))
    assert first.sha256 == HASH
    assert second == ModelSource(
        f"{HUB}/o/r/resolve/main/q4/m-00002-of-00002.gguf", "m-00002-of-00002.gguf", None
    )
    with pytest.raises(InvalidReferenceError, match="is not the first part"):
        part_sources(parse_reference("o/r:m-00002-of-00002.gguf"))


def test_redacted() -> None:
    """What may be a secret is in no message."""
    assert redacted("https://me:word@example.com:8443/f.gguf?token=1#x") == (
        "https://example.com:8443/f.gguf"
    )
    assert redacted("https://[") == "the address"
