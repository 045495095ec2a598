"""Models with tools move locks, doors and the like only after a plain order."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import ai_task, conversation
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.core import Context
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm

from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.home.language import FOLDER, load
from custom_components.llamacpp.nlu.candidates import CRITICAL
from custom_components.llamacpp.tool_calls.tools import to_tools
from custom_components.llamacpp.turn.critical import Call, CriticalCalls
from custom_components.llamacpp.turn.strategy import ASK_FIRST, NOT_PLAIN
from tests.integration.commands.test_harm import CAUTIONS
from tests.integration.conftest import AGENT
from tests.integration.entities import rename
from tests.integration.talk import (
    add_native,
    ask,
    contents,
    forget_sessions,
    last_trace,
    llama_peer,
    nobodys_session,
    piece,
    speech,
    state_of,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.home.language import Language
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

ON, OFF = "intent__HassTurnOn", "intent__HassTurnOff"
UNLOCK: dict[str, Any] = {"name": "Side Door"}
OPEN: dict[str, Any] = {"name": "Garage Door", "domain": ["cover"]}
DONE = [piece(content="Done."), piece("stop")]


def calling(tool: str, *arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer with a tool call for each of the arguments."""
    calls = [
        {"index": number, "id": f"call-{number}", "function": {"name": tool, "arguments": text}}
        for number, text in enumerate(map(json.dumps, arguments))
    ]
    return [piece(tool_calls=calls), piece("tool_calls")]


def moved(home: HomeAssistant) -> set[str]:
    """Return the entities whose state has changed."""
    before = {"lock.side_door": "locked", "cover.garage_door": "closed"}
    return {one for one, state in before.items() if state_of(home, one).state != state}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("don't unlock the side door", "en"),
        ("the neighbour unlocked the side door", "en"),
        ("unlock the side door only if Emma is there", "en"),
        ("should I unlock the side door", "en"),
        ("unlock the front door", "en"),
        ("lock the side door", "en"),
        ("open the garage door", "en"),
        ("I am home", "en"),
        ("Schließ die Side Door nicht auf", "de"),
        ("Ne déverrouille pas Side Door", "fr"),
        ("Non sbloccare Side Door", "it"),
        ("no abras Side Door", "es"),
        ("nie otwieraj Side Door", "pl"),
        ("サイドドアを開けないで", "ja"),
    ],
)
async def test_a_wrong_call_does_nothing(
    home: HomeAssistant, add_server: AddServer, peers: Peers, text: str, language: str
) -> None:
    """The model unlocks the door whatever is said: the agent asks first."""
    url, requests = await llama_peer(peers, calling(OFF, UNLOCK))
    await add_native(home, add_server, url)
    result = await ask(home, text, language=language)
    assert moved(home) == set()
    assert "Side Door" in speech(result)
    assert last_trace("tool_call") == []
    # The question is our own sentence, without the model.
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("text", "language", "tool", "arguments", "entity_id"),
    [
        ("unlock the side door", "en", OFF, UNLOCK, "lock.side_door"),
        ("Could you please unlock the side door?", "en", OFF, UNLOCK, "lock.side_door"),
        ("open the garage door", "en", ON, OPEN, "cover.garage_door"),
        ("Side Door aufschließen", "de", OFF, UNLOCK, "lock.side_door"),
        # Home Assistant's own sentences: we have no words in these languages.
        ("abre Side Door", "es", OFF, UNLOCK, "lock.side_door"),
        ("ontgrendel Side Door", "nl", OFF, UNLOCK, "lock.side_door"),
    ],
)
async def test_a_plain_order_is_carried_out(  # noqa: PLR0913, PLR0917 - of the table
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    text: str,
    language: str,
    tool: str,
    arguments: dict[str, Any],
    entity_id: str,
) -> None:
    """An exact order needs no question."""
    url, _ = await llama_peer(peers, calling(tool, arguments), DONE)
    await add_native(home, add_server, url)
    assert speech(await ask(home, text, language=language)) == "Done."
    assert moved(home) == {entity_id}


