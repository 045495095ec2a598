"""What the integration adds to the model's time, compared with Home Assistant's own llama_cpp.

One real Home Assistant has both agents set up for one server, which is a script in this process,
and asks them in turn. One clock measures when a question was sent, when it reached the server, when
the server wrote a piece of the answer, and when that piece came back.
"""

import asyncio
import json
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from dev.ha_client import HomeAssistantError
from dev.hass import HomeAssistant
from dev.processes import ProcessError

from .lib.agents import set_up_agents
from .lib.assist import AssistClient
from .lib.command import arguments, say
from .lib.environment import environment
from .lib.errors import BenchmarkError
from .lib.figures import Comparison, table
from .lib.scripted_server import PIECES, ScriptedServer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from .lib.agents import Agent
    from .lib.assist import AssistConnection
    from .lib.scripted_server import ReceivedChat

QUESTION = "Which lights are on in the kitchen and in the garden?"
WARM_UP_ASKS = 5
# Time for the work that Home Assistant does after a run.
PAUSE_SECONDS = 0.05
LIMIT_MS = 10.0
SCENES = ("new conversation", "continued conversation")


@dataclass(frozen=True, slots=True)
class AskTimes:
    """Times of one ask, in seconds. pieces: for each piece, from the server to the user."""

    to_request: float
    pieces: list[float]
    request: ReceivedChat


class OverheadStage:
    """Both agents and their server."""

    def __init__(
        self, server: ScriptedServer, connection: AssistConnection, agents: Sequence[Agent]
    ) -> None:
        """Use these."""
        self._server = server
        self._connection = connection
        self._agents = agents

    async def play(self, n_asks: int, *, continued: bool) -> list[list[AskTimes]]:
        """Ask the agents in turn, and return the asks of each agent.

        n_asks: of each agent, without those of the warm-up. continued: each agent continues one
        conversation, instead of a new one for every ask.
        """
        asks: list[list[AskTimes]] = [[] for _ in self._agents]
        conversations: list[str | None] = [None for _ in self._agents]
        for number in range(WARM_UP_ASKS + n_asks):
            for index, agent in enumerate(self._agents):
                ask, conversation = await self._ask(agent, conversations[index])
                if continued:
                    conversations[index] = conversation
                if number >= WARM_UP_ASKS:
                    asks[index].append(ask)
                await asyncio.sleep(PAUSE_SECONDS)
        return asks

    async def _ask(self, agent: Agent, conversation: str | None) -> tuple[AskTimes, str]:
        """Ask once; return the times and the conversation's id. Raises BenchmarkError."""
        answer = await self._connection.ask(QUESTION, agent.pipeline, conversation)
        chats = self._server.take_chats()
        if len(chats) != 1:
            message = f"{agent.domain} sent {len(chats)} requests for one question"
            raise BenchmarkError(message)
        if tuple(answer.pieces) != PIECES:
            message = f"{agent.domain} did not stream the answer piece by piece: {answer.pieces}"
            raise BenchmarkError(message)
        if not chats[0].n_tools:
            message = f"{agent.domain} sent no tools"
            raise BenchmarkError(message)
        if conversation is not None and answer.conversation_id != conversation:
            message = f"{agent.domain} did not continue its conversation"
            raise BenchmarkError(message)
        pieces = [
            received - written
            for written, received in zip(chats[0].written, answer.received, strict=True)
        ]
        return AskTimes(chats[0].received - answer.asked, pieces, chats[0]), answer.conversation_id


async def measure(hass: HomeAssistant, n_asks: int) -> dict[str, list[list[AskTimes]]]:
    """Set both agents up and return their asks by scene: ours, then core's."""
    scenes = {}
    async with (
        ScriptedServer() as server,
        AssistClient(hass.base_url) as client,
        client.assist() as connection,
    ):
        await client.wait_started()
        stage = OverheadStage(server, connection, await set_up_agents(client, server))
        for scene in SCENES:
            say(f"Asking both agents {n_asks} times each: {scene} ...")
            scenes[scene] = await stage.play(n_asks, continued=scene == SCENES[1])
    return scenes


def compare(asks: Mapping[str, list[list[AskTimes]]]) -> dict[str, Comparison]:
    """Return the figures by name, two for each scene."""
    figures = {}
    for scene, (ours, core) in asks.items():
        figures[f"{scene}: ask -> request"] = Comparison.of(
            [[ask.to_request] for ask in ours], [[ask.to_request] for ask in core]
        )
        figures[f"{scene}: piece -> delta"] = Comparison.of(
            [ask.pieces for ask in ours], [ask.pieces for ask in core]
        )
    return figures


def misses_of(figures: Mapping[str, Comparison]) -> list[str]:
    """Return the missed aims, in words."""
    return [
        f"{name}: {miss}" for name, figure in figures.items() for miss in figure.misses(LIMIT_MS)
    ]


def report(asks: Mapping[str, list[list[AskTimes]]], figures: Mapping[str, Comparison]) -> str:
    """Return the figures and their conditions as text."""
    ours, core = (agent[-1].request for agent in asks[SCENES[0]])
    misses = misses_of(figures)
    where = environment(home_assistant="homeassistant")
    return f"""\
{table(figures)}

All times include Home Assistant's pipeline and WebSocket: they are upper bounds.
Requests: ours {ours.n_tools} tools in {ours.n_bytes} bytes, core {core.n_tools} tools in \
{core.n_bytes} bytes; answers: {len(PIECES)} pieces.
Home Assistant {where["home_assistant"]}, Python {where["python"]}, {where["machine"]}, \
{where["cores"]} cores, load {where["load"]}.
Aim (median within {LIMIT_MS:g} ms, and not above core's): \
{f"missed: {'; '.join(misses)}" if misses else "holds"}."""


def document(
    asks: Mapping[str, list[list[AskTimes]]], figures: Mapping[str, Comparison]
) -> dict[str, Any]:
    """Return the figures and all samples (in seconds) for JSON."""
    return {
        "environment": environment(home_assistant="homeassistant"),
        "limit_ms": LIMIT_MS,
        "misses": misses_of(figures),
        "figures_ms": {name: asdict(figure) for name, figure in figures.items()},
        "asks": {
            scene: {"ours": [asdict(ask) for ask in ours], "core": [asdict(ask) for ask in core]}
            for scene, (ours, core) in asks.items()
        },
    }


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status. Raises the errors that `main` explains."""
    with tempfile.TemporaryDirectory(prefix="llamacpp-overhead-") as folder:
        hass = HomeAssistant(Path(folder) / "config")
        say("Starting Home Assistant ...")
        try:
            hass.start()
            hass.wait_ready()
            asks = asyncio.run(measure(hass, options.asks))
        finally:
            hass.stop()
    figures = compare(asks)
    print(report(asks, figures))
    if options.json:
        options.json.write_text(json.dumps(document(asks, figures), indent=1) + "\n")
    return 1 if options.check and misses_of(figures) else 0


def main() -> int:
    """Run the benchmark and return the exit status; an error is one sentence."""
    # SIGTERM is like Ctrl-C: the programs that were started must be stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(arguments("overhead", __doc__ or "", "asks", 40, "of each agent, in each scene"))
    except KeyboardInterrupt:
        say("Stopped.")
    except (BenchmarkError, ProcessError, HomeAssistantError) as err:
        say(f"error: {err}")
    except (aiohttp.ClientError, TimeoutError) as err:
        say(f"error: Home Assistant did not answer as it should: {err!r}")
    except OSError as err:
        say(f"error: {err}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
