"""Noise that speech-to-text takes for words."""

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.llamacpp.const import CONF_EXACT_FIRST
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from custom_components.llamacpp.turn.noise import is_noise
from tests.integration.conftest import agent_of
from tests.integration.talk import (
    act,
    ask,
    ask_as_a_pipeline,
    contents,
    llama_peer,
    piece,
    said_in,
    speech,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

NOISES = (
    *("", " ", "...", "…", "?", "-", "\n", "¿?", "m", "hm", "Hm.", "hmm", "hmmm...", "mm", "äh"),
    *("Äh, ähm...", "ah", "eh", "uh", "Uhm", "um", "oh", "öh", "hm hm", "a\u0308h", "\u200b", "👍"),
)
WORDS = ("a", "e", "no", "sì", "ok", "1", "hello", "he", "hum", "am", "me", "mhm", "да", "好", "ใช่")
CATCH = "I did not catch that."


@pytest.mark.parametrize("text", NOISES)
def test_noise(text: str) -> None:
    """These are no words."""
    assert is_noise(text)


@pytest.mark.parametrize("text", [*WORDS, "hm, the light", "... 5", "eh no"])
def test_words(text: str) -> None:
    """One word is enough."""
    assert not is_noise(text)


@given(text=st.text(max_size=20))
@settings(deadline=None, database=None, derandomize=True, max_examples=300)
def test_any_text(text: str) -> None:
    """Text without letters and digits is noise; signs around words do not matter."""
    if not any(unicodedata.category(one)[0] in "LN" for one in text):
        assert is_noise(text)
    assert is_noise(f"... {text} !") == is_noise(text)


@pytest.mark.parametrize("noise", ["", "...", "hm", " ", "äh"])
@pytest.mark.parametrize("tool_calls", ToolCalls)
async def test_nobody_is_asked(
    home: HomeAssistant, add_server: AddServer, peers: Peers, noise: str, tool_calls: ToolCalls
) -> None:
    """The agent says that it heard nothing, and the conversation continues."""
    hi = [piece(content="Hi."), piece("stop")]
    url, requests = await llama_peer(peers, hi, hi)
    entry = await add_server(url)
    data = {**agent_of(entry).data, CONF_TOOL_CALLS: tool_calls, CONF_EXACT_FIRST: True}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=data)
    await home.async_block_till_done()
    first = await ask(home, "How are you?")
    result = await ask_as_a_pipeline(home, noise, first.conversation_id)
    assert speech(result) == CATCH
    assert result.response.error_code is None
    assert not result.continue_conversation
    assert result.conversation_id == first.conversation_id
    assert len(requests) == 1
    last = await ask(home, "And now?", first.conversation_id)
    assert speech(last) == "Hi."
    assert [one for one in said_in(requests[1]) if one in (noise, CATCH)] == []
    assert CATCH not in [getattr(one, "content", None) for one in contents(home, last)]
    told = await act(home, "history", conversation_id=first.conversation_id)
    assert [one["role"] for one in told["messages"]] == ["user", "assistant"] * 2


async def test_the_language_of_the_speaker(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The answer is in the speaker's language."""
    url, requests = await llama_peer(peers)
    await add_server(url)
    assert speech(await ask(home, "...", language="it")) == "Non ho capito."
    assert requests == []
