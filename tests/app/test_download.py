"""Downloads from servers that do all that goes wrong: the right file, or a clear error."""

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from llamacpp_app import transfer
from llamacpp_app.download import MAX_TRIES, Downloader, DownloadError
from llamacpp_app.model_names import ModelSource, Quantisation
from tests.app.file_server import KILOBYTE, FileServer, model_bytes, saying

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    from aiohttp import web

    from llamacpp_app.download import Progress

MEGABYTE = KILOBYTE * KILOBYTE


@dataclass
class Download:
    """A download of a test, which waits for nothing but notes how long it would."""

    server: FileServer
    folder: Path
    downloader: Downloader
    pauses: list[float] = field(default_factory=list)
    told: list[Progress] = field(default_factory=list)

    async def fetch(self, sha256: str | None = None, name: str = "m.gguf") -> Path:
        """Fetch the server's file."""
        source = ModelSource(f"{self.server.url}/m.gguf", name, sha256)
        return await self.downloader.fetch(source, self.folder, self.told.append)

    def files(self) -> list[str]:
        """Return what is in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def download(file_server: FileServer, session: aiohttp.ClientSession, tmp_path: Path) -> Download:
    """Return a download from the server of files."""
    folder = tmp_path / "models"
    folder.mkdir()
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return Download(file_server, folder, Downloader(session, sleep=sleep), pauses)


async def test_whole(download: Download) -> None:
    """A file is there under its name, and told of until its end; a second time nothing is asked."""
    path = await download.fetch(download.server.sha256)
    assert path.read_bytes() == download.server.content
    assert download.files() == ["m.gguf"]
    last = download.told[-1]
    assert (last.file_name, last.done_bytes, last.total_bytes) == ("m.gguf", 65536, 65536)
    assert await download.fetch() == path
    assert len(download.server.requests) == 1


async def test_ten_cuts_and_a_page(download: Download) -> None:
    """The right file comes in the end, and not one byte comes twice."""
    server = download.server
    server.content = model_bytes(24 * MEGABYTE)
    server.script = [server.cut(2 * MEGABYTE) for _ in range(10)]
    server.script.append(saying(200, "<html>Please log in</html>"))
    path = await download.fetch(server.sha256)
    assert path.read_bytes() == server.content
    assert server.n_sent == len(server.content)
    assert len(download.pauses) == 11


async def test_a_wrong_file(download: Download) -> None:
    """What has another hash than it should is never there under the model's name."""
    server = download.server
    right, content = server.sha256, server.content
    server.content = b"GGUF" + bytes(len(content) - 4)
    with pytest.raises(DownloadError, match="has not the SHA-256 that it should have"):
        await download.fetch(right)
    assert download.files() == []
    server.content = content
    path = await download.fetch(right)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == right
    assert download.files() == ["m.gguf"]


async def test_gone_on_with_after_a_restart(
    download: Download, session: aiohttp.ClientSession
) -> None:
    """What was there before the app was stopped is not asked for again."""
    server = download.server
    server.content = model_bytes(3 * MEGABYTE)
    server.script = [server.cut(MEGABYTE, pause=60)]
    fetching = asyncio.create_task(download.fetch())
    async with asyncio.timeout(10):
        while not download.told or download.told[-1].done_bytes < MEGABYTE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)
    assert download.files() == ["m.gguf.part", "m.gguf.part.json"]
    download.downloader = Downloader(session)
    path = await download.fetch(server.sha256)
    assert path.read_bytes() == server.content
    assert server.requests[-1][1]["Range"] == f"bytes={MEGABYTE}-"
    assert server.requests[-1][1]["If-Range"] == '"one"'
    assert server.n_sent == len(server.content)


async def test_all_was_there_but_the_name(download: Download) -> None:
    """A stop just before the end costs nothing."""
    server = download.server
    part = download.folder / "m.gguf.part"
    part.write_bytes(server.content)
    note = {"url": f"{server.url}/m.gguf", "validator": '"one"', "n_bytes": 65536, "sha256": None}
    (download.folder / "m.gguf.part.json").write_text(json.dumps(note))
    server.script = [saying(416)]
    assert (await download.fetch()).read_bytes() == server.content
    assert server.n_sent == 0


