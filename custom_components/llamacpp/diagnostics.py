"""Diagnostics without private data."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.const import CONF_API_KEY, CONF_PROMPT

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .coordinator import LlamaCppConfigEntry

TO_REDACT = {CONF_API_KEY, CONF_PROMPT, "stop"}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    entry: LlamaCppConfigEntry,
) -> dict[str, Any]:
    """Return a server's settings, properties and counters; no key, prompt or conversation."""
    coordinator = entry.runtime_data.coordinator
    answer = coordinator.last_answer
    return {
        "entry": async_redact_data(dict(entry.data), TO_REDACT),
        "options": dict(entry.options),
        "agents": [
            {"type": one.subentry_type, "options": async_redact_data(dict(one.data), TO_REDACT)}
            for one in entry.subentries.values()
        ],
        "available": coordinator.last_update_success,
        "error": str(coordinator.last_exception) if coordinator.last_exception else None,
        # The template is public: it belongs to the model.
        "server": asdict(coordinator.data),
        "last_answer": asdict(answer) if answer else None,
        "active_conversations": entry.runtime_data.history.active_count(),
    }
