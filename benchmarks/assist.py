"""Which agent does what was meant: ours, core's, or one without a model.

Homes and cases come from folders in the format of the public data set assist-mini. They run in
a real Home Assistant of the newest release, with a virtual home and a real llama-server.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from dev.ha_client import HomeAssistantError
from dev.llama import LlamaServer, path_from_environment
from dev.made_models import write_random_model
from dev.processes import ProcessError

from .lib.assist_set import without_model
from .lib.assist_set.cases import load_set
from .lib.assist_set.merge import merge
from .lib.assist_set.play import AssistPlayer, TimeLimits, second_ones
from .lib.assist_set.replies import speech_of
from .lib.assist_set.report import document, summary, table
from .lib.assist_set.results import Column
from .lib.assist_set.stage import (
    AGENTS,
    ALWAYS,
    RANDOM,
    WITH_MODEL,
    AssistStage,
    integration,
    name_of,
)
from .lib.command import say, working_folder
from .lib.day.models import CHATML
from .lib.day.proxy import RecordingProxy
from .lib.errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .lib.assist_set.cases import AssistHome
    from .lib.assist_set.stage import Asked

SETS = Path(__file__).parent / "sets"
OWN = "own"
CORE = "core"
MORE = tuple(one for one in AGENTS if one not in ALWAYS)
TEMPLATES = {"qwen3": CHATML}
CONTEXT_TOKENS = 8192
THREADS = 2


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark assist", description=(__doc__ or "").splitlines()[0]
    )
    option = parser.add_argument
    option("folders", type=Path, nargs="*", metavar="FOLDER", help="sets (the project's own)")
    option(
        "--agents",
        nargs="+",
        type=agent,
        default=[],
        metavar="AGENT",
        help=f"agents besides {', '.join(ALWAYS)}: {', '.join(MORE)},"
        " or DOMAIN={JSON} of an integration",
    )
    option(
        "--without-model",
        action="store_true",
        help="in this process, with our own ranking in the place of a model",
    )
    option("--template", default=OWN, metavar="own|qwen3|FILE", help="for chats (the model's own)")
    option("--model", default=OWN, metavar="own|FILE", help="GGUF file (SmolLM2-135M)")
    option("--merged", action="store_true", help="all homes of a set as one home")
    option("--language", metavar="CODE", help="spoken language (the home's, or en)")
    option("--limit", type=int, metavar="N", help="sentences of each home at most")
    option("--ask-seconds", type=float, default=120.0, metavar="S", help="for one answer (120)")
    option("--minutes", type=float, default=60.0, metavar="M", help="for everything (60)")
    option("--keep", type=Path, metavar="FOLDER", help="leave logs and configuration there")
    option("--json", type=Path, metavar="FILE", help="write every case there, too")
    options = parser.parse_args()
    if options.without_model and options.agents:
        parser.error("--agents cannot be used with --without-model")
    options.agents = list(dict.fromkeys((*ALWAYS, *options.agents)))
    if not options.folders:
        options.folders = sorted(one for one in SETS.glob("*") if one.is_dir())
    return options


def agent(text: str) -> str:
    """Return a checked agent of the command line; raises ArgumentTypeError."""
    try:
        integration(text)
    except BenchmarkError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    return text


class Evaluation:
    """Plays sets with the agents of the command line."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        """Be ready; raises ProcessError where the environment is not set up."""
        self.version = ""
        self.found: list[list[Column]] = []
        self._options = options
        self._folder = folder
        self._python = path_from_environment("LLAMACPP_NEWEST_PYTHON")
        self._deadline = time.monotonic() + options.minutes * 60
        self._proxies: dict[str, RecordingProxy] = {}
        self._n_homes = 0

    async def play(self, sets: Iterable[Sequence[AssistHome]]) -> None:
        """Play the sets; the results are in `found`. Raises the errors that `main` explains."""
        async with contextlib.AsyncExitStack() as stack:
            # Our integration accepts a server only once, so each agent has its own.
            for one in self._options.agents:
                if one in WITH_MODEL:
                    model = self._random_model if one == RANDOM else self._model
                    server = self._server(await asyncio.to_thread(model), one)
                    stack.callback(server.stop)
                    server.start()
                    await asyncio.to_thread(server.wait_ready)
                    proxy = RecordingProxy(server.base_url)
                    self._proxies[one] = await stack.enter_async_context(proxy)
            for homes in sets:
                await self._set(homes)

    def _model(self) -> Path:
        model = self._options.model
        return path_from_environment("LLAMACPP_MODEL") if model == OWN else Path(model)

    def _random_model(self) -> Path:
        path = self._folder / "random.gguf"
        write_random_model(path, self._model())
        return path

    def _server(self, model: Path, name: str) -> LlamaServer:
        template = self._options.template
        file = None if template == OWN else TEMPLATES.get(template, template)
        return LlamaServer(
            self._folder / f"llama-server-{name}.log",
            *("--jinja", "--ctx-size", str(CONTEXT_TOKENS), "--parallel", "1"),
            *("--threads", str(THREADS)),
            *(("--chat-template-file", file) if file else ()),
            model=model,
        )

    async def _set(self, homes: Sequence[AssistHome]) -> None:
        columns = [Column(name_of(one)) for one in self._options.agents]
        self.found.append(columns)
        if self._options.merged:
            homes = [merge(homes, self._folder / f"merged-{self._n_homes}")]
        played = [home for home in homes if home.cases]
        largest = max(played, key=lambda home: len(second_ones(home.entities)))
        for home in played:
            await self._home(home, columns, measures=home is largest)

    async def _home(self, home: AssistHome, columns: Sequence[Column], *, measures: bool) -> None:
        options = self._options
        self._n_homes += 1
        language = options.language or home.language
        say(f"{home.name} ({language}), {len(home.cases)} sentences ...")
        folder = self._folder / f"home-{self._n_homes}"
        async with AssistStage(folder, home, self._python, language) as stage:
            self.version = stage.version
            speech = await asyncio.to_thread(speech_of, language)
            limits = TimeLimits(options.ask_seconds, self._deadline)
            player = AssistPlayer(stage, limits, speech, home.names)
            for wanted, column in zip(options.agents, columns, strict=True):
                asked = await self._set_up(stage, wanted)
                if asked is None:
                    continue
                await player.play(asked, column, home.cases[: options.limit])
                if measures:
                    await player.measure(stage, asked, column)

    async def _set_up(self, stage: AssistStage, agent: str) -> Asked | None:
        """Set up an agent; None if it is core's, and this Home Assistant cannot have it."""
        try:
            return await stage.set_up(agent, self._proxies.get(agent))
        except (BenchmarkError, HomeAssistantError) as err:
            if agent != CORE:
                raise
            say(f"  {CORE} is not asked: {err}")
            return None


