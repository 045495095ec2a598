"""Results of tools, as the model gets them."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.conversation import SystemContent, ToolResultContent, UserContent
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.llamacpp.prompt.trimming import Large, what_is_large
from custom_components.llamacpp.tool_calls.results import CUT, MAX_RESULT, result_text
from tests.integration.talk import add_native, ask, llama_peer, piece, speech

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.components.conversation import Content
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

LIVE = "homeassistant__GetLiveContext"


def result_of(data: Any, tool: str = "script__report") -> ToolResultContent:
    """Return a tool result of a chat log."""
    return ToolResultContent(
        agent_id="a", tool_call_id="1", tool_name=tool, result=llm.ToolResult(data=data)
    )


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"speech": {}, "data": {"success": [{"name": "Lamp"}], "n": 1.5}},
        {"last": datetime(2026, 12, 24, tzinfo=UTC), "list": (1, 2), "nan": float("nan")},
        {"text": "ä" * (MAX_RESULT - 200)},
        {"rows": [[]] * 1000},
    ],
)
def test_small_results_are_whole(data: Any) -> None:
    """As Home Assistant serialises them."""
    text = result_text(result_of(data))
    assert CUT not in text
    assert isinstance(json.loads(text), dict)
    assert len(json.loads(text)) == len(data)


DEEP: list[Any] = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "data",
    [
        {"rows": [str(n) for n in range(6000)]},
        {"rows": [*range(6000)]},
        {"text": "x" * 100_000},
        {"text": "\n" * (MAX_RESULT - 100)},
        {f"key {n}": None for n in range(5000)},
        {"key" * 10_000: 1},
        {"deep": DEEP},
        {"many": [DEEP] * 100},
    ],
)
def test_large_results_are_cut(data: Any) -> None:
    """The model gets the beginning, and a note that it is cut."""
    text = result_text(result_of(data))
    assert text.endswith(CUT)
    assert text.startswith("{")
    assert len(text) <= MAX_RESULT + len(CUT)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.text(), st.floats()),
    lambda one: st.one_of(st.lists(one), st.dictionaries(st.text(), one)),
    max_leaves=50,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.integers(1, 2000))
@settings(max_examples=200, deadline=None, database=None, derandomize=True)
def test_every_result_has_a_bound(data: dict[str, Any], times: int) -> None:
    """An uncut result is complete."""
    text = result_text(result_of({"all": [data] * times}))
    assert len(text) <= MAX_RESULT + len(CUT)
    if not text.endswith(CUT):
        assert len(json.loads(text)["all"]) == times


class Rows(list[dict[str, Any]]):
    """Rows that count how many of them were read."""

    n_seen = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, and count them."""
        for row in super().__iter__():
            self.n_seen += 1
            yield row


def test_what_is_cut_is_not_looked_at() -> None:
    """Of millions of rows only those that fit are read."""
    rows = Rows([{"name": "row", "value": 1.5}] * 5_000_000)
    result_text(result_of({"rows": rows}))
    assert 0 < rows.n_seen <= MAX_RESULT


def test_the_home_is_told_whole() -> None:
    """It is never cut: the answer may be in its last line."""
    assert CUT not in result_text(result_of({"result": "- names: Lamp\n" * 2000}, LIVE))


@pytest.mark.parametrize(
    ("prompt", "tools", "said", "state", "expected"),
    [
        (30_000, 5_000, 100, 0, Large.HOME),
        (2_000, 300_000, 100, 0, Large.TOOLS),
        (2_000, 5_000, 60_000, 0, Large.SAID),
        (2_000, 5_000, 100, 60_000, Large.HOME),
    ],
)
def test_what_is_large(prompt: int, tools: int, said: int, state: int, expected: Large) -> None:
    """To expose fewer entities is advised only if the home is the large part."""
    contents: list[Content] = [
        SystemContent("x" * prompt),
        UserContent("x" * said),
        result_of({"result": "x" * state}, LIVE),
    ]
    assert what_is_large(contents, ["x" * tools], 20_000, 16_384) is expected


REPORT = {
    "report": {
        "alias": "Energy report",
        "description": "Tells the energy use of the last year.",
        "sequence": [
            {"variables": {"result": {"rows": "{{ range(6000) | map('string') | list }}"}}},
            {"stop": "done", "response_variable": "result"},
        ],
    }
}


async def test_a_huge_result_in_a_turn(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model answers from a part that fits into the context."""
    assert await async_setup_component(home, "script", {"script": REPORT})
    async_expose_entity(home, conversation.DOMAIN, "script.report", should_expose=True)
    await home.async_block_till_done()
    calls = [{"index": 0, "id": "1", "function": {"name": "script__report", "arguments": "{}"}}]
    first = [piece(tool_calls=calls), piece("tool_calls")]
    last = [piece(content="It was much."), piece("stop")]
    url, requests = await llama_peer(peers, first, last)
    await add_native(home, add_server, url)
    assert speech(await ask(home, "energy report")) == "It was much."
    told = requests[1]["messages"][-1]["content"]
    assert '"5"' in told
    assert CUT in told
    assert len(told) <= MAX_RESULT + len(CUT)
