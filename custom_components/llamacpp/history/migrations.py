"""Migrate data of older versions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

type Step = Callable[[dict[str, Any]], dict[str, Any]]


def _add_owner(data: dict[str, Any]) -> dict[str, Any]:
    """Add the owner of a conversation: the first user who took part."""
    users = (turn.get("user_id") for turn in data.get("turns") or ())
    return data | {"user_id": next((user for user in users if user), None)}


# For each released version (major, minor) except the current one: migrates its data to the next
# version.
STEPS: dict[tuple[int, int], Step] = {(1, 1): _add_owner}


def migrate(version: int, minor_version: int, data: dict[str, Any]) -> dict[str, Any]:
    """Return data of this version in the format of the current one; newer data is unchanged.

    Raises the errors of a step if the data does not match its version.
    """
    for step_version in sorted(STEPS):
        if step_version >= (version, minor_version):
            data = STEPS[step_version](data)
    return data
