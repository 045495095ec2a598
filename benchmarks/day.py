"""A day of asks in a home: tokens processed while a user waits, compared with core's llama_cpp.

The same fixed day is played with our agent and with core's, each with a fresh Home Assistant of the
newest release and a fresh llama-server. A proxy between them, which changes nothing, records
how many tokens the server reports as processed.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from dev.ha_client import HomeAssistantError
from dev.llama import path_from_environment
from dev.processes import ProcessError

from .lib.agents import CORE, OURS
from .lib.command import say, working_folder
from .lib.day.direct import direct_seconds
from .lib.day.measures import DayCase
from .lib.day.models import MODELS, ModelMissingError
from .lib.day.picture import picture
from .lib.day.play import DayPlayer
from .lib.day.report import document, table
from .lib.day.script import Pause
from .lib.day.stage import SLOTS, DayStage, ServerSettings
from .lib.errors import BenchmarkError

if TYPE_CHECKING:
    from .lib.day.play import Played

# The integration polls twice a minute: by then it knows what ran before it was set up.
MORNING_SECONDS = 35.0
SHORT_SECONDS = 2.0
RESTART_SECONDS = 5.0


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark day", description=(__doc__ or "").splitlines()[0]
    )
    option = parser.add_argument
    option("--model", choices=MODELS, nargs="+", default=["cut"], help="one or more (cut)")
    option(
        "--cache-ram",
        type=int,
        nargs="+",
        metavar="MIB",
        help="llama-server's host cache, 0: none; one or more (llama-server's default)",
    )
    option("--slots", type=int, default=SLOTS, metavar="N", help=f"of llama-server ({SLOTS})")
    option("--plain", action="store_true", help="ask at devices that are not satellites")
    option("--batch", type=int, default=512, metavar="N", help="tokens in a batch (512)")
    option("--settle", type=float, default=10.0, metavar="S", help="after a change (10)")
    option("--long-pause", type=float, default=10.0, metavar="S", help='"10 minutes" (10)')
    option("--no-answers", action="store_true", help="do not compare answers without prefill")
    option("--keep", type=Path, metavar="FOLDER", help="leave logs and configuration there")
    option("--json", type=Path, metavar="FILE", help="write everything there, too")
    option("--svg", type=Path, metavar="FILE", help="draw the first case there")
    option("--check", action="store_true", help="fail if a measure is missed")
    return parser.parse_args()


class DayCases:
    """Plays the day in all cases of the command line."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        """Be ready; raises ProcessError where the environment is not set up."""
        self._options = options
        self._folder = folder
        self._python = path_from_environment("LLAMACPP_NEWEST_PYTHON")
        self._pauses = {
            Pause.MORNING: MORNING_SECONDS,
            Pause.SHORT: SHORT_SECONDS,
            Pause.SETTLE: options.settle,
            Pause.RESTART: RESTART_SECONDS,
            Pause.LONG: options.long_pause,
        }

    async def play(self) -> list[DayCase]:
        """Return the cases. Raises the errors that `main` explains."""
        cases = []
        for name in self._options.model:
            try:
                path = MODELS[name].file(self._folder)
            except ModelMissingError as err:
                say(f"The case {name} is left out: {err}")
                continue
            for cache_ram in self._options.cache_ram or [None]:
                settings = ServerSettings(
                    path,
                    MODELS[name].template_file,
                    cache_ram,
                    self._options.slots,
                    self._options.batch,
                    is_plain=self._options.plain,
                )
                cases.append(await self._case(name, settings))
        return cases

    async def _case(self, name: str, settings: ServerSettings) -> DayCase:
        memory = "" if settings.cache_ram is None else f", --cache-ram {settings.cache_ram}"
        where = ", plain devices" if settings.is_plain else ""
        title = f"model {name}, slots: {settings.slots}{memory}{where}"
        is_whole = MODELS[name].is_whole
        ours, direct = await self._play(f"{title}: ours", OURS, settings, judges_time=is_whole)
        core, _ = await self._play(f"{title}: core", CORE, settings)
        case = DayCase(title, ours, core, judges_time=is_whole, direct=direct)
        if not self._options.no_answers:
            plain, _ = await self._play(
                f"{title}: ours, without prefill", OURS, settings, keep_warm=False
            )
            case.without_prefill = plain.asks
        return case

    async def _play(
        self,
        title: str,
        domain: str,
        settings: ServerSettings,
        *,
        keep_warm: bool = True,
        judges_time: bool = False,
    ) -> tuple[Played, dict[str, float]]:
        """Play one day; where times are judged, ask the server directly at the end, too."""
        say(f"{title} ...")
        folder = Path(tempfile.mkdtemp(prefix=f"{domain}-", dir=self._folder))
        async with (
            DayStage(folder, settings, self._python) as stage,
            # llama-server closes connections that are idle for five seconds.
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        ):
            agent = await stage.set_up(domain, keep_warm=keep_warm)
            played = await DayPlayer(stage, agent, self._pauses, session).play()
            if not judges_time:
                return played, {}
            await asyncio.to_thread(stage.hass.stop)
            say("  asking llama-server directly ...")
            return played, await direct_seconds(session, stage.server.base_url, played.asks)


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status. Raises the errors that `main` explains."""
    with working_folder("llamacpp-day-", options.keep) as folder:
        cases = asyncio.run(DayCases(options, Path(folder)).play())
    for case in cases:
        print(f"{table(case)}\n")
    if cases:
        print(f"Home Assistant {cases[0].ours.version}")
    if options.json:
        options.json.write_text(json.dumps([document(one) for one in cases], indent=1) + "\n")
    if options.svg and cases:
        options.svg.write_text(picture(cases[0]))
    missed = any(one.held is False for case in cases for one in case.measures())
    return 1 if options.check and (missed or not cases) else 0


def main() -> int:
    """Run the benchmark and return the exit status; an error is one sentence."""
    # SIGTERM is like Ctrl-C: the programs that were started must be stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(arguments())
    except KeyboardInterrupt:
        say("Stopped.")
    except (BenchmarkError, ProcessError, HomeAssistantError) as err:
        say(f"error: {err}")
    except (aiohttp.ClientError, TimeoutError) as err:
        say(f"error: Home Assistant or llama-server did not answer as it should: {err!r}")
    except OSError as err:
        say(f"error: {err}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
