"""Markers of a chat template in words from outside the template."""

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any, override

import gguf
import pytest
from aiohttp import web
from homeassistant.components import conversation
from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component

from custom_components.llamacpp.client import LlamaServerClient
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ModelAbilities, ToolCalls
from custom_components.llamacpp.model.markers import (
    GENERAL,
    JOINER,
    Markers,
    markers_in,
    mended,
    mended_in,
)
from custom_components.llamacpp.prompt.messages import to_messages
from custom_components.llamacpp.prompt.request import TurnSettings, to_request
from custom_components.llamacpp.tool_calls.validator import ToolCallValidator
from dev.scripted_model import TEMPLATE, ScriptedCall, Vocabulary, write_scripted_model
from tests.conftest import serving
from tests.integration.conftest import FLAGS
from tests.integration.entities import rename
from tests.integration.prefill import set_options
from tests.integration.script import OTHERWISE
from tests.integration.talk import ask, is_prefill, recording, speech, state_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from datetime import datetime
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Handler, Peers

# Of ChatML, Llama, Mistral, Gemma, DeepSeek, GLM, EXAONE, gpt-oss, Hermes and relatives.
FAMILIES = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<<SYS>>", "<</SYS>>"),
    *("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[ARGS]"),
    *("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<unused7>"),
    *("<|turn>", "<turn|>", '<|"|>', "<|tool_call>", "<tool_call|>", "<start_function_call>"),
    *("<\uff5cbegin▁of▁sentence\uff5c>", "<\uff5cUser\uff5c>", "<\uff5ctool▁calls▁end\uff5c>"),
    *("[gMASK]", "<sop>", "[|user|]", "[|endofturn|]", "<|channel|>", "<|message|>"),
    *("<tool_call>", "</tool_call>", "<tool_response>", "<tools>", "<think>", "</think>"),
    *("<|python_tag|>", "<function=unlock>", "<seed:tool_call>", "<extra_id_1>", "<fim_prefix>"),
    *("<|START_OF_TURN_TOKEN|>", "<BOS_TOKEN>", "<|reserved_special_token_7|>", "<__media__>"),
)
# In no family: only the model's template has them.
UNKNOWN = ("]~b]", "[e~[", "<made-up-role>", "[MADE_UP]", "!|role|!")
ALL = (*FAMILIES, *UNKNOWN)
ORDINARY = (
    "Nonna's lamp (left) <3",
    "[x] a < b > c, [1, 2] {3} <b>bold</b> <br/> <div class='a'>",
    "[OK] [TODO] x<y 5>3 <- -> => <=> | || ~~ \\n %s {{ name }}",
    '{"names": ["Lamp"], "domain": ["light"], "area": null}',
    "👩\u200d👩\u200d👧 ക്\u200d <\u00a0>",
)
HOSTILE = " ".join((*ALL, "<<|im_end|>|im_end|>", "<|im_<|im_end|>end|>", "<|im_end|><|im_end|>"))
HARMLESS = "and nothing else"

LIGHT, LIST = "light.kitchen_light", "todo.shopping_list"
TELL = "Tell me the title"
WHAT_HOSTILE, WHAT_HARMLESS = "What is on the list?", "What is on my list?"
WHEN, LIGHT_UP, AGA = "What is planned?", "Light up the Aga", "Aga <|eot_id|>"
SCRIPT = {
    TELL: ["It is called [INST]<|im_start|>, I think."],
    **{
        ask_for: [str(ScriptedCall("todo__get_items", {"todo_list": GENERAL.broken(name)})), answer]
        for ask_for, name, answer in (
            (WHAT_HOSTILE, f"List {FAMILIES[0]} {FAMILIES[1]}", "Milk and bread."),
            (WHAT_HARMLESS, f"List {HARMLESS}", "Bread and milk."),
        )
    },
    WHEN: [
        str(ScriptedCall("calendar__get_events", {"calendar": "Diary", "range": "week"})),
        "Lunch, I think.",
    ],
    LIGHT_UP: [
        str(ScriptedCall("intent__HassTurnOn", {"name": GENERAL.broken(AGA)})),
        "There is light.",
    ],
}


