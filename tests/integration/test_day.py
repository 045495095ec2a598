"""A day with the integration: no warning in Home Assistant's log."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from homeassistant.components import ai_task, conversation
from homeassistant.const import ATTR_ENTITY_ID, EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from .conftest import AGENT, TASK_AGENT
from .entities import enable_all, entity_id_of
from .script import MISSING, THINK, TURN_ON_KITCHEN, TWO_CALLS
from .talk import act, ask, complaints

if TYPE_CHECKING:
    import pytest
    from freezegun.api import FrozenDateTimeFactory
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer


async def hour(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Use everything, and let an hour pass."""
    for text in (TURN_ON_KITCHEN, TWO_CALLS, MISSING, THINK, "What is new?"):
        await conversation.async_prepare_agent(hass, AGENT, "en")
        result = await ask(hass, text)
        await ask(hass, "And then?", result.conversation_id)
    started = await act(hass, "start", system_prompt="Be brief.")
    await act(hass, "send", conversation_id=started["conversation_id"], message="Hello")
    await act(hass, "close", conversation_id=started["conversation_id"])
    await act(hass, "chat", message="Hello", llm_hass_api="assist")
    await act(hass, "list")
    await ai_task.async_generate_data(
        hass, task_name="Note", entity_id=TASK_AGENT, instructions="Say something."
    )
    for _ in range(4):
        freezer.tick(timedelta(minutes=15))
        async_fire_time_changed(hass, dt_util.utcnow())
        await hass.async_block_till_done(wait_background_tasks=True)


async def test_a_day(
    home: HomeAssistant,
    add_server: AddServer,
    own_server: LlamaServer,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No warning or error is ours or about us."""
    caplog.set_level(logging.INFO)
    entry = await add_server(own_server.base_url)
    await enable_all(home, entry)
    button = {ATTR_ENTITY_ID: entity_id_of(home, entry, "button", "warm_up")}
    for _ in range(3):
        await hour(home, freezer)
        await home.services.async_call("button", "press", button, blocking=True)
    await home.config_entries.async_reload(entry.entry_id)
    await hour(home, freezer)
    home.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await home.async_block_till_done(wait_background_tasks=True)
    assert complaints(caplog) == []
