"""Broken files, and disks that fail."""

import json
import os
import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components.conversation import (
    AssistantContent,
    ToolResultContent,
    UserContent,
)
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers import llm
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.llamacpp.const import DOMAIN
from custom_components.llamacpp.history import (
    History,
    HistoryError,
    Retention,
    Source,
    StoredUsage,
    messages_of,
)
from custom_components.llamacpp.history.files import MINOR_VERSION, VERSION
from custom_components.llamacpp.history.migrations import STEPS

from .samples import ENTRY, THEN, append, conversation, damage, mend, move, names, said, turn

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.components.conversation import Content
    from homeassistant.core import HomeAssistant

    from .conftest import Load


def issues(hass: HomeAssistant) -> list[tuple[str, str | None]]:
    """Return the repair issues: their entries and texts."""
    return [(issue.domain, issue.translation_key) for issue in ir.async_get(hass).issues.values()]


def document(**values: Any) -> str:
    """Return the content of a good file, with other values at its top."""
    data = conversation("bad", turn()).to_json()
    good = {"version": VERSION, "minor_version": MINOR_VERSION, "key": "x", "data": data}
    return json.dumps(good | values)


async def test_a_power_cut_while_writing(history: History, load: Load, folder: Path) -> None:
    """The file that was being written is missing, the one before it is there."""
    await append(history, "one")
    content = (folder / "one.json").read_bytes()
    abandoned, fresh = folder / "tmpx3_k9ab2", folder / "tmpy4_l0bc3"
    for path in (abandoned, fresh):
        path.write_bytes(content[: len(content) // 2])
    before = abandoned.stat().st_mtime - 120
    os.utime(abandoned, (before, before))
    other = await load()
    assert [one.id for one in await other.async_list()] == ["one"]
    # The other one may still be written by a turn that ran during a reload.
    assert names(folder) == {"one.json", fresh.name}


@pytest.mark.parametrize(
    "content",
    [document()[:100].encode(), b"", bytes(4096), b"\xff\xfe garbage", b"{", b"no json"],
)
async def test_no_json(
    hass: HomeAssistant, history: History, load: Load, folder: Path, content: bytes
) -> None:
    """It is set aside with an issue; all else loads, and the conversation starts again."""
    await append(history, "good")
    damage(folder / "bad.json", content)
    other = await load()
    assert [one.id for one in await other.async_list()] == ["good"]
    assert issues(hass) == [("homeassistant", "storage_corruption")]
    [aside] = names(folder) - {"good.json"}
    assert aside.startswith("bad.json.corrupt.")
    assert (folder / aside).read_bytes() == content
    assert await other.async_get("bad") is None
    await append(other, "bad", "New")
    assert said(folder / "bad.json") == ["New"]
    assert (folder / aside).read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "5",
        "null",
        '"text"',
        "{}",
        '{"a": 1}',
        '{"version": "one", "data": {}}',
        '{"version": 1, "minor_version": 1}',
        document(data=[]),
        document(data={"id": "bad"}),
        pytest.param(document(data=conversation("other").to_json()), id="another conversation"),
    ],
)
async def test_wrong_shape(
    hass: HomeAssistant, history: History, load: Load, folder: Path, content: str
) -> None:
    """It is set aside with an issue that names it."""
    await append(history, "good")
    damage(folder / "bad.json", content)
    other = await load()
    assert [one.id for one in await other.async_list()] == ["good"]
    assert issues(hass) == [(DOMAIN, "history_file_set_aside")]
    [issue] = ir.async_get(hass).issues.values()
    assert issue.is_persistent
    assert issue.translation_placeholders
    assert issue.translation_placeholders["file"] == "bad.json"
    [aside] = names(folder) - {"good.json"}
    assert issue.translation_placeholders["new_path"] == str(folder / aside)
    assert (folder / aside).read_text() == content
    await append(other, "bad", "New")
    assert said(folder / "bad.json") == ["New"]


