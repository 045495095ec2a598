"""All that is said in the project's sets: whatever a model chooses exists in the home."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from homeassistant.components.conversation import SystemContent, UserContent
from homeassistant.core import Context
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component

from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.spoken import bare, command_text
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.generic import generic_commands
from custom_components.llamacpp.nlu.utterance import understand
from custom_components.llamacpp.prompt.request import TurnSettings
from custom_components.llamacpp.tool_calls.tools import to_tools
from custom_components.llamacpp.turn.commands.commands_strategy import CommandsStrategy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.components.conversation import Content
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.home.things import Home
    from custom_components.llamacpp.nlu.candidates import Command

ROOT = Path(__file__).parents[3]
SETS = ROOT / "benchmarks" / "sets"
HOMES = sorted(SETS.glob("*/*/_fixtures.yaml"))
ALL = [*HOMES, *(ROOT / "dev" / "homes" / name for name in ("demo.yaml", "day.yaml"))]
ASSISTANT = "conversation"
TALK = ("chat", "question")


def sentences(home: Path) -> Iterator[tuple[str, str]]:
    """Yield what is said in a home, each with its category; for others what is said elsewhere."""
    folders = [home.parent] if home in HOMES else [one.parent for one in HOMES]
    for path in (path for folder in folders for path in sorted(folder.glob("[!_]*.yaml"))):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for case in content["tests"]:
            for sentence in case["sentences"]:
                yield content["category"], sentence


def language_of(home: Path) -> str:
    """Return the language that is spoken in a home."""
    content = yaml.safe_load(home.read_text(encoding="utf-8"))
    return str(content.get("language") or "en")


async def api_of(hass: HomeAssistant, path: Path) -> llm.APIInstance:
    """Set up a home and return its tools."""
    assert await async_setup_component(hass, "virtual_home", {"virtual_home": {"home": str(path)}})
    await hass.async_block_till_done()
    context = llm.LLMContext("llamacpp", Context(), "en", ASSISTANT, None)
    return await llm.async_get_api(hass, llm.LLM_API_ASSIST, context)


class Checked:
    """What exists in a home."""

    def __init__(self, hass: HomeAssistant, home: Home, tools: list[dict[str, Any]]) -> None:
        """Look around."""
        self.parameters = {one["function"]["name"]: one["function"]["parameters"] for one in tools}
        # A call that names an area or a floor does so by the name in Home Assistant.
        self.places = {
            "area": {one.name for one in ar.async_get(hass).async_list_areas()},
            "floor": {one.name for one in fr.async_get(hass).async_list_floors()},
        }
        self.things = home.things

    def check(self, command: Command) -> None:
        """Assert that a command names a tool, arguments and things that are there."""
        schema = self.parameters[command.tool]
        args = command.args
        assert set(args) <= set(schema["properties"])
        assert set(schema.get("required") or ()) <= set(args)
        for argument, known in self.places.items():
            assert argument not in args or args[argument] in known
        names = {args[one] for one in ("name", "todo_list") if one in args}
        domains = set(args.get("domain") or ())
        for name in names:
            assert any(
                name == one.name and (not domains or one.domain in domains) for one in self.things
            )
        assert names or not domains or domains & {one.domain for one in self.things}


# Nothing is waited for here, but it computes a lot, and a busy machine leaves little to it.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", ALL, ids=lambda one: f"{one.parent.name}-{one.stem.strip('_')}")
async def test_all_that_can_be_chosen_exists(assist: HomeAssistant, path: Path) -> None:
    """Tools, arguments, names, areas and floors; and each command is read as what it was."""
    api = await api_of(assist, path)
    tools = to_tools(api)
    home = exposed_home(assist, ASSISTANT)
    language = await assist.async_add_executor_job(load, language_of(path))
    checked = Checked(assist, home, tools)
    declared = {
        bare(name): (name, parameters["properties"])
        for name, parameters in checked.parameters.items()
    }
    n_commands = 0
    for here in (None, *home.areas):
        candidates = Candidates(home, language, declared, here)
        for _, sentence in await assist.async_add_executor_job(list, sentences(path)):
            said = understand(sentence, language)
            parts = [*candidates.for_said(said), generic_commands(tools, (), said, language)]
            for command in (one for part in parts for one in part):
                checked.check(command)
                n_commands += 1
                if command.done:
                    assert "{" not in command_text(command.tool, command.args, language, done=True)
    assert n_commands > 40


@pytest.mark.parametrize("path", HOMES, ids=lambda one: one.parent.name)
async def test_talk_moves_nothing_critical(assist: HomeAssistant, path: Path) -> None:
    """After no question and no chat can something be chosen that could do harm.

    A question can only lead to a command that reads.
    """
    api = await api_of(assist, path)
    language = await assist.async_add_executor_job(load, language_of(path))
    home = exposed_home(assist, ASSISTANT)
    critical = [
        thing.name
        for thing in home.things
        if thing.domain in ("lock", "valve") or thing.device_class in ("garage", "gate", "door")
    ]
    strategy = CommandsStrategy(api, (language, language), api.llm_context)
    n_talk = 0
    for category, sentence in await assist.async_add_executor_job(list, sentences(path)):
        if category not in TALK:
            continue
        n_talk += 1
        said: list[Content] = [SystemContent("Hello."), UserContent(sentence)]
        request = strategy.request(said, TurnSettings(options={}, model=None)).body
        grammar = request.get("grammar", "")
        assert not [name for name in critical if name in grammar], sentence
        if category == "question":
            reading = [one.say for one in language.sentences if one.reads]
            begins = tuple(one.partition("{")[0] for one in reading)
            chosen = [one for one in grammar.split('"')[1::2] if one != "\\n"]
            assert all(one.startswith(begins) for one in chosen), sentence
    assert n_talk
