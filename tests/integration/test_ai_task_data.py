"""Data of AI tasks from a small model in a real llama-server, for every selector."""

import json
import re
from typing import TYPE_CHECKING, Any

import probatio
import pytest
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm, selector
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.llamacpp.tool_calls.structure import (
    SHORT,
    STEPPED,
    Bounds,
    answer_data,
    answer_schema,
    to_response_format,
)
from custom_components.llamacpp.tool_calls.tools import to_tools

from .conftest import TASK_AGENT
from .home_scripts import SCRIPTS
from .talk import llama_peer, piece, words

if TYPE_CHECKING:
    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
BUS = "The bus leaves at 18:05 on 24 December 2026. Give t."
RANGE = {"min": 0, "max": 10}
# Required settings of selectors.
NEEDED: dict[str, dict[str, Any]] = {
    "attribute": {"entity_id": "light.a"},
    "automation_behavior": {"mode": "trigger"},
    "choose": {
        "choices": {"a": {"selector": {"number": RANGE}}, "b": {"selector": {"object": {}}}}
    },
    "constant": {"value": True},
    "device_class": {"domain": "sensor"},
    "file": {"accept": "*"},
    "numeric_threshold": {"mode": "is"},
    "qr_code": {"data": "x"},
    "select": {"options": ["a", "b"]},
    "state": {"entity_id": "light.a"},
}
NESTED = {
    "x": {"required": True, "selector": {"number": RANGE}},
    "y": {"selector": {"text": {}}},
}
LABELS = [{"value": "m1", "label": "At home"}, {"value": "m2", "label": "Nobody there"}]
MORE: list[dict[str, Any]] = [
    {"number": RANGE},
    {"number": {"min": 0, "max": 1, "step": 0.1}},
    {"number": {"min": 0, "max": 1, "step": "any"}},
    {"number": {"min": 0.5, "max": 9.5, "step": 0.5}},
    {"number": {"min": -5, "max": 100_000, "step": 5}},
    {"number": {"min": -50, "max": 50, "step": "any"}},
    {"select": {"options": ["a", "b"], "multiple": True}},
    {"select": {"options": LABELS}},
    {"select": {"options": ["a"], "custom_value": True}},
    {"text": {"multiple": True}},
    {"text": {"multiline": True}},
    {"object": {"fields": NESTED}},
    {"object": {"fields": NESTED, "multiple": True}},
    {"object": {"fields": {"in": {"required": True, "selector": {"object": {"fields": NESTED}}}}}},
    {"object": {"multiple": True}},
    {"entity": {"domain": "light"}},
    {"entity": {"multiple": True, "include_entities": ["light.a", "light.b"]}},
    {"color_temp": {"unit": "kelvin", "min": 2700, "max": 6500}},
    {"duration": {"enable_day": True, "enable_millisecond": True, "allow_negative": True}},
    {"media": {"accept": ["*/*"]}},
    {"numeric_threshold": {"mode": "is", "unit_of_measurement": ["%"], "number": RANGE}},
    {"automation_behavior": {"mode": "condition"}},
    {"device_class": {"domain": "cover", "multiple": True}},
    {"state_class": {"multiple": True}},
    {"country": {"countries": ["DE", "IT"]}},
    {"language": {"languages": ["de", "it"]}},
]
EVERY = [*({name: NEEDED.get(name, {})} for name in sorted(selector.SELECTORS)), *MORE]
N_GROUPS = 6


async def generate(hass: HomeAssistant, instructions: str, **structure: Any) -> Any:
    """Run the task by the action and return its data."""
    fields = {
        name: one if "selector" in one else {"required": True, "selector": one}
        for name, one in structure.items()
    }
    task = {"entity_id": TASK_AGENT, "task_name": "task", "instructions": instructions}
    result = await hass.services.async_call(
        "ai_task",
        "generate_data",
        {**task, "structure": fields},
        blocking=True,
        return_response=True,
    )
    assert result is not None
    return result["data"]


