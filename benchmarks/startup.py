"""What the integration adds to a start of Home Assistant, compared with core's `llama_cpp`."""

import asyncio
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from dev.ha_client import HomeAssistantClient, HomeAssistantError
from dev.hass import HomeAssistant
from dev.processes import ProcessError

from .lib.agents import CORE, DOMAINS, OURS, set_up_agents
from .lib.command import arguments, say
from .lib.environment import environment
from .lib.errors import BenchmarkError
from .lib.figures import Comparison, table
from .lib.scripted_server import ScriptedServer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

type StartupSamples = Mapping[str, Mapping[str, list[float]]]

AIM: Final = 0.5
IMPORT, SET_UP, BOTH = "import", "set-up", "import and set-up"
IMPORT_SECONDS: Final = 120
# The modules that a Home Assistant with Assist has imported before it loads either integration.
ALREADY_THERE: Final = """
import homeassistant.bootstrap
from homeassistant.components import (
    ai_task, assist_pipeline, binary_sensor, button, conversation, diagnostics, repairs, select,
    sensor, system_health,
)
from homeassistant.helpers import (
    aiohttp_client, chat_session, config_entry_flow, httpx_client, llm, selector, start, storage,
    translation, update_coordinator,
)
"""
# Prints the seconds that the import of the modules on the command line takes.
IMPORTING: Final = f"""
import importlib, sys, time
{ALREADY_THERE}
started = time.perf_counter()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(time.perf_counter() - started)
"""
PACKAGES: Final = {OURS: f"custom_components.{OURS}", CORE: f"homeassistant.components.{CORE}"}


def modules_of(domain: str) -> list[str]:
    """Return an integration's package and all of its platforms, as Home Assistant imports them."""
    package = PACKAGES[domain]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BenchmarkError(f"there is no {package}")
    folder = Path(spec.origin).parent
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    return [package, *(f"{package}.{name}" for name in names)]


def import_seconds(domain: str) -> float:
    """Import an integration in a fresh process; return the seconds. Raises BenchmarkError."""
    command = [sys.executable, "-c", IMPORTING, *modules_of(domain)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"{domain} cannot be imported: {done.stderr.splitlines()[-1]}")
    return float(done.stdout)


async def set_up(hass: HomeAssistant, server: ScriptedServer) -> None:
    """Add both integrations to a running Home Assistant, for its next starts."""
    async with HomeAssistantClient(hass.base_url) as client:
        await client.wait_started()
        await set_up_agents(client, server)


async def set_up_seconds(hass: HomeAssistant) -> dict[str, float]:
    """Return the seconds of each integration's set-up, as Home Assistant reports them."""
    async with HomeAssistantClient(hass.base_url) as client:
        await client.wait_started()
        timed = await client.command("integration/setup_info")
    return {one["domain"]: one["seconds"] for one in timed if one["domain"] in DOMAINS}


async def measure_set_up(folder: Path, n_runs: int) -> dict[str, list[float]]:
    """Start Home Assistant with both integrations several times."""
    samples: dict[str, list[float]] = {domain: [] for domain in DOMAINS}
    async with ScriptedServer() as server:
        for number in range(n_runs + 1):
            hass = HomeAssistant(folder / "config")
            try:
                await asyncio.to_thread(hass.start)
                await asyncio.to_thread(hass.wait_ready)
                if number == 0:
                    await set_up(hass, server)
                    continue
                for domain, seconds in (await set_up_seconds(hass)).items():
                    samples[domain].append(seconds)
            finally:
                await asyncio.to_thread(hass.stop)
    return samples


def measure(n_runs: int) -> StartupSamples:
    """Return the seconds of each figure and integration, in the order of the runs."""
    imports: dict[str, list[float]] = {domain: [] for domain in DOMAINS}
    say(f"Importing both integrations {n_runs} times each ...")
    for number in range(n_runs + 1):
        for domain in DOMAINS:
            seconds = import_seconds(domain)
            # The first time, Python writes its bytecode.
            if number:
                imports[domain].append(seconds)
    say(f"Starting Home Assistant with both {n_runs} times ...")
    with tempfile.TemporaryDirectory(prefix="llamacpp-startup-") as folder:
        set_ups = asyncio.run(measure_set_up(Path(folder), n_runs))
    both = {
        domain: [one + other for one, other in zip(imports[domain], set_ups[domain], strict=True)]
        for domain in DOMAINS
    }
    return {IMPORT: imports, SET_UP: set_ups, BOTH: both}


def compare(samples: StartupSamples) -> dict[str, Comparison]:
    """Return the figures by name."""

    def each(values: Sequence[float]) -> list[list[float]]:
        return [[value] for value in values]

    return {name: Comparison.of(each(one[OURS]), each(one[CORE])) for name, one in samples.items()}


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status. Raises the errors that `main` explains."""
    samples = measure(options.runs)
    figures = compare(samples)
    misses = [f"{name}: {one.ratio:.2f}" for name, one in figures.items() if one.ratio > AIM]
    where = environment(home_assistant="homeassistant")
    print(table(figures))
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    print(f"Aim (at most {AIM:g} of core's): {f'missed: {misses}' if misses else 'holds'}.")
    if options.json:
        document = {"environment": where, "aim": AIM, "misses": misses, "seconds": samples}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if options.check and misses else 0


def main() -> int:
    """Run the benchmark and return the exit status; an error is one sentence."""
    # SIGTERM is like Ctrl-C: the programs that were started must be stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(arguments("startup", __doc__ or "", "runs", 5, "of each integration"))
    except KeyboardInterrupt:
        say("Stopped.")
    except (BenchmarkError, ProcessError, HomeAssistantError) as err:
        say(f"error: {err}")
    except (aiohttp.ClientError, TimeoutError, subprocess.TimeoutExpired) as err:
        say(f"error: Home Assistant did not answer as it should: {err!r}")
    except OSError as err:
        say(f"error: {err}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