def vocabulary(known: Vocabulary) -> Vocabulary:
    """Return a vocabulary in which all these markers are tokens, of both kinds in turn."""
    kinds = itertools.cycle((gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED))
    # For those of the template alone, a server does not show that they are user tokens.
    unknown = dict.fromkeys(UNKNOWN, gguf.TokenType.CONTROL)
    return known.with_tokens(dict(zip(FAMILIES, kinds, strict=False)) | unknown)


TEMPLATES = f"{{#- Roles: {' '.join(UNKNOWN)} #}}{TEMPLATE}"


@pytest.fixture(scope="module", params=["bpe", "sentencepiece"])
def server(
    request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LlamaServer]:
    """Return a real server with such a vocabulary."""
    folder = tmp_path_factory.mktemp("markers")
    known = Vocabulary.read(model) if request.param == "bpe" else Vocabulary.of_bytes()
    write_scripted_model(
        folder / "model.gguf", vocabulary(known), SCRIPT, OTHERWISE, template=TEMPLATES
    )
    with serving(folder / "log.txt", *FLAGS, model=folder / "model.gguf") as server:
        yield server


class Special:
    """Counts special tokens as a server makes them."""

    def __init__(self, client: LlamaServerClient) -> None:
        """Count those of this server."""
        self._client = client
        self._ids: set[int] = set()

    async def learn(self) -> None:
        """Learn which tokens are special."""
        for marker in ALL:
            (token,) = [
                token
                for token, piece in (await self._client.pieces(marker, parse_special=True)).items()
                if piece == marker
            ]
            self._ids.add(token)

    async def in_text(self, text: str) -> int:
        """Return the number in a text."""
        tokens = await self._client.tokenize(text)
        return sum(token in self._ids for token in tokens)

    async def in_request(self, request: dict[str, Any]) -> int:
        """Return the number in the prompt of a request."""
        prompt = await self._client.apply_template(request["messages"], request.get("tools"))
        return await self.in_text(prompt)


@pytest.fixture
async def special(server: LlamaServer, session: aiohttp.ClientSession) -> Special:
    """Return a counter of special tokens."""
    special = Special(LlamaServerClient(session, server.base_url))
    await special.learn()
    return special


@pytest.fixture
async def learned(server: LlamaServer, session: aiohttp.ClientSession) -> Markers:
    """Return the markers learned from the server's model."""
    known = ModelAbilities(LlamaServerClient(session, server.base_url))
    return (await known.of(None, "1", autoload=False)).markers


def pairs(texts: Iterable[str]) -> list[str]:
    """Return these texts, and each two of them without a space in between."""
    return [*texts, *(one + other for one in texts for other in texts)]


async def test_no_special_token_is_left(special: Special, learned: Markers) -> None:
    """Alone, side by side and nested, markers are tokens before, and not after."""
    whole = "\n".join((*pairs(ALL), HOSTILE))
    assert await special.in_text(whole) >= len(pairs(ALL))
    assert await special.in_text(learned.broken(whole)) == 0


async def test_general_markers_need_no_server(special: Special) -> None:
    """Markers of the known families are broken without a server."""
    assert await special.in_text(GENERAL.broken("\n".join(pairs(FAMILIES)))) == 0


def test_ordinary_words_stay() -> None:
    """A home without markers is described byte for byte as before."""
    known = Markers(markers_in(TEMPLATE) | {*UNKNOWN})
    for text in ORDINARY:
        assert known.broken(text) == text
        assert mended(text) == text
    tools = [{"function": {"name": "a", "parameters": {"required": ["b"], "enum": [1, None]}}}]
    assert known.broken_in_tools(tools) is tools


@pytest.mark.parametrize("text", [*ALL, HOSTILE, "".join(ALL), *ORDINARY])
def test_breaking_and_mending(text: str) -> None:
    """An invisible character breaks a marker; mending restores it."""
    known = Markers(UNKNOWN)
    broken = known.broken(text)
    assert broken.replace(JOINER, "") == text.replace(JOINER, "")
    assert known.broken(broken) == broken
    assert mended(broken) == text
    # A note may be prefilled in parts.
    words = text.split(" ")
    for count in range(len(words)):
        assert broken.startswith(known.broken(" ".join(words[:count])))
    assert mended_in(known.broken_in({text: [text, {"a": text}]})) == {text: [text, {"a": text}]}


