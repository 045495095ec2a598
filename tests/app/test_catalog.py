"""The models of the options, of the page, and of the folder."""

import asyncio
import contextlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from llamacpp_app import catalog as catalog_module
from llamacpp_app import folder
from llamacpp_app.catalog import Catalog, CatalogError, ModelState, Origin, UnknownModelError
from llamacpp_app.download import Downloader
from llamacpp_app.model_names import InvalidReferenceError
from llamacpp_app.options import MAX_MODELS, ModelOption, Options
from llamacpp_app.paths import Paths, Ports
from llamacpp_app.startup import Setup
from tests.app.file_server import saying
from tests.app.gguf_files import write

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    import aiohttp

    from tests.app.file_server import FileServer

WAIT_SECONDS = 20.0
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


def make(paths: Paths, session: aiohttp.ClientSession, **options: Any) -> Catalog:
    """Return a catalog as after a start of the app."""
    wanted = Options(**{"model_url": NOWHERE, "model_name": "main", **options})
    setup = Setup(options=wanted, paths=paths, ports=Ports(), api_key="key")

    async def sleep(_: float) -> None:
        """Return immediately."""

    return Catalog(setup, Downloader(session, sleep=sleep))


@pytest.fixture(autouse=True)
def resting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat files as complete as soon as they are there."""
    monkeypatch.setattr(folder, "REST_SECONDS", 0.0)


@contextlib.asynccontextmanager
async def running(catalog: Catalog) -> AsyncGenerator[None]:
    """Let a catalog check its models for a while."""
    task = asyncio.create_task(catalog.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so():  # noqa: ASYNC110 - a state of several parts
            await asyncio.sleep(0.01)


def is_ready(catalog: Catalog, name: str = "main") -> bool:
    """Return whether a model can be served."""
    return catalog.entry(name).state is ModelState.READY


async def test_a_file_comes_and_goes(catalog: Catalog, paths: Paths, model: Path) -> None:
    """A file in the folder is a model until it is deleted."""
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
    """It can be served once it is complete."""
    file = paths.models / "mine.gguf"
    content = await asyncio.to_thread(model.read_bytes)
    file.write_bytes(content[: len(content) // 2])
    await catalog.scan()
    assert catalog.entry("mine").state is ModelState.FAILED
    assert catalog.entry("mine").error
    assert catalog.ready() == ()
    file.write_bytes(content)
    await catalog.scan()
    assert catalog.entry("mine").state is ModelState.READY


async def test_half_a_file_under_the_name_of_the_option(paths: Paths, catalog: Catalog) -> None:
    """It is checked again when it changes, and served once it is complete."""
    content = write(paths.models / "main.gguf").read_bytes()
    (paths.models / "main.gguf").write_bytes(content[:-100])
    async with running(catalog):
        await until(lambda: catalog.entry("main").state is ModelState.FAILED)
        assert "is cut off" in str(catalog.entry("main").error)
    (paths.models / "main.gguf").write_bytes(content)
    async with running(catalog):
        await until(lambda: is_ready(catalog))


async def test_a_file_that_is_written_over(paths: Paths, catalog: Catalog) -> None:
    """The new file is served, and the runner restarts."""
    write(paths.models / "mine.gguf")
    await catalog.scan()
    (before,) = catalog.ready()
    catalog.changed.clear()
    write(paths.models / "mine.gguf", "qwen3")
    os.utime(paths.models / "mine.gguf", (0, 0))
    await catalog.scan()
    assert catalog.changed.is_set()
    info = catalog.entry("mine").info
    assert info is not None
    assert info.architecture == "qwen3"
    (after,) = catalog.ready()
    assert after != before


async def test_another_address_is_another_model(
    paths: Paths, session: aiohttp.ClientSession, file_server: FileServer, tmp_path: Path
) -> None:
    """Under the same name, too; an unchanged address downloads nothing."""
    one = write(tmp_path / "one.bin").read_bytes()
    two = write(tmp_path / "two.bin", "qwen3").read_bytes()
    file_server.others = {"/one.gguf": one, "/two.gguf": two}
    for path, content, n_requests in (("one", one, 1), ("one", one, 1), ("two", two, 2)):
        catalog = make(paths, session, model_url=f"{file_server.url}/{path}.gguf?key={n_requests}")
        async with running(catalog):
            await until(lambda catalog=catalog: is_ready(catalog))  # type: ignore[misc]
        assert (paths.models / "main.gguf").read_bytes() == content
        assert len(file_server.requests) == n_requests
    paths.sources.unlink()
    catalog = make(paths, session, model_url=f"{file_server.url}/one.gguf")
    async with running(catalog):
        await until(lambda: is_ready(catalog))
    assert (paths.models / "main.gguf").read_bytes() == two


async def test_a_file_that_came_damaged(
    paths: Paths, session: aiohttp.ClientSession, file_server: FileServer, tmp_path: Path
) -> None:
    """The next start downloads it again, once: the source may be correct by then."""
    content = write(tmp_path / "one.bin").read_bytes()
    file_server.content = content[:-100]
    for n_requests in (1, 2):
        catalog = make(paths, session, model_url=f"{file_server.url}/one.gguf")
        async with running(catalog):
            await until(lambda catalog=catalog: bool(catalog.entry("main").error))  # type: ignore[misc]
            await asyncio.sleep(0.1)
        assert len(file_server.requests) == n_requests
    file_server.content = content
    catalog = make(paths, session, model_url=f"{file_server.url}/one.gguf")
    async with running(catalog):
        await until(lambda: is_ready(catalog))


async def test_a_hash_that_is_wrong(
    paths: Paths,
    session: aiohttp.ClientSession,
    file_server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not downloaded again, and not at all if the hub has the hash."""
    monkeypatch.setattr(catalog_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(catalog_module, "SCAN_SECONDS", 0.01)
    for headers, n_files in (({"X-Linked-ETag": f'"{file_server.sha256}"'}, 0), ({}, 2)):
        file_server.headers = dict(headers)
        file_server.requests.clear()
        file_server.n_sent = 0
        url = f"{file_server.url}/m.gguf"
        catalog = make(paths, session, model_url=url, model_sha256="0" * 64)
        async with running(catalog):
            await until(lambda catalog=catalog: bool(catalog.entry("main").error))  # type: ignore[misc]
            await asyncio.sleep(0.2)
        assert "empty the option model_sha256 or mend it" in str(catalog.entry("main").error)
        assert len(file_server.requests) == max(1, n_files)


async def test_a_projector_that_cannot_be_had(
    paths: Paths, session: aiohttp.ClientSession, file_server: FileServer, tmp_path: Path
) -> None:
    """The model is served without it, and gets vision with another address."""
    write(paths.models / "main.gguf")
    projector = write(tmp_path / "p.bin", "clip", {".has_vision_encoder": 1}).read_bytes()
    file_server.others = {"/p.gguf": projector, "/model.gguf": write(tmp_path / "m").read_bytes()}
    file_server.script = [saying(404)]
    for name, words in (("gone", "There is nothing at"), ("model", "is no projector")):
        catalog = make(paths, session, projector_url=f"{file_server.url}/{name}.gguf")
        async with running(catalog):
            await until(lambda catalog=catalog: bool(catalog.entry("main").warning))  # type: ignore[misc]
        assert is_ready(catalog)
        assert catalog.ready()[0].projector is None
        assert words in str(catalog.entry("main").warning)
    catalog = make(paths, session, projector_url=f"{file_server.url}/p.gguf")
    async with running(catalog):
        await until(lambda: catalog.ready() != () and catalog.ready()[0].projector is not None)
    assert (paths.models / "mmproj-main.gguf").read_bytes() == projector
    assert catalog.entry("main").warning is None
    catalog.drop_projector("main", "It fails.")
    assert catalog.ready()[0].projector is None
    assert catalog.entry("main").warning == "The model sees no pictures. It fails."
    without = make(paths, session)
    async with running(without):
        await until(lambda: is_ready(without))
    assert without.ready()[0].projector is None


async def test_a_model_in_parts_goes_on(
    paths: Paths, session: aiohttp.ClientSession, file_server: FileServer, tmp_path: Path
) -> None:
    """Finished parts are kept after a stop, and so are copied ones."""
    file_server.content = write(tmp_path / "one.bin").read_bytes()
    url = f"{file_server.url}/m-00001-of-00002.gguf"
    file_server.script = [file_server.send, saying(404)]
    catalog = make(paths, session, model_url=url)
    async with running(catalog):
        await until(lambda: bool(catalog.entry("main").error))
    for n_requests in (3, 3):
        catalog = make(paths, session, model_url=url)
        async with running(catalog):
            await until(lambda catalog=catalog: is_ready(catalog))  # type: ignore[misc]
        assert len(file_server.requests) == n_requests
    paths.sources.unlink()
    (paths.models / "main-00002-of-00002.gguf").unlink()
    catalog = make(paths, session, model_url=url)
    async with running(catalog):
        await until(lambda: is_ready(catalog))
    assert len(file_server.requests) == 4
    # Now of a single file: the others are deleted.
    paths.sources.write_text(json.dumps({"main-00001-of-00002.gguf": "elsewhere"}))
    catalog = make(paths, session, model_url=f"{file_server.url}/m.gguf")
    async with running(catalog):
        await until(lambda: is_ready(catalog))
    assert [one.name for one in paths.models.iterdir()] == ["main.gguf"]


async def test_a_projector_must_be_a_file(paths: Paths, session: aiohttp.ClientSession) -> None:
    """A repository may have several."""
    write(paths.models / "main.gguf")
    catalog = make(paths, session, projector_url="o/r:F16")
    async with running(catalog):
        await until(lambda: bool(catalog.entry("main").warning))
    assert "projector_url must name a file, as owner/repo" in str(catalog.entry("main").warning)
    assert is_ready(catalog)


async def test_a_file_that_cannot_be_deleted(paths: Paths, catalog: Catalog) -> None:
    """An error says so, and the model stays."""
    write(paths.models / "mine.gguf")
    await catalog.scan()
    (paths.models / "mine.gguf").unlink()
    (paths.models / "mine.gguf").mkdir()
    with pytest.raises(CatalogError, match="The model mine cannot be deleted"):
        await catalog.remove("mine")
    assert "mine" in catalog.entries


async def test_a_projector_of_the_option_stays(
    paths: Paths, session: aiohttp.ClientSession, file_server: FileServer, tmp_path: Path
) -> None:
    """Once it is there, the runner does not restart again."""
    write(paths.models / "main.gguf")
    file_server.content = write(tmp_path / "p", "clip", {".has_vision_encoder": 1}).read_bytes()
    catalog = make(paths, session, projector_url=f"{file_server.url}/p.gguf")
    async with running(catalog):
        await until(lambda: catalog.ready() != () and catalog.ready()[0].projector is not None)
        await asyncio.sleep(0.1)
    ready = catalog.ready()
    for _ in range(2):
        await catalog.scan()
        assert catalog.ready() == ready
    assert len(file_server.requests) == 1


async def test_the_folder_while_something_is_fetched(
    paths: Paths,
    session: aiohttp.ClientSession,
    file_server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file can be added during a long download."""
    monkeypatch.setattr(catalog_module, "SCAN_SECONDS", 0.05)
    file_server.script = [file_server.cut(1024, pause=WAIT_SECONDS)]
    catalog = make(paths, session, model_url=f"{file_server.url}/m.gguf")
    async with running(catalog):
        await until(lambda: bool(file_server.requests))
        write(paths.models / "mine.gguf")
        await until(lambda: is_ready(catalog, "mine") if "mine" in catalog.entries else False)
        assert catalog.entry("main").state is ModelState.DOWNLOADING
        assert set(catalog.entries) == {"main", "mine"}


async def test_a_quantisation(
    paths: Paths, session: aiohttp.ClientSession, file_server: FileServer, tmp_path: Path
) -> None:
    """The hub is asked for its file once, and not if the file is there."""
    listed = [{"type": "file", "path": f"{name}.gguf"} for name in ("x-Q8_0", "x-Q4_K_M")]
    file_server.others = {
        "/api/models/o/r/tree/main": json.dumps(listed).encode(),
        "/o/r/resolve/main/x-Q4_K_M.gguf": write(tmp_path / "one.bin").read_bytes(),
    }
    options = Options(model_url="o/r:Q4_K_M")
    setup = Setup(options=options, paths=paths, ports=Ports(), api_key="k", hub=file_server.url)
    for _ in range(2):
        catalog = Catalog(setup, Downloader(session, hub=file_server.url))
        async with running(catalog):
            await until(lambda catalog=catalog: is_ready(catalog, "r-Q4_K_M"))  # type: ignore[misc]
    assert [path for path, _ in file_server.requests] == list(file_server.others)


async def test_what_is_left_of_a_download(paths: Paths, catalog: Catalog) -> None:
    """It is listed, and can be deleted unless its model is still wanted."""
    for name in ("old", "main", "mmproj-main"):
        (paths.models / f"{name}.gguf.part").write_bytes(b"GGUF")
        (paths.models / f"{name}.gguf.part.json").write_text("{}")
    await catalog.scan()
    assert set(catalog.entries) == {"main", "old"}
    assert "was given up: delete it" in str(catalog.entry("old").error)
    write(paths.models / "old.gguf")
    await catalog.scan()
    assert is_ready(catalog, "old")
    await catalog.remove("old")
    assert not list(paths.models.glob("old*"))
    (paths.models / "gone.gguf.part").touch()
    await catalog.scan()
    assert set(catalog.entries) == {"main", "gone"}
    (paths.models / "gone.gguf.part").unlink()
    await catalog.scan()
    assert set(catalog.entries) == {"main"}


async def test_what_is_ignored_is_told(
    paths: Paths, catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once, and the page as long as it is there."""
    caplog.set_level("INFO")
    (paths.models / "sub").mkdir()
    for name in ("mine.gguf", "sub/mine.gguf"):
        write(paths.models / name)
    write(paths.models / "e.gguf", "bert")
    for _ in range(2):
        await catalog.scan()
    assert [one.name for one in catalog.ready()] == ["mine"]
    assert set(catalog.ignored) == {"sub/mine.gguf", "e.gguf"}
    assert caplog.text.count("is not offered as a model") == 2


async def test_an_option_that_is_no_model_to_chat_with(paths: Paths, catalog: Catalog) -> None:
    """Nothing is downloaded for it, and the reason is shown."""
    write(paths.models / "main.gguf", "bert")
    async with running(catalog):
        await until(lambda: catalog.entry("main").state is ModelState.FAILED)
    assert "is a model for embeddings" in str(catalog.entry("main").error)


async def test_added_models_are_remembered(
    catalog: Catalog, paths: Paths, session: aiohttp.ClientSession
) -> None:
    """Models added by the page are kept over a restart; deleting one deletes its files."""
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
    """The number of added models has a maximum."""
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
    """Adding a model is an error."""
    shutil.rmtree(paths.data)
    with pytest.raises(CatalogError, match="cannot be written"):
        catalog.add(ModelOption("extra", NOWHERE))
    assert set(catalog.entries) == {"main"}