def play_without_model(
    options: argparse.Namespace, folder: Path, sets: Sequence[Sequence[AssistHome]]
) -> None:
    """Play sets in this process, print the results, and write them to the file of the options."""
    limits = TimeLimits(options.ask_seconds, time.monotonic() + options.minutes * 60)
    found: dict[str, Sequence[Column]] = {}
    for path, homes in zip(options.folders, sets, strict=True):
        played = [_limited(home, options.limit) for home in homes]
        if options.merged:
            played = [merge(played, folder / path.name / "merged")]
        found[path.name] = without_model.play(played, folder / path.name, limits, options.language)
    print(summary(found))
    conditions = {
        "home_assistant": without_model.VERSION,
        "model": None,
        "merged": options.merged,
    }
    print(", ".join(f"{name}: {value}" for name, value in conditions.items()))
    _write(options.json, [document(name, one, **conditions) for name, one in found.items()])


def _limited(home: AssistHome, limit: int | None) -> AssistHome:
    return replace(home, cases=home.cases[:limit])


def _write(path: Path | None, documents: Sequence[Any]) -> None:
    if path:
        path.write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n")


def report(options: argparse.Namespace, evaluation: Evaluation) -> None:
    """Print the results so far, and write them to the file of the options."""
    conditions = {
        "home_assistant": evaluation.version,
        "model": options.model,
        "template": options.template,
        "merged": options.merged,
    }
    documents = []
    for path, columns in zip(options.folders, evaluation.found, strict=False):
        if columns[0].outcomes:
            print(f"{path.name}\n{table(columns)}\n")
            documents.append(document(path.name, columns, **conditions))
    if documents:
        print(", ".join(f"{name}: {value}" for name, value in conditions.items()))
    _write(options.json, documents)


def run(options: argparse.Namespace) -> None:
    """Measure and print. Raises the errors that `main` explains."""
    if not options.folders:
        raise BenchmarkError("there is no set: name a folder with homes and cases")
    sets = [load_set(folder) for folder in options.folders]
    with working_folder("llamacpp-assist-", options.keep) as folder:
        if options.without_model:
            play_without_model(options, Path(folder), sets)
            return
        evaluation = Evaluation(options, Path(folder))
        try:
            asyncio.run(evaluation.play(sets))
        finally:
            # A long run that is interrupted has results, too.
            report(options, evaluation)


def main() -> int:
    """Run the benchmark and return the exit status; an error is one sentence."""
    # SIGTERM is like Ctrl-C: the programs that were started must be stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(arguments())
    except KeyboardInterrupt:
        say("Stopped.")
    except (BenchmarkError, ProcessError, HomeAssistantError) as err:
        say(f"error: {err}")
    except (aiohttp.ClientError, TimeoutError) as err:
        say(f"error: Home Assistant or llama-server did not answer as it should: {err!r}")
    except OSError as err:
        say(f"error: {err}")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
