"""What can go wrong in a way that the user is told about."""

from __future__ import annotations


class AppError(Exception):
    """Something that the user is told; the message is one or two sentences that say what to do."""
