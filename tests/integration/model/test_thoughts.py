"""Thoughts that a server leaves in the text: stored, and never spoken."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.llamacpp.client import THINKING_MARKS, LlamaServerClient
from custom_components.llamacpp.client.thinking import open_thinking
from custom_components.llamacpp.model.thoughts import Thoughts
from tests.conftest import serving
from tests.integration.conftest import FLAGS
from tests.integration.script import THINK, THINK_ALOUD, THINK_TWICE, THINK_WITHOUT_END
from tests.integration.talk import (
    add_native,
    ask,
    ask_as_a_pipeline,
    contents,
    llama_peer,
    piece,
    recording,
    said_in,
    speech,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

# The same examples each time; none are saved.
SETTINGS: dict[str, Any] = {"deadline": None, "database": None, "derandomize": True}


def told(*pieces: str) -> tuple[str, str]:
    """Return words and thoughts of an answer in these pieces."""
    thoughts = Thoughts()
    words = thought = ""
    for part in [part for one in pieces for part in thoughts.feed(one)] + list(thoughts.end()):
        if part.is_all:
            words, thought = "", thought + words
        if part.is_thought:
            thought += part.text
        else:
            words += part.text
    return words, thought


ANSWERS = {
    "Hello": ("Hello", ""),
    "<think>\nFirst thought.\n</think>\nMiddle words.": ("Middle words.", "\nFirst thought.\n"),
    "Middle words.\n<think>\nSecond thought.\n</think>\nFinal words.": (
        "Middle words.\nFinal words.",
        "\nSecond thought.\n",
    ),
    "Some thoughts without begin.\n</think>\n\nThe proper answer.": (
        "The proper answer.",
        "Some thoughts without begin.\n",
    ),
    "One.\n</think>Two.\n</think>Three.": ("Three.", "One.\nTwo.\n"),
    "<think>\nI should think about it": ("", "\nI should think about it"),
    "<think>": ("", ""),
    "<think></think>": ("", ""),
    "<think>a</think>b<think>c</think>d": ("bd", "ac"),
    "<think>a<think>b</think>c": ("c", "a<think>b"),
    "<think>a</thinking>b": ("", "a</thinking>b"),
    "<think>a</think": ("", "a</think"),
    "<thin": ("<thin", ""),
    "a < b, [1] <b>c</b> <thinker>": ("a < b, [1] <b>c</b> <thinker>", ""),
    'Write `<think>` and "</think>"': ('Write `<think>` and "</think>"', ""),
    "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b": (
        "b",
        "a<|end|><|start|>assistant",
    ),
    "<|channel|>final<|message|>b": ("b", ""),
    **{f"a{begin}b{end} c": ("ac", "b") for begin, end in THINKING_MARKS.items()},
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers(answer: str) -> None:
    """Text between marks is thought, and so is all before an end mark without a start."""
    assert told(answer) == ANSWERS[answer]


PIECES = st.sampled_from(
    [*ANSWERS, *THINKING_MARKS, *THINKING_MARKS.values(), *'<>[|]/ \n`"t', "<think", "</", "<|"]
)


@given(pieces=st.lists(PIECES, max_size=12), cuts=st.lists(st.integers(0, 300)))
@settings(max_examples=400, **SETTINGS)
def test_any_split(pieces: list[str], cuts: list[int]) -> None:
    """The split of an answer into pieces does not matter."""
    answer = "".join(pieces)
    places = sorted({0, *(cut for cut in cuts if cut < len(answer)), len(answer)})
    split = [answer[one:other] for one, other in pairwise(places)]
    assert told(*split) == told(answer) == told(*answer)


@given(text=st.text(alphabet=st.characters(exclude_characters="<["), max_size=200))
@settings(max_examples=200, **SETTINGS)
def test_plain_text_comes_at_once(text: str) -> None:
    """Text without the first sign of a mark is not held back."""
    given_out = [part.text for part in Thoughts().feed(text)]
    assert "".join(given_out) == text


def test_what_is_held_back_has_a_bound() -> None:
    """At most the length of a mark is held back, of words or of thoughts."""
    longest = max(map(len, (*THINKING_MARKS, *THINKING_MARKS.values())))
    for begin in ("", "<think>"):
        thoughts = Thoughts()
        list(thoughts.feed(begin))
        n_fed = n_told = 0
        for one in ("<", "</think", "<|channel|>", "word ", "[THIN") * 50:
            n_fed += len(one)
            n_told += sum(len(part.text) for part in thoughts.feed(one))
            assert n_fed - n_told < longest


@pytest.mark.parametrize("unit", ["<think>a</think>b", "</think>", "<", "a", "<|channel|>analysis"])
def test_it_takes_no_more_than_its_length(unit: str) -> None:
    """An answer twice as long has at most twice as many parts, none longer than itself."""
    counts = []
    for length in (20_000, 40_000):
        thoughts = Thoughts()
        answer = unit * (length // len(unit))
        parts = [*thoughts.feed(answer), *thoughts.end()]
        assert sum(len(one.text) for one in parts) <= len(answer)
        counts.append(len(parts))
    assert counts[1] <= 2 * counts[0] + 1


@pytest.mark.parametrize("mark", THINKING_MARKS)
def test_a_prompt_that_begins_a_thought(mark: str) -> None:
    """The thought is recognised by its end."""
    assert open_thinking(f"Hello\n{mark}\n") == mark
    assert open_thinking(f"Hello\n{mark}\n{THINKING_MARKS[mark]}\n") == ""


ALOUD = "Some thoughts without begin.\n</think>\n\nThe proper answer."


@pytest.mark.parametrize(
    ("answer", "words", "thought"),
    [
        ("<think>\nFirst.\n</think>\nMiddle words.", "Middle words.", "First."),
        ("Middle.\n<think>\nSecond.\n</think>\nFinal.", "Middle.\nFinal.", "Second."),
        (ALOUD, "The proper answer.", "without begin"),
        ("<think>\nThe user wants", "The model had nothing to say. Please ask in", "The user"),
    ],
)
@pytest.mark.parametrize("is_native", [True, False])
async def test_they_are_kept_and_not_sent_back(  # noqa: PLR0913 - fixtures and what is told
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    *,
    answer: str,
    words: str,
    thought: str,
    is_native: bool,
) -> None:
    """They are not spoken, not stored among the words, and not in the next prompt."""
    first = [*(piece(content=one) for one in answer), piece("stop")]
    url, requests = await llama_peer(peers, first, [piece(content="Hi."), piece("stop")])
    await (add_native(home, add_server, url) if is_native else add_server(url))
    result = await ask_as_a_pipeline(home, "How are you?", None)
    assert speech(result).startswith(words)
    answers = [
        one for one in contents(home, result) if isinstance(one, conversation.AssistantContent)
    ]
    assert thought in (answers[0].thinking_content or "")
    assert not any(thought in (one.content or "") for one in answers)
    assert speech(await ask(home, "And now?", result.conversation_id)) == "Hi."
    assert not any(thought in one for one in said_in(requests[-1]))
    assert all(one["reasoning_format"] == "auto" for one in requests)


async def test_a_call_in_a_thought_without_beginning(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It is not run."""
    printed = 'intent__HassTurnOn(name="Kitchen Light")\n</think>\nShall I turn it on?'
    url, requests = await llama_peer(peers, [piece(content=printed), piece("stop")])
    await add_native(home, add_server, url)
    assert speech(await ask(home, "It is dark")) == "Shall I turn it on?"
    assert len(requests) == 1
    light = home.states.get("light.kitchen_light")
    assert light is not None
    assert light.state == "off"