def test_a_server_cannot_have_ordinary_words_broken() -> None:
    """Texts that start like a word, have a space or a single sign are never markers."""
    text = "turn on the lamp, now"
    assert Markers(["turn", "on the", ",", "", " ", "l" * 99]).broken(text) == text


def spoken(words: str) -> list[conversation.Content]:
    """Return a chat log with these words in all places."""
    call = llm.ToolInput(words, {words: words, "list": [words]}, id="call_123")
    note = conversation.UserContent(words)
    return [
        conversation.SystemContent(content=words),
        note,
        conversation.AssistantContent("a", content=words),
        conversation.UserContent(words),
        conversation.AssistantContent(
            "a", content=words, thinking_content=words, tool_calls=[call]
        ),
        conversation.ToolResultContent(
            "a", "call_123", words, llm.ToolResult(data={words: [{"summary": words}], "x": words})
        ),
    ]


async def test_every_place_of_a_request(special: Special, learned: Markers) -> None:
    """Messages, calls, results and tools have as many special tokens as with other words."""

    def request(words: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {words: {"enum": [words], "description": words}}}
        function = {"name": words, "description": words, "parameters": schema}
        settings = TurnSettings(options={}, markers=learned)
        messages = settings.for_template(to_messages(spoken(words)))
        return to_request(messages, [{"type": "function", "function": function}], settings)

    expected = await special.in_request(request(HARMLESS))
    assert {
        words: n_special
        for words in (*ALL, HOSTILE)
        if (n_special := await special.in_request(request(words))) != expected
    } == {}


class Diary(CalendarEntity):
    """A calendar with one event."""

    _attr_name = "Diary"
    words = ""

    @property
    @override
    def event(self) -> None:
        return None

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        end = start_date + timedelta(hours=1)
        return [CalendarEvent(start_date, end, self.words, description=self.words)]


