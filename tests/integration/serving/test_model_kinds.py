"""A short day with a model of each kind that there is, and with each kind of chat template."""

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

# Every answer begins with a thought, as those of DeepSeek R1 do.
THINKING = TEMPLATE.replace("assistant\n{# choice #}", "assistant\n<think>\n{# choice #}")
# Template, how the model controls the home, and the slots of its server.
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
    """All is carried out and said, nobody waits for the home to be read, and nothing is logged."""
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
            await day.everybody_is_warm()
            await day.change()
            await day.everybody_is_warm()
            assert complaints(caplog) == []
            await day.restart(is_noticed=True)
            await day.everybody_is_warm()
            await day.restart(is_noticed=False)
            await day.is_warm(TALE)
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
    """Of the note on who speaks nothing is read while they wait, also by models with a state."""
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