async def test_the_issue_goes_with_the_entry(
    hass: HomeAssistant, history: History, load: Load, folder: Path
) -> None:
    """Removing an entry deletes its issues, and no others."""
    folders = [folder, folder.parent / "01HOTHER"]
    other = await load("01HOTHER")
    for one, path in zip((history, other), folders, strict=True):
        await append(one, "bad")
        damage(path / "bad.json", "[]")
        assert await one.async_get("bad") is None
    assert len(issues(hass)) == 2
    await history.async_remove()
    assert [issue_id for _, issue_id in ir.async_get(hass).issues if "01HOTHER" in issue_id]
    assert len(issues(hass)) == 1


async def test_a_file_that_has_gone(history: History, folder: Path) -> None:
    """Its conversation is gone."""
    await append(history, "one")
    (folder / "one.json").unlink()
    assert await history.async_get("one") is None
    assert await history.async_list() == []


async def test_a_newer_version(history: History, load: Load, folder: Path) -> None:
    """After a downgrade its files stay: another upgrade reads them again."""
    await append(history, "good")
    newer = document(version=VERSION + 1)
    damage(folder / "bad.json", newer)
    other = await load()
    assert [one.id for one in await other.async_list()] == ["good"]
    with pytest.raises(HistoryError):
        await other.async_get("bad")
    with pytest.raises(HistoryError):
        await append(other, "bad")
    assert (folder / "bad.json").read_text() == newer
    damage(folder / "bad.json", document(minor_version=MINOR_VERSION + 1))
    assert await other.async_get("bad") == conversation("bad", turn())


