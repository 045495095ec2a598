"""Conversations of the API in an SQLite database: what was acknowledged survives a power cut."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

from .backup import take_copy, write_copy
from .clock import SteadyClock, running_seconds
from .errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOGGER = logging.getLogger(__name__)

VERSION: Final = 2
BUSY_SECONDS: Final = 10.0
MAX_JOURNAL_BYTES: Final = 1024 * 1024
MAX_SET_ASIDE: Final = 3
TITLE_CHARACTERS: Final = 80

_SCHEMA: Final = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    system_prompt TEXT,
    message_count INTEGER NOT NULL DEFAULT 0,
    stamp REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    created REAL NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER
);
CREATE INDEX messages_conversation ON messages (conversation_id, number);
"""

# By SteadyClock: `stamp` is when the last turn was, and `clock` until when the app was running.
_CLOCK_SCHEMA: Final = """
CREATE INDEX conversations_stamp ON conversations (stamp);
CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 0), now REAL NOT NULL);
"""

_FROM_VERSION_1: Final = """
ALTER TABLE conversations ADD COLUMN stamp REAL NOT NULL DEFAULT 0;
UPDATE conversations SET stamp = updated;
DROP INDEX conversations_updated;
"""


class StoreError(AppError):
    """The database cannot be read or written."""


class UnknownConversationError(AppError):
    """There is no such conversation."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. role: user or assistant. created: Unix seconds. Tokens: of answers alone."""

    role: str
    content: str
    created: float
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its messages.

    created, updated: Unix seconds. title: the first words that are kept of it, if they were read.
    """

    id: str
    created: float
    updated: float
    system_prompt: str | None
    message_count: int
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: what is older or more than this goes, the oldest first.

    max_conversations: with messages. max_empty: without any, beside them.
    """

    max_age_seconds: float = 30 * 24 * 3600
    max_conversations: int = 1000
    max_empty: int = 100
    max_messages: int = 400