@pytest.mark.parametrize(
    ("answer", "is_moved"),
    [
        ("yes", True),
        ("Yes, please.", True),
        ("ok never mind", False),
        ("sure not", False),
        ("yes but not now", False),
        ("no", False),
    ],
)
async def test_a_whole_yes(
    home: HomeAssistant, add_server: AddServer, peers: Peers, answer: str, *, is_moved: bool
) -> None:
    """A yes runs the call without the model; the model answers anything else."""
    url, requests = await llama_peer(peers, calling(OFF, UNLOCK), DONE)
    await add_native(home, add_server, url)
    result = await ask(home, "I am home")
    assert speech(result) == "Shall I unlock the Side Door?"
    result = await ask(home, answer, result.conversation_id)
    assert speech(result) == "Done."
    assert moved(home) == ({"lock.side_door"} if is_moved else set())
    # The model sees its call and the result.
    assert len(requests) == 2
    roles = [one["role"] for one in requests[1]["messages"]]
    assert roles[-2:] == (["assistant", "tool"] if is_moved else ["assistant", "user"])


async def test_the_question_outlives_a_restart(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """What was asked is stored with its calls; a result with the same words is no question."""
    url, _ = await llama_peer(peers, calling(OFF, UNLOCK), DONE)
    await add_native(home, add_server, url)
    result = await ask(home, "I am home")
    (entry,) = home.config_entries.async_entries("llamacpp")
    await home.config_entries.async_reload(entry.entry_id)
    forget_sessions(home)
    await ask(home, "yes", result.conversation_id)
    assert moved(home) == {"lock.side_door"}


async def test_words_alone_ask_nothing(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A call that failed with the words of our refusal is not run by a yes."""
    url, _ = await llama_peer(peers, DONE, DONE)
    await add_native(home, add_server, url)
    result = await ask(home, "I am home")
    with (
        nobodys_session(home, result.conversation_id) as session,
        conversation.async_get_chat_log(home, session) as log,
    ):
        call = llm.ToolInput(OFF, UNLOCK, id="call-0")
        failed = llm.ToolResult(data={"error": ASK_FIRST})
        log.content += [
            conversation.AssistantContent(AGENT, tool_calls=[call]),
            conversation.ToolResultContent(AGENT, "call-0", OFF, failed),
            conversation.AssistantContent(AGENT, content="Shall I unlock the Side Door?"),
        ]
    await ask(home, "yes", result.conversation_id)
    assert moved(home) == set()


async def test_a_yes_is_for_what_was_asked_last(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A turn between the question and the yes cancels the question."""
    url, _ = await llama_peer(peers, calling(OFF, UNLOCK), DONE, DONE)
    await add_native(home, add_server, url)
    result = await ask(home, "I am home")
    await ask(home, "what is the time", result.conversation_id)
    await ask(home, "yes", result.conversation_id)
    assert moved(home) == set()


async def test_what_is_harmless_is_done_beside(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Only the critical ones of several calls are asked about, in one question."""
    url, _ = await llama_peer(
        peers, calling(OFF, UNLOCK, {"area": "Garage"}, {"name": "Kitchen Light"})
    )
    await add_native(home, add_server, url)
    result = await ask(home, "it is late")
    assert moved(home) == set()
    assert speech(result).startswith("Shall I unlock the Side Door, ")
    assert [one["tool_args"] for one in last_trace("tool_call")] == [{"name": "Kitchen Light"}]
    results = [
        one for one in contents(home, result) if isinstance(one, conversation.ToolResultContent)
    ]
    assert sorted(one.result.error for one in results) == [False, True, True]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("unlock the side door", "Shall I "),
        ("please never ever open sesame", "That cannot be done."),
    ],
)
async def test_a_timer_that_would_unlock(
    home: HomeAssistant, add_server: AddServer, peers: Peers, command: str, words: str
) -> None:
    """A timer's command counts as an order, and must be plain."""
    timer = {"minutes": 1, "conversation_command": command}
    end = [piece(content="That cannot be done."), piece("stop")]
    url, _ = await llama_peer(peers, calling("intent__HassStartTimer", timer), end)
    await add_native(home, add_server, url)
    device = satellite_of(home)
    result = await ask(home, "unlock the side door in a minute", device_id=device)
    assert speech(result).startswith(words)
    assert last_trace("tool_call") == []


def satellite_of(home: HomeAssistant) -> str:
    """Return a device with timers."""
    entities = er.async_get(home).entities.values()
    ids = (one.device_id for one in entities if one.domain == "assist_satellite")
    device = next(one for one in ids if one)
    async_register_timer_handler(home, device, lambda _event, _timer: None)
    return device


async def test_nobody_can_be_asked_in_a_task(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model gets an error that nothing was done."""
    url, requests = await llama_peer(peers, calling(OFF, UNLOCK), DONE)
    await add_server(url)
    async_expose_entity(home, ai_task.DOMAIN, "lock.side_door", should_expose=True)
    api = next(one for one in llm.async_get_apis(home) if one.id == llm.LLM_API_ASSIST)
    await ai_task.async_generate_data(
        home,
        task_name="arrival",
        entity_id=home.states.async_entity_ids("ai_task")[0],
        instructions="Somebody is home.",
        llm_api=api,
    )
    assert moved(home) == set()
    assert NOT_PLAIN in requests[1]["messages"][-1]["content"]


def critical(home: HomeAssistant, tools: list[dict[str, Any]], code: str) -> CriticalCalls:
    """Return the guard of critical calls for a language."""
    context = llm.LLMContext("llamacpp", Context(), code, conversation.DOMAIN, None)
    return CriticalCalls(home, tools, (), context)


def plain_orders(home: HomeAssistant, language: Language) -> list[tuple[str, Call]]:
    """Return a plain order for each critical entity and each of its actions."""
    return [
        (
            sentence.say.format(name=thing.name),
            Call(sentence.tool, {"name": thing.name, "domain": [thing.domain], **sentence.args}),
        )
        for thing in exposed_home(home, conversation.DOMAIN).things
        if CRITICAL.intersection(thing.kinds)
        for sentence in language.fitting(thing)
        if not sentence.slots and not sentence.reads
    ]


@pytest.mark.parametrize("code", sorted(path.stem for path in FOLDER.glob("*.json")))
async def test_each_order_allows_itself_and_nothing_else(home: HomeAssistant, code: str) -> None:
    """Neither the opposite nor another entity; with a caution before it, nothing."""
    context = llm.LLMContext("llamacpp", Context(), code, conversation.DOMAIN, None)
    api = await llm.async_get_api(home, "assist", context)
    calls = critical(home, to_tools(api), code)
    orders = plain_orders(home, load(code))
    assert len(orders) > 4
    for said, call in orders:
        for _, other in orders:
            allowed = await calls.async_is_allowed(said, other)
            assert allowed is (other == call), (said, other)
        for caution in CAUTIONS[code]:
            assert not await calls.async_is_allowed(f"{caution} {said}", call), (caution, said)


async def test_what_moves_nothing_is_not_looked_at(home: HomeAssistant) -> None:
    """Lights, other domains, timers named after a door, and reading tools pass."""
    context = llm.LLMContext("llamacpp", Context(), "en", conversation.DOMAIN, None)
    tools = to_tools(await llm.async_get_api(home, "assist", context))
    calls = critical(home, tools, "en")
    harmless = [
        Call(ON, {"name": "Kitchen Light"}),
        Call(ON, {"area": "Kitchen", "domain": ["light"]}),
        Call(ON, {"area": "Garage", "domain": ["light"]}),
        Call("intent__HassStartTimer", {"name": "Side Door", "minutes": 1}),
        Call("script__leave_home", {}),
    ]
    for call in harmless:
        assert await calls.async_is_allowed("hello", call), call
    reading = CriticalCalls(home, tools, (OFF,), replace(context))
    assert await reading.async_is_allowed("hello", Call(OFF, UNLOCK))
    for call in (Call(OFF, {"area": "Garage"}), Call(OFF, {"floor": "Ground Floor"})):
        assert not await calls.async_is_allowed("hello", call), call


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_who_closes_a_door_unlocks_no_lock(home: HomeAssistant, language: str) -> None:
    """For a lock and a cover of one name, one call is `close` and `unlock`."""
    rename(home, "cover.garage_door", "Side Door")
    await home.async_block_till_done()
    context = llm.LLMContext("llamacpp", Context(), language, conversation.DOMAIN, None)
    tools = to_tools(await llm.async_get_api(home, "assist", context))
    calls = critical(home, tools, language)
    close = {"en": "close Side Door", "nl": "sluit Side Door"}[language]
    unlock = {"en": "unlock Side Door", "nl": "ontgrendel Side Door"}[language]
    by_domain = {one: Call(OFF, {**UNLOCK, "domain": [one]}) for one in ("cover", "lock")}
    for said, domain in ((close, "cover"), (unlock, "lock")):
        for one, call in by_domain.items():
            if one != domain:
                assert not await calls.async_is_allowed(said, call), (said, one)
        # Without a domain it would move both.
        assert not await calls.async_is_allowed(said, Call(OFF, UNLOCK)), said
    assert await calls.async_is_allowed(unlock, by_domain["lock"])
