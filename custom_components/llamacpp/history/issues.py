"""The repair issues that tell of files which were set aside."""

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
    """Tell that a file of an entry's history was renamed, and why."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{_KEY}_{entry_id}_{new_path.name}",
        data={"path": str(new_path)},
        is_fixable=True,
        # The file is looked at only once, a restart must not forget what was found.
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
    """Withdraw what was told of a file that has this name now; if nothing was, it is no error."""
    ir.async_delete_issue(hass, DOMAIN, f"{_KEY}_{entry_id}_{name}")


@callback
def async_delete_all(hass: HomeAssistant, entry_id: str) -> None:
    """Withdraw all that was told of an entry's history."""
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(f"{_KEY}_{entry_id}_"):
            ir.async_delete_issue(hass, DOMAIN, issue_id)
