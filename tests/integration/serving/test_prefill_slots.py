"""Prefills on a server with several slots."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.const import HOME_CHANGE_SECONDS
from custom_components.llamacpp.serving import machine
from tests.integration.prefill import (
    FEW_TOKENS,
    MANY_TOKENS,
    WAIT_SECONDS,
    generated,
    keeping_slots,
    processed,
    task,
    until_prefilled,
    waited_for,
)
from tests.integration.slow_servers import EndlessPrefillServer
from tests.integration.speakers import satellites, until_change_prefilled
from tests.integration.talk import ask, is_prefill, speech, until_busy

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

# Some words and the template's marks around them; a satellite's area alone has more.
WORDS_TOKENS = 16
# What the scripted model's template adds to choose an answer.
CHOICE_TOKENS = 1
# Long enough for a prefill of the next turn.
QUICK_SECONDS = 0.5
BEHIND_WORDS = "<|im_end|>\n<|im_start|>assistant\n"


async def talk_in_turns(home: HomeAssistant, entry: ConfigEntry[Any], n_talks: int) -> None:
    """Continue some conversations in turns; only new words may be prefilled."""
    # The words are longer than the slack that is allowed.
    ids: list[str | None] = [None] * n_talks
    for turn in range(3):
        for number in range(n_talks):
            words = f"Tell me something about {number}. " * 40
            result = await ask(home, "And?" if turn else words, ids[number])
            ids[number] = result.conversation_id
            usage = entry.runtime_data.coordinator.last_answer.completion.usage
            if turn:
                assert usage.prompt_tokens - usage.cached_tokens < 64


async def test_the_next_turn_is_processed_up_to_its_words(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The marks between the answer and the next words are prefilled, too."""
    with keeping_slots(tmp_path, scripted_model, n_slots=2) as server:
        entry = await add_server(server.base_url)
        await until_change_prefilled(home)
        talk: str | None = None
        n_tokens = []
        for _turn in range(3):
            talk = (await ask(home, "Hello", talk)).conversation_id
            usage = entry.runtime_data.coordinator.last_answer.completion.usage
            n_tokens.append(usage.prompt_tokens - usage.cached_tokens)
            await until_prefilled(home)
        words = await entry.runtime_data.client.tokenize(f"Hello{BEHIND_WORDS}")
        assert n_tokens[1:] == [len(words) + CHOICE_TOKENS] * 2