async def test_another_file_meanwhile(download: Download) -> None:
    """A file that changed on the server is fetched anew, never mixed."""
    server = download.server

    async def cut_the_old(request: web.Request) -> web.StreamResponse:
        answer = await server.send(request, n_bytes=KILOBYTE)
        server.content, server.headers = b"GGUF" + bytes(32 * KILOBYTE), {"ETag": '"two"'}
        return answer

    server.script = [cut_the_old]
    path = await download.fetch()
    assert path.read_bytes() == server.content
    assert server.requests[1][1]["If-Range"] == '"one"'


@pytest.mark.parametrize("part_of", ["bytes 7-9/65536", "bytes 1024-9999/10000", "nonsense"])
async def test_another_part_than_asked_for(download: Download, part_of: str) -> None:
    """A server that goes on somewhere else, or with something else, does no harm."""
    server = download.server
    server.script = [server.cut(KILOBYTE), saying(206, "GGUF", Content_Range=part_of)]
    path = await download.fetch(server.sha256)
    assert path.read_bytes() == server.content


async def test_without_ranges(download: Download) -> None:
    """A server that can only begin anew is let do so."""
    server = download.server
    server.has_ranges = False
    server.script = [server.cut(KILOBYTE)]
    assert (await download.fetch()).read_bytes() == server.content


async def test_a_shorter_file_now(download: Download) -> None:
    """What is longer than the file on the server is thrown away."""
    server = download.server
    server.script = [server.cut(KILOBYTE), saying(416)]
    assert (await download.fetch(server.sha256)).read_bytes() == server.content


async def test_only_pages(download: Download) -> None:
    """A page of HTML never counts as a model, and the error says what came."""
    download.server.script = [saying(200, "<html>") for _ in range(3)]
    with pytest.raises(
        DownloadError, match="is no GGUF file but text/html, beginning with '<html>'"
    ):
        await download.fetch()
    assert "m.gguf" not in download.files()


async def test_never_enough(download: Download) -> None:
    """After so many tries without a new byte that is enough; the pauses grow."""
    download.server.script = [saying(503) for _ in range(20)]
    with pytest.raises(
        DownloadError, match="cannot be had: the server answers with the status 503"
    ):
        await download.fetch()
    assert download.pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert len(download.server.requests) == MAX_TRIES


async def test_asked_to_wait(download: Download) -> None:
    """A server that says when to come back is obeyed."""
    download.server.script = [saying(429, Retry_After="17"), saying(503, Retry_After="99999")]
    await download.fetch()
    assert download.pauses == [17, 300]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "set the option hf_token"),
        (403, "set the option hf_token"),
        (404, "There is nothing at"),
        (410, "There is nothing at"),
        (400, "the server answers with the status 400"),
    ],
)
async def test_refused(download: Download, status: int, words: str) -> None:
    """What trying again does not change is told at once, in words."""
    download.server.script = [saying(status)]
    with pytest.raises(DownloadError, match=words):
        await download.fetch()
    assert download.pauses == []


@pytest.mark.parametrize(
    ("status", "headers", "token", "words"),
    [
        (401, {"X_Error_Code": "RepoNotFound"}, None, "There is no repository for"),
        (401, {"X_Error_Code": "RepoNotFound"}, "secret", "There is no repository for"),
        (
            401,
            {"X_Error_Message": "Invalid credentials in Authorization header"},
            "secret",
            "does not know the option hf_token: it is mistyped or expired",
        ),
        (401, {"X_Error_Code": "GatedRepo"}, None, "set the option hf_token, and accept"),
        (403, {"X_Error_Code": "GatedRepo"}, "secret", "accept the model's licence on its page"),
    ],
)
async def test_refusals_of_the_hub(  # noqa: PLR0913, PLR0917 - what is asked, and what is told
    download: Download,
    session: aiohttp.ClientSession,
    status: int,
    headers: dict[str, str],
    token: str | None,
    words: str,
) -> None:
    """No such repository, a wrong token and a licence have one status, and are told apart."""
    download.downloader = Downloader(session, token=token, hub=download.server.url)
    download.server.script = [saying(status, **headers)]
    with pytest.raises(DownloadError, match=words):
        await download.fetch()


