"""Errors of invalid tool calls."""

from typing import TYPE_CHECKING

from .names import clipped, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable


class InvalidCallError(Exception):
    """An invalid tool call; the message tells the model why, and what it can do instead."""


def unknown(what: str, written: str, names: Iterable[str]) -> InvalidCallError:
    """Return the error for an unknown name. names: the valid names."""
    return InvalidCallError(
        f"There is no {what} '{clipped(written)}' for this. There is: {nearest(written, names)}. "
        "Use what is meant, or say that there is none."
    )
