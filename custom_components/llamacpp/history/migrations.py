"""Lifts what older versions have stored."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

type Step = Callable[[dict[str, Any]], dict[str, Any]]


def _add_owner(data: dict[str, Any]) -> dict[str, Any]:
    """Add the user a conversation belongs to: the first one who has taken part."""
    users = (turn.get("user_id") for turn in data.get("turns") or ())
    return data | {"user_id": next((user for user in users if user), None)}


# For each version (major, minor) that was ever released and is not the present one: what makes
# its data that of the next one.
STEPS: dict[tuple[int, int], Step] = {(1, 1): _add_owner}


def migrate(version: int, minor_version: int, data: dict[str, Any]) -> dict[str, Any]:
    """Return data of this version as that of the present one; newer data stays as it is.

    Raises what a step raises for data that was not of the version that it says.
    """
    for step_version in sorted(STEPS):
        if step_version >= (version, minor_version):
            data = STEPS[step_version](data)
    return data
