"""The database of conversations: complete, bounded, and never a reason to stop."""

import asyncio
import os
import random
import signal
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llamacpp_app import conversations
from llamacpp_app.conversations import (
    MAX_SET_ASIDE,
    TITLE_CHARACTERS,
    Conversation,
    ConversationStore,
    Message,
    Retention,
    StoreError,
    UnknownConversationError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

HOUR = 3600.0
# Moments at which a process is killed.
KILLS = 200
LONGEST_LIFE_SECONDS = 0.03
SEED = 4
WRITER = Path(__file__).with_name("conversation_writer.py")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        """Start in November 2026, just after the machine's boot."""
        self.now = 1_795_500_000.0
        self._started = self.now

    def __call__(self) -> float:
        """Return the time, a little later at each call."""
        self.now += 0.001
        return self.now

    def running(self) -> float:
        """Return the seconds since the start."""
        return self.now - self._started

    def turn(self, seconds: float) -> None:
        """Set the clock without letting time pass."""
        self.now += seconds
        self._started += seconds


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncGenerator[ConversationStore]:
    """Return an open store."""
    store = ConversationStore(tmp_path / "conversations.db", clock=clock, running=clock.running)
    await store.open()
    yield store
    await store.close()


def turn(number: int) -> tuple[Message, Message]:
    """Return a turn: a message and its answer."""
    return (
        Message("user", f"Question {number}?", float(number)),
        Message("assistant", f"Answer {number}. ü", number + 0.5, 10, 5),
    )


def set_aside(folder: Path) -> list[Path]:
    """Return the damaged files that were set aside."""
    return list(folder.glob("conversations.damaged-*"))


async def contents(store: ConversationStore, conversation_id: str) -> list[str]:
    """Return the words of a conversation."""
    return [one.content for one in await store.messages(conversation_id)]


async def test_turns_are_kept(store: ConversationStore, tmp_path: Path) -> None:
    """Another process reads all of it, with times and tokens."""
    started = await store.start("Be brief.")
    assert started.id.startswith("conv_1795500000_")
    assert await store.add_turn(started.id, *turn(1)) == 2
    assert await store.add_turn(started.id, *turn(2)) == 4
    other = ConversationStore(tmp_path / "conversations.db")
    await other.open()
    found = await other.get(started.id)
    assert isinstance(found, Conversation)
    assert (found.system_prompt, found.message_count) == ("Be brief.", 4)
    assert await other.messages(started.id) == [*turn(1), *turn(2)]
    await other.close()


async def test_unknown_and_deleted(store: ConversationStore) -> None:
    """They cannot be continued, not even if they are deleted during an answer."""
    assert await store.get("conv_1_x") is None
    assert await store.messages("conv_1_x") == []
    assert not await store.delete("conv_1_x")
    started = await store.start()
    await store.add_turn(started.id, *turn(1))
    assert await store.delete(started.id)
    assert await store.messages(started.id) == []
    with pytest.raises(UnknownConversationError, match=started.id):
        await store.add_turn(started.id, *turn(2))


async def test_newest_first(store: ConversationStore, clock: Clock) -> None:
    """The one with the last turn comes first; recent ones are active."""
    first, second = await store.start(), await store.start()
    clock.now += HOUR
    await store.add_turn(first.id, *turn(1))
    assert [one.id for one in await store.newest(10)] == [first.id, second.id]
    assert [one.id for one in await store.newest(1, 1)] == [second.id]
    assert await store.active_count(60) == 1
    assert await store.active_count(2 * HOUR) == 2


async def test_titles(store: ConversationStore) -> None:
    """A title is made of the first stored words, up to a limit."""
    empty, short, long = [(await store.start()).id for _ in range(3)]
    said, answer = turn(1)
    for one, words in ((short, "What is it?"), (long, "Why? " * 100)):
        await store.add_turn(one, replace(said, content=words), answer)
        await store.add_turn(one, *turn(2))
    titles = {one.id: one.title for one in await store.newest(10)}
    assert titles == {empty: None, short: "What is it?", long: ("Why? " * 100)[:TITLE_CHARACTERS]}


async def test_what_is_too_old_or_too_much_goes(tmp_path: Path, clock: Clock) -> None:
    """By age, by number, and within a conversation in large steps, oldest first."""
    retention = Retention(max_age_seconds=HOUR, max_empty=3, max_messages=8)
    store = ConversationStore(tmp_path / "c.db", retention, clock, clock.running)
    await store.open()
    ids = [(await store.start()).id for _ in range(5)]
    assert [one.id for one in await store.newest(10)] == ids[:1:-1]
    for number in range(5):
        count = await store.add_turn(ids[4], *turn(number))
    assert count == 6
    assert (await contents(store, ids[4]))[0] == "Question 2?"
    clock.now += HOUR - 60
    await store.add_turn(ids[3], *turn(1))
    clock.now += 120
    await store.prune()
    assert [one.id for one in await store.newest(10)] == [ids[3]]
    await store.close()
    with sqlite3.connect(tmp_path / "c.db") as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (2,)
    database.close()


async def test_those_without_a_message_push_out_no_other(tmp_path: Path, clock: Clock) -> None:
    """They have their own quota, in any order."""
    retention = Retention(max_conversations=5, max_empty=3)
    store = ConversationStore(tmp_path / "c.db", retention, clock, clock.running)
    await store.open()
    said = [await store.start() for _ in range(3)]
    for one in said:
        await store.add_turn(one.id, *turn(1))
    empty = [await store.start() for _ in range(50)]
    kept = [one.id for one in await store.newest(100)]
    assert kept == [one.id for one in reversed([*said, *empty[-3:]])]
    # Many conversations of one speaker delete the oldest of them.
    more = []
    for _ in range(10):
        more.append(await store.start())
        await store.add_turn(more[-1].id, *turn(2))
    await store.prune()
    kept = [one.id for one in await store.newest(100) if one.message_count]
    assert kept == [one.id for one in reversed(more[-5:])]
    await store.close()


async def reopened(store: ConversationStore, path: Path, clock: Clock) -> ConversationStore:
    """Restart the app."""
    await store.close()
    store = ConversationStore(path, clock=clock, running=clock.running)
    await store.open()
    return store


@pytest.mark.parametrize("days", [400, -400, 40, -40, 31, -31])
async def test_a_clock_that_is_wrong(tmp_path: Path, clock: Clock, days: int) -> None:
    """No conversation is deleted, then or afterwards."""
    path, wrong = tmp_path / "c.db", days * 24 * HOUR
    store = ConversationStore(path, clock=clock, running=clock.running)
    await store.open()
    ids = [(await store.start()).id for _ in range(3)]
    for one in ids:
        await store.add_turn(one, *turn(1))
    clock.turn(wrong)
    await store.add_turn(ids[0], *turn(2))
    ids.append((await store.start()).id)
    await store.prune()
    store = await reopened(store, path, clock)
    await store.add_turn(ids[1], *turn(2))
    await store.prune()
    clock.turn(-wrong)
    for _ in range(2):
        ids.append((await store.start()).id)
        await store.prune()
        store = await reopened(store, path, clock)
    assert {one.id for one in await store.newest(100)} == set(ids)
    # They still grow older as time passes, also over restarts.
    for _ in range(31):
        clock.now += 24 * HOUR
        await store.prune()
        store = await reopened(store, path, clock)
    assert await store.newest(100) == []
    await store.close()


async def test_a_file_of_version_1(tmp_path: Path, clock: Clock) -> None:
    """It is migrated with all its content, in order."""
    path = tmp_path / "c.db"
    store = ConversationStore(path, clock=clock, running=clock.running)
    await store.open()
    ids = [(await store.start()).id for _ in range(3)]
    await store.add_turn(ids[1], *turn(1))
    await store.close()
    with sqlite3.connect(path) as database:
        database.executescript(
            "DROP INDEX conversations_stamp; DROP TABLE clock;"
            "ALTER TABLE conversations DROP COLUMN stamp;"
            "CREATE INDEX conversations_updated ON conversations (updated);"
            "PRAGMA user_version = 1;"
        )
    database.close()
    other = ConversationStore(path, clock=clock, running=clock.running)
    await other.open()
    assert [one.id for one in await other.newest(10)] == [ids[1], ids[2], ids[0]]
    assert await contents(other, ids[1]) == [one.content for one in turn(1)]
    await other.close()


async def test_many_at_once(store: ConversationStore) -> None:
    """Every turn of every conversation is there, in order."""
    ids = [(await store.start()).id for _ in range(10)]
    await asyncio.gather(*(store.add_turn(one, *turn(n)) for n in range(5) for one in ids))
    for one in ids:
        assert (await contents(store, one))[::2] == [f"Question {n}?" for n in range(5)]


async def test_a_caller_that_is_cancelled(store: ConversationStore) -> None:
    """The turn is stored completely."""
    started = await store.start()
    for number in range(20):
        task = asyncio.create_task(store.add_turn(started.id, *turn(number)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    found = await store.get(started.id)
    assert found is not None
    said = await contents(store, started.id)
    assert len(said) == found.message_count
    assert [one.partition(" ")[0] for one in said] == ["Question", "Answer"] * (len(said) // 2)


@pytest.mark.parametrize("fault", ["noise", "truncated", "zeroes"])
async def test_a_damaged_file(tmp_path: Path, clock: Clock, fault: str) -> None:
    """It is set aside and a new one is created; only some of them are kept."""
    path = tmp_path / "conversations.db"
    for number in range(MAX_SET_ASIDE + 2):
        clock.now += 10
        store = ConversationStore(path, clock=clock)
        await store.open()
        assert await store.newest(1) == []
        started = await store.start()
        for count in range(30):
            await store.add_turn(started.id, *turn(count))
        await store.close()
        whole = path.read_bytes()
        damaged = {
            "noise": os.urandom(len(whole)),
            "truncated": whole[: len(whole) // 2],
            "zeroes": whole[:4096] + bytes(len(whole) - 4096),
        }[fault]
        path.write_bytes(damaged)
        n_kept = len(set_aside(tmp_path))
        assert n_kept == min(number, MAX_SET_ASIDE)


async def test_a_newer_version(tmp_path: Path) -> None:
    """A file of a newer version is not changed."""
    path = tmp_path / "conversations.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    store = ConversationStore(path)
    with pytest.raises(StoreError, match="newer version"):
        await store.open()
    await store.close()
    assert path.read_bytes() == before


async def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn fails as a whole, and the next one is stored when there is room again."""
    monkeypatch.setattr(conversations, "BUSY_SECONDS", 0.1)
    store = ConversationStore(tmp_path / "conversations.db")
    await store.open()
    started = await store.start()
    other = sqlite3.connect(tmp_path / "conversations.db", autocommit=True, timeout=0)
    # Another writer, which has the effect of a full disk.
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        await store.add_turn(started.id, *turn(1))
    other.execute("ROLLBACK")
    other.close()
    assert await store.messages(started.id) == []
    assert await store.add_turn(started.id, *turn(2)) == 2
    await store.close()


class Writer:
    """A load of conversations, whose process is killed and restarted many times."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """process: `conversation_writer.py`, before its first start."""
        self._process = process
        # By conversation: the acknowledged number of messages.
        self.acknowledged: dict[str, int] = {}

    async def kill_after(self, seconds: float) -> None:
        """Start a process and kill it this long after its first turn."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"begin\n")
        began, child = await self._line()
        assert began == "began"
        self._take(await self._line())
        await asyncio.sleep(seconds)
        os.kill(int(child), signal.SIGKILL)
        while (line := await self._line())[0] != "gone":
            self._take(line)

    async def _line(self) -> tuple[str, str]:
        assert self._process.stdout is not None
        name, _, value = (await self._process.stdout.readline()).decode().partition(" ")
        return name, value

    def _take(self, line: tuple[str, str]) -> None:
        self.acknowledged[line[0]] = int(line[1])


async def test_killed_at_any_point(tmp_path: Path) -> None:
    """After kill -9 every acknowledged turn is there, and no half one."""
    path = tmp_path / "conversations.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, WRITER, path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    writer = Writer(process)
    moments = random.Random(SEED)  # noqa: S311 - nothing secret
    for _ in range(KILLS):
        # Long enough for many turns, so that it ends anywhere within one.
        await writer.kill_after(moments.uniform(0, LONGEST_LIFE_SECONDS))
    await asyncio.wait_for(process.communicate(), 10)
    assert len(writer.acknowledged) >= KILLS
    store = ConversationStore(path)
    await store.open()
    n_more = 0
    for conversation_id, least in writer.acknowledged.items():
        said = await store.messages(conversation_id)
        assert len(said) - least in (0, 2)
        n_more += len(said) > least
        assert [one.role for one in said] == ["user", "assistant"] * (len(said) // 2)
        found = await store.get(conversation_id)
        assert found is not None
        assert found.message_count == len(said)
    # Some died before their last turn was on disk, others before its acknowledgement.
    assert 0 < n_more < KILLS
    await store.close()
