"""Files in the folder of models: models, incomplete files, and others."""

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from llamacpp_app import folder as folder_module
from llamacpp_app.folder import REST_SECONDS, Folder, Found, Rest, name_of
from tests.app.gguf_files import write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Return a folder whose files count as complete."""
    monkeypatch.setattr(folder_module, "REST_SECONDS", 0.0)
    return Folder(tmp_path, embeddings=False)


def names(folder: Folder) -> list[str]:
    """Return the names of the models."""
    return [one.name for one in folder.look().models if one.is_model and one.error is None]


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("Meine Größe.gguf", "Meine Größe"),
        ("Meta Llama 3 (1).gguf", "Meta Llama 3 (1)"),
        ("UPPER.GGUF", "UPPER"),
        ("_x.gguf", "_x"),
        ("a,b[1].gguf", "a-b-1-"),
        ("big-00001-of-00001.gguf", "big"),
        ("sub/deep.gguf", "deep"),
    ],
)
def test_all_names_are_good(folder: Folder, tmp_path: Path, file_name: str, name: str) -> None:
    """A model has the name of its file."""
    path = tmp_path / file_name
    path.parent.mkdir(exist_ok=True)
    write(path)
    assert name_of(path) == name
    assert names(folder) == [name]


def test_names_that_begin_alike(folder: Folder, tmp_path: Path) -> None:
    """A short name does not hide a longer one."""
    for name in ("Qwen3", "Qwen3-0.6B-Q8_0", "Qwen3-4B-Q4_K_M"):
        write(tmp_path / f"{name}.gguf")
    assert names(folder) == ["Qwen3-0.6B-Q8_0", "Qwen3-4B-Q4_K_M", "Qwen3"]


@pytest.mark.parametrize(
    ("architecture", "keys", "words"),
    [
        ("clip", {".has_vision_encoder": 1}, "It is a projector"),
        ("bert", {}, "embeddings"),
        ("qwen3", {".pooling_type": 3}, "embeddings"),
        ("llama", {"general.type": "adapter"}, "adapter"),
    ],
)
def test_what_is_no_model_to_chat_with(
    folder: Folder, tmp_path: Path, architecture: str, keys: dict[str, Any], words: str
) -> None:
    """It is no model, whatever its name, and the reason is listed."""
    write(tmp_path / "file.gguf", architecture, keys)
    assert names(folder) == []
    assert words in folder.look().ignored["file.gguf"]
    embeddings = Folder(tmp_path, embeddings=True)
    assert names(embeddings) == (["file"] if words == "embeddings" else [])


@pytest.mark.parametrize(
    ("model", "projector", "fits"),
    [
        ("gemma-3-4b-it-Q4_K_M", "mmproj-gemma-3-4b-it-f16", True),
        ("gemma-3-4b-it-Q4_K_M", "gemma-3-4b-it.mmproj-Q8_0", True),
        ("x", "mmproj-x", True),
        ("gemma-3-4b-it-Q4_K_M", "mmproj-gemma-3-12b-it-f16", False),
        ("gemma-3-4b-it-Q4_K_M", "mmproj-F16", False),
        ("sub/gemma-3-4b-it-Q4_K_M", "sub/mmproj-F16", True),
        ("sub/gemma-3-4b-it-Q4_K_M", "mmproj-F16", False),
    ],
)
def test_projectors_find_their_models(
    folder: Folder, tmp_path: Path, model: str, projector: str, *, fits: bool
) -> None:
    """By name, or alone with a model in its folder."""
    (tmp_path / "sub").mkdir()
    write(tmp_path / f"{model}.gguf")
    path = write(tmp_path / f"{projector}.gguf", "clip", {".has_vision_encoder": 1})
    found = folder.look()
    (one,) = [one for one in found.models if one.is_model]
    assert one.projector == (path if fits else None)
    assert bool(found.ignored) is not fits


def test_a_model_that_is_called_a_projector(folder: Folder, tmp_path: Path) -> None:
    """It is neither."""
    write(tmp_path / "mmproj-x.gguf")
    assert names(folder) == []
    assert folder.look().ignored == {"mmproj-x.gguf": "It is named as a projector, and is none."}


def test_what_is_being_copied(tmp_path: Path) -> None:
    """A file that has its size before its content counts as incomplete until it stops changing."""
    source = write(tmp_path / "source.bin")
    content = source.read_bytes()
    path = tmp_path / "m.gguf"
    now, running = [1e9], [0.0]
    rest = Rest(lambda: now[0], lambda: running[0])
    folder = Folder(tmp_path, embeddings=False)
    folder.rest = rest
    with path.open("wb") as file:
        file.truncate(len(content))
        file.write(content[: len(content) // 2])
        file.flush()
        # If the clock is behind the disk's, nothing is known.
        for number in range(5):
            found = folder.look()
            assert found.is_restless
            assert "is still being copied" in str(found.models[0].error)
            running[0] += REST_SECONDS / 2
            # As writing does, if the file system's clock is finer than this test's.
            os.utime(path, ns=(number, number))
        file.write(content[len(content) // 2 :])
    os.utime(path, ns=(10, 10))
    folder.look()
    running[0] += REST_SECONDS
    found = folder.look()
    assert not found.is_restless
    (model,) = found.models
    assert model.error is None
    assert model.info is not None
    # Overwritten, with the same size.
    shutil.copyfile(source, path)
    os.utime(path, ns=(11, 11))
    assert folder.look().is_restless
    running[0] += REST_SECONDS
    again = folder.look().models[0]
    assert again != model
    assert replace(again, signature=model.signature) == model


def test_old_files_rest_at_once(tmp_path: Path) -> None:
    """The app does not wait for them at its start."""
    path = write(tmp_path / "m.gguf")
    changed = path.stat().st_ctime
    assert Rest(lambda: changed + REST_SECONDS + 1).is_resting(path)
    assert not Rest(lambda: changed + 1).is_resting(path)
    rest = Rest(lambda: changed)
    rest.trust([path])
    assert rest.is_resting(path)


def test_half_a_file_and_parts(folder: Folder, tmp_path: Path) -> None:
    """The problem is listed; later parts and downloads are no models."""
    content = write(tmp_path / "m.gguf").read_bytes()
    (tmp_path / "half.gguf").write_bytes(content[:-100])
    (tmp_path / "x-00002-of-00002.gguf").write_bytes(content)
    (tmp_path / "left.gguf.part").write_bytes(content)
    (tmp_path / "too-00001-of-09999.gguf").write_bytes(content)
    (tmp_path / ".hidden.gguf").write_bytes(content)
    found = folder.look()
    assert {one.name: one.error is None for one in found.models} == {"half": False, "m": True}
    assert "is cut off" in str(next(one.error for one in found.models if one.name == "half"))
    assert [one.name for one in found.parts] == ["left.gguf.part"]
    assert set(found.ignored) == {"too-00001-of-09999.gguf"}


def test_no_folder(tmp_path: Path) -> None:
    """A missing folder is empty; a file in its place is reported."""
    assert Folder(tmp_path / "none", embeddings=False).look() == Found()
    (tmp_path / "file").touch()
    (why,) = Folder(tmp_path / "file", embeddings=False).look().ignored.values()
    assert "for a file is where a folder should be: rename it." in why
