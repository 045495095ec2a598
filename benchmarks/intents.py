"""Whether our agent is ever below Home Assistant's own, with Home Assistant's own sentences.

A real Home Assistant runs in this process, with a small virtual home. Sentences are drawn from its
own in each language, and said to its own agent and to ours. No model runs: a sentence that ours
sends to a model counts as not done.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from home_assistant_intents import get_languages
from homeassistant.components import conversation
from homeassistant.core import Context
from homeassistant.helpers import entity_registry as er

from .lib.command import say
from .lib.environment import environment
from .lib.errors import BenchmarkError
from .lib.in_process import AGENT, running_home, set_up_agent
from .lib.scripted_server import ScriptedServer
from .lib.sentences import LanguageSentences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from homeassistant.core import HomeAssistant

    from .lib.sentences import DrawnSentence

HOME = Path(__file__).parent / "lib" / "intents_home.yaml"
# The area of the satellite that hears all sentences.
HERE = "Living Room"
# With all sentences; other languages have a part of them.
MAIN = ("en", "de", "it", "fr", "es", "nl", "pl", "pt-BR", "ru", "sv", "cs", "zh-CN")
N_SENTENCES, PART_OF_OTHERS = 100, 5
BUILT_IN = "conversation.home_assistant"
SUCCESS = ("action_done", "query_answer")
VIRTUAL_HOME = "virtual_home"
PACKAGES = {
    "home_assistant": "homeassistant",
    "intents": "home-assistant-intents",
    "hassil": "hassil",
}

type EntityValues = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What an agent said and did: type and text of the response, and the changed entities.

    is_asking: a model would have been asked.
    """

    kind: str
    speech: str
    moved: EntityValues
    is_asking: bool

    @property
    def is_success(self) -> bool:
        """Return whether something was done or answered."""
        return self.kind in SUCCESS and not self.is_asking


@dataclass(frozen=True, slots=True)
class IntentsCase:
    """A sentence, and the replies of both agents."""

    sentence: DrawnSentence
    built_in: Reply
    ours: Reply

    @property
    def is_ours(self) -> bool:
        """Return whether ours did the same as the built-in agent, which succeeded."""
        return self.built_in.is_success and self.ours == replace(
            self.built_in, speech=self.ours.speech
        )

    @property
    def is_moved_otherwise(self) -> bool:
        """Return whether ours moved something that the built-in agent did not move like that."""
        return bool(self.ours.moved) and self.ours.moved != self.built_in.moved


@dataclass(frozen=True, slots=True)
class IntentsRow:
    """The counts of one or several languages."""

    name: str
    sentences: int
    built_in: int
    ours: int
    moved_otherwise: int

    @classmethod
    def of(cls, name: str, cases: Sequence[IntentsCase]) -> IntentsRow:
        """Count."""
        return cls(
            name,
            len(cases),
            sum(one.built_in.is_success for one in cases),
            sum(one.is_ours for one in cases),
            sum(one.is_moved_otherwise for one in cases),
        )


type IntentsCases = Mapping[str, Sequence[IntentsCase]]


class IntentsStage:
    """The home, in which both agents can be asked."""

    def __init__(self, hass: HomeAssistant, server: ScriptedServer) -> None:
        """Use a running Home Assistant that has our agent."""
        self._hass = hass
        self._server = server
        (entry,) = hass.config_entries.async_loaded_entries(VIRTUAL_HOME)
        self._entities = entry.runtime_data.entities
        entities = er.async_get(hass).entities.values()
        self._device = next(one.device_id for one in entities if one.domain == "assist_satellite")

    async def play(self, code: str, sentences: Sequence[DrawnSentence]) -> list[IntentsCase]:
        """Say sentences to both agents."""
        cases = [
            IntentsCase(
                one,
                await self._ask(BUILT_IN, code, one.text),
                await self._ask(AGENT, code, one.text),
            )
            for one in sentences
        ]
        # The built-in agent keeps every language that was used in memory.
        await self._hass.services.async_call("conversation", "reload", {}, blocking=True)
        return cases

    async def _ask(self, agent: str, code: str, text: str) -> Reply:
        """Say it in a new conversation, with the home as in its file."""
        await self._hass.services.async_call(VIRTUAL_HOME, "reset", blocking=True)
        await self._hass.async_block_till_done()
        before = self._snapshot()
        self._server.take_chats()
        result = await conversation.async_converse(
            self._hass,
            text,
            None,
            Context(),
            language=code,
            agent_id=agent,
            device_id=self._device,
        )
        await self._hass.async_block_till_done()
        now = self._snapshot()
        moved = {
            key: "activated" if key.startswith("scene.") else value
            for key, value in now.items()
            if value != before[key]
        }
        response = result.response
        speech = response.speech.get("plain", {}).get("speech", "")
        is_asking = bool(self._server.take_chats())
        return Reply(response.response_type.value, speech, moved, is_asking)

    def _snapshot(self) -> EntityValues:
        """Return the values of all entities, without times and ids that are new each time."""
        found: EntityValues = {}
        for entity in self._entities:
            state = self._hass.states.get(entity.entity_id)
            values = dict(entity.values)
            if "todo_items" in values:
                values["todo_items"] = [
                    (item["summary"], item["status"]) for item in values["todo_items"]
                ]
            elif entity.entity_id.startswith("scene.") and state:
                # The last time that it was activated.
                values["state"] = state.last_changed.isoformat()
            found[entity.entity_id] = values
        return found