async def add_task_agent(
    hass: HomeAssistant, add_server: AddServer, url: str, **options: Any
) -> None:
    """Set up a server with an agent for tasks."""
    entry = await add_server(url)
    subentry = next(iter(entry.get_subentries_of_type("ai_task_data")))
    hass.config_entries.async_update_subentry(entry, subentry, data=options)
    await hass.async_block_till_done()


@pytest.mark.parametrize("group", range(N_GROUPS))
async def test_everything_that_can_be_asked_for(
    home: HomeAssistant, add_server: AddServer, llama_server: LlamaServer, group: int
) -> None:
    """A model of 135 million weights returns valid data, and ends.

    One for each schema of selectors.
    """
    options = {"max_tokens": 600, "temperature": 0.5, "seed": 3}
    await add_task_agent(home, add_server, llama_server.base_url, **options)
    different = {json.dumps(schema_of(one, Bounds())): one for one in EVERY}
    for one in [*different.values()][group::N_GROUPS]:
        data = await generate(home, BUS, t=one)
        assert "t" in data, one


async def test_times_have_no_zone(
    home: HomeAssistant, add_server: AddServer, llama_server: LlamaServer
) -> None:
    """Home Assistant rejects a zone in a time; in a date with a time it would be invented."""
    await add_task_agent(home, add_server, llama_server.base_url, temperature=0, max_tokens=100)
    told = "The bus leaves at 18:05. Give the time."
    data = await generate(home, told, at={"time": {}}, when={"datetime": {}})
    assert TIME.fullmatch(data["at"])
    day, _, time = data["when"].partition("T")
    assert dt_util.parse_date(day)
    assert TIME.fullmatch(time)


@pytest.mark.parametrize("time", ["18:05", "18:05:00"])
async def test_the_time_that_was_told(
    home: HomeAssistant, add_server: AddServer, peers: Peers, time: str
) -> None:
    """The model returns the given time, and the schema allows it."""
    url, requests = await llama_peer(peers, words(json.dumps({"t": time})))
    await add_task_agent(home, add_server, url)
    assert await generate(home, "The bus leaves at 18:05.", t={"time": {}}) == {"t": time}
    schema = requests[0]["response_format"]["json_schema"]["schema"]["properties"]["t"]
    assert re.fullmatch(schema["pattern"], time)
    assert not re.fullmatch(schema["pattern"], f"{time}Z")


