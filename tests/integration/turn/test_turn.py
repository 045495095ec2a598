"""What a turn sends and returns: language, history budget, failing tools, usage."""

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any, override

import probatio
import pytest
from aiohttp import web
from homeassistant.components import conversation
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import llm

from tests.integration.conftest import AGENT, agent_of
from tests.integration.peers import stream_events
from tests.integration.prefill import until_prefilled
from tests.integration.script import BROKEN_TOOL, OTHERWISE, TURN_ON_KITCHEN
from tests.integration.talk import (
    PROPS,
    ask,
    contents,
    is_prefill,
    llama_peer,
    no_slots,
    piece,
    speech,
    sse,
)

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant
    from homeassistant.util.json import JsonObjectType

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

HI = [piece(content="Hi."), piece("stop")]
WAIT_SECONDS = 0.3


async def set_options(hass: HomeAssistant, entry: ConfigEntry[Any], **options: Any) -> None:
    """Set these options of the agent, and no others."""
    hass.config_entries.async_update_subentry(entry, agent_of(entry), data=options)
    await hass.async_block_till_done()


async def chat(hass: HomeAssistant, **data: Any) -> dict[str, Any]:
    """Run the action and return its response."""
    response = await hass.services.async_call(
        "llamacpp", "chat", {"message": "Ciao", **data}, blocking=True, return_response=True
    )
    return dict(response or {})


async def test_answers_are_wanted_in_the_language_of_the_user(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A note with the words asks for it; English needs none."""
    url, requests = await llama_peer(peers, *[HI] * 6)
    await add_server(url)
    await until_prefilled(home)
    await ask(home, "Hello", language="en-GB")
    await ask(home, "Ciao", language="it")
    # Without a translation.
    result = await ask(home, "Moi", language="fi")
    await ask(home, "Moi?", result.conversation_id, language="fi")
    plain, italian, finnish, again = [one["messages"] for one in requests]
    assert plain[0] == italian[0] == finnish[0] == again[0]
    note = plain[1]["content"].removesuffix("]\nHello")
    assert italian[1]["content"] == f"{note}\nRispondi in italiano (it).]\nCiao"
    assert finnish[1]["content"] == f"{note}\nAnswer in the language with the code fi.]\nMoi"
    # It holds for the whole conversation.
    assert again[1] == finnish[1]
    assert again[-1]["content"] == "Moi?"

    home.config.language = "it"
    await chat(home)
    assert requests[4]["messages"][-1]["content"] == "[Rispondi in italiano (it).]\nCiao"
    await chat(home, system_prompt="Translate into French.")
    assert "italiano" not in str(requests[5]["messages"])


async def test_who_asks_and_where(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """The satellite's room and a caller's addition go with the words, after the shared prompt."""
    url, requests = await llama_peer(peers, HI, HI)
    await add_server(url)
    await until_prefilled(home)
    satellite = next(one for one in dr.async_get(home).devices if one.name == "Kitchen Satellite")
    await ask(home, "Hello")
    await conversation.async_converse(
        home,
        "Hello",
        None,
        Context(),
        language="en",
        agent_id=AGENT,
        device_id=satellite.id,
        extra_system_prompt="The door bell has rung.",
    )
    plain, special = [one["messages"] for one in requests]
    assert plain[0] == special[0]
    assert requests[0]["tools"] == requests[1]["tools"]
    assert "The door bell has rung." in special[-1]["content"]
    assert "You are in area Kitchen" in special[-1]["content"]
    assert "The door bell has rung." not in str(plain)
    assert "You are in area" not in str(plain)


async def test_several_servers(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """Each agent asks its own."""
    urls = []
    for number in range(2):
        answer = [piece(content=f"I am number {number}."), piece("stop")]
        urls.append((await llama_peer(peers, answer))[0])
    for url in urls:
        await add_server(url)
    agents = sorted(home.states.async_entity_ids("conversation"))[-2:]
    said = {
        speech(await conversation.async_converse(home, "Hi", None, Context(), agent_id=agent))
        for agent in agents
    }
    assert said == {"I am number 0.", "I am number 1."}


@pytest.mark.parametrize(("budget", "most"), [(200, 8), (0, 1)])
async def test_a_history_stays_within_its_budget(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer, budget: int, most: int
) -> None:
    """Several of the oldest turns are dropped at once, long before the context is full."""
    entry = await add_server(scripted_server.base_url)
    await set_options(home, entry, history_tokens=float(budget))
    result, kept = await ask(home, "Number 0"), []
    for number in range(1, 13):
        # About 40 tokens.
        words = f"Number {number}" + " and so on and on" * 5
        result = await ask(home, words, result.conversation_id)
        assert speech(result) == OTHERWISE
        said = [one for one in contents(home, result) if isinstance(one, conversation.UserContent)]
        assert said[-1].content == words
        kept.append(len(said))
    assert max(kept) <= most
    if budget:
        assert max(kept) > 3
        # Not one by one: every turn would prefill the whole conversation.
        assert min(second - first for first, second in pairwise(kept)) < -1


async def test_a_budget_that_is_not_set(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Everything that fits is sent."""
    entry = await add_server(scripted_server.base_url)
    await set_options(home, entry)
    result = await ask(home, "Hello")
    for number in range(6):
        result = await ask(home, f"{number}: " + "blah " * 100, result.conversation_id)
    said = [one for one in contents(home, result) if isinstance(one, conversation.UserContent)]
    assert len(said) == 7


class BreakDown(llm.Tool):
    """A tool with an unexpected error."""

    name = "break_down"
    description = "Breaks down."
    parameters = probatio.Schema({})

    def __init__(self, error: Exception) -> None:
        """Fail with this error."""
        self.error = error

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> JsonObjectType:
        raise self.error


class BrokenApi(llm.API):
    """An API with only that tool."""

    error: Exception

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        return llm.APIInstance(self, "", llm_context, [BreakDown(self.error)])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TimeoutError(), "The tool failed: TimeoutError()"),
        (RuntimeError("smoke"), "The tool failed: RuntimeError('smoke')"),
        (HomeAssistantError("No."), "No."),
    ],
)
async def test_a_tool_that_fails_in_any_way(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_server: LlamaServer,
    error: Exception,
    told: str,
) -> None:
    """The model gets the error, and says so; the server is not blamed."""
    api = BrokenApi(hass=home, id="broken", name="Broken")
    api.error = error
    llm.async_register_api(home, api)
    entry = await add_server(scripted_server.base_url)
    await set_options(home, entry, llm_hass_api=["broken"])
    result = await ask(home, BROKEN_TOOL)
    assert speech(result) == "The tool is broken."
    (outcome,) = [
        one for one in contents(home, result) if isinstance(one, conversation.ToolResultContent)
    ]
    assert outcome.result.error
    assert outcome.result.data["error_text"] == told


