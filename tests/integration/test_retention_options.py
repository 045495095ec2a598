"""The form for the retention of conversations, and its effect."""

from typing import TYPE_CHECKING, Any

from homeassistant.data_entry_flow import FlowResultType

from custom_components.llamacpp.const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer


async def conversations(hass: HomeAssistant) -> int:
    """Return the number of stored conversations."""
    listed = await hass.services.async_call(DOMAIN, "list", {}, blocking=True, return_response=True)
    found = (listed or {})["conversations"]
    assert isinstance(found, list)
    return len(found)


async def submit(hass: HomeAssistant, entry: ConfigEntry[Any], **changes: float) -> None:
    """Change values of the form, and keep the others."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "init")
    assert form["data_schema"] is not None
    shown = {
        marker.schema: marker.description["suggested_value"]
        for marker in form["data_schema"].schema
    }
    done = await hass.config_entries.options.async_configure(form["flow_id"], shown | changes)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def test_what_is_set_is_kept(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """A smaller number deletes conversations immediately, and the form shows it."""
    entry = await add_server(scripted_server.base_url)
    await submit(home, entry)
    assert entry.options == {}
    for _ in range(4):
        await home.services.async_call(DOMAIN, "start", {}, blocking=True, return_response=True)
    assert await conversations(home) == 4
    # A form returns every number as a float.
    await submit(home, entry, keep_conversations=3.0, keep_days=7.0)
    assert entry.options == {"keep_conversations": 3, "keep_days": 7}
    assert await conversations(home) == 3
    await submit(home, entry, keep_conversations=2)
    assert entry.options == {"keep_conversations": 2, "keep_days": 7}
    assert await conversations(home) == 2


async def test_unloading_and_reloading_lose_nothing(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Only removing the server deletes its conversations."""
    entry = await add_server(scripted_server.base_url)
    await home.services.async_call(DOMAIN, "start", {}, blocking=True, return_response=True)
    await home.config_entries.async_unload(entry.entry_id)
    assert await conversations(home) == 0
    await home.config_entries.async_setup(entry.entry_id)
    assert await conversations(home) == 1
    await home.config_entries.async_remove(entry.entry_id)
    await add_server(scripted_server.base_url)
    assert await conversations(home) == 0