async def test_an_address_that_has_expired(download: Download) -> None:
    """Where the hub leads to refuses: the next try gets another address."""
    hub = download.server
    async with FileServer() as storage:
        storage.script = [saying(403)]
        led = saying(302, Location=f"{storage.url}/blob?signature=1")
        hub.script = [led, led]
        path = await download.fetch()
        assert path.read_bytes() == storage.content
    assert len(hub.requests) == 2
    assert len(download.pauses) == 1


@pytest.mark.parametrize(
    ("tag", "file"),
    [
        ("Q4_K_M", "x-Q4_K_M.gguf"),
        ("q4_k_m", "x-Q4_K_M.gguf"),
        ("Q8_0", "q8/x-Q8_0-00001-of-00002.gguf"),
        ("UD-Q4_K_XL", "x-UD-Q4_K_XL.gguf"),
        ("K_M", None),
        ("Q5_K_M", None),
        ("F16", None),
    ],
)
async def test_a_file_of_a_repository(
    download: Download, session: aiohttp.ClientSession, tag: str, file: str | None
) -> None:
    """A quantisation is one file, never a projector's; where there is none, those are named."""
    names = (
        "README.md",
        "mmproj-F16.gguf",
        "q8/x-Q8_0-00001-of-00002.gguf",
        "q8/x-Q8_0-00002-of-00002.gguf",
        "x-Q4_K_M.gguf",
        "x-UD-Q4_K_XL.gguf",
    )
    listed = [{"type": "directory", "path": "q8"}, *({"type": "file", "path": n} for n in names)]
    hub = download.server
    hub.content = json.dumps(listed).encode()
    downloader = Downloader(session, hub=hub.url)
    wanted = Quantisation("o/r", tag)
    if file is None:
        with pytest.raises(DownloadError, match=f"no model in {tag}. It has x-Q4_K_M, x-Q8_0, x-"):
            await downloader.find(wanted)
        return
    source = await downloader.find(wanted)
    assert source.url == f"{hub.url}/o/r/resolve/main/{file}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "the list of files cannot be read"),
        (b"{}", "has no model in Q4_K_M. It has none in GGUF at all"),
        (b'[{"path": "x"}]', "It has none in GGUF at all"),
        (b"[5]", "the list of files cannot be read"),
    ],
)
async def test_a_hub_that_lists_nothing(
    download: Download, session: aiohttp.ClientSession, content: bytes, words: str
) -> None:
    """Whatever comes, it is told in words."""
    download.server.content = content
    with pytest.raises(DownloadError, match=words):
        await Downloader(session, hub=download.server.url).find(Quantisation("o/r"))
    download.server.script = [saying(401, X_Error_Code="RepoNotFound")]
    with pytest.raises(DownloadError, match=r"There is no repository for .*/o/r, or it is private"):
        await Downloader(session, hub=download.server.url).find(Quantisation("o/r"))


async def test_the_token_stays_at_home(download: Download, session: aiohttp.ClientSession) -> None:
    """Hugging Face gets the token; where it leads to, and other servers, do not."""
    hub = download.server
    async with FileServer() as storage:
        hub.script = [
            saying(
                302,
                Location=f"{storage.url}/blob?signature=1",
                X_Linked_ETag=f'"{storage.sha256}"',
                X_Linked_Size=str(len(storage.content)),
            )
        ]
        download.downloader = Downloader(session, token="secret", hub=hub.url)
        path = await download.fetch()
        assert path.read_bytes() == storage.content
        assert hub.requests[0][1]["Authorization"] == "Bearer secret"
        assert "Authorization" not in storage.requests[0][1]
        source = ModelSource(f"{storage.url}/m.gguf", "other.gguf")
        await download.downloader.fetch(source, download.folder, download.told.append)
        assert "Authorization" not in storage.requests[1][1]