async def test_a_turn_with_tools_counts_as_one(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Usage has the tokens of all its requests, and the time to the first spoken word."""
    entry = await add_server(scripted_server.base_url)
    single = await chat(home, message="Hello", llm_hass_api="assist")
    response = await chat(home, message=TURN_ON_KITCHEN, llm_hass_api="assist")
    completion = entry.runtime_data.coordinator.last_answer.completion
    for name in ("prompt_tokens", "completion_tokens", "cached_tokens"):
        assert response["usage"][name] == getattr(completion.usage, name)
    assert completion.usage.prompt_tokens > 2 * single["usage"]["prompt_tokens"]
    assert completion.timings.predicted_n == completion.usage.completion_tokens
    assert (
        completion.timings.prompt_n + completion.timings.cache_n == completion.usage.prompt_tokens
    )


async def test_time_to_first_token_counts_from_the_question(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It includes the time of tools and calls."""
    call = {"index": 0, "id": "1", "function": {"name": "llm__GetDateTime", "arguments": "{}"}}
    answers = [[piece(tool_calls=[call]), piece("tool_calls")], HI]

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(PROPS)
        if request.path.startswith("/slots/"):
            return no_slots()
        if is_prefill(await request.json()):
            return await stream_events(request, sse(piece("stop")))
        await asyncio.sleep(WAIT_SECONDS)
        return await stream_events(request, sse(*answers.pop(0)))

    entry = await add_server(await peers.http(handle))
    assert speech(await ask(home, "What time is it?")) == "Hi."
    assert entry.runtime_data.coordinator.last_answer.first_text_seconds > 2 * WAIT_SECONDS
