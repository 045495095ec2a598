"""Problems that only the person at the settings can mend."""

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .errors import translation_placeholders

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .coordinator import LlamaCppConfigEntry
    from .server import ContextExceededError


@callback
def async_create_context_issue(
    hass: HomeAssistant, entry: LlamaCppConfigEntry, err: ContextExceededError
) -> None:
    """Tell that the home does not fit into the model's context, with both numbers of tokens."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _context_issue(entry),
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key="context_too_small",
        translation_placeholders={"server": entry.title, **translation_placeholders(err)},
    )


@callback
def async_delete_context_issue(hass: HomeAssistant, entry: LlamaCppConfigEntry) -> None:
    """Take it back: an answer was given."""
    ir.async_delete_issue(hass, DOMAIN, _context_issue(entry))


def _context_issue(entry: LlamaCppConfigEntry) -> str:
    return f"context_too_small_{entry.entry_id}"
