"""Storing and reading conversations."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CoreState
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.llamacpp.history import (
    ACTIVE_SECONDS,
    History,
    HistoryError,
    Retention,
    Source,
)

from .samples import (
    AGENT,
    ENTRY,
    append,
    conversation,
    names,
    said,
    turn,
    turn_with_tools,
)

if TYPE_CHECKING:
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from .conftest import Load, PassTime


async def test_round_trip(history: History, load: Load) -> None:
    """After a restart a conversation has all its turns."""
    before = conversation("one", turn_with_tools(), turn(), system_prompt="Be brief.")
    await history.async_create(before)
    await append(history, "one", "Third")
    other = await load()
    after = await other.async_get("one")
    assert after is not None
    assert after.turns == (*before.turns, turn("Third"))
    assert (after.source, after.system_prompt, after.agent_id) == (
        Source.ACTION,
        "Be brief.",
        AGENT,
    )
    assert after == await history.async_get("one")
    assert await other.async_get("two") is None


async def test_a_conversation_is_created_once(history: History) -> None:
    """A second one with the same id is rejected, and leaves the first."""
    await history.async_create(conversation("one", turn()))
    with pytest.raises(HistoryError):
        await history.async_create(conversation("one"))
    stored = await history.async_get("one")
    assert stored is not None
    assert len(stored.turns) == 1


async def test_a_durable_turn_is_on_disk(
    history: History, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the call returns, file and folder are synced, and only the owner may read."""
    synced: list[Path] = []
    # It is still called: this only records the call.
    sync = sys.modules["atomicwrites"].__dict__["_proper_fsync"]

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr("atomicwrites._proper_fsync", record)
    await append(history, "one")
    assert said(folder / "one.json") == ["Hello"]
    assert (folder / "one.json").stat().st_mode & 0o777 == 0o600
    written, directory = synced
    assert written.parent == directory == folder
    assert written.name.startswith("tmp")


async def test_a_delayed_turn(hass: HomeAssistant, history: History, folder: Path) -> None:
    """It is on disk within five seconds, also if more turns come."""
    await append(history, "one", "First", durable=False)
    assert names(folder) == set()
    stored = await history.async_get("one")
    assert stored is not None
    await append(history, "one", "Second", durable=False)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
    await hass.async_block_till_done()
    assert said(folder / "one.json") == ["First", "Second"]
    await append(history, "one", "Third", durable=False)
    assert len(said(folder / "one.json")) == 2
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=10))
    await hass.async_block_till_done()
    assert len(said(folder / "one.json")) == 3


async def test_new_turns_do_not_put_off_a_delayed_one(
    hass: HomeAssistant, history: History, folder: Path, freezer: FrozenDateTimeFactory
) -> None:
    """The first one is written in time, whatever comes afterwards."""
    await append(history, "one", "First", durable=False)
    freezer.tick(2)
    await append(history, "one", "Second", durable=False)
    await append(history, "two", durable=False)
    freezer.tick(2)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert said(folder / "one.json") == ["First", "Second"]
    assert said(folder / "two.json") == ["Hello"]


async def test_a_delayed_turn_before_a_durable_one(history: History, folder: Path) -> None:
    """Both are written at once."""
    await append(history, "one", "First", durable=False)
    await append(history, "one", "Second")
    assert said(folder / "one.json") == ["First", "Second"]


async def test_home_assistant_stops(hass: HomeAssistant, history: History, folder: Path) -> None:
    """Pending turns are written at the end, and later ones immediately."""
    await append(history, "one", durable=False)
    hass.set_state(CoreState.stopping)
    await append(history, "two", durable=True)
    await append(history, "three", durable=False)
    assert names(folder) == {"two.json", "three.json"}
    hass.set_state(CoreState.final_write)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done()
    assert names(folder) == {"one.json", "two.json", "three.json"}


async def test_unload(history: History, folder: Path) -> None:
    """Pending turns are written, and so is one that ends later."""
    await append(history, "one", durable=False)
    await history.async_unload()
    assert said(folder / "one.json") == ["Hello"]
    await append(history, "one", "Late", durable=False)
    assert said(folder / "one.json") == ["Hello", "Late"]


async def test_turns_at_the_same_time(history: History, folder: Path) -> None:
    """None is lost, and each conversation has its own."""
    await asyncio.gather(
        *(
            append(history, name, f"{name}{n}", durable=n % 2 == 0)
            for n in range(10)
            for name in ("a", "b")
        )
    )
    await history.async_unload()
    assert said(folder / "a.json") == [f"a{n}" for n in range(10)]
    assert said(folder / "b.json") == [f"b{n}" for n in range(10)]