async def test_migration(
    hass: HomeAssistant, load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older versions are read step by step, and written as the current one by the next turn."""
    monkeypatch.setitem(STEPS, (0, 1), lambda data: data | {"created": data.pop("begun")})
    monkeypatch.setitem(STEPS, (0, 2), lambda data: data | {"source": data["source"].lower()})
    good = conversation("bad", turn()).to_json()
    halfway = good | {"source": "ACTION"}
    oldest = {name: value for name, value in halfway.items() if name != "created"}
    begun = oldest | {"begun": THEN.isoformat()}
    damage(folder / "bad.json", document(version=0, minor_version=1, data=begun))
    history = await load()
    assert await history.async_get("bad") == conversation("bad", turn())
    damage(folder / "bad.json", document(version=0, minor_version=2, data=halfway))
    assert await history.async_get("bad") == conversation("bad", turn())
    await append(history, "bad")
    stored = json.loads((folder / "bad.json").read_text())
    assert (stored["version"], stored["minor_version"]) == (VERSION, MINOR_VERSION)
    assert len(stored["data"]["turns"]) == 2
    damage(folder / "bad.json", document(version=0, minor_version=1))
    assert await history.async_get("bad") is None
    assert issues(hass) == [(DOMAIN, "history_file_set_aside")]


async def test_a_disk_that_takes_nothing(
    hass: HomeAssistant, history: History, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A durable turn fails; a delayed one is logged and written later."""
    damage(folder)
    with pytest.raises(HistoryError):
        await history.async_create(conversation("one"))
    mend(folder)
    await append(history, "two", "First", durable=False)
    damage(folder)
    async_fire_time_changed(hass, dt_util.utcnow().replace(year=2099))
    await hass.async_block_till_done()
    assert "A turn is not stored" in caplog.text
    with pytest.raises(HistoryError):
        await append(history, "two", "Durable")
    mend(folder)
    await append(history, "three", durable=False)
    await history.async_unload()
    assert said(folder / "two.json") == ["First"]
    assert said(folder / "three.json") == ["Hello"]


async def test_what_is_held_for_such_a_disk(
    history: History, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a limit: the oldest are dropped."""
    monkeypatch.setattr("custom_components.llamacpp.history.store.MAX_UNSAVED", 2)
    await append(history, "a", "First")
    for name in ("a", "b", "c", "d"):
        await append(history, name, "Lost", durable=False)
    moved = folder.with_name("moved")
    move(folder, moved)
    damage(folder)
    await history.async_unload()
    mend(folder)
    move(moved, folder)
    assert {one.id for one in await history.async_list()} == {"a", "c", "d"}
    stored = await history.async_get("a")
    assert stored is not None
    assert [one.messages[0].content for one in stored.turns] == ["First"]


async def test_what_cannot_be_set_aside(
    history: History, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the conversation is unavailable, and its file is not overwritten."""
    name = "x" * 64
    await append(history, name)
    path = folder / f"{name}.json"
    path.write_text("[]")
    monkeypatch.setattr("custom_components.llamacpp.history.files._SET_ASIDE", "x" * 255)
    with pytest.raises(HistoryError):
        await append(history, name)
    assert path.read_text() == "[]"


async def test_a_folder_that_is_none(hass: HomeAssistant, folder: Path) -> None:
    """Loading the history raises an error."""
    damage(folder)
    with pytest.raises(HistoryError):
        await History(hass, ENTRY, Retention()).async_load()


async def test_other_things_in_the_folder(history: History, load: Load, folder: Path) -> None:
    """Other files stay."""
    await append(history, "one")
    (folder / "dir.json").mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "a b.json").write_text("mine")
    other = await load()
    assert [one.id for one in await other.async_list()] == ["one"]
    assert names(folder) == {"one.json", "dir.json", "notes.txt", "a b.json"}
    with pytest.raises(HistoryError):
        await append(other, "dir")
    shutil.rmtree(folder)
    await append(other, "one")
    assert said(folder / "one.json") == ["Hello"]


@pytest.mark.parametrize("count", [2**63, 2**64, 2**70, 10**400, -(2**70)])
async def test_a_server_that_counts_too_far(
    hass: HomeAssistant, history: History, load: Load, count: int
) -> None:
    """The counts are cut; the conversation can be read again."""
    counted = replace(turn(), usage=StoredUsage(count, count, count, count))
    await history.async_append(
        "one", counted, durable=True, source=Source.ACTION, agent_id="conversation.llama_cpp"
    )
    stored = await (await load()).async_get("one")
    assert stored is not None
    most = 2**63 - 1 if count > 0 else 1 - 2**63
    assert stored.turns[0].usage == StoredUsage(most, most, most, most)
    assert issues(hass) == []


ODD: list[Any] = [2**80, -(2**64), float("inf"), "half \ud83d", {1}, b"bytes", object(), None, "\0"]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_was_written_can_be_read(
    hass: HomeAssistant, history: History, load: Load, seed: int
) -> None:
    """Tools and models return anything, in any depth."""
    chance = random.Random(seed)  # noqa: S311 - no secret

    def anything(levels: int) -> Any:
        if not levels:
            return chance.choice(ODD)
        if chance.random() < 0.5:
            return [anything(levels - 1)]
        return {chance.choice(["a", "\ud83d", 2**70]): anything(levels - 1)}

    deep = {"x": anything(chance.choice([0, 3, 240, 249, 250, 260, 900])), "y": chance.choice(ODD)}
    contents: list[Content] = [
        UserContent("\ud83d"),
        AssistantContent("a", tool_calls=[llm.ToolInput("t", deep, id="1")]),
        ToolResultContent("a", "1", "t", llm.ToolResult(deep)),
    ]
    said = replace(turn(), messages=messages_of(contents, "a"))
    for _ in range(2):
        await history.async_append(
            "one", said, durable=chance.random() < 0.5, source=Source.ASSIST, agent_id="a"
        )
    await history.async_unload()
    stored = await (await load()).async_get("one")
    assert stored is not None
    assert len(stored.turns) == 2
    assert issues(hass) == []


async def test_half_a_character(history: History, load: Load) -> None:
    """A stream may end within a character; the turn is stored anyway."""
    await append(history, "one", "half a \ud83d")
    stored = await (await load()).async_get("one")
    assert stored is not None
    assert stored.turns[0].messages[0].content == "half a ?"