async def test_a_number_out_of_range_is_told_and_then_impossible(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The validator's message has the range; the next schema only allows its steps."""
    url, requests = await llama_peer(peers, words('{"t": 842}'), words('{"t": 0.42}'))
    await add_task_agent(home, add_server, url)
    share = {"number": {"min": 0, "max": 1, "step": "any"}}
    assert await generate(home, "How much?", t=share) == {"t": 0.42}
    told = requests[1]["messages"][-1]["content"]
    assert "'t' must be a number from 0 to 1, not 842" in told
    schema = requests[1]["response_format"]["json_schema"]["schema"]["properties"]["t"]
    assert len(schema["enum"]) == 101


async def test_the_error_says_what_was_wrong(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """After the last try."""
    url, requests = await llama_peer(peers, words('{"t": 842}'), words('{"t": 843}'))
    await add_task_agent(home, add_server, url)
    with pytest.raises(HomeAssistantError) as caught:
        await generate(home, "How much?", t={"number": {"min": 0, "max": 1, "step": "any"}})
    assert len(requests) == 2
    assert caught.value.translation_key == "data_does_not_fit"
    assert "from 0 to 1, not 843" in (caught.value.translation_placeholders or {})["message"]


CUT = [piece(content='{"t": ["a", "b'), piece("length")]


async def test_a_cut_answer_is_asked_for_shorter(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Once, without the first try; the half answer is not in the messages."""
    url, requests = await llama_peer(peers, CUT, words('{"t": ["a"]}'))
    await add_task_agent(home, add_server, url)
    assert await generate(home, "Tell", t={"text": {"multiple": True}}) == {"t": ["a"]}
    first, second = requests
    assert first["messages"] == second["messages"]
    sizes = [
        one["response_format"]["json_schema"]["schema"]["properties"]["t"]["maxItems"]
        for one in requests
    ]
    assert sizes == [Bounds().items, SHORT.items]


@pytest.mark.parametrize(
    "cut", [CUT, [piece("length")], [piece(reasoning_content="Well"), piece("length")]]
)
async def test_an_answer_that_stays_cut(
    home: HomeAssistant, add_server: AddServer, peers: Peers, cut: list[dict[str, Any]]
) -> None:
    """The error names the option to raise, also if the model only had thoughts."""
    url, requests = await llama_peer(peers, cut, cut)
    await add_task_agent(home, add_server, url)
    with pytest.raises(HomeAssistantError) as caught:
        await generate(home, "Tell", t={"text": {"multiple": True}})
    assert len(requests) == 2
    assert caught.value.translation_key == "answer_too_long"
    assert caught.value.translation_placeholders == {"agent": "House Llama AI Task"}


async def test_a_text_that_is_cut(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """Half a text is no result."""
    url, _ = await llama_peer(peers, [piece(content="Once upon"), piece("length")])
    await add_task_agent(home, add_server, url)
    with pytest.raises(HomeAssistantError) as caught:
        await home.services.async_call(
            "ai_task",
            "generate_data",
            {"entity_id": TASK_AGENT, "task_name": "x", "instructions": "Tell"},
            blocking=True,
            return_response=True,
        )
    assert caught.value.translation_key == "answer_too_long"


async def test_a_whole_answer_at_the_last_token(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It is complete."""
    url, _ = await llama_peer(peers, [piece(content='{"t": true}'), piece("length")])
    await add_task_agent(home, add_server, url)
    assert await generate(home, "Is it?", t={"boolean": {}}) == {"t": True}


async def test_what_fields_are_about(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model gets descriptions and labels, which are in no grammar."""
    url, requests = await llama_peer(peers, words('{"mode": "m2", "n": 3}'))
    await add_task_agent(home, add_server, url)
    mode = {
        "required": True,
        "description": "Who is there",
        "selector": {"select": {"options": LABELS}},
    }
    assert await generate(home, "Well?", mode=mode, n={"number": RANGE}) == {"mode": "m2", "n": 3}
    told = requests[0]["messages"][-1]["content"]
    assert "mode: Who is there; m1 = At home, m2 = Nobody there" in told
    assert "n:" not in told


def schema_of(one: dict[str, Any], bounds: Bounds) -> Any:
    """Return the schema of answers for one selector."""
    structure = probatio.Schema({probatio.Required("t"): selector.selector(one)})
    return answer_schema(structure, llm.selector_serializer, bounds)


def longest(schema: dict[str, Any]) -> int:
    """Return the length of the longest answer in letters; most tokens have several."""
    if options := schema.get("anyOf"):
        return max(map(longest, options))
    if choices := schema.get("enum"):
        return max(len(json.dumps(one)) for one in choices)
    match schema["type"]:
        case "string":
            # Only the repetitions of patterns.
            pattern = re.sub(r"\{\d+(,\d+)?\}", "", schema.get("pattern", ""))
            return int(schema.get("maxLength", 40 + len(pattern)))
        case "array":
            return int(schema["maxItems"]) * (longest(schema["items"]) + 4)
        case "object":
            parts = schema["properties"].items()
            return sum(len(name) + 6 + longest(part) for name, part in parts)
    return 20


@pytest.mark.parametrize("one", EVERY, ids=lambda one: next(iter(one)))
def test_the_second_time_an_answer_is_short(one: dict[str, Any]) -> None:
    """Its length is limited, whatever the model writes."""
    assert longest(schema_of(one, SHORT)) < 1000


@pytest.mark.parametrize("bounds", [Bounds(), SHORT, STEPPED])
@pytest.mark.parametrize("one", EVERY, ids=lambda one: next(iter(one)))
def test_no_text_or_list_is_without_end(one: dict[str, Any], bounds: Bounds) -> None:
    """Except in the first try."""

    def check(schema: dict[str, Any]) -> None:
        kind = schema.get("type")
        if kind == "string":
            ends = {"maxLength", "pattern"}
            assert schema.keys() & ends or schema.get("format") in ("date", "uuid"), schema
        if kind == "array":
            assert schema["maxItems"] <= max(bounds.items, 3)
            check(schema["items"])
        for part in (*schema.get("anyOf", ()), *schema.get("properties", {}).values()):
            check(part)
        if schema.get("additionalProperties") is True:
            assert bounds.is_free

    check(schema_of(one, bounds))


NUMBERS = st.integers(-1000, 1000).map(lambda one: one / 10)


@given(NUMBERS, NUMBERS, st.sampled_from([1, 2, 5, 0.5, 0.1, 0.25, "any"]))
@settings(max_examples=500, deadline=None, database=None, derandomize=True)
def test_every_range(one: float, other: float, step: float | str) -> None:
    """Every value that a schema allows is valid, at the latest in the second try."""
    config = {"min": min(one, other), "max": max(one, other), "step": step}
    number = {"number": config}
    takes = selector.selector(number)
    schema = schema_of(number, Bounds())["properties"]["t"]
    if "enum" in schema:
        found = schema["enum"]
    elif schema["type"] == "integer":
        found = [schema["minimum"], schema["maximum"]]
    else:
        stepped = schema_of(number, STEPPED)["properties"]["t"]
        found = stepped.get("enum", [])
        assert found or step != "any" or stepped["type"] == "integer"
    for value in found:
        assert config["min"] <= probatio.Schema(takes)(value) <= config["max"]


def test_entries_and_choices() -> None:
    """Entries become an object again, and a choice that is made twice counts once."""
    free = schema_of({"object": {}}, SHORT)
    data = {"t": [{"name": "a", "value": 1}, {"name": "b", "value": "x"}]}
    assert answer_data(data, free) == {"t": {"a": 1, "b": "x"}}
    several = schema_of({"select": {"options": ["a", "b"], "multiple": True}}, Bounds())
    assert answer_data({"t": ["a", "a"]}, several) == {"t": ["a"]}


async def test_schemas_of_tools_are_schemas_of_the_server(
    home: HomeAssistant, session: aiohttp.ClientSession, llama_server: LlamaServer
) -> None:
    """The server's grammar accepts our schemas with names, labels and times."""
    assert await async_setup_component(home, "script", {"script": SCRIPTS})
    for name in SCRIPTS:
        async_expose_entity(home, "conversation", f"script.{name}", should_expose=True)
    await home.async_block_till_done()
    context = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    tools = to_tools(await llm.async_get_api(home, "assist", context))
    schemas = {one["function"]["name"]: one["function"]["parameters"] for one in tools}

    async def answer(schema: dict[str, Any], n_tokens: int) -> str:
        body = {
            "messages": [{"role": "user", "content": "The bus leaves at 18:05. Give the time."}],
            "max_tokens": n_tokens,
            "temperature": 0,
            "response_format": to_response_format("x", schema),
        }
        url = f"{llama_server.base_url}/v1/chat/completions"
        async with session.post(url, json=body) as response:
            assert response.status == 200, schema
            return str((await response.json())["choices"][0]["message"]["content"])

    for schema in schemas.values():
        await answer(schema, 1)
    at = schemas["script__house_mode"]["properties"]["at"]
    only = {"type": "object", "properties": {"at": at}, "required": ["at"]}
    assert TIME.fullmatch(json.loads(await answer(only, 60))["at"])
