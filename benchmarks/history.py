"""What storing a turn costs with few and with many stored conversations, and what a load costs.

The histories are in a folder of their own, on a real disk if TMPDIR is on one, with Home
Assistant's core around them. Turns are added to both alternately, so that other load on the machine
affects both alike.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from homeassistant.core import HomeAssistant

from custom_components.llamacpp.history import (
    Conversation,
    History,
    Message,
    Retention,
    Role,
    Source,
    StoredTurn,
    ToolCall,
)
from custom_components.llamacpp.history.files import MINOR_VERSION, VERSION, file_name

from .lib.command import arguments, say
from .lib.environment import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENT = "conversation.benchmark"
FEW, MANY = 10, 10_000
KEEP_ALL = Retention(timedelta(days=3650), 10**6, 10**12)
WARM_UP = 5
LOADS = 5
TICK_SECONDS = 0.001
# Aims: the same cost, so a ratio near one, and a quick start.
MAX_TIME_RATIO = 1.5
MAX_BYTES_RATIO = 1.01
MAX_LOAD_SECONDS = 0.3
# Too short to be noticed.
MAX_BLOCKED_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Append:
    """One durable append: seconds until it was on disk, and bytes that the process wrote."""

    seconds: float
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Load:
    """One load of the large history, in seconds. blocked: the longest that the loop waited."""

    seconds: float
    blocked: float


@dataclass(frozen=True, slots=True)
class HistoryFigures:
    """What was measured: appends by number of stored conversations, and loads."""

    appends: Mapping[int, list[Append]]
    loads: list[Load]
    idle_blocked: float

    def median_seconds(self, stored: int) -> float:
        """Return the median time of an append with this number of stored conversations."""
        return median(append.seconds for append in self.appends[stored])

    def median_bytes(self, stored: int) -> float:
        """Return the median bytes of an append with this number of stored conversations."""
        return median(append.n_bytes for append in self.appends[stored])

    @property
    def time_ratio(self) -> float:
        """Return how much longer an append took with many: the median over the pairs."""
        pairs = zip(self.appends[FEW], self.appends[MANY], strict=True)
        return median(many.seconds / few.seconds for few, many in pairs)

    @property
    def bytes_ratio(self) -> float:
        """Return how much more an append wrote with many."""
        return self.median_bytes(MANY) / self.median_bytes(FEW)

    def misses(self) -> list[str]:
        """Return the missed aims, in words."""
        load = median(one.seconds for one in self.loads)
        blocked = median(one.blocked for one in self.loads)
        checks = {
            f"time ratio {self.time_ratio:.2f}": self.time_ratio > MAX_TIME_RATIO,
            f"bytes ratio {self.bytes_ratio:.3f}": self.bytes_ratio > MAX_BYTES_RATIO,
            f"load {load:.3f} s": load > MAX_LOAD_SECONDS,
            f"event loop blocked for {blocked:.3f} s": blocked > MAX_BLOCKED_SECONDS,
        }
        return [name for name, missed in checks.items() if missed]


def a_turn(now: datetime) -> StoredTurn:
    """Return a turn like those of Assist: a question, a tool's call and result, an answer."""
    call = ToolCall("call1", "intent__HassTurnOn", {"name": "Kitchen light", "domain": ["light"]})
    result = {"success": [{"name": "Kitchen light", "type": "entity", "id": "light.kitchen"}]}
    return StoredTurn(
        messages=(
            Message(role=Role.USER, created=now, content="Turn on the light in the kitchen"),
            Message(
                role=Role.ASSISTANT, created=now, thinking="A light. " * 20, tool_calls=(call,)
            ),
            Message(
                role=Role.TOOL,
                created=now,
                tool_call_id=call.id,
                tool_name=call.name,
                result=result,
            ),
            Message(role=Role.ASSISTANT, created=now, content="The light in the kitchen is on."),
        ),
        created=now,
        agent_id=AGENT,
    )


def a_conversation(conversation_id: str, now: datetime) -> Conversation:
    """Return a conversation of four turns."""
    return Conversation(
        id=conversation_id,
        source=Source.ASSIST,
        created=now,
        updated=now,
        agent_id=AGENT,
        turns=(a_turn(now),) * 4,
    )


def fill(folder: Path, count: int) -> None:
    """Write conversations to this folder, an hour old and older."""
    folder.mkdir(parents=True)
    now = datetime.now(UTC) - timedelta(hours=1)
    template = a_conversation("", now)
    for number in range(count):
        updated = now - timedelta(minutes=number)
        conversation = replace(template, id=f"conv_{number:08}", updated=updated)
        path = folder / file_name(conversation.id)
        document = {
            "version": VERSION,
            "minor_version": MINOR_VERSION,
            "key": path.name,
            "data": conversation.to_json(),
        }
        path.write_text(json.dumps(document))
        os.utime(path, (updated.timestamp(), updated.timestamp()))
    # Otherwise the first turns would wait for these files.
    os.sync()


def bytes_written() -> int:
    """Return what this process has ever written to files."""
    counters = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in counters if line.startswith("wchar:"))