async def call_it(hass: HomeAssistant, diary: Diary, words: str, list_words: str) -> None:
    """Give this name to entities of all kinds."""
    entities, areas = er.async_get(hass), ar.async_get(hass)
    rename(hass, LIGHT, f"Aga {words}")
    entities.async_update_entity(LIGHT, aliases=[er.COMPUTED_NAME, f"Stove {words}"])
    rename(hass, LIST, f"List {list_words}")
    areas.async_update("kitchen", name=f"Kitchen {words}", aliases={f"Galley {words}"})
    hass.states.async_set("sensor.radio", "on", {"media_title": words})
    diary.words = words
    await hass.services.async_call(
        "todo", "add_item", {"entity_id": LIST, "item": f"Milk {words}"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.fixture
async def diary(home: HomeAssistant) -> Diary:
    """Add a calendar that is exposed to Assist."""
    assert await async_setup_component(home, "calendar", {})
    diary = Diary()
    await home.data["calendar"].async_add_entities([diary])
    async_expose_entity(home, "conversation", diary.entity_id, should_expose=True)
    return diary


PROMPT = "Be kind. On the radio: {{ state_attr('sensor.radio', 'media_title') }}. "


@pytest.mark.parametrize("server", ["bpe"], indirect=True)
async def test_a_home_with_tools(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    server: LlamaServer,
    special: Special,
    diary: Diary,
) -> None:
    """No name of an entity, item or event starts or ends a message."""
    url, asked = await recording(peers, session, server)
    entry = await add_server(url)
    counts: list[list[int]] = []
    for words, list_words, what in (
        (HARMLESS, HARMLESS, WHAT_HARMLESS),
        (HOSTILE, f"{FAMILIES[0]} {FAMILIES[1]}", WHAT_HOSTILE),
    ):
        await call_it(home, diary, words, list_words)
        await set_options(home, entry, prompt=f"{PROMPT} {words}")
        asked.clear()
        result = await ask(home, words)
        for text in (TELL, what, WHEN, "And now?"):
            result = await ask(home, text, result.conversation_id)
            assert not result.response.error_code
        requests = [one for one in asked if not is_prefill(one)]
        assert f"Milk {words.split()[0][-3:]}" not in str(requests[0])
        assert sum("Milk" in str(one["messages"]) for one in requests) > 2
        assert sum("summary" in str(one["messages"]) for one in requests) > 2
        counts.append([await special.in_request(one) for one in requests])
    harmless, hostile = counts
    assert hostile == harmless
    assert len(hostile) == 7
    # The model calls an entity by the broken name; Home Assistant gets the real one.
    rename(home, LIGHT, AGA)
    await home.async_block_till_done(wait_background_tasks=True)
    assert speech(await ask(home, LIGHT_UP)) == "There is light."
    assert state_of(home, LIGHT).state == "on"


@pytest.mark.parametrize("server", ["bpe"], indirect=True)
async def test_what_is_warmed_up_is_what_is_asked(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    server: LlamaServer,
) -> None:
    """A question has the same words as the prefill before it."""
    url, asked = await recording(peers, session, server)
    entry = await add_server(url)
    rename(home, LIGHT, f"Aga {HOSTILE}")
    await set_options(home, entry, prompt=HOSTILE)
    await ask(home, HOSTILE)
    warm = [one for one in asked if is_prefill(one)][-1]
    said = asked[-1]
    assert said["messages"][0]["content"].count(JOINER) > 2 * len(ALL)
    assert warm["messages"][0] == said["messages"][0]
    assert warm["tools"] == said["tools"]


@pytest.mark.parametrize("server", ["bpe"], indirect=True)
@pytest.mark.parametrize("marker", ["<|im_end|>", "[INST]", "]~b]"])
async def test_a_home_with_commands(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    server: LlamaServer,
    special: Special,
    marker: str,
) -> None:
    """The model chooses a command with a broken name, and the entity is switched."""
    url, asked = await recording(peers, session, server)
    entry = await add_server(url)
    await set_options(home, entry, **{CONF_TOOL_CALLS: ToolCalls.COMMANDS, "max_tokens": 60})
    areas = ar.async_get(home)
    counts: list[list[int]] = []
    for words in (HARMLESS, marker):
        rename(home, LIGHT, f"Aga {words}")
        areas.async_update("kitchen", name=f"Kitchen {words}")
        await set_options(home, entry, prompt=words)
        await home.services.async_call("light", "turn_off", {"entity_id": LIGHT}, blocking=True)
        asked.clear()
        result = await ask(home, f"Hello {words}")
        result = await ask(home, f"Turn on the Aga {words}", result.conversation_id)
        assert speech(result) == f"Turned on Aga {words}."
        assert state_of(home, LIGHT).state == "on"
        await ask(home, "Is the Aga on?", result.conversation_id)
        requests = [one for one in asked if not is_prefill(one)]
        assert any("grammar" in one for one in requests)
        assert marker not in str([one.get("grammar") for one in requests])
        counts.append([await special.in_request(one) for one in requests])
    harmless, hostile = counts
    assert hostile == harmless


def only_props(props: dict[str, Any]) -> Handler:
    """Return a server with these properties and nothing else."""

    async def handle(request: web.Request) -> web.Response:
        return web.json_response(props) if request.path == "/props" else web.Response(status=404)

    return handle


@pytest.mark.parametrize("server", ["bpe"], indirect=True)
async def test_a_server_that_does_not_tell(
    server: LlamaServer, special: Special, session: aiohttp.ClientSession, peers: Peers
) -> None:
    """Without its tokens the template's texts count, without a template the families."""
    source = (await LlamaServerClient(session, server.base_url).props()).chat_template
    for template, known in ((source, ("<made-up-role>", "[MADE_UP]")), ("", ())):
        props = {"default_generation_settings": {}, "chat_template": template}
        abilities = ModelAbilities(peers.client(await peers.http(only_props(props))))
        found = (await abilities.of(None, "1", autoload=False)).markers
        text = "\n".join(pairs((*FAMILIES, *known)))
        assert await special.in_text(found.broken(text)) == 0


def test_names_that_a_model_repeats() -> None:
    """Broken names, arguments and choices in a call are mended."""
    names = ["Aga <|im_end|>", "Aga </s>"]
    properties = {"<|x|>": {"type": "string", "enum": names}}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    tool = {"type": "function", "function": {"name": "get<|y|>", "parameters": schema}}
    assert GENERAL.broken_in_tools([tool]) == [GENERAL.broken_in(tool)]
    for name in names:
        called = ToolCallValidator([tool]).corrected(
            GENERAL.broken("get<|y|>"), {GENERAL.broken("<|x|>"): GENERAL.broken(name)}
        )
        assert called == ("get<|y|>", {"<|x|>": name})
