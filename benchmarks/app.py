"""What the app adds to llama-server's own time and memory, and what a bad download costs.

The app runs as a child with the real small model. What its API takes is compared with llama-server
itself: the same requests go to both ports in turn, within one run.
"""

import asyncio
import json
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from dev.llama import path_from_environment
from dev.processes import ProcessError

from .lib.app.asks import asked_well
from .lib.app.big_file import BLOCK_BYTES, write_big_model
from .lib.app.download import N_CUTS, WRONG, download
from .lib.app.running import (
    MESSAGE,
    PARALLEL,
    Memory,
    app_in,
    app_start,
    server_command,
    server_start,
    sides_of,
)
from .lib.command import arguments, say
from .lib.environment import environment
from .lib.errors import BenchmarkError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .lib.app.asks import Side
    from .lib.app.download import Download

MEGABYTE = 1_000_000
BIG_BYTES = 1_000_000_000
SHORT_TOKENS = 8
LONG_TOKENS = 64
ASKS_PER_ROUND = 5
ROUNDS_PER_START = 4
# The API limits the requests of an address.
PAUSE_SECONDS = 0.1
STORIES = tuple(
    f"Tell a long story about {one}."
    for one in ("a cat", "the sea", "a train", "snow", "a clock", "bread", "the moon", "a garden")
)
LIMIT_MS = 5.0
LIMIT_SHARE = 0.02
LIMIT_MEMORY = 60 * MEGABYTE
LIMIT_START_SECONDS = 2.0


@dataclass(slots=True)
class Pairs:
    """Samples of the app and of llama-server, in pairs of neighbours."""

    app: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)

    def differences(self) -> list[float]:
        """Return what the app takes more, for each pair."""
        return [one - other for one, other in zip(self.app, self.server, strict=True)]

    def ratios(self) -> list[float]:
        """Return the app's by llama-server's, for each pair."""
        return [one / other for one, other in zip(self.app, self.server, strict=True)]


@dataclass(frozen=True, slots=True)
class AppRow:
    """A line of the table: what was measured, on both sides and together, and the aim."""

    name: str
    app: str
    server: str
    result: str
    aim: str
    holds: bool


@dataclass(slots=True)
class AppSamples:
    """All that was measured. requests, starts: in seconds. streams: in tokens per second."""

    requests: Pairs = field(default_factory=Pairs)
    streams: Pairs = field(default_factory=Pairs)
    starts: Pairs = field(default_factory=Pairs)
    memory: Memory | None = None
    right: Download | None = None
    wrong: Download | None = None


async def measure_requests(sides: tuple[Side, Side], n_asks: int) -> Pairs:
    """Ask both for a short answer, in turn."""
    pairs = Pairs()
    for number in range(n_asks + 1):
        for side, samples in zip(sides, (pairs.app, pairs.server), strict=True):
            answer = await asked_well(side, MESSAGE, SHORT_TOKENS)
            # The first time, the prompt is not in the cache yet.
            if number:
                samples.append(answer.seconds)
            await asyncio.sleep(PAUSE_SECONDS)
    return pairs


async def tokens_per_second(side: Side) -> float:
    """Ask for several streams at once; return the tokens per second of all of them."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    answers = await asyncio.gather(
        *(asked_well(side, one, LONG_TOKENS, stream=True) for one in STORIES)
    )
    return sum(one.n_tokens for one in answers) / (loop.time() - started)


async def measure_streams(sides: tuple[Side, Side], n_rounds: int) -> Pairs:
    """Compare the speed of parallel streams, in turn; each side begins every other round."""
    pairs = Pairs()
    for number in range(n_rounds + 1):
        both = list(zip(sides, (pairs.app, pairs.server), strict=True))
        for side, samples in both if number % 2 else reversed(both):
            speed = await tokens_per_second(side)
            if number:
                samples.append(speed)
            await asyncio.sleep(PAUSE_SECONDS)
    return pairs


async def measure_running(folder: Path, n_rounds: int, samples: AppSamples) -> list[str]:
    """Measure what one running app suffices for; return llama-server's command line."""
    app = app_in(folder)
    try:
        await asyncio.to_thread(app.start)
        await asyncio.to_thread(app.wait_ready)
        sides = sides_of(app)
        say("Asking for short answers ...")
        samples.requests = await measure_requests(sides, ASKS_PER_ROUND * n_rounds)
        say(f"Asking for {PARALLEL} streams at once ...")
        samples.streams = await measure_streams(sides, n_rounds)
        samples.memory = await asyncio.to_thread(Memory.of, app.process.pid)
        return await asyncio.to_thread(server_command, app.process.pid)
    finally:
        await asyncio.to_thread(app.stop)


async def measure_starts(folder: Path, command: Sequence[str], n_starts: int) -> Pairs:
    """Start both in turn, each until its first answer."""
    pairs = Pairs()
    for number in range(n_starts + 1):
        one, other = await app_start(folder), await server_start(folder, command)
        # The first time, files may still have to be read from the disk.
        if number:
            pairs.app.append(one)
            pairs.server.append(other)
    return pairs


