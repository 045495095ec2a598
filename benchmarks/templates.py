"""Which chat templates of llama.cpp's source work with our requests, without a real model.

A real llama-server runs with each of them and gets the requests of our agents: with tools, and for
a choice among commands, in conversations of all kinds. The model is a scripted one with a fixed
answer: this is about requests and responses, not about words.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from homeassistant.util.yaml import load_yaml_dict

from custom_components.llamacpp.client import LlamaServerError
from custom_components.llamacpp.model.abilities import ToolStrategy
from dev.hass import DEMO_HOME
from dev.llama import path_from_environment
from dev.processes import ProcessError
from dev.scripted_model import write_scripted_model

from .lib.command import say
from .lib.errors import BenchmarkError
from .lib.in_process import small_home
from .lib.templates.sequences import sequences
from .lib.templates.sweep import TemplateStage, sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .lib.templates.sweep import TemplateResult

SCRIPTS = DEMO_HOME.with_name("demo_scripts.yaml")
TABLE = Path(__file__).parents[1] / "docs" / "templates.md"
SILENT = "{% for message in messages %}{{ message.content }}{% endfor %}{# choice #}"
WORKS = "works"
WAYS = {ToolStrategy.NATIVE: "in the request", ToolStrategy.WRITTEN: "in the prompt"}

PAGE = """\
# Chat templates

Each model comes with a chat template, which turns a conversation into one text. llama.cpp's source
has {n_templates} of them, those of nearly all models that people use. `scripts/benchmark templates`
starts a real llama-server with each, and sends it the requests of our agents in {n_kinds} kinds of
conversations: with tools, as for large models, and with commands, as for small ones. With `--write`
it writes this page; a test fails if the page differs from the result.

**With tools {tools} of {n_templates} work, with commands {commands}.**

- *Tools*: where the model gets the tools. With a template that knows no tools, or refuses those of
  Home Assistant, they are in the prompt. It works if no conversation is refused, and the prompt has
  all words, calls and results; some templates leave out the words of a model beside a call.
- *Commands*: it works if the answer is the command.
- *Done for it*: how requests are adapted, as found out from the server, not from names.
  *Short ids*: calls have ids of nine letters and digits. *One call a message*: several calls are
  sent one after the other. *No words beside calls*, *calls as words*: otherwise the template leaves
  the call out. *Turns*: user and assistant speak in turns.

| Template | Tools | With tools | With commands | Done for it |
|---|---|---|---|---|
{rows}
"""


async def measure(folder: Path, names: Sequence[str] | None = None) -> Sequence[TemplateResult]:
    """Return the result of each template. names: of the templates, None: all.

    Raises BenchmarkError, ProcessError and LlamaServerError.
    """
    paths = sorted(path_from_environment("LLAMACPP_TEMPLATES").glob("*.jinja"))
    paths = [one for one in paths if names is None or one.stem in names]
    model = folder / "silent.gguf"
    vocabulary = path_from_environment("LLAMACPP_MODEL")
    await asyncio.to_thread(write_scripted_model, model, vocabulary, {}, "Hm.", SILENT)
    scripts = await asyncio.to_thread(load_yaml_dict, str(SCRIPTS))
    async with (
        aiohttp.ClientSession() as session,
        small_home(folder / "config", DEMO_HOME, scripts) as hass,
    ):
        return await sweep(await TemplateStage.of(hass), session, paths, model, folder / "logs")


def wants(found: TemplateResult) -> str:
    """Return as text how requests are adapted to a template."""
    fitting, has_calls = found.abilities.fitting, found.strategy is ToolStrategy.NATIVE
    done = {
        "short ids": fitting.has_short_ids and has_calls,
        "one call a message": fitting.has_single_calls and has_calls,
        "no words beside calls": fitting.has_silent_calls,
        "calls as words": fitting.has_written_calls,
        "turns": fitting.has_turns,
    }
    return ", ".join(name for name, is_done in done.items() if is_done)


def verdict(found: TemplateResult, kind: str) -> str:
    """Return `WORKS`, or the faults of a kind of conversation."""
    faults = {name: why for name, why in found.faults.items() if name.startswith(f"{kind}: ")}
    if not faults:
        return WORKS
    return "; ".join(f"{name.partition(': ')[2]}: {why}" for name, why in faults.items())


def table(found: Sequence[TemplateResult]) -> str:
    """Return the page of the docs."""
    rows = [
        f"| {one.name} | {WAYS[one.strategy]} | {verdict(one, 'tools')} "
        f"| {verdict(one, 'commands')} | {wants(one)} |"
        for one in found
    ]
    works = {
        kind: sum(verdict(one, kind) == WORKS for one in found) for kind in ("tools", "commands")
    }
    return PAGE.format(
        n_templates=len(found), n_kinds=len(sequences("")), rows="\n".join(rows), **works
    )


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark templates", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these templates")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name} of the docs")
    return parser.parse_args()


def main() -> int:
    """Run the benchmark and return the exit status."""
    options = arguments()
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="llamacpp-templates-") as folder:
            page = table(asyncio.run(measure(Path(folder), options.only)))
        say(f"{time.monotonic() - begun:.0f} seconds")
        print(page)
        if options.write:
            TABLE.write_text(page)
    except KeyboardInterrupt:
        say("Stopped.")
        return 1
    except (BenchmarkError, LlamaServerError, ProcessError, OSError) as err:
        say(f"error: {err}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
