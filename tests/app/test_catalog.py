"""The models that there are: of the options, of the page, and those in the folder."""

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from llamacpp_app.catalog import Catalog, CatalogError, ModelState, Origin, UnknownModelError
from llamacpp_app.download import Downloader
from llamacpp_app.options import MAX_MODELS, ModelOption, Options
from llamacpp_app.paths import Paths, Ports
from llamacpp_app.references import InvalidReferenceError
from llamacpp_app.startup import Setup

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

NOWHERE = "http://127.0.0.1:1/m.gguf"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return folders for the app."""
    paths = Paths(tmp_path / "data", tmp_path / "config", tmp_path)
    paths.data.mkdir()
    paths.models.mkdir(parents=True)
    return paths


@pytest.fixture
def catalog(paths: Paths, session: aiohttp.ClientSession) -> Catalog:
    """Return a catalog with one model of the options."""
    return make(paths, session)


def make(paths: Paths, session: aiohttp.ClientSession) -> Catalog:
    """Return a catalog as a start of the app makes it."""
    options = Options(model_url=NOWHERE, model_name="main")
    setup = Setup(options=options, paths=paths, ports=Ports(), api_key="key")
    return Catalog(setup, Downloader(session))


async def test_a_file_comes_and_goes(catalog: Catalog, paths: Paths, model: Path) -> None:
    """What lies in the folder is a model, as long as it lies there."""
    file = paths.models / "mine.gguf"
    shutil.copy(model, file)
    (paths.models / "mmproj-mine.gguf").write_bytes(b"GGUF")
    (paths.models / "notes.txt").write_text("mine")
    (paths.models / "big-00002-of-00002.gguf").write_bytes(b"GGUF")
    await catalog.scan()
    assert [one.name for one in catalog.ready()] == ["mine"]
    assert catalog.entry("mine").origin is Origin.FOLDER
    assert set(catalog.entries) == {"main", "mine"}
    file.unlink()
    catalog.changed.clear()
    await catalog.scan()
    assert catalog.changed.is_set()
    with pytest.raises(UnknownModelError):
        catalog.entry("mine")


async def test_a_file_that_is_still_being_copied(
    catalog: Catalog, paths: Paths, model: Path
) -> None:
    """It cannot be served, and can be once it is whole."""
    file = paths.models / "mine.gguf"
    content = await asyncio.to_thread(model.read_bytes)
    file.write_bytes(content[: len(content) // 2])
    await catalog.scan()
    assert catalog.entry("mine").state is ModelState.FAILED
    assert catalog.entry("mine").error
    assert catalog.ready() == ()
    file.write_bytes(content)
    await catalog.scan()
    await catalog.scan()
    assert catalog.entry("mine").state is ModelState.READY


async def test_added_models_are_remembered(
    catalog: Catalog, paths: Paths, session: aiohttp.ClientSession
) -> None:
    """Those of the page outlive a restart; deleting one takes its files along."""
    catalog.add(ModelOption("extra", NOWHERE))
    with pytest.raises(CatalogError, match="a model extra already"):
        catalog.add(ModelOption("extra", NOWHERE))
    with pytest.raises(InvalidReferenceError):
        catalog.add(ModelOption("other", "no address"))
    again = make(paths, session)
    assert again.entry("extra").origin is Origin.PAGE
    part = paths.models / "extra.gguf.part"
    part.write_bytes(b"GGUF")
    await again.remove("extra")
    assert not part.exists()
    assert set(make(paths, session).entries) == {"main"}
    with pytest.raises(CatalogError, match="one of the app's options"):
        await again.remove("main")


async def test_not_too_many(catalog: Catalog) -> None:
    """There is a bound to what can be added."""
    for number in range(MAX_MODELS - 1):
        catalog.add(ModelOption(f"model-{number}", NOWHERE))
    with pytest.raises(CatalogError, match="delete one first"):
        catalog.add(ModelOption("one-more", NOWHERE))


@pytest.mark.parametrize("content", ["{", json.dumps([{"name": "x"}]), json.dumps(5)])
async def test_a_list_that_cannot_be_read(
    paths: Paths, session: aiohttp.ClientSession, content: str
) -> None:
    """It counts as empty, and the models of the options are there."""
    paths.added_models.write_text(content)
    assert set(make(paths, session).entries) == {"main"}


async def test_a_list_that_cannot_be_written(catalog: Catalog, paths: Paths) -> None:
    """Who adds a model is told."""
    shutil.rmtree(paths.data)
    with pytest.raises(CatalogError, match="cannot be written"):
        catalog.add(ModelOption("extra", NOWHERE))
