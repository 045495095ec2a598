"""Repair issues for history files that were set aside."""

from typing import TYPE_CHECKING

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.core import HomeAssistant

_KEY = "history_file_set_aside"


@callback
def async_create(
    hass: HomeAssistant, entry_id: str, path: Path, new_path: Path, reason: str
) -> None:
    """Create an issue for a renamed file of an entry's history, with the reason."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{_KEY}_{entry_id}_{new_path.name}",
        data={"path": str(new_path)},
        is_fixable=True,
        # The file is checked only once: keep the issue across restarts.
        is_persistent=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key=_KEY,
        translation_placeholders={
            "file": path.name,
            "new_path": str(new_path),
            "reason": reason,
        },
    )


@callback
def async_delete(hass: HomeAssistant, entry_id: str, name: str) -> None:
    """Delete the issue of a file that was renamed to this name, if there is one."""
    ir.async_delete_issue(hass, DOMAIN, f"{_KEY}_{entry_id}_{name}")


@callback
def async_delete_all(hass: HomeAssistant, entry_id: str) -> None:
    """Delete all issues of an entry's history."""
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(f"{_KEY}_{entry_id}_"):
            ir.async_delete_issue(hass, DOMAIN, issue_id)
