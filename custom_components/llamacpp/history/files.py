"""Files of a history. All functions block: run them in the executor."""

import hashlib
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from homeassistant.helpers.json import json_bytes
from homeassistant.util.file import write_utf8_file_atomic
from homeassistant.util.json import json_loads

from ..const import LOGGER
from .fields import FormatError
from .index import Index
from .migrations import migrate
from .model import Conversation, Source
from .plain import to_plain
from .retention import UNREAD, Group

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VERSION = 1
MINOR_VERSION = 2

# Each turn writes its whole conversation: limits of a conversation are limits of a turn's cost.
MAX_TURNS = 400
MAX_BYTES = 512 * 1024

# A plain id has no dot, so it never collides with a hashed one.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,64}|sha256\.[0-9a-f]{64})\.json", re.ASCII)
# File left behind by a power cut during a write. A younger one (in seconds) may belong to a turn
# that is in progress while its entry reloads.
_TEMPORARY = re.compile(r"tmp[a-z0-9_]{8}", re.ASCII)
_ABANDONED_SECONDS = 60
# An empty file; its modification time is the last time at which the history was running.
_CLOCK = "clock"
# As Home Assistant's storage names files that are not JSON.
_SET_ASIDE = ".corrupt."


def file_name(conversation_id: str) -> str:
    """Return the name of a conversation's file: safe, and unique for each id.

    A lone surrogate in an id counts as a question mark, which is how it is stored.
    """
    if _PLAIN_ID.fullmatch(conversation_id):
        return f"{conversation_id}.json"
    digest = hashlib.sha256(conversation_id.encode("utf-8", "replace")).hexdigest()
    return f"sha256.{digest}.json"


def scan(folder: Path) -> tuple[Index, list[float]]:
    """Index a folder by its listing, without reading files; a missing folder counts as empty.

    Also returns the times at which the history was running. Removes leftovers of interrupted
    writes.
    """
    abandoned = time.time() - _ABANDONED_SECONDS
    sizes: dict[str, int] = {}
    stamps: dict[str, float] = {}
    running: list[float] = []
    with suppress(FileNotFoundError), os.scandir(folder) as listing:
        for file in listing:
            if _NAME.fullmatch(file.name) and file.is_file():
                stat = file.stat()
                sizes[file.name] = stat.st_size
                stamps[file.name] = stat.st_mtime
            elif file.name == _CLOCK:
                running.append(file.stat().st_mtime)
            elif _TEMPORARY.fullmatch(file.name) and file.stat().st_mtime < abandoned:
                remove([folder / file.name])
    return Index(sizes, stamps), [*running, *stamps.values()]


def set_clock(folder: Path, now: float) -> None:
    """Record that the history was running until now, unless the folder is missing."""
    path = folder / _CLOCK
    with suppress(OSError):
        if folder.is_dir():
            path.touch(mode=0o600)
            os.utime(path, (now, now))


def read_groups(folder: Path, names: Iterable[str]) -> dict[str, Group]:
    """Return the groups of these conversations; reads only what that needs."""
    return {name: _read_group(folder / name) for name in names}


def _read_group(path: Path) -> Group:
    try:
        document: Any = json_loads(path.read_bytes())
        data = migrate(document["version"], document["minor_version"], document["data"])
        return Group.from_values(
            data["user_id"],
            len(data["turns"]),
            is_closed=data["closed"] is not None,
            is_action=data["source"] == Source.ACTION,
        )
    except OSError, AttributeError, KeyError, TypeError, ValueError:
        return UNREAD


def parse(path: Path, data: Any) -> tuple[Conversation, os.stat_result]:
    """Return the conversation stored as `data` in this file, and the file's status.

    Raises FormatError if the data is invalid or belongs in another file.
    """
    conversation = Conversation.from_json(data)
    if file_name(conversation.id) != path.name:
        raise FormatError("id: belongs into another file")
    return conversation, path.stat()


def write(
    path: Path, key: str, conversation: Conversation, stamp: float, *, make_folder: bool
) -> tuple[Conversation, int]:
    """Write a conversation; once this returns, it survives a power cut.

    key: of Home Assistant's storage. stamp: time of the last turn, stored as the file's
    modification time for `scan`. Returns the written conversation, without its oldest turns if it
    is too large, and the file's size in bytes. Raises HomeAssistantError, OSError, TypeError if it
    is not JSON, or FormatError if it could not be read again.
    """
    conversation, content = _fitted(conversation, key)
    if make_folder:
        _make_folder(path.parent)
    write_utf8_file_atomic(str(path), content, private=True, mode="wb")
    os.utime(path, (stamp, stamp))
    return conversation, len(content)


def set_aside(path: Path) -> Path:
    """Rename a file so that it no longer counts as a conversation, and return its new path."""
    return path.rename(path.with_name(f"{path.name}{_SET_ASIDE}{datetime.now(UTC).isoformat()}"))


def remove(paths: Iterable[Path]) -> None:
    """Remove these files; log those that cannot be removed."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as err:
            LOGGER.warning("A file of the history cannot be removed: %s", err)


def remove_file(path: Path) -> None:
    """Remove a file that was set aside."""
    remove([path])


def remove_set_aside(folder: Path, before: float) -> list[str]:
    """Remove files set aside before a time (seconds since 1970), and return their names."""
    old = []
    with suppress(FileNotFoundError), os.scandir(folder) as listing:
        # Renaming a file changes its ctime, not its mtime.
        old = [file.name for file in listing if _SET_ASIDE in file.name and _ctime(file) < before]
    remove(folder / name for name in old)
    return old


def remove_folder(folder: Path) -> None:
    """Remove a folder with its content, and its parent if that is empty then."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
    with suppress(OSError):
        folder.parent.rmdir()


def _ctime(file: os.DirEntry[str]) -> float:
    return file.stat(follow_symlinks=False).st_ctime


def _fitted(conversation: Conversation, key: str) -> tuple[Conversation, bytes]:
    """Return the conversation and its file's content, within both limits.

    Drops half of the turns at once: a prompt that loses a turn each time never matches the server's
    KV cache. Keeps the last turn, whatever its size.
    """
    turns = conversation.turns
    if len(turns) > MAX_TURNS:
        turns = turns[-(MAX_TURNS // 2) :]
    while True:
        conversation = replace(conversation, turns=turns)
        content = _content(conversation, key)
        if len(content) <= MAX_BYTES or len(turns) <= 1:
            return conversation, content
        turns = turns[(len(turns) + 1) // 2 :]


def _content(conversation: Conversation, key: str) -> bytes:
    """Return the file's content in the format of Home Assistant's storage."""
    document = {
        "version": VERSION,
        "minor_version": MINOR_VERSION,
        "key": key,
        "data": conversation.to_json(),
    }
    try:
        return json_bytes(document)
    except TypeError:
        plain = to_plain(document)
        # Check that the replacements did not break a required field.
        Conversation.from_json(plain["data"])
        return json_bytes(plain)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for parent in (folder.parent, folder.parent.parent):
        descriptor = os.open(parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