async def measure(
    folder: Path, languages: Mapping[str, int], seed: int
) -> dict[str, Sequence[IntentsCase]]:
    """Return the cases of each language. languages: the number of sentences of each.

    Raises BenchmarkError.
    """
    found: dict[str, Sequence[IntentsCase]] = {}
    async with ScriptedServer() as server, running_home(folder / "config", HOME) as hass:
        await set_up_agent(hass, server.base_url)
        await hass.async_block_till_done(wait_background_tasks=True)
        # Home Assistant logs a traceback for each item that is not on a list.
        logging.disable(logging.ERROR)
        stage = IntentsStage(hass, server)
        for code, n_sentences in languages.items():
            language = await asyncio.to_thread(LanguageSentences.read, code, HOME, HERE, seed)
            found[code] = await stage.play(code, language.draw(n_sentences))
            row = IntentsRow.of(code, found[code])
            say(f"{code}: {row.ours} of {row.built_in}, {row.sentences} sentences")
    return found


def rows_of(cases: IntentsCases) -> list[IntentsRow]:
    """Return the counts of each language, and sums."""
    rows = [IntentsRow.of(code, found) for code, found in cases.items()]
    others = [one for code, found in cases.items() if code not in MAIN for one in found]
    if others:
        n_others = sum(code not in MAIN for code in cases)
        rows.append(IntentsRow.of(f"{n_others} others", others))
    return [*rows, IntentsRow.of("all", [one for found in cases.values() for one in found])]


def misses_of(cases: IntentsCases) -> list[str]:
    """Return the languages in which ours is below the built-in agent."""
    rows = [IntentsRow.of(code, found) for code, found in cases.items()]
    return [row.name for row in rows if row.ours < row.built_in]


def report(cases: IntentsCases) -> str:
    """Return the counts and their conditions as text."""
    lines = [f"{'language':12}{'sentences':>10}{'built-in':>10}{'ours':>8}{'moved otherwise':>18}"]
    lines += [
        f"{row.name:12}{row.sentences:10}{row.built_in:10}{row.ours:8}{row.moved_otherwise:18}"
        for row in rows_of(cases)
    ]
    misses = misses_of(cases)
    table = "\n".join(lines)
    return f"""\
{table}

{", ".join(f"{name}: {value}" for name, value in environment(**PACKAGES).items())}.
Aim (ours never below the built-in agent): {f"missed: {', '.join(misses)}" if misses else "holds"}.\
"""


def document(cases: IntentsCases, seed: int) -> dict[str, Any]:
    """Return the counts and every sentence for JSON."""
    return {
        "environment": environment(**PACKAGES),
        "seed": seed,
        "misses": misses_of(cases),
        "rows": [asdict(row) for row in rows_of(cases)],
        "cases": [
            {
                "language": code,
                **asdict(one),
                "is_ours": one.is_ours,
                "is_moved_otherwise": one.is_moved_otherwise,
            }
            for code, found in cases.items()
            for one in found
        ],
    }


def arguments() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark intents", description=(__doc__ or "").splitlines()[0]
    )
    option = parser.add_argument
    option("--languages", nargs="+", metavar="CODE", help="languages to play (all)")
    option(
        "--sentences",
        type=int,
        default=N_SENTENCES,
        metavar="N",
        help=f"of each of the {len(MAIN)} main languages ({N_SENTENCES}), of others a fifth",
    )
    option("--seed", type=int, default=1, metavar="N", help="for another draw (1)")
    option("--json", type=Path, metavar="FILE", help="write every sentence there, too")
    option("--check", action="store_true", help="fail if ours is below the built-in agent")
    options = parser.parse_args()
    if options.sentences < 1:
        parser.error("--sentences must be 1 or more")
    return options


def languages_of(options: argparse.Namespace) -> dict[str, int]:
    """Return the number of sentences of each language."""
    others = sorted({*get_languages()} - {*MAIN})
    return {
        code: options.sentences if code in MAIN else max(1, options.sentences // PART_OF_OTHERS)
        for code in options.languages or (*MAIN, *others)
    }


def main() -> int:
    """Run the benchmark and return the exit status."""
    options = arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="llamacpp-intents-") as folder:
            cases = asyncio.run(measure(Path(folder), languages_of(options), options.seed))
        print(report(cases))
        if options.json:
            text = json.dumps(document(cases, options.seed), indent=1, ensure_ascii=False)
            options.json.write_text(text + "\n")
    except KeyboardInterrupt:
        say("Stopped.")
        return 1
    except (BenchmarkError, OSError) as err:
        say(f"error: {err}")
        return 1
    return 1 if options.check and misses_of(cases) else 0


if __name__ == "__main__":
    sys.exit(main())
