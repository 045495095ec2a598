"""Problems that only the person at the settings can mend."""

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from .const import DOCS_URL, DOMAIN
from .errors import translation_placeholders
from .serving.diagnosis import CacheProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigEntry, ConfigSubentry
    from homeassistant.core import HomeAssistant

    from .client import CertificateError, ContextExceededError


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
        learn_more_url=f"{DOCS_URL}#troubleshooting",
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


@callback
def async_create_loss_issue(
    hass: HomeAssistant, entry_id: str, loss: CacheProblem, placeholders: Mapping[str, str]
) -> None:
    """Tell that a server loses prompts in this way, and which of its flags make it keep them."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _loss_issue(entry_id, loss),
        is_fixable=False,
        learn_more_url=f"{DOCS_URL}#prompts-that-do-not-stay-warm",
        severity=ir.IssueSeverity.WARNING,
        translation_key=loss.value,
        translation_placeholders=dict(placeholders),
    )


@callback
def async_delete_loss_issue(hass: HomeAssistant, entry_id: str, loss: CacheProblem) -> None:
    """Take it back; if nothing was told, it is no error."""
    ir.async_delete_issue(hass, DOMAIN, _loss_issue(entry_id, loss))


@callback
def async_withdraw_loss_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Take back what was told of a server that is not looked at for now.

    What the user has dismissed stays so if it is found again.
    """
    for loss in CacheProblem:
        issue = ir.async_get(hass).async_get_issue(DOMAIN, _loss_issue(entry_id, loss))
        if issue and issue.dismissed_version is None:
            async_delete_loss_issue(hass, entry_id, loss)


def _loss_issue(entry_id: str, loss: CacheProblem) -> str:
    return f"{loss}_{entry_id}"


@callback
def async_create_certificate_issue(
    hass: HomeAssistant, entry: ConfigEntry, err: CertificateError
) -> None:
    """Tell that a server's certificate is not trusted any more, and what can be done."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _certificate_issue(entry.entry_id),
        is_fixable=False,
        learn_more_url=f"{DOCS_URL}#a-certificate-of-your-own",
        severity=ir.IssueSeverity.ERROR,
        translation_key="certificate",
        translation_placeholders={"server": entry.title, **translation_placeholders(err)},
    )


@callback
def async_delete_certificate_issue(hass: HomeAssistant, entry_id: str) -> None:
    """Take it back: the server answers, is looked for elsewhere, or is gone."""
    ir.async_delete_issue(hass, DOMAIN, _certificate_issue(entry_id))


def _certificate_issue(entry_id: str) -> str:
    return f"certificate_{entry_id}"
