"""One request for a file, or for what is missing of it."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies

import aiohttp
from yarl import URL

from .errors import AppError
from .model_names import HUGGING_FACE, redacted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from .partial_download import Part, Remote

BLOCK_BYTES: Final = 1024 * 1024
MAGIC: Final = b"GGUF"
MAX_REDIRECTS: Final = 5
# Also for the answer of a name server: a user who waits for the first byte is told soon.
CONNECT_SECONDS: Final = 10.0
LOOK_UP_SECONDS: Final = 1.0
SILENCE_SECONDS: Final = 60.0
MAX_PAUSE_SECONDS: Final = 300.0

_SHA256: Final = re.compile(r'"?([0-9a-fA-F]{64})"?')
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_TEMPORARY: Final = {408, 425, 429, *range(500, 600)}


class DownloadError(AppError):
    """The file cannot be had; trying again soon would not help."""


class WrongHashError(DownloadError):
    """The file is another one than that whose hash is set; it is so until one of both changes."""


class InterruptedTransferError(AppError):
    """The transfer broke off. pause: seconds that the server asks for."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        """Tell what happened."""
        super().__init__(message)
        self.pause = pause


class NoModelError(InterruptedTransferError):
    """What came is no model, but perhaps a page of a proxy on the way."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """How a file is asked for. token: for Hugging Face alone, whose address is `hub`."""

    session: aiohttp.ClientSession
    token: str | None = None
    hub: str = HUGGING_FACE

    async def transfer(self, part: Part, admit: Callable[[Remote], None]) -> None:
        """Append what is missing to the part.

        admit: is given what the server says of the file before a block is written, and raises
        DownloadError if there is no room for it. Raises InterruptedTransferError, DownloadError,
        OSError.
        """
        try:
            async with self._answer(part) as (response, remote):
                await self._receive(response, remote, part, admit)
        except aiohttp.ConnectionTimeoutError as err:
            raise InterruptedTransferError(await _why_unconnected(part.remote.url)) from err
        except (aiohttp.ClientError, ValueError, TimeoutError) as err:
            raise _broken(err) from err

    @asynccontextmanager
    async def _answer(self, part: Part) -> AsyncGenerator[tuple[aiohttp.ClientResponse, Remote]]:
        """Ask for the rest, following redirections; give the answer and what is known of it."""
        url = part.remote.url
        remote = replace(part.remote)
        for _ in range(MAX_REDIRECTS + 1):
            async with self.session.get(
                url,
                headers=self._headers(url, part),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    None, connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
                ),
            ) as response:
                _note_hub(response, remote)
                if response.status not in (301, 302, 303, 307, 308):
                    yield response, remote
                    return
                url = _next_url(url, response.headers.get("Location", ""))
        raise DownloadError(f"{redacted(part.remote.url)} leads from one address to the next.")

    async def listed(self, repository: str) -> list[str]:
        """Return the paths of the files of a repository on Hugging Face.

        Raises InterruptedTransferError, DownloadError.
        """
        url = f"{self.hub.rstrip('/')}/api/models/{repository}/tree/main?recursive=true"
        timeout = aiohttp.ClientTimeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        try:
            async with self.session.get(
                url, headers=self._own_headers(url), timeout=timeout
            ) as response:
                if response.status != HTTPStatus.OK:
                    raise self._refusal(response, f"{self.hub.rstrip('/')}/{repository}")
                entries = await response.json(content_type=None)
                return [str(one["path"]) for one in entries if one.get("type") == "file"]
        except (aiohttp.ClientConnectorError, TimeoutError) as err:
            raise _broken(err) from err
        except (aiohttp.ClientError, ValueError, TypeError, KeyError, AttributeError) as err:
            raise InterruptedTransferError(f"the list of files cannot be read ({err})") from err

    def _refusal(
        self, response: aiohttp.ClientResponse, url: str
    ) -> DownloadError | InterruptedTransferError:
        is_hub = str(response.url.origin()) == _origin_of(self.hub)
        return _refusal(response, url, has_token=bool(self.token), is_hub=is_hub)

    def _own_headers(self, url: str) -> dict[str, str]:
        if self.token and _origin(url) == _origin(self.hub):
            return {"Authorization": f"Bearer {self.token}"}
        return {}

    def _headers(self, url: str, part: Part) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", **self._own_headers(url)}
        if part.n_bytes:
            headers["Range"] = f"bytes={part.n_bytes}-"
            if part.remote.validator:
                headers["If-Range"] = part.remote.validator
        return headers

    async def _receive(
        self,
        response: aiohttp.ClientResponse,
        remote: Remote,
        part: Part,
        admit: Callable[[Remote], None],
    ) -> None:
        status = response.status
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if part.n_bytes != part.remote.n_bytes:
                await part.clear()
                raise InterruptedTransferError("the file has changed on the server")
            return
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise self._refusal(response, part.remote.url)
        offset = _offset(response, remote)
        if offset and (offset != part.n_bytes or _is_another(remote, part)):
            await part.clear()
            raise InterruptedTransferError(
                "the server sent another part of the file than asked for"
            )
        blocks = _blocks(response.content)
        first = await anext(blocks, b"")
        if offset == 0:
            if not first.startswith(MAGIC):
                raise NoModelError(_no_model(response, first))
            if part.n_bytes:
                # The server began from the start: another file, or it cannot resume.
                await part.clear()
        admit(remote)
        await part.note(remote)
        await part.write(first)
        async for block in blocks:
            # Others fill the disk, too, and a file of an unknown size may be endless.
            admit(remote)
            await part.write(block)
        if remote.n_bytes is not None and part.n_bytes != remote.n_bytes:
            raise InterruptedTransferError("the connection ended before the file did")


async def _blocks(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """Yield what comes in large blocks; what came before a fault is yielded before it is raised."""
    block = bytearray()
    fault: Exception | None = None
    while fault is None:
        try:
            piece = await content.readany()
        except (aiohttp.ClientError, TimeoutError) as err:
            fault = err
            break
        if not piece:
            break
        block += piece
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
    if fault is not None:
        raise fault


async def _why_unconnected(url: str) -> str:
    """Return why there was no connection in time: nobody tells the address, or nobody is there."""
    host = URL(url).host
    if not getproxies():
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                await asyncio.get_running_loop().getaddrinfo(host, None)
        except (TimeoutError, OSError):
            return f"no name server (DNS) tells where {host} is"
    return f"there was no connection within {CONNECT_SECONDS:.0f} s"


def _broken(err: Exception) -> InterruptedTransferError:
    """Return what a fault on the way means."""
    match err:
        case aiohttp.ClientConnectorDNSError():
            why = f"no name server (DNS) of the network knows {err.host}"
        case aiohttp.ClientConnectorError() if not isinstance(err, aiohttp.ClientSSLError):
            number = err.os_error.errno
            words = os.strerror(number) if number else str(err.os_error)
            why = f"{err.host} cannot be reached ({words})"
        case TimeoutError():
            why = "the server stopped answering"
        case _:
            why = f"the connection broke off ({err})"
    return InterruptedTransferError(why)


def _note_hub(response: aiohttp.ClientResponse, remote: Remote) -> None:
    """Take what Hugging Face tells of a file, also when it sends one elsewhere for it."""
    linked = response.headers.get("X-Linked-ETag", "")
    if match := _SHA256.fullmatch(linked):
        remote.sha256 = match[1].lower()
    if (size := response.headers.get("X-Linked-Size", "")).isdecimal():
        remote.n_bytes = int(size)


def _offset(response: aiohttp.ClientResponse, remote: Remote) -> int:
    """Return where the answer begins in the file, and note its validator and size."""
    etag = response.headers.get("ETag", "")
    # A weak ETag does not promise the same bytes.
    strong = etag if etag and not etag.startswith("W/") else None
    remote.validator = strong or response.headers.get("Last-Modified")
    if response.status == HTTPStatus.OK:
        if response.content_length is not None:
            remote.n_bytes = response.content_length
        return 0
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None:
        return -1
    if match[3] != "*":
        remote.n_bytes = int(match[3])
    return int(match[1])


def _is_another(remote: Remote, part: Part) -> bool:
    """Tell whether a server that goes on is going on with another file."""
    known = part.remote.n_bytes
    return bool(part.n_bytes) and known is not None and remote.n_bytes not in (None, known)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _origin_of(url: str) -> str:
    return str(URL(url).origin())


def _next_url(url: str, location: str) -> str:
    """Return where a redirection leads. Raises DownloadError."""
    target = urljoin(url, location)
    schemes = urlsplit(url).scheme, urlsplit(target).scheme
    if not location or schemes not in (("https", "https"), ("http", "http"), ("http", "https")):
        raise DownloadError(f"{redacted(url)} leads to an address that is not secure.")
    return target


def _no_model(response: aiohttp.ClientResponse, first: bytes) -> str:
    kind = response.headers.get("Content-Type", "something").partition(";")[0]
    begins = first[:16].decode("ascii", "replace").strip()
    return f"what came is no GGUF file but {kind}, beginning with {begins!r}"


def _not_allowed(
    response: aiohttp.ClientResponse, where: str, *, has_token: bool, is_hub: bool
) -> DownloadError | InterruptedTransferError:
    """Return what a refusal means: Hugging Face has one status for several reasons."""
    code = response.headers.get("X-Error-Code", "")
    said = response.headers.get("X-Error-Message", "").lower()
    if not is_hub and str(response.url.origin()) != _origin_of(where):
        # A signed address has a time: the next try gets another one.
        return InterruptedTransferError(
            f"{response.url.host}, where the file lies, refuses it with the status "
            f"{response.status}: is the clock right, and may the machine reach it?"
        )
    if "invalid credentials" in said or "invalid username" in said:
        return DownloadError(
            "Hugging Face does not know the option hf_token: it is mistyped or expired. Make a new "
            "one, or empty the option if the model is open to everybody."
        )
    if code == "RepoNotFound":
        return DownloadError(
            f"There is no repository for {where}, or it is private: look at the spelling, small "
            "and capital letters too, or set the option hf_token."
        )
    if has_token:
        hint = "accept the model's licence on its page, with the account of the option hf_token."
    else:
        hint = "set the option hf_token, and accept the model's licence on its page."
    return DownloadError(f"{where} is not for everybody: {hint}")


def _refusal(
    response: aiohttp.ClientResponse, url: str, *, has_token: bool, is_hub: bool
) -> DownloadError | InterruptedTransferError:
    """Return what an answer other than the file means.

    url: that was asked for at first. is_hub: it is Hugging Face that answers.
    """
    status, where = response.status, redacted(url)
    if status in _TEMPORARY:
        asked = response.headers.get("Retry-After", "")
        pause = min(float(asked), MAX_PAUSE_SECONDS) if asked.isdecimal() else 0.0
        return InterruptedTransferError(f"the server answers with the status {status}", pause)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _not_allowed(response, where, has_token=has_token, is_hub=is_hub)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return DownloadError(f"There is nothing at {where}: look at the address of the model.")
    return DownloadError(f"{where} cannot be had: the server answers with the status {status}.")