async def test_with_a_token_but_no_licence(
    download: Download, session: aiohttp.ClientSession
) -> None:
    """Who has a token is told the other half."""
    download.downloader = Downloader(session, token="secret", hub=download.server.url)
    download.server.script = [saying(403)]
    with pytest.raises(DownloadError, match="accept the model's licence on its page, with the"):
        await download.fetch()


async def test_the_hash_of_the_hub(download: Download) -> None:
    """The hash that Hugging Face tells is checked without anybody having set one."""
    download.server.headers = {"X-Linked-ETag": f'"{"0" * 64}"'}
    with pytest.raises(DownloadError, match="has not the SHA-256"):
        await download.fetch()
    assert download.files() == []


@pytest.mark.parametrize("location", ["", "ftp://127.0.0.1/m.gguf", "file:///etc/passwd"])
async def test_leads_astray(download: Download, location: str) -> None:
    """Redirections lead to the web, and nowhere else."""
    download.server.script = [saying(302, Location=location)]
    with pytest.raises(DownloadError, match="leads to an address that is not secure"):
        await download.fetch()


async def test_leads_in_circles(download: Download) -> None:
    """Redirections have an end."""
    download.server.script = [saying(307, Location="/m.gguf") for _ in range(20)]
    with pytest.raises(DownloadError, match="leads from one address to the next"):
        await download.fetch()
    assert len(download.server.requests) == 6


async def test_a_full_disk(download: Download, session: aiohttp.ClientSession) -> None:
    """Without room nothing is written, and the error says how much is missing."""
    download.downloader = Downloader(session, free_bytes=lambda _: 1_000_000)
    with pytest.raises(DownloadError, match=r"0\.1 GB are needed, 0\.0 GB are free\. Delete some"):
        await download.fetch()
    assert download.files() == []


async def test_silence(download: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing more is asked again."""
    monkeypatch.setattr(transfer, "SILENCE_SECONDS", 0.2)
    server = download.server
    server.script = [server.cut(KILOBYTE, pause=5)]
    assert (await download.fetch()).read_bytes() == server.content
    assert len(server.requests) == 2


async def test_nobody_there(download: Download) -> None:
    """A server that is not there is looked for several times."""
    await download.server.__aexit__()
    with pytest.raises(DownloadError, match=r"cannot be had: 127\.0\.0\.1 cannot be reached"):
        await download.fetch()


async def test_two_at_once(download: Download) -> None:
    """The same file is fetched once for all who want it."""
    paths = await asyncio.gather(download.fetch(), download.fetch())
    assert paths[0] == paths[1]
    assert len(download.server.requests) == 1


async def test_another_app_on_the_same_folder(download: Download) -> None:
    """Who finds that the other one was faster has the file, too."""
    part, target = (download.folder / name for name in ("m.gguf.part", "m.gguf"))

    async def be_faster(request: web.Request) -> web.StreamResponse:
        part.rename(target)
        return await download.server.send(request)

    download.server.script = [be_faster]
    path = await download.fetch(download.server.sha256)
    assert path == target
    assert path.read_bytes() == download.server.content


@pytest.mark.parametrize("note", ["", "[]", '{"url": 1, "x": 2}', "x" * 70_000])
async def test_a_damaged_note(download: Download, note: str) -> None:
    """What is not known for sure is not gone on with."""
    (download.folder / "m.gguf.part").write_bytes(b"GGUFxxxx")
    (download.folder / "m.gguf.part.json").write_text(note)
    path = await download.fetch()
    assert path.read_bytes() == download.server.content


async def test_progress_in_the_log(
    download: Download, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads the log sees how far it is, how fast, and how long it still takes."""
    monkeypatch.setattr("llamacpp_app.download.LOG_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        await download.fetch()
    assert "m.gguf: 100 %" in caplog.text
    assert " MB/s, 0 s left" in caplog.text
