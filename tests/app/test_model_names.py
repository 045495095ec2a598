"""References to models in all valid spellings, and invalid ones."""

import pytest

from llamacpp_app.model_names import (
    InvalidReferenceError,
    ModelSource,
    Quantisation,
    check_file_name,
    model_name,
    parse_reference,
    part_sources,
    redacted,
)
from llamacpp_app.options import parse_options

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
        ("huggingface.co/o/r/resolve/main/f.gguf", f"{HUB}/o/r/resolve/main/f.gguf", "f.gguf"),
        ("o/r:f.GGUF", f"{HUB}/o/r/resolve/main/f.GGUF", "f.GGUF"),
        ("o/r:a b (1).gguf", f"{HUB}/o/r/resolve/main/a%20b%20%281%29.gguf", "a b (1).gguf"),
        ("o/r:a%20b.gguf", f"{HUB}/o/r/resolve/main/a%20b.gguf", "a b.gguf"),
        ("o/r:Größe.gguf", f"{HUB}/o/r/resolve/main/Gr%C3%B6%C3%9Fe.gguf", "Größe.gguf"),
        ("https://example.com/a%20b.gguf", None, "a b.gguf"),
    ],
)
def test_what_is_meant(text: str, url: str | None, file_name: str) -> None:
    """URLs, pages about a file, and short references all lead to the file."""
    assert parse_reference(text, HASH) == ModelSource(url or text, file_name, HASH)


def test_another_hub() -> None:
    """A mirror of Hugging Face is used instead."""
    source = parse_reference(f"{HUB}/o/r/resolve/main/f.gguf", hub="http://mirror:8000/")
    assert isinstance(source, ModelSource)
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
        "mmproj-F16.gguf",
        "/config/models/foo.gguf",
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
        f"{HUB}/o",
        f"{HUB}/o/r/tree/main/f.gguf",
    ],
)
def test_what_is_none(text: str) -> None:
    """A reference to no public model, or one that leaves the folder, is rejected."""
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)


@pytest.mark.parametrize("name", ["../a.gguf", "a/b.gguf", " .gguf", "a..gguf", "a", "a\0.gguf"])
def test_file_names(name: str) -> None:
    """A file name stays within the folder of models."""
    with pytest.raises(InvalidReferenceError, match="is no name for a model's file"):
        check_file_name(name)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("o/r:Q4_K_M", "Q4_K_M"),
        ("hf.co/o/r:UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("https://hf.co/o/r:Q8_0", "Q8_0"),
        ("o/r", "Q4_K_M"),
        (f"{HUB}/o/r", "Q4_K_M"),
        (f"{HUB}/o/r/", "Q4_K_M"),
        (f"{HUB}/o/r/tree/main", "Q4_K_M"),
    ],
)
def test_quantisations(text: str, tag: str) -> None:
    """llama.cpp's own form, and the page of a repository."""
    assert parse_reference(text, HASH) == Quantisation("o/r", tag, HASH)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "unsloth/Qwen3-4B-Instruct-2507-GGUF:Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
            "Qwen3-4B-Instruct-2507-Q4_K_M",
        ),
        ("https://example.com/x/y.GGUF?a=/b.gguf", "y"),
        ("https://example.com/y.gguf#fragment", "y"),
        ("o/r:d/x-00001-of-00002.gguf", "x"),
        ("o/r:x%20y.gguf", "x-y"),
        ("o/r:Meta Llama 3 (1).gguf", "Meta-Llama-3-1"),
        ("o/r:_x.gguf", "x"),
        ("ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", "gemma-3-1b-it-Q4_K_M"),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF", "Llama-3.2-3B-Instruct-Q4_K_M"),
        ("o/r:Größe.gguf", "Gr-e"),
        ("o/r:模型.gguf", "model"),
    ],
)
def test_names(text: str, name: str) -> None:
    """A model without a name has its file's, which is valid in the options."""
    assert model_name(text) == name
    assert parse_options({"model_url": text}).configured_models()[0].name == name
    assert parse_options({"model_name": name}).model_name == name


def named(text: str, sha256: str | None = None) -> ModelSource:
    """Return the file of a reference."""
    source = parse_reference(text, sha256)
    assert isinstance(source, ModelSource)
    return source


def test_parts() -> None:
    """Of several parts the first is used, with its own hash."""
    first, second = part_sources(named("o/r:q4/m-00001-of-00002.gguf", HASH))
    assert first.sha256 == HASH
    assert second == ModelSource(
        f"{HUB}/o/r/resolve/main/q4/m-00002-of-00002.gguf", "m-00002-of-00002.gguf", None
    )
    for name in ("Model+v2", "a@b", "c=d", "e%20f", "g h"):
        _, second = part_sources(named(f"o/r:{name}-00001-of-00002.gguf"))
        whole = named(f"o/r:{name}-00002-of-00002.gguf")
        assert (second.url, second.file_name) == (whole.url, whole.file_name)
    signed = named("https://example.com/m-00001-of-00002.gguf?key=m-00001-of-00002.gguf")
    assert part_sources(signed)[1].url == (
        "https://example.com/m-00002-of-00002.gguf?key=m-00001-of-00002.gguf"
    )
    with pytest.raises(InvalidReferenceError, match="is not the first part"):
        part_sources(named("o/r:m-00002-of-00002.gguf"))


def test_redacted() -> None:
    """No message contains a possible secret."""
    assert redacted("https://me:word@example.com:8443/f.gguf?token=1#x") == (
        "https://example.com:8443/f.gguf"
    )
    assert redacted("https://[") == "the address"
