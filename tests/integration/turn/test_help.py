"""Help in the home, without a model."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from homeassistant.components import conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity

from custom_components.llamacpp.const import CONF_EXACT_FIRST
from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.home.language import FOLDER, help_phrases, load
from custom_components.llamacpp.turn import help as helping
from tests.integration.conftest import agent_of
from tests.integration.talk import ask, contents, llama_peer, piece, speech

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

CODES = sorted(path.stem for path in FOLDER.glob("*.json"))
VOCABULARY = Path(__file__).parents[1] / "commands" / "vocabulary"
TALK = [piece(content="I only talk."), piece("stop")]


@pytest.fixture(autouse=True)
def _model_first() -> None:
    """Do without the model what needs none, which is the default."""


def states_of(home: HomeAssistant) -> dict[str, str]:
    """Return the states of all entities that can be controlled."""
    domains = {*helping.DOMAINS, "climate", "lock", "valve"}
    return {one.entity_id: one.state for one in home.states.async_all(domains)}


@pytest.mark.parametrize("code", CODES)
async def test_help(home: HomeAssistant, add_server: AddServer, peers: Peers, code: str) -> None:
    """It is in the user's language, with commands that work, and moves nothing."""
    url, requests = await llama_peer(peers)
    await add_server(url)
    before = states_of(home)
    texts = load(code).texts
    told = set()
    said = yaml.safe_load((VOCABULARY / f"{code}.yaml").read_text("utf-8"))["help"]
    for text in (*said, *map(" ".join, help_phrases(code))):
        result = await ask(home, text, language=code)
        assert result.response.language == code
        answer = contents(home, result)[-1]
        assert isinstance(answer, conversation.AssistantContent)
        assert speech(result) == answer.content
        assert not answer.tool_calls
        told.add(speech(result))
    assert states_of(home) == before
    [words] = told
    count, commands = words.split(texts["try"].partition("{")[0])
    things = exposed_home(home, "conversation", without=()).things
    assert count.startswith(texts["controls"].partition("{")[0])
    number = int("".join(filter(str.isdigit, count)))
    assert 10 < number < len(things)

    tried = commands.removesuffix(".").split("; ")
    assert 2 <= len(tried) <= helping.MAX_EXAMPLES
    for command in tried:
        assert any(one.name in command for one in things)
        result = await ask(home, command, language=code)
        assert result.response.error_code is None
    assert states_of(home) != before
    assert requests == []


async def test_what_is_not_exposed(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """They are neither counted nor suggested; without any, the answer says how to expose them."""
    url, requests = await llama_peer(peers)
    await add_server(url)
    words = speech(await ask(home, "help"))
    number = int("".join(filter(str.isdigit, words.partition(".")[0])))
    lights = [one for one in home.states.async_all("light") if one.name in words]
    assert lights
    for one in lights:
        async_expose_entity(home, "conversation", one.entity_id, should_expose=False)
    words = speech(await ask(home, "help"))
    assert f"{number - len(lights)}." in words
    assert not [one for one in lights if one.name in words]
    # An unavailable entity is not suggested.
    for one in home.states.async_all("light"):
        home.states.async_set(one.entity_id, "unavailable", one.attributes)
    words = speech(await ask(home, "help"))
    assert not [one for one in home.states.async_all("light") if one.name in words]
    for one in home.states.async_all():
        async_expose_entity(home, "conversation", one.entity_id, should_expose=False)
    assert speech(await ask(home, "help")) == load("en").texts["controls_nothing"]
    assert requests == []


async def test_many_things_of_a_kind(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """However many lights there are, other kinds are suggested, too."""
    url, _ = await llama_peer(peers)
    await add_server(url)
    words = speech(await ask(home, "help"))
    number = int("".join(filter(str.isdigit, words.partition(".")[0])))
    for index in range(40):
        home.states.async_set(f"light.a{index}", "off", {"friendly_name": f"Another {index}"})
        async_expose_entity(home, "conversation", f"light.a{index}", should_expose=True)
    more = speech(await ask(home, "help"))
    assert f"{number + 40}." in more
    assert "Blind" in words
    assert "Blind" in more


async def test_names_that_are_there_twice(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A command with such a name is ambiguous, and not suggested."""
    url, _ = await llama_peer(peers)
    await add_server(url)
    for one in home.states.async_all():
        is_light = one.entity_id == "light.kitchen_light"
        async_expose_entity(home, "conversation", one.entity_id, should_expose=is_light)
    assert "Kitchen Light" in speech(await ask(home, "help"))
    home.states.async_set("lock.twin", "locked", {"friendly_name": "Kitchen Light"})
    async_expose_entity(home, "conversation", "lock.twin", should_expose=True)
    words = speech(await ask(home, "help"))
    assert words == load("en").texts["controls"].format(count=2)


async def test_doors_are_not_suggested(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """They are counted; they must not move by a trial."""
    url, _ = await llama_peer(peers)
    await add_server(url)
    critical = {"cover.garage_door", "lock.side_door"}
    for one in home.states.async_all():
        is_critical = one.entity_id in critical
        async_expose_entity(home, "conversation", one.entity_id, should_expose=is_critical)
    words = speech(await ask(home, "help"))
    assert words == load("en").texts["controls"].format(count=2)


@pytest.mark.parametrize(
    ("text", "language", "is_first"),
    [
        ("help", "en", False),
        ("help me with my homework", "en", True),
        ("what can you do about the heat", "en", True),
        ("aiuto", "en", True),
    ],
)
async def test_what_the_model_answers(  # noqa: PLR0913 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    text: str,
    language: str,
    *,
    is_first: bool,
) -> None:
    """Any other question, and every one if the option is off."""
    url, requests = await llama_peer(peers, TALK)
    entry = await add_server(url)
    agent = agent_of(entry)
    home.config_entries.async_update_subentry(
        entry, agent, data={**agent.data, CONF_EXACT_FIRST: is_first}
    )
    await home.async_block_till_done()
    assert speech(await ask(home, text, language=language)) == "I only talk."
    assert len(requests) == 1