async def append(history: History, conversation_id: str) -> Append:
    """Measure the fifth turn of a conversation that is stored already."""
    now = datetime.now(UTC)
    await history.async_create(a_conversation(conversation_id, now))
    turn = a_turn(now)
    n_bytes = bytes_written()
    started = time.perf_counter()
    await history.async_append(
        conversation_id, turn, durable=True, source=Source.ASSIST, agent_id=AGENT
    )
    seconds = time.perf_counter() - started
    return Append(seconds, bytes_written() - n_bytes)


class Heartbeat:
    """Measures the longest delay of the event loop, `blocked`, in seconds."""

    def __init__(self) -> None:
        """Measure while this is entered."""
        self.blocked = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start to measure."""
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(10 * TICK_SECONDS)
        self.blocked = 0.0
        return self

    async def __aexit__(self, *_: object) -> None:
        """End, after a last beat."""
        await asyncio.sleep(2 * TICK_SECONDS)
        if self._task:
            self._task.cancel()

    async def _beat(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            self.blocked = max(self.blocked, time.perf_counter() - started - TICK_SECONDS)


async def load(hass: HomeAssistant) -> Load:
    """Measure the load of the large history, as at a start of Home Assistant."""
    history = History(hass, str(MANY), KEEP_ALL)
    async with Heartbeat() as heartbeat:
        started = time.perf_counter()
        await history.async_load()
        seconds = time.perf_counter() - started
    await history.async_unload()
    return Load(seconds, heartbeat.blocked)


async def measure(config: Path, n_appends: int) -> HistoryFigures:
    """Fill both histories and measure them."""
    hass = HomeAssistant(str(config))
    try:
        for count in (FEW, MANY):
            say(f"Storing {count} conversations ...")
            folder = config / ".storage" / "llamacpp.history" / str(count)
            await asyncio.to_thread(fill, folder, count)
        say(f"Loading {MANY} conversations {LOADS} times ...")
        async with Heartbeat() as heartbeat:
            await asyncio.sleep(1)
        loads = [await load(hass) for _ in range(LOADS)]
        say(f"Adding {n_appends} turns to each history ...")
        appends: dict[int, list[Append]] = {}
        histories = {count: History(hass, str(count), KEEP_ALL) for count in (FEW, MANY)}
        for history in histories.values():
            await history.async_load()
        for number in range(WARM_UP + n_appends):
            # The first one may have to wait for writes of the other in the disk's queue.
            order = list(histories.items())
            for count, history in order[:: -1 if number % 2 else 1]:
                sample = await append(history, f"new_{number:08}")
                if number >= WARM_UP:
                    appends.setdefault(count, []).append(sample)
        for history in histories.values():
            await history.async_unload()
    finally:
        await hass.async_stop(force=True)
    return HistoryFigures(appends, loads, heartbeat.blocked)


def report(figures: HistoryFigures) -> str:
    """Return the figures as text."""
    rows = [f"{'stored':>10}{'median (ms)':>14}{'bytes':>10}"]
    rows += [
        f"{count:10}{figures.median_seconds(count) * 1000:14.2f}{figures.median_bytes(count):10.0f}"
        for count in (FEW, MANY)
    ]
    rows.append(f"{'ratio':>10}{figures.time_ratio:14.2f}{figures.bytes_ratio:10.3f}")
    table = "\n".join(rows)
    seconds = [one.seconds for one in figures.loads]
    misses = figures.misses()
    where = environment(home_assistant="homeassistant")
    return f"""\
A durable turn, the fifth of its conversation:
{table}

Load of {MANY} conversations: median {median(seconds):.3f} s, at most {max(seconds):.3f} s.
Longest wait of the event loop meanwhile: {max(one.blocked for one in figures.loads) * 1000:.1f} \
ms (idle: {figures.idle_blocked * 1000:.1f} ms).
Home Assistant {where["home_assistant"]}, Python {where["python"]}, {where["machine"]}, \
{where["cores"]} cores.
Aim (time ratio up to {MAX_TIME_RATIO}, bytes ratio up to {MAX_BYTES_RATIO}, load below \
{MAX_LOAD_SECONDS} s, the event loop never longer busy than {MAX_BLOCKED_SECONDS} s): \
{f"missed: {', '.join(misses)}" if misses else "holds"}."""


def document(figures: HistoryFigures) -> dict[str, Any]:
    """Return the figures and all samples (in seconds and bytes) for JSON."""
    return {
        "environment": environment(home_assistant="homeassistant"),
        "misses": figures.misses(),
        "time_ratio": round(figures.time_ratio, 3),
        "bytes_ratio": round(figures.bytes_ratio, 4),
        "samples": asdict(figures),
    }


def main() -> int:
    """Run the benchmark and return the exit status."""
    options = arguments("history", __doc__ or "", "appends", 100, "to each history")
    try:
        with tempfile.TemporaryDirectory(prefix="llamacpp-history-") as folder:
            figures = asyncio.run(measure(Path(folder), options.appends))
        print(report(figures))
        if options.json:
            options.json.write_text(json.dumps(document(figures), indent=1) + "\n")
    except KeyboardInterrupt:
        say("Stopped.")
        return 1
    except OSError as err:
        say(f"error: {err}")
        return 1
    return 1 if options.check and figures.misses() else 0


if __name__ == "__main__":
    sys.exit(main())