class ConversationStore:
    """Keeps conversations in one file; all of its work is done in one thread of its own."""

    def __init__(
        self,
        path: Path,
        retention: Retention | None = None,
        clock: Callable[[], float] = time.time,
        running: Callable[[], float] = running_seconds,
    ) -> None:
        """Take note of the file; nothing is opened yet.

        clock: of the machine, in Unix seconds. running: counts seconds.
        """
        self._path = path
        self._retention = retention or Retention()
        self._clock = clock
        self._running = running
        self._steady = SteadyClock(clock(), (), running)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="conversations")
        self._database: sqlite3.Connection | None = None

    async def _run[Result](self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do something in the thread; it is done to its end, also if nobody waits any more.

        Raises StoreError.
        """
        loop = asyncio.get_running_loop()
        task = loop.run_in_executor(self._thread, work, *arguments)
        try:
            return await asyncio.shield(task)
        except sqlite3.Error as err:
            raise StoreError(
                f"The conversations cannot be read or written: {err}. Is the disk full?"
            ) from err

    async def open(self) -> None:
        """Open the file; one that is damaged is set aside. Raises StoreError."""
        await self._run(self._open)

    async def close(self) -> None:
        """Close the file."""
        await self._run(self._close)
        self._thread.shutdown()

    async def start(self, system_prompt: str | None = None) -> Conversation:
        """Begin a conversation. Raises StoreError."""
        return await self._run(self._start, system_prompt)

    async def get(self, conversation_id: str) -> Conversation | None:
        """Return a conversation, None if there is none. Raises StoreError."""
        return await self._run(self._get, conversation_id)

    async def messages(self, conversation_id: str) -> list[Message]:
        """Return what was said, the oldest first. Raises StoreError."""
        return await self._run(self._messages, conversation_id)

    async def add_turn(self, conversation_id: str, said: Message, answer: Message) -> int:
        """Store a turn, whole or not at all, and return how many messages there are.

        When this returns, the turn is on disk. Raises UnknownConversationError, StoreError.
        """
        return await self._run(self._add_turn, conversation_id, said, answer)

    async def newest(self, limit: int, offset: int = 0) -> list[Conversation]:
        """Return conversations, the newest first. Raises StoreError."""
        return await self._run(self._newest, limit, offset)

    async def delete(self, conversation_id: str) -> bool:
        """Delete a conversation; tell whether there was one. Raises StoreError."""
        return await self._run(self._delete, conversation_id)

    async def active_count(self, seconds: float) -> int:
        """Return in how many something was said in the last seconds. Raises StoreError."""
        return await self._run(self._active_count, seconds)

    async def prune(self) -> None:
        """Remove what is too old or too much; to be called every hour. Raises StoreError."""
        await self._run(self._prune_and_note)

    @property
    def _open_database(self) -> sqlite3.Connection:
        if self._database is None:
            raise sqlite3.ProgrammingError("the database is closed")
        return self._database

    def _open(self) -> None:
        try:
            is_restored = take_copy(self._path)
        except OSError as err:
            raise sqlite3.OperationalError(str(err)) from err
        if is_restored:
            _LOGGER.info("The conversations are those of the backup")
        try:
            self._database = self._connect()
        except sqlite3.DatabaseError as err:
            if isinstance(err, sqlite3.OperationalError):
                raise
            self._set_aside(err)
            self._database = self._connect()
        known = self._database.execute(
            "SELECT stamp FROM conversations UNION SELECT now FROM clock"
        )
        self._steady = SteadyClock(self._clock(), [one for (one,) in known], self._running)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, autocommit=True)
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        """Set the file up, making its tables if it is new."""
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StoreError(
                f"{self._path.name} was written by a newer version of the app: update the app, or "
                "delete the file."
            )
        # Only a file that is still empty takes this.
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        # An acknowledged turn is on disk, not only on its way there.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(f"PRAGMA journal_size_limit = {MAX_JOURNAL_BYTES}")
        if version < VERSION:
            steps = (_SCHEMA if version == 0 else _FROM_VERSION_1) + _CLOCK_SCHEMA
            database.executescript(f"BEGIN; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _set_aside(self, err: Exception) -> None:
        """Give a file that cannot be read another name, and forget the oldest of such files."""
        stem = f"{self._path.stem}.damaged-"
        kept = self._path.with_name(f"{stem}{round(self._clock())}{self._path.suffix}")
        _LOGGER.error("%s is damaged (%s): it is %s now", self._path.name, err, kept.name)
        self._path.replace(kept)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        others = sorted(self._path.parent.glob(f"{stem}*"))
        for old in others[:-MAX_SET_ASIDE]:
            old.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
            # A backup of an app that does not run has only this.
            with contextlib.suppress(sqlite3.Error, OSError):
                write_copy(self._path)

    def _start(self, system_prompt: str | None) -> Conversation:
        now = self._clock()
        started = Conversation(
            f"conv_{int(now)}_{secrets.token_hex(4)}", now, now, system_prompt, 0
        )
        self._open_database.execute(
            "INSERT INTO conversations (id, created, updated, system_prompt, stamp)"
            " VALUES (?, ?, ?, ?, ?)",
            (started.id, now, now, system_prompt, self._stamp()),
        )
        self._prune()
        return started

    def _get(self, conversation_id: str) -> Conversation | None:
        row = self._open_database.execute(
            "SELECT id, created, updated, system_prompt, message_count FROM conversations"
            " WHERE id = ?",
            (conversation_id,),
        ).fetchone()
        return Conversation(*row) if row else None

    def _messages(self, conversation_id: str) -> list[Message]:
        rows = self._open_database.execute(
            "SELECT role, content, created, prompt_tokens, completion_tokens FROM messages"
            " WHERE conversation_id = ? ORDER BY number",
            (conversation_id,),
        )
        return [Message(*row) for row in rows]

    def _add_turn(self, conversation_id: str, said: Message, answer: Message) -> int:
        database = self._open_database
        database.execute("BEGIN IMMEDIATE")
        try:
            count = self._insert_turn(conversation_id, said, answer)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        return count

    def _insert_turn(self, conversation_id: str, said: Message, answer: Message) -> int:
        found = self._get(conversation_id)
        if found is None:
            raise UnknownConversationError(f"There is no conversation {conversation_id}.")
        self._open_database.executemany(
            "INSERT INTO messages (conversation_id, role, content, created, prompt_tokens,"
            " completion_tokens) VALUES (?, ?, ?, ?, ?, ?)",
            [(conversation_id, *astuple(one)) for one in (said, answer)],
        )
        count = self._shortened(conversation_id, found.message_count + 2)
        self._open_database.execute(
            "UPDATE conversations SET updated = ?, message_count = ?, stamp = ? WHERE id = ?",
            (self._clock(), count, self._stamp(), conversation_id),
        )
        return count

    def _shortened(self, conversation_id: str, count: int) -> int:
        """Remove the older half of a conversation that is too long; return what is left."""
        if count <= self._retention.max_messages:
            return count
        surplus = count // 4 * 2
        self._open_database.execute(
            "DELETE FROM messages WHERE number IN (SELECT number FROM messages"
            " WHERE conversation_id = ? ORDER BY number LIMIT ?)",
            (conversation_id, surplus),
        )
        return count - surplus

    def _newest(self, limit: int, offset: int) -> list[Conversation]:
        rows = self._open_database.execute(
            "SELECT id, created, updated, system_prompt, message_count,"
            " (SELECT substr(content, 1, ?) FROM messages"
            " WHERE conversation_id = conversations.id ORDER BY number LIMIT 1)"
            " FROM conversations ORDER BY stamp DESC, id DESC LIMIT ? OFFSET ?",
            (TITLE_CHARACTERS, limit, offset),
        )
        return [Conversation(*row) for row in rows]

    def _delete(self, conversation_id: str) -> bool:
        done = self._open_database.execute(
            "DELETE FROM conversations WHERE id = ?", (conversation_id,)
        )
        return done.rowcount > 0

    def _active_count(self, seconds: float) -> int:
        (count,) = self._open_database.execute(
            "SELECT count(*) FROM conversations WHERE stamp > ?", (self._steady.now() - seconds,)
        ).fetchone()
        return int(count)

    def _stamp(self) -> float:
        """Return the time of a turn that is the newest of all."""
        (newest,) = self._open_database.execute("SELECT max(stamp) FROM conversations").fetchone()
        return self._steady.after(newest or 0.0)

    def _prune_and_note(self) -> None:
        self._prune()
        self._open_database.execute(
            "INSERT OR REPLACE INTO clock VALUES (0, ?)", (self._steady.now(),)
        )

    def _prune(self) -> None:
        database, retention = self._open_database, self._retention
        oldest = self._steady.now() - retention.max_age_seconds
        database.execute("DELETE FROM conversations WHERE stamp < ?", (oldest,))
        for is_empty, most in ((False, retention.max_conversations), (True, retention.max_empty)):
            database.execute(
                "DELETE FROM conversations WHERE id IN (SELECT id FROM conversations"
                " WHERE (message_count = 0) = ? ORDER BY stamp DESC, id DESC LIMIT -1 OFFSET ?)",
                (is_empty, most),
            )
        database.execute("PRAGMA incremental_vacuum")