async def test_the_next_turn_is_not_processed_between_quick_ones(
    home: HomeAssistant,
    add_server: AddServer,
    own_server: LlamaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Quick turns find no prefill in progress: a single one follows the last turn."""
    monkeypatch.setattr(machine, "NEXT_TURN_SECONDS", 3.0)
    entry = await add_server(own_server.base_url)
    coordinator = entry.runtime_data.coordinator
    await until_change_prefilled(home)
    before, n_said = await generated(coordinator), 0
    for _ in range(3):
        await ask(home, "Hello")
        n_said += coordinator.last_answer.completion.usage.completion_tokens
        await asyncio.sleep(QUICK_SECONDS)
    assert await generated(coordinator) == before + n_said
    await until_prefilled(home)
    assert await generated(coordinator) == before + n_said + 1


async def test_the_next_turn_is_left_to_a_server_that_was_started_anew(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole conversation is not prefilled; the home is restored from its slot file."""
    monkeypatch.setattr(machine, "NEXT_TURN_SECONDS", 3.0)
    with keeping_slots(tmp_path, scripted_model, n_slots=2) as server:
        entry = await add_server(server.base_url)
        await until_change_prefilled(home)
        await ask(home, "Hello")
        server.kill()
        server.start()
        server.wait_ready()
        await until_prefilled(home)
        # Some are of notes on speakers.
        assert await processed(entry.runtime_data.coordinator) < MANY_TOKENS
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_slots_are_filled_ahead(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Every conversation finds the home in its slot; no file is restored while a user waits."""
    with keeping_slots(tmp_path, scripted_model, n_slots=3) as server:
        entry = await add_server(server.base_url)
        await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
        await until_prefilled(home)
        for file in (tmp_path / "slots").iterdir():
            file.unlink()
        await talk_in_turns(home, entry, 3)


async def test_conversations_in_turns_keep_their_own_slots(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Only the new words are prefilled, although other conversations continue in between."""
    with keeping_slots(tmp_path, scripted_model, n_slots=2) as server:
        entry = await add_server(server.base_url)
        await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
        await until_prefilled(home)
        await talk_in_turns(home, entry, 2)
        # After another prompt was in a slot, too.
        await task(home)
        await until_prefilled(home)
        await ask(home, "Hello")
        usage = entry.runtime_data.coordinator.last_answer.completion.usage
        assert usage.prompt_tokens - usage.cached_tokens < FEW_TOKENS


async def test_what_each_satellite_is_told_is_processed_ahead(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
) -> None:
    """Every speaker waits for the words alone, also right after a change.

    Conversations from before the change hold an outdated home.
    """
    with keeping_slots(tmp_path, scripted_model, n_slots=3) as server:
        entry = await add_server(server.base_url)
        await until_change_prefilled(home)
        devices = satellites(home)
        assert len(devices) > 1
        for _round in range(2):
            for device in devices:
                for words in ("Hello", "Good morning"):
                    await ask(home, words, device_id=device)
                    usage = entry.runtime_data.coordinator.last_answer.completion.usage
                    assert usage.prompt_tokens - usage.cached_tokens < WORDS_TOKENS
            er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
            await until_change_prefilled(home)


async def test_a_task_pushes_out_one_slot(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """Recent speakers keep their slots; the evicted one is prefilled again."""
    with keeping_slots(tmp_path, scripted_model, n_slots=3) as server:
        entry = await add_server(server.base_url)
        await until_change_prefilled(home)
        devices = satellites(home)[:2]
        for _round in range(2):
            for device in devices:
                await ask(home, "Hello", device_id=device)
                usage = entry.runtime_data.coordinator.last_answer.completion.usage
                assert usage.prompt_tokens - usage.cached_tokens < WORDS_TOKENS
            await task(home)
        await until_prefilled(home)
        await ask(home, "Hello")
        usage = entry.runtime_data.coordinator.last_answer.completion.usage
        assert usage.prompt_tokens - usage.cached_tokens < FEW_TOKENS


async def test_who_asks_first_after_a_restart_is_enough(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """It shows that the server has lost its cache; the other slots are prefilled then."""
    with keeping_slots(tmp_path, scripted_model, n_slots=3) as server:
        entry = await add_server(server.base_url)
        await until_change_prefilled(home)
        server.kill()
        server.start()
        server.wait_ready()
        for device, limit in zip(satellites(home), (FEW_TOKENS, WORDS_TOKENS), strict=False):
            await ask(home, "Hello", device_id=device)
            usage = entry.runtime_data.coordinator.last_answer.completion.usage
            assert usage.prompt_tokens - usage.cached_tokens < limit
            await until_prefilled(home)


async def test_a_change_while_people_talk(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """A conversation finds its own prompt or the new one in its slot."""
    with keeping_slots(tmp_path, scripted_model, n_slots=3) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
        await until_prefilled(home)
        for _ in range(2):
            result = await ask(home, "Tell me something.")
        # The prefill of the next turn makes the server busy, too.
        await until_prefilled(home)
        er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
        await until_busy(coordinator.client, busy=True)
        # The server counts only our own prefill meanwhile.
        for _ in range(2):
            await coordinator.async_refresh()
        await until_prefilled(home)
        await ask(home, "And?", result.conversation_id)
        usage = coordinator.last_answer.completion.usage
        assert usage.prompt_tokens - usage.cached_tokens < FEW_TOKENS
        assert await waited_for(home, entry) < FEW_TOKENS


async def test_who_asks_into_a_warm_up_waits_for_its_slot(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Another slot would have to prefill the whole prompt."""
    server = EndlessPrefillServer(n_slots=2)
    await add_server(await peers.http(server.handle))
    async with asyncio.timeout(WAIT_SECONDS):
        await server.begun.wait()
        result = await ask(home, "Are you there?")
        assert speech(result) == "Here."
        await ask(home, "And now?", result.conversation_id)
    warm_up, *asks = server.bodies
    assert is_prefill(warm_up)
    assert [one["id_slot"] for one in server.bodies] == [0, 0, 0]
    assert len(asks) == 2


async def test_what_was_processed_while_somebody_waited_is_written_later(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once the conversation is over, and without its messages."""
    with keeping_slots(tmp_path, scripted_model, n_slots=1) as server:
        entry = await add_server(server.base_url)
        coordinator = entry.runtime_data.coordinator
        await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
        await until_prefilled(home)
        (file,) = (tmp_path / "slots").iterdir()
        before = file.read_bytes()
        er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
        assert await waited_for(home, entry) > FEW_TOKENS
        await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
        await coordinator.async_refresh()
        await until_prefilled(home)
        assert file.read_bytes() == before
        monkeypatch.setattr(machine, "IDLE_SECONDS", 0)
        await coordinator.async_refresh()
        await until_prefilled(home)
        assert file.read_bytes() != before
        server.kill()
        await coordinator.async_refresh()
        server.start()
        server.wait_ready()
        await coordinator.async_refresh()
        await until_prefilled(home)
        assert await processed(coordinator) < FEW_TOKENS
