"""What is wrong with a call that a model has made."""

from typing import TYPE_CHECKING

from .names import clipped, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable


class InvalidCallError(Exception):
    """A call that cannot be made; the message tells the model why, and what it can do instead."""


def unknown(what: str, written: str, names: Iterable[str]) -> InvalidCallError:
    """Return the error for the name of something that does not exist. names: what does."""
    return InvalidCallError(
        f"There is no {what} '{clipped(written)}' for this. There is: {nearest(written, names)}. "
        "Use what is meant, or say that there is none."
    )
