"""A short day with each architecture of models, and each kind of chat template."""

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.const import CONF_EXACT_FIRST
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from dev.model_kinds import KINDS
from dev.scripted_model import TEMPLATE, write_scripted_model
from tests.integration.prefill import keeping_slots, set_options, until_prefilled
from tests.integration.serving.short_day import DAY_SECONDS, GO_ON, NO_TOOLS, TALE, Day, script_for
from tests.integration.speakers import satellites
from tests.integration.talk import ask, complaints

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

    from dev.scripted_model import Vocabulary
    from tests.integration.conftest import AddServer

GONE = "Is it running?"
WORDS_TOKENS = 16

# Every answer starts with a thought, as DeepSeek R1's do.
THINKING = TEMPLATE.replace("assistant\n{# choice #}", "assistant\n<think>\n{# choice #}")
# Template, tool calls, and slots of the server.
FORMS = {
    "tools": (TEMPLATE, ToolCalls.AUTO, 3),
    "thinking": (THINKING, ToolCalls.AUTO, 1),
    "none": (NO_TOOLS, ToolCalls.COMMANDS, 2),
}


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_day(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    home: HomeAssistant,
    add_server: AddServer,
    vocabulary: Vocabulary,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    form: str,
) -> None:
    """All orders are done, no user waits for a prefill of the home, and nothing is logged."""
    caplog.set_level(logging.INFO)
    template, tool_calls, n_slots = FORMS[form]
    path = tmp_path / "scripted.gguf"
    script = script_for(form)
    write_scripted_model(path, vocabulary, script, "I was not told.", template, kind=KINDS[kind])
    with keeping_slots(tmp_path, path, n_slots=n_slots) as server:
        entry = await add_server(server.base_url)
        await set_options(home, entry, **{CONF_EXACT_FIRST: True, CONF_TOOL_CALLS: tool_calls})
        day = Day(home, entry, server)
        async with asyncio.timeout(DAY_SECONDS):
            await day.control()
            talk = await day.talk()
            await day.tasks()
            await day.everybody_is_prefilled()
            await day.change()
            await day.everybody_is_prefilled()
            assert complaints(caplog) == []
            await day.restart(is_noticed=True)
            await day.everybody_is_prefilled()
            await day.restart(is_noticed=False)
            await day.is_prefilled(TALE)
            await day.say(GO_ON, talk)
            await until_prefilled(home)
    assert all(GONE in one for one in complaints(caplog))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", KINDS)
async def test_notes_are_processed_ahead(
    home: HomeAssistant,
    add_server: AddServer,
    vocabulary: Vocabulary,
    tmp_path: Path,
    kind: str,
) -> None:
    """The note on the speaker is prefilled before the question, also by recurrent models."""
    path = tmp_path / "scripted.gguf"
    write_scripted_model(path, vocabulary, script_for("tools"), "I was not told.", kind=KINDS[kind])
    with keeping_slots(tmp_path, path, n_slots=3) as server:
        entry = await add_server(server.base_url)
        await until_prefilled(home)
        for words in (TALE, GO_ON):
            for device_id in satellites(home):
                await ask(home, words, device_id=device_id)
                usage = entry.runtime_data.coordinator.last_answer.completion.usage
                assert usage.prompt_tokens - usage.cached_tokens < WORDS_TOKENS
                await until_prefilled(home)
