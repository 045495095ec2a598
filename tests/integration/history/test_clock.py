"""Wrong clocks delete nothing that a small step of time would not."""

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.history.clock import MAX_STEP_SECONDS, HistoryClock

from .samples import append, conversation, names, turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from freezegun.api import FrozenDateTimeFactory

    from custom_components.llamacpp.history import History

    from .conftest import Load, PassTime

DAY = 24 * 3600
KEPT = timedelta(days=30)


@pytest.mark.parametrize("days", [400, -400, 40, -40, 31, -31])
async def test_a_clock_that_is_wrong_once(
    history: History, load: Load, folder: Path, freezer: FrozenDateTimeFactory, days: int
) -> None:
    """A turn, the hourly pruning and a restart delete nothing, then or afterwards."""
    for name in ("old", "new"):
        await append(history, name)
    freezer.tick(timedelta(days=days))
    await append(history, "new")
    await append(history, "begun then")
    await history.async_prune()
    history = await load()
    await append(history, "old")
    freezer.tick(timedelta(days=-days))
    await append(history, "right again")
    await history.async_prune()
    history = await load()
    kept = {f"{name}.json" for name in ("old", "new", "begun then", "right again")}
    assert len(names(folder)) == len(kept)
    listed = [one.id for one in await history.async_list()]
    assert listed == ["right again", "old", "begun then", "new"]


async def test_a_file_from_the_future(
    history: History, load: Load, folder: Path, freezer: FrozenDateTimeFactory
) -> None:
    """Older versions wrote such files: they make no other file old."""
    freezer.tick(timedelta(days=400))
    await history.async_create(conversation("future", turn()))
    freezer.tick(timedelta(days=-400))
    other = await load()
    await append(other, "now")
    await other.async_prune()
    assert names(folder) == {"future.json", "now.json"}


class World:
    """A history with clocks that change, and its expected content."""

    def __init__(
        self, history: History, load: Load, pass_time: PassTime, freezer: FrozenDateTimeFactory
    ) -> None:
        """Start with nothing."""
        self._load = load
        self._pass_time = pass_time
        self._freezer = freezer
        self.history = history
        self.now = 0.0
        self.restarts = 0
        # By name: the real time of the last turn.
        self.turns: dict[str, float] = {}

    async def restart(self, _: random.Random) -> None:
        """Restart Home Assistant."""
        self.restarts += 1
        await self.history.async_unload()
        self.history = await self._load()

    async def turn_clock(self, chance: random.Random) -> None:
        """Set the machine's clock wrong, or right."""
        self._freezer.tick(timedelta(days=chance.uniform(-500, 500)))

    async def wait(self, chance: random.Random) -> None:
        """Let some days pass while the machine is running."""
        days = chance.uniform(0, 9)
        self._pass_time(timedelta(days=days))
        self.now += days * DAY

    async def say(self, chance: random.Random) -> None:
        """Say something in a new conversation, or in another one."""
        name = f"c{chance.randrange(12)}"
        await append(self.history, name, durable=chance.random() < 0.8)
        self.turns[name] = self.now

    async def prune(self, _: random.Random) -> None:
        """Run the hourly pruning."""
        await self.history.async_prune()

    def check(self, folder: Path) -> None:
        """Check that nothing is lost that should still be there."""
        step = self.restarts * MAX_STEP_SECONDS
        for name, last in self.turns.items():
            if self.now - last < KEPT.total_seconds() - step:
                assert self.history.summary(name) or f"{name}.json" in names(folder), name


@pytest.mark.parametrize("seed", range(20))
async def test_any_clock(
    load: Load, folder: Path, pass_time: PassTime, freezer: FrozenDateTimeFactory, seed: int
) -> None:
    """Fast, slow, in any order: young conversations stay, old ones go if there is no restart."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    freezer.tick(timedelta(days=chance.uniform(-500, 500)))
    world = World(await load(), load, pass_time, freezer)
    deeds: list[Callable[[random.Random], Awaitable[None]]] = [
        world.turn_clock,
        world.say,
        world.say,
        world.wait,
        world.prune,
    ]
    may_restart = seed % 2 == 0
    for _ in range(60):
        await chance.choice([*deeds, world.restart] if may_restart else deeds)(chance)
        world.check(folder)
    await world.history.async_prune()
    if not may_restart:
        listed = {one.id for one in await world.history.async_list()}
        assert listed == {
            name for name, last in world.turns.items() if world.now - last <= KEPT.total_seconds()
        }


async def test_a_home_that_is_switched_off(load: Load, pass_time: PassTime, folder: Path) -> None:
    """Hours are believed, months are not: old conversations go after a while."""
    history = await load()
    await append(history, "one")
    await history.async_unload()
    pass_time(timedelta(days=100))
    history = await load()
    assert names(folder) == {"one.json"}
    pass_time(timedelta(days=30))
    await history.async_prune()
    assert names(folder) == set()


async def test_a_home_where_nobody_speaks(load: Load, pass_time: PassTime, folder: Path) -> None:
    """Restarts do not keep conversations from growing old."""
    history = await load()
    await append(history, "one")
    for _ in range(31):
        pass_time(timedelta(days=1))
        await history.async_prune()
        history = await load()
    assert names(folder) == set()


def test_the_order_of_turns_at_the_same_time() -> None:
    """Each is after the one before, also if that was in the future."""
    clock = HistoryClock(1000.0, [], lambda: 5.0)
    assert clock.after(0.0) == 1000.0
    assert clock.after(1000.0) > 1000.0
    assert clock.after(5000.0) > 5000.0
