"""Backups of conversations during many writes."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from llamacpp_app.backup import copy_of, write_copy
from llamacpp_app.conversations import ConversationStore, Message

ROOT = Path(__file__).parents[2]
N_COPIES = 12


def run_backup(folder: Path) -> subprocess.CompletedProcess[str]:
    """Do as the Supervisor does before a backup."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "addon"), "DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "llamacpp_app.backup"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


async def test_copies_of_what_is_being_written(tmp_path: Path) -> None:
    """Each copy is whole, has all acknowledged turns, and can be restored."""
    store = ConversationStore(tmp_path / "conversations.db")
    await store.open()
    started = await store.start("You are brief.")
    n_turns = 0

    async def write() -> None:
        nonlocal n_turns
        while True:
            said = Message("user", f"{n_turns} " * 500, n_turns + 1)
            await store.add_turn(started.id, said, said)
            n_turns += 1

    writing = asyncio.create_task(write())
    try:
        for number in range(N_COPIES):
            n_before = n_turns
            done = await asyncio.to_thread(run_backup, tmp_path)
            assert done.stderr == ""
            messages = await restored(tmp_path, tmp_path / str(number), started.id)
            # A long conversation keeps only its newer half.
            newest = messages[-1].created if messages else 0
            assert n_before <= newest <= n_turns + 1
            assert len(messages) % 2 == 0
        assert n_turns > N_COPIES
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await store.close()


def restore(copy: Path, empty: Path) -> None:
    """Do as the Supervisor does to restore a backup."""
    empty.mkdir()
    (empty / copy.name).write_bytes(copy.read_bytes())


async def restored(folder: Path, empty: Path, conversation_id: str) -> list[Message]:
    """Return the content of a conversation after restoring a copy to an empty folder."""
    restore(copy_of(folder / "conversations.db"), empty)
    with contextlib.closing(sqlite3.connect(copy_of(empty / "conversations.db"))) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = ConversationStore(empty / "conversations.db")
    await store.open()
    messages = await store.messages(conversation_id)
    await store.close()
    return messages


async def test_an_app_that_does_not_run(tmp_path: Path) -> None:
    """Its backup has the copy written at its stop; a later start keeps its own."""
    path = tmp_path / "conversations.db"
    store = ConversationStore(path)
    await store.open()
    started = await store.start()
    await store.close()
    path.rename(tmp_path / "lost.db")
    store = ConversationStore(path)
    await store.open()
    assert await store.get(started.id) is not None
    assert not copy_of(path).exists()
    await store.delete(started.id)
    write_copy(path)
    newer = await store.start()
    await store.close()
    store = ConversationStore(path)
    await store.open()
    assert [one.id for one in await store.newest(5)] == [newer.id]
    await store.close()


@pytest.mark.parametrize("content", [None, b"no database"])
def test_a_backup_never_fails(tmp_path: Path, content: bytes | None) -> None:
    """Without a new copy it has the last one, and the Supervisor's log has the reason."""
    path = tmp_path / "conversations.db"
    copy_of(path).write_text("before")
    if content:
        path.write_bytes(content)
    assert "older copy of the conversations" in run_backup(tmp_path).stderr
    assert copy_of(path).read_text() == "before"
