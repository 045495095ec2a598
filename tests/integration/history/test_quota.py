"""Which user's conversations are deleted when there are too many."""

import os
import random
from typing import TYPE_CHECKING

import pytest
from homeassistant.util import dt as dt_util

from custom_components.llamacpp.history import Source
from custom_components.llamacpp.history.retention import KEPT_EMPTY

from .samples import AGENT, THEN, conversation, damage, names, turn

if TYPE_CHECKING:
    from pathlib import Path

    from custom_components.llamacpp.history import History

    from .conftest import Load


async def say(
    history: History,
    name: str,
    user_id: str | None = None,
    text: str = "Hello",
    *,
    is_one_shot: bool = False,
) -> None:
    """Add a turn of a user, of Assist or of `chat`."""
    said = turn(text)
    await history.async_append(
        name,
        type(said)(messages=said.messages, created=THEN, agent_id=AGENT, user_id=user_id),
        durable=True,
        source=Source.ACTION if is_one_shot else Source.ASSIST,
        agent_id=AGENT,
        closes=is_one_shot,
    )


async def start(history: History, name: str, user_id: str | None = None) -> None:
    """Start a conversation without a turn."""
    await history.async_create(conversation(name, user_id=user_id, agent_id=AGENT))


def of(folder: Path, prefix: str) -> list[str]:
    """Return the conversations whose names start like this."""
    return sorted(name.removesuffix(".json") for name in names(folder) if name.startswith(prefix))


@pytest.mark.parametrize("restart", [True, False])
async def test_one_shots_push_out_nothing_else(load: Load, folder: Path, *, restart: bool) -> None:
    """They have their own quota, before and after a restart."""
    history = await load(max_conversations=10, max_one_shots=5)
    for number in range(9):
        await say(history, f"assist{number}")
    await start(history, "open")
    for number in range(30):
        if restart and number == 15:
            history = await load(max_conversations=10, max_one_shots=5)
        await say(history, f"chat{number:02}", is_one_shot=True)
    assert len(of(folder, "assist")) == 9
    assert of(folder, "open") == ["open"]
    kept = of(folder, "chat")
    assert kept[-5:] == [f"chat{number}" for number in range(25, 30)]
    # An unread file is recognised as a one-shot only when there are too many.
    assert len(kept) <= 10
    await say(history, "assist9")
    await say(history, "assist10")
    assert of(folder, "chat") == kept[-5:]
    assert len(of(folder, "assist")) + len(of(folder, "open")) == 10


async def test_a_one_shot_among_open_ones(load: Load, folder: Path) -> None:
    """Open ones do not evict it either: one that was just answered can be read."""
    history = await load(max_conversations=3)
    for number in range(3):
        await say(history, f"assist{number}")
    await say(history, "chat", is_one_shot=True)
    await say(history, "assist3")
    assert of(folder, "") == ["assist1", "assist2", "assist3", "chat"]


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("way", ["start", "say", "both"])
async def test_a_flood_of_one_user(load: Load, folder: Path, way: str, *, restart: bool) -> None:
    """It only deletes that user's, however many others have."""
    history = await load(max_conversations=40)
    for number in range(5):
        await say(history, f"anna{number}", "anna")
        await say(history, f"nobody{number}")
        await start(history, f"started{number}", "anna")
        await say(history, f"bea_talk{number}", "bea")
    if restart:
        history = await load(max_conversations=40)
    for number in range(100):
        if way == "start" or (way == "both" and number % 2):
            await start(history, f"flood{number:03}", "bea")
        else:
            await say(history, f"flood{number:03}", "bea")
    for prefix in ("anna", "nobody", "started"):
        assert len(of(folder, prefix)) == 5
    assert len(names(folder)) == 40
    assert of(folder, "flood")[-1] == "flood099"
    if way == "start":
        # Conversations without a turn go first.
        assert len(of(folder, "bea_talk")) == 5


async def test_a_flood_of_empty_ones_without_owner(load: Load, folder: Path) -> None:
    """An automation's go before those of a satellite, but not the newest."""
    history = await load(max_conversations=40)
    for number in range(10):
        await say(history, f"satellite{number}")
    for number in range(100):
        await start(history, f"started{number:03}")
    assert len(of(folder, "satellite")) == 10
    assert of(folder, "started") == [f"started{number:03}" for number in range(70, 100)]
    for number in range(60):
        await say(history, f"more{number:02}")
    # The same number may still be about to be used.
    assert len(of(folder, "started")) <= KEPT_EMPTY
    assert of(folder, "more")[-1] == "more59"
    assert len(names(folder)) == 40


async def test_bytes(load: Load, folder: Path) -> None:
    """By size, too, the user with the most loses first; one-shots before all."""
    history = await load(max_bytes=30_000)
    await say(history, "anna", "anna", "x" * 3000)
    await say(history, "chat", "anna", "x" * 3000, is_one_shot=True)
    for number in range(30):
        await say(history, f"bea{number:02}", "bea", "x" * 3000)
    assert of(folder, "anna") == ["anna"]
    assert of(folder, "chat") == []
    assert of(folder, "bea")[-1] == "bea29"
    assert sum((folder / name).stat().st_size for name in names(folder)) <= 30_000


async def test_what_cannot_be_read_counts(load: Load, folder: Path) -> None:
    """It has no owner, and goes like an automation's."""
    history = await load(max_conversations=3)
    await say(history, "anna", "anna")
    damage(folder / "broken.json", "[]")
    an_hour_ago = dt_util.utcnow().timestamp() - 3600
    os.utime(folder / "broken.json", (an_hour_ago, an_hour_ago))
    history = await load(max_conversations=3)
    for number in range(5):
        await say(history, f"nobody{number}")
    assert of(folder, "") == ["anna", "nobody3", "nobody4"]


@pytest.mark.parametrize("seed", range(10))
async def test_any_mixture(load: Load, folder: Path, seed: int) -> None:
    """Each owner keeps a fair share of the newest ones."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    most = 12
    history = await load(max_conversations=most, max_one_shots=3)
    owners = ("anna", "bea", None)
    weights = [chance.random() for _ in owners]
    begun: dict[str | None, list[str]] = {owner: [] for owner in owners}
    shots: list[str] = []
    for number in range(120):
        [owner] = chance.choices(owners, weights)
        if chance.random() < 0.3:
            shots.append(f"shot{number:03}")
            await say(history, shots[-1], owner, is_one_shot=True)
            continue
        begun[owner].append(f"c{number:03}")
        await say(history, begun[owner][-1], owner)
        if chance.random() < 0.05:
            history = await load(max_conversations=most, max_one_shots=3)
    kept = set(of(folder, "c"))
    assert len(kept) == min(most, sum(map(len, begun.values())))
    for theirs in begun.values():
        share = theirs[-most // len(owners) :]
        assert set(share) <= kept
    assert shots[-1] in of(folder, "shot")