@pytest.fixture(scope="module")
def plain_server(
    scripted_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LlamaServer]:
    """Return a real server that leaves thoughts in the text."""
    log = tmp_path_factory.mktemp("plain-server") / "log.txt"
    with serving(log, *FLAGS, "--reasoning-format", "none", model=scripted_model) as server:
        yield server


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (THINK, "Mostly cheese."),
        (THINK_TWICE, "Middle words.\nFinal words."),
        (THINK_ALOUD, "The proper answer."),
        (THINK_WITHOUT_END, "The model had nothing to say. Please ask in other words."),
    ],
)
async def test_a_real_server_without_reasoning_format(  # noqa: PLR0913 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    plain_server: LlamaServer,
    *,
    said: str,
    words: str,
) -> None:
    """The agent finds the thoughts itself."""
    url, asked = await recording(peers, session, plain_server)
    await add_native(home, add_server, url)
    result = await ask(home, said)
    assert speech(result) == words
    assert speech(await ask(home, "Hello", result.conversation_id))
    answers = [one["content"] for one in asked[-1]["messages"] if one["role"] == "assistant"]
    assert answers == [words]


async def test_a_real_server_takes_thoughts_out(
    session: aiohttp.ClientSession, plain_server: LlamaServer
) -> None:
    """The request tells it to."""
    client = LlamaServerClient(session, plain_server.base_url)
    events = client.stream_chat({"messages": [{"role": "user", "content": THINK}]})
    kinds = {type(event).__name__ async for event in events}
    assert "ThinkingDelta" in kinds