async def measure(n_rounds: int) -> AppSamples:
    """Measure everything. Raises what `main` explains."""
    samples = AppSamples()
    with tempfile.TemporaryDirectory(prefix="llamacpp-app-") as name:
        folder = Path(name)
        command = await measure_running(folder / "app", n_rounds, samples)
        say("Starting both ...")
        n_starts = max(1, n_rounds // ROUNDS_PER_START)
        samples.starts = await measure_starts(folder / "app", command, n_starts)
        say("Downloading a large model from a bad server ...")
        big = folder / "big.gguf"
        await asyncio.to_thread(
            write_big_model, big, path_from_environment("LLAMACPP_MODEL"), BIG_BYTES
        )
        samples.right = await download(folder / "right", big, wrong_passes=1)
        samples.wrong = await download(folder / "wrong", big, wrong_passes=2)
    return samples


def speed_rows(samples: AppSamples) -> list[AppRow]:
    """Return what the API costs, and the start."""
    requests, streams, starts = samples.requests, samples.streams, samples.starts
    more = 1000 * median(requests.differences())
    share = 1 - median(streams.ratios())
    later = median(starts.differences())
    return [
        AppRow(
            f"short answer ({SHORT_TOKENS} tokens)",
            f"{1000 * median(requests.app):.2f} ms",
            f"{1000 * median(requests.server):.2f} ms",
            f"{more:+.2f} ms",
            f"<= {LIMIT_MS:g} ms",
            more <= LIMIT_MS,
        ),
        AppRow(
            f"{PARALLEL} streams at once",
            f"{median(streams.app):.1f} tokens/s",
            f"{median(streams.server):.1f} tokens/s",
            f"{-100 * share:+.1f} %",
            f">= {-100 * LIMIT_SHARE:g} %",
            share <= LIMIT_SHARE,
        ),
        AppRow(
            "start to first answer",
            f"{median(starts.app):.2f} s",
            f"{median(starts.server):.2f} s",
            f"{later:+.2f} s",
            f"<= {LIMIT_START_SECONDS:g} s",
            later <= LIMIT_START_SECONDS,
        ),
    ]


def memory_row(memory: Memory) -> AppRow:
    """Return the memory of the launcher."""
    return AppRow(
        "launcher's memory (PSS)",
        f"{memory.pss / MEGABYTE:.1f} MB",
        "",
        f"RSS {memory.rss / MEGABYTE:.1f} MB",
        f"<= {LIMIT_MEMORY // MEGABYTE} MB",
        memory.rss <= LIMIT_MEMORY,
    )


def download_row(name: str, one: Download, *, is_well: bool) -> AppRow:
    """Return the result of a download. The file is sent twice, as it is wrong the first time."""
    twice = one.n_sent - 2 * BIG_BYTES
    return AppRow(
        name,
        f"{one.seconds:.1f} s",
        f"{one.n_sent / MEGABYTE:.1f} MB sent",
        f"{one.state}, {max(0, twice)} bytes again",
        f"<= {N_CUTS} blocks again",
        is_well and twice <= N_CUTS * BLOCK_BYTES,
    )


def rows_of(samples: AppSamples) -> list[AppRow]:
    """Return the table's lines."""
    rows = speed_rows(samples)
    if samples.memory:
        rows.append(memory_row(samples.memory))
    if one := samples.right:
        rows.append(download_row("1 GB: cuts, HTML, wrong, right", one, is_well=one.is_answering))
    if one := samples.wrong:
        is_well = one.state == "failed" and WRONG in one.error and not one.is_there
        rows.append(download_row("1 GB: cuts, HTML, wrong, wrong", one, is_well=is_well))
    return rows


def table(rows: Sequence[AppRow]) -> str:
    """Return the figures for people to read."""
    lines = [("", "app", "llama-server", "result", "aim", "")]
    lines += [
        (one.name, one.app, one.server, one.result, one.aim, "holds" if one.holds else "MISSED")
        for one in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status. Raises the errors that `main` explains."""
    where = environment()
    samples = asyncio.run(measure(options.rounds))
    rows = rows_of(samples)
    print(table(rows))
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    if options.json:
        document = {"environment": where, "rows": [asdict(one) for one in rows], **asdict(samples)}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if options.check and not all(one.holds for one in rows) else 0


def main() -> int:
    """Run the benchmark and return the exit status; an error is one sentence."""
    # SIGTERM is like Ctrl-C: the programs that were started must be stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(arguments("app", __doc__ or "", "rounds", 20, "of each comparison"))
    except KeyboardInterrupt:
        say("Stopped.")
    except (BenchmarkError, ProcessError) as err:
        say(f"error: {err}")
    except TimeoutError:
        say("error: an answer took too long")
    except OSError as err:
        say(f"error: {err}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
