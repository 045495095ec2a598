"""What can go wrong in a way that the user is told about."""

from __future__ import annotations

import errno
from typing import Final


class AppError(Exception):
    """Something that the user is told; the message is one or two sentences that say what to do."""


_FULL: Final = "The disk is full: delete something on it"
_FORBIDDEN: Final = "The app may not use {name}: give its user the right to read and write there"
_SENTENCES: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "{name} can only be read: let the app write there",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EIO: "The disk fails at {name}: look at the machine's log, and replace the disk",
    errno.ENOENT: "There is no {name}: put it there",
    errno.ENOTDIR: "{name} cannot be used, for a file is where a folder should be: rename it",
    errno.EEXIST: "{name} is a file where a folder should be: rename it",
}


def in_words(err: OSError) -> str:
    """Return a sentence on what the system did not do, and on what helps."""
    name = err.filename2 or err.filename
    sentence = _SENTENCES.get(err.errno or 0)
    if sentence is None or (name is None and "{name}" in sentence):
        return str(err)
    return f"{sentence.format(name=name)}."