async def test_many_turns_while_others_are_written(
    hass: HomeAssistant, history: History, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later turns are written later; they are not taken for failures."""
    monkeypatch.setattr("custom_components.llamacpp.history.store.MAX_UNSAVED", 1)
    for n in range(10):
        await append(history, f"first{n}", durable=False)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=5))
    await asyncio.gather(*(append(history, f"then{n}", durable=False) for n in range(10)))
    await hass.async_block_till_done()
    await history.async_unload()
    assert len(names(folder)) == 20


async def test_a_caller_that_is_cancelled(history: History, folder: Path) -> None:
    """The turn is stored anyway, and later ones come after it."""
    task = asyncio.create_task(append(history, "one", "First"))
    await asyncio.sleep(0)
    task.cancel()
    await append(history, "one", "Second")
    assert task.cancelled()
    assert said(folder / "one.json") == ["First", "Second"]


@pytest.mark.parametrize(
    "odd",
    [
        "../../x",
        "",
        ".",
        "a/b",
        "x" * 64,
        "x" * 65,
        "ümlaut",
        "new\nline",
        "\ud83d",
        "a.json",
        "\0",
    ],
)
async def test_odd_ids(history: History, load: Load, root: Path, odd: str) -> None:
    """Any id is a file in the folder, and no two ids share one."""
    await append(history, odd, "Odd")
    await append(history, "plain", "Plain")
    assert names(root) == {ENTRY}
    assert names(root.parent) & {"x", "x.json"} == set()
    assert len(names(root / ENTRY)) == 2
    stored = await (await load()).async_get(odd)
    assert stored is not None
    assert stored.turns[0].messages[0].content == "Odd"


async def test_an_id_like_the_name_of_a_hash(history: History, folder: Path) -> None:
    """An id cannot name another id's file."""
    await append(history, "../x", "First")
    [name] = names(folder)
    await append(history, name.removesuffix(".json"), "Second")
    await append(history, name.removeprefix("sha256.").removesuffix(".json"), "Third")
    assert len(names(folder)) == 3
    assert said(folder / name) == ["First"]


async def test_list(history: History, load: Load, freezer: FrozenDateTimeFactory) -> None:
    """The newest come first, before and after a restart, on disk or not."""
    for name in ("a", "b", "c"):
        await append(history, name, durable=name != "c")
        freezer.tick(60)
    await append(history, "a", durable=False)
    assert [one.id for one in await history.async_list()] == ["a", "c", "b"]
    assert [one.id for one in await history.async_list(limit=2)] == ["a", "c"]
    assert [one.message_count for one in await history.async_list()] == [4, 2, 2]
    await history.async_unload()
    freezer.tick(ACTIVE_SECONDS)
    other = await load()
    listed = await other.async_list()
    assert [one.id for one in listed] == ["a", "c", "b"]
    assert all(one.size > 0 for one in listed)
    assert listed == await history.async_list()


async def test_list_of_one_agent(history: History, freezer: FrozenDateTimeFactory) -> None:
    """Its newest ones are found behind any number of others."""
    for name, agent_id in (("a", "conversation.quiet"), ("b", AGENT), ("c", AGENT)):
        await history.async_append(
            name, turn("Hello"), durable=True, source=Source.ASSIST, agent_id=agent_id
        )
        freezer.tick(60)
    listed = await history.async_list(limit=1, agent_id="conversation.quiet")
    assert [one.id for one in listed] == ["a"]
    assert [one.id for one in await history.async_list(limit=1, agent_id=AGENT)] == ["c"]


async def test_list_reads_so_much_and_no_more(
    history: History, load: Load, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unread files cost time, so there is a limit."""
    monkeypatch.setattr("custom_components.llamacpp.history.store.MAX_READS_OF_LIST", 2)
    for name in ("a", "b", "c"):
        await append(history, name)
        freezer.tick(60)
    freezer.tick(ACTIVE_SECONDS)
    other = await load()
    assert [one.id for one in await other.async_list()] == ["c", "b"]
    assert [one.id for one in await other.async_list()] == ["c", "b", "a"]


async def test_close(history: History, load: Load, freezer: FrozenDateTimeFactory) -> None:
    """A closed conversation is kept in its place, with its later turns."""
    await append(history, "one", durable=False)
    freezer.tick(60)
    await append(history, "two")
    freezer.tick(60)
    assert await history.async_close("one")
    assert not await history.async_close("one")
    assert not await history.async_close("nobody")
    assert [one.id for one in await history.async_list()] == ["two", "one"]
    assert [one.id for one in await history.async_list(include_closed=False)] == ["two"]
    other = await load()
    assert [one.id for one in await other.async_list()] == ["two", "one"]
    await append(other, "one", "Again")
    stored = await other.async_get("one")
    assert stored is not None
    assert stored.closed
    assert len(stored.turns) == 2


async def test_active_conversations(history: History, load: Load, pass_time: PassTime) -> None:
    """Those with a recent turn that are not closed, also after a restart."""
    await append(history, "old")
    pass_time(timedelta(seconds=ACTIVE_SECONDS + 1))
    await append(history, "closed")
    await append(history, "pending", durable=False)
    await history.async_append(
        "other", turn(), durable=True, source=Source.ACTION, agent_id="conversation.other"
    )
    await history.async_close("closed")
    assert history.active_count() == 2
    assert history.active_count(AGENT) == 1
    await history.async_unload()
    other = await load()
    assert other.active_count() == 2
    assert other.active_count("conversation.other") == 1
    pass_time(timedelta(seconds=ACTIVE_SECONDS + 1))
    assert other.active_count() == 0


async def test_remove(
    hass: HomeAssistant, history: History, load: Load, root: Path, folder: Path
) -> None:
    """All files of an entry are deleted, others stay, and a late turn restores nothing."""
    other = await load("01HOTHER")
    await append(other, "one")
    await append(history, "one")
    await append(history, "two", durable=False)
    (folder / "two.json.corrupt.2026").write_text("x")
    await asyncio.gather(append(history, "three"), history.async_remove())
    assert names(root) == {"01HOTHER"}
    assert await history.async_list() == []
    with pytest.raises(HistoryError):
        await append(history, "one")
    assert names(root) == {"01HOTHER"}
    await History(hass, "01HOTHER", Retention()).async_remove()
    assert root.name not in names(root.parent)
    await History(hass, "nobody", Retention()).async_remove()


def written() -> int:
    """Return how many bytes this process has written since its start (Linux)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar:")).split()[1])


async def test_a_turn_costs_the_same_with_many_stored(history: History) -> None:
    """A turn writes the file of its conversation alone, however many there are."""
    costs = []
    for number in range(300):
        before = written()
        await append(history, f"conversation{number:03}")
        costs.append(written() - before)
    assert abs(costs[-1] - costs[0]) < 100
