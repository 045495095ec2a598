"""Problems that only the person at the settings can mend."""

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .errors import translation_placeholders

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigSubentry
    from homeassistant.core import HomeAssistant

    from .server import ContextExceededError


@callback
def async_create_context_issue(
    hass: HomeAssistant, server: str, agent: ConfigSubentry, err: ContextExceededError
) -> None:
    """Tell that the home does not fit into the model's context, with both numbers of tokens."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _context_issue(agent),
        data={"subentry_id": agent.subentry_id},
        is_fixable=True,
        severity=ir.IssueSeverity.ERROR,
        translation_key="context_too_small",
        translation_placeholders={
            "agent": agent.title,
            "server": server,
            **translation_placeholders(err),
        },
    )


@callback
def async_delete_context_issue(hass: HomeAssistant, agent: ConfigSubentry) -> None:
    """Take it back: the agent's prompt fits, or the agent is gone."""
    ir.async_delete_issue(hass, DOMAIN, _context_issue(agent))


def _context_issue(agent: ConfigSubentry) -> str:
    return f"context_too_small_{agent.subentry_id}"
