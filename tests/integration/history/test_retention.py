"""Retention by age, number and size."""

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING

from homeassistant.helpers import issue_registry as ir

from custom_components.llamacpp.const import DOMAIN
from custom_components.llamacpp.history import Source
from custom_components.llamacpp.history.files import MAX_BYTES, MAX_TURNS

from .samples import append, conversation, names, said, turn

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.history import History

    from .conftest import Load, PassTime


async def test_age(
    history: History, load: Load, folder: Path, root: Path, pass_time: PassTime
) -> None:
    """Old conversations of this entry are deleted, closed or not."""
    other = await load("01HOTHER")
    await append(other, "one")
    await append(history, "one")
    await append(history, "two")
    await history.async_close("two")
    pass_time(timedelta(days=29))
    await append(history, "one")
    pass_time(timedelta(days=2))
    await history.async_prune()
    assert names(folder) == {"one.json"}
    assert names(root / "01HOTHER") == {"one.json"}


async def test_age_at_load(history: History, load: Load, folder: Path, pass_time: PassTime) -> None:
    """A restart deletes the old ones."""
    await append(history, "old")
    pass_time(timedelta(days=29))
    await append(history, "new")
    await load(max_age=timedelta(days=28))
    assert names(folder) == {"new.json"}


async def test_number(load: Load, folder: Path, freezer: FrozenDateTimeFactory) -> None:
    """A turn of a new conversation deletes the oldest, on disk or not."""
    history = await load(max_conversations=3)
    for name in ("a", "b", "c"):
        await append(history, name)
        freezer.tick(1)
    await append(history, "a", durable=False)
    freezer.tick(1)
    await append(history, "d")
    assert [one.id for one in await history.async_list()] == ["d", "a", "c"]
    assert names(folder) == {"a.json", "c.json", "d.json"}
    await load(max_conversations=0)
    assert names(folder) == {"d.json"}


async def test_size(load: Load, folder: Path, freezer: FrozenDateTimeFactory) -> None:
    """All files together stay below the limit, except that the last one is kept."""
    history = await load(max_bytes=10_000)
    for name in ("a", "b", "c", "d"):
        await append(history, name, "x" * 3500)
        freezer.tick(1)
    assert names(folder) == {"c.json", "d.json"}
    await append(history, "e", "x" * 20_000)
    assert names(folder) == {"e.json"}


async def test_delayed_turns_are_pruned_when_written(load: Load, folder: Path) -> None:
    """They have no size before."""
    history = await load(max_bytes=10_000)
    await append(history, "a", "x" * 20_000, durable=False)
    await append(history, "b", "x" * 5000, durable=False)
    await history.async_unload()
    assert names(folder) == {"b.json"}


async def test_many_at_once(history: History, load: Load, folder: Path) -> None:
    """Lower limits take effect at once, while conversations continue."""
    for n in range(120):
        await append(history, f"c{n}")
    await load(max_conversations=5)
    assert names(folder) == {f"c{n}.json" for n in range(115, 120)}


async def test_new_conversations_at_the_same_time(load: Load, folder: Path) -> None:
    """Deleting and writing do not disturb each other."""
    history = await load(max_conversations=2)
    await asyncio.gather(*(append(history, f"c{n}") for n in range(20)))
    assert len(names(folder)) == 2
    assert {f"{one.id}.json" for one in await history.async_list()} == names(folder)


async def test_a_file_that_cannot_be_removed(
    load: Load, folder: Path, freezer: FrozenDateTimeFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, and all else continues."""
    history = await load(max_conversations=1)
    await append(history, "a")
    (folder / "a.json").unlink()
    (folder / "a.json").mkdir()
    freezer.tick(1)
    await append(history, "b")
    assert [one.id for one in await history.async_list()] == ["b"]
    assert "cannot be removed" in caplog.text


async def test_turns_of_one_conversation(history: History, folder: Path) -> None:
    """If there are too many, its oldest turns are dropped, in large steps."""
    turns = tuple(turn(str(n)) for n in range(MAX_TURNS))
    await history.async_create(conversation("one", *turns))
    assert len(said(folder / "one.json")) == MAX_TURNS
    await append(history, "one", "last")
    kept = said(folder / "one.json")
    assert len(kept) == MAX_TURNS // 2
    assert kept[-2:] == [str(MAX_TURNS - 1), "last"]
    await append(history, "one", "further")
    assert len(said(folder / "one.json")) == MAX_TURNS // 2 + 1


async def test_size_of_one_conversation(history: History, folder: Path) -> None:
    """So are they if the file would be too large; the last turn is always kept."""
    for n in range(10):
        await append(history, "one", f"{n}{'x' * (MAX_BYTES // 10)}")
    assert (folder / "one.json").stat().st_size <= MAX_BYTES
    assert [text[0] for text in said(folder / "one.json")] == ["5", "6", "7", "8", "9"]
    await append(history, "one", "y" * MAX_BYTES)
    assert [text[0] for text in said(folder / "one.json")] == ["y"]
    stored = await history.async_get("one")
    assert stored is not None
    assert stored.source is Source.ASSIST
    assert len(stored.turns) == 1


async def test_set_aside_files_go_too(
    hass: HomeAssistant, history: History, folder: Path, pass_time: PassTime
) -> None:
    """They are kept as long as a conversation, from then on, and so is the issue."""
    await append(history, "one")
    (folder / "one.json").write_text("[]")
    os.utime(folder / "one.json", (0, 0))
    assert await history.async_get("one") is None
    await history.async_prune()
    assert len(names(folder)) == 1
    registry = ir.async_get(hass)
    assert any(domain == DOMAIN for domain, _ in registry.issues)
    pass_time(timedelta(days=31))
    await history.async_prune()
    assert names(folder) == set()
    assert not registry.issues
