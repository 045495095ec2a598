"""Repair issues that only the user can fix."""

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_API_PORT, DOCS_URL, DOMAIN
from .error_messages import translation_placeholders
from .serving.diagnosis import CacheProblem

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigSubentry
    from homeassistant.core import HomeAssistant

    from .app import Download
    from .client import CertificateError, ContextExceededError
    from .serving.owner import Serving


@callback
def async_create_context_issue(
    hass: HomeAssistant, server: str, agent: ConfigSubentry, err: ContextExceededError
) -> None:
    """Create the issue that the home does not fit into the model's context, with both sizes."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _context_issue(agent),
        data={"subentry_id": agent.subentry_id},
        is_fixable=True,
        learn_more_url=f"{DOCS_URL}/troubleshooting.md#it-does-not-do-what-was-said",
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
    """Delete the issue: the agent's prompt fits, or the agent was removed."""
    ir.async_delete_issue(hass, DOMAIN, _context_issue(agent))


def _context_issue(agent: ConfigSubentry) -> str:
    return f"context_too_small_{agent.subentry_id}"


@callback
def async_update_cache_issues(hass: HomeAssistant, entry: ConfigEntry, serving: Serving) -> None:
    """Create or delete the issues that a server loses prompts, with the flags that prevent it.

    Not for the server of our app: it sets its flags itself.
    """
    if CONF_API_PORT in entry.data:
        return
    for problem in CacheProblem:
        is_suffered = serving.suffers(problem)
        if is_suffered:
            ir.async_create_issue(
                hass,
                DOMAIN,
                _cache_issue(entry.entry_id, problem),
                is_fixable=False,
                learn_more_url=f"{DOCS_URL}/troubleshooting.md#prompts-that-do-not-stay-warm",
                severity=ir.IssueSeverity.WARNING,
                translation_key=problem.value,
                translation_placeholders={
                    "server": entry.title,
                    "tokens": str(serving.n_tokens_lost),
                    "agents": str(serving.n_agents),
                    "slots": str(serving.n_slots),
                },
            )
        elif is_suffered is False:
            ir.async_delete_issue(hass, DOMAIN, _cache_issue(entry.entry_id, problem))


@callback
def async_delete_cache_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the issues, if there are any."""
    for problem in CacheProblem:
        ir.async_delete_issue(hass, DOMAIN, _cache_issue(entry_id, problem))


@callback
def async_withdraw_cache_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the issues of a server that is not monitored for now.

    Keep dismissed issues, so that they stay dismissed if the problem recurs.
    """
    for problem in CacheProblem:
        issue_id = _cache_issue(entry_id, problem)
        issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
        if issue and issue.dismissed_version is None:
            ir.async_delete_issue(hass, DOMAIN, issue_id)


def _cache_issue(entry_id: str, problem: CacheProblem) -> str:
    return f"{problem}_{entry_id}"


@callback
def async_create_certificate_issue(
    hass: HomeAssistant, entry: ConfigEntry, err: CertificateError
) -> None:
    """Create the issue that a server's certificate is no longer trusted."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        _certificate_issue(entry.entry_id),
        is_fixable=False,
        learn_more_url=f"{DOCS_URL}/servers.md#a-certificate-of-your-own",
        severity=ir.IssueSeverity.ERROR,
        translation_key="certificate",
        translation_placeholders={"server": entry.title, **translation_placeholders(err)},
    )


@callback
def async_delete_certificate_issue(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the issue: the server answers, has another address, or was removed."""
    ir.async_delete_issue(hass, DOMAIN, _certificate_issue(entry_id))


def _certificate_issue(entry_id: str) -> str:
    return f"certificate_{entry_id}"


@callback
def async_update_download_issue(
    hass: HomeAssistant, entry: ConfigEntry, failure: Download | None
) -> None:
    """Create or delete the issue that our app cannot download a model.

    failure: the download that does not come, None if there is none.
    """
    if failure is None:
        async_delete_download_issue(hass, entry.entry_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        _download_issue(entry.entry_id),
        is_fixable=False,
        learn_more_url=f"{DOCS_URL}/troubleshooting.md#the-model-does-not-come",
        severity=ir.IssueSeverity.ERROR,
        translation_key="download_failed",
        translation_placeholders={
            "server": entry.title,
            "model": failure.model,
            "message": (failure.error or "").rstrip("."),
        },
    )


@callback
def async_delete_download_issue(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the issue: the model comes, or the server was removed."""
    ir.async_delete_issue(hass, DOMAIN, _download_issue(entry_id))


def _download_issue(entry_id: str) -> str:
    return f"download_failed_{entry_id}"


@callback
def async_create_first_steps_issue(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Create the issue that no voice assistant uses a new server's agent yet.

    It is kept over restarts, and never created again, so that it stays away once it is gone.
    """
    ir.async_create_issue(
        hass,
        DOMAIN,
        _first_steps_issue(entry.entry_id),
        data={"entry_id": entry.entry_id},
        is_fixable=True,
        is_persistent=True,
        learn_more_url=f"{DOCS_URL}/quick-start.md#the-first-sentence",
        severity=ir.IssueSeverity.WARNING,
        translation_key="first_steps",
    )


@callback
def async_delete_first_steps_issue(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the issue: a voice assistant uses our agent, or the server was removed."""
    ir.async_delete_issue(hass, DOMAIN, _first_steps_issue(entry_id))


def has_first_steps_issue(hass: HomeAssistant, entry_id: str) -> bool:
    """Return whether the issue is there, ignored or not."""
    return ir.async_get(hass).async_get_issue(DOMAIN, _first_steps_issue(entry_id)) is not None


def _first_steps_issue(entry_id: str) -> str:
    return f"first_steps_{entry_id}"
