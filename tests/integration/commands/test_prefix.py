"""A prompt of commands is kept warm: what changes goes last, also where nobody is offered tools."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation

from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from tests.conftest import serving
from tests.integration.conftest import agent_of
from tests.integration.prefill import processed, until_prefilled
from tests.integration.speakers import (
    ANSWER,
    ask_as,
    n_common,
    satellites,
    tokens_of,
    until_change_prefilled,
    with_timers,
)
from tests.integration.talk import ask, contents, llama_peer, speech

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

# The marks of the template round two messages, and the last tokens that are read again.
MARKS = 24
# The home and the examples take more.
MANY_TOKENS = 200


@pytest.fixture
def server(model: Path, tmp_path: Path) -> Generator[LlamaServer]:
    """Return a real server of one slot, which nobody else asks."""
    flags = ("--ctx-size", "8192", "--parallel", "1")
    with serving(tmp_path / "log.txt", *flags, model=model) as server:
        yield server


async def new_tokens(
    hass: HomeAssistant, entry: ConfigEntry[Any], said: conversation.ConversationResult
) -> tuple[int, int]:
    """Return the tokens processed for an answer, and those of the words that it was for."""
    usage = entry.runtime_data.coordinator.last_answer.completion.usage
    assert usage.prompt_tokens > MANY_TOKENS
    words = [one for one in contents(hass, said) if isinstance(one, conversation.UserContent)][
        -1
    ].content
    tokens = await entry.runtime_data.client.tokenize(words)
    return usage.prompt_tokens - usage.cached_tokens, len(tokens)


async def test_the_warm_up_is_the_beginning(
    home: HomeAssistant, add_server: AddServer, server: LlamaServer
) -> None:
    """Who asks first waits for their own words alone, not for the home and the examples."""
    entry = await add_server(server.base_url)
    await until_prefilled(home)
    assert await processed(entry.runtime_data.coordinator) > MANY_TOKENS
    result = await ask(home, "Turn on the kitchen light")
    assert speech(result) == "Turned on Kitchen Light."
    n_processed, n_words = await new_tokens(home, entry, result)
    assert 0 < n_processed <= n_words + MARKS


async def test_a_conversation_goes_on(
    home: HomeAssistant, add_server: AddServer, server: LlamaServer
) -> None:
    """Each turn processes only what is new, whether commands or states were in the last one."""
    entry = await add_server(server.base_url)
    agent = agent_of(entry)
    home.config_entries.async_update_subentry(entry, agent, data={**agent.data, "max_tokens": 24})
    await until_prefilled(home)
    result = await ask(home, "Turn on the kitchen light")
    for words in (
        "Turn off the kitchen light",
        "Is the side door locked?",
        "Turn on the bedside lamp and the floor lamp",
        "Hello, how do you do?",
        "Is the kitchen light on?",
        "Close the bedroom blind",
    ):
        result = await ask(home, words, result.conversation_id)
        n_processed, n_words = await new_tokens(home, entry, result)
        # A question comes with the states that it is about.
        n_states = 40 if "?" in words else 0
        assert 0 < n_processed <= n_words + n_states + MARKS, words


async def test_another_satellite(
    home: HomeAssistant, add_server: AddServer, server: LlamaServer
) -> None:
    """In another room, too, nobody waits for the home."""
    first, second, *_ = satellites(home)
    entry = await add_server(server.base_url)
    await until_prefilled(home)
    for device in (first, second, None, first):
        await ask_as(home, "Turn on the floor lamp", device=device)
        usage = entry.runtime_data.coordinator.last_answer.completion.usage
        assert usage.prompt_tokens > MANY_TOKENS
        assert usage.prompt_tokens - usage.cached_tokens < 64


async def test_common_beginning(
    home: HomeAssistant, add_server: AddServer, peers: Peers, llama_server: LlamaServer
) -> None:
    """Satellites with and without timers, users, nobody, over restarts: only the end differs."""
    url, requests = await llama_peer(peers, *[ANSWER] * 20)
    entry = await add_server(url)
    agent = agent_of(entry)
    options = {
        **agent.data,
        CONF_TOOL_CALLS: ToolCalls.COMMANDS,
        "prompt": "You speak to {{ user_name }}.\nBe brief.",
    }
    home.config_entries.async_update_subentry(entry, agent, data=options)
    devices = satellites(home)
    with_timers(home, devices[0])
    ann = await home.auth.async_create_user("Ann")
    await until_change_prefilled(home)
    for _restart in range(2):
        for device in (None, *devices):
            await ask_as(home, device=device)
        await ask_as(home, device=devices[1], user=ann.id)
        await home.config_entries.async_reload(entry.entry_id)
        await until_prefilled(home)
    client = (await add_server(llama_server.base_url)).runtime_data.client
    prompts = await tokens_of(client, requests)
    assert len(prompts) == 2 * (2 + len(devices))
    common = n_common(prompts)
    assert common > MANY_TOKENS
    assert max(len(prompt) - common for prompt in prompts) < 64
    assert all("tools" not in one for one in requests)
    # Each was still told what is special about it.
    words = [one["messages"][-1]["content"] for one in requests]
    assert sum("You speak to Ann." in one for one in words) == 2
    assert sum("You are in the Kitchen." in one for one in words) >= 2
