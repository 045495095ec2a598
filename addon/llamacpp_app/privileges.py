"""Nothing serves as root: the folders are made and given away, then root is given up."""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .paths import Paths

_LOGGER = logging.getLogger(__name__)

USER: Final = "app"
# Users below are the system's: root, and the app's own in any image.
FIRST_PERSON: Final = 1000
# Whoever computes on a graphics card must be in the groups of its devices.
GRAPHICS: Final = Path("/dev/dri")


def give_up_root(paths: Paths) -> None:
    """Make the folders of the app, and become its user if this is root.

    A library of models that belongs to another user, or that can only be read, stays as it is.
    Raises OSError if the app's own folder cannot be made.
    """
    paths.data.mkdir(parents=True, exist_ok=True)
    # Without them models are not downloaded, which is told when one is to be.
    for folder in (paths.config, paths.models):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        # Not the image, but a user's machine.
        return
    for path in (*_own_files(paths), *_shared_files(paths)):
        # Network disks let nobody do that, and may let the user write all the same.
        with contextlib.suppress(OSError):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    groups = {path.stat().st_gid for path in _entries(GRAPHICS)}
    if paths.models.is_dir():
        # A library may be there for a group alone.
        groups.add(paths.models.stat().st_gid)
    try:
        os.setgroups(sorted(groups - {0}))
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except PermissionError:
        _LOGGER.warning("Root cannot be given up here: this container has none of its rights.")


def _own_files(paths: Paths) -> list[Path]:
    """Return what is in the data folder: the options stay the Supervisor's, but can be read."""
    return [paths.data, *_entries(paths.data)]


def _shared_files(paths: Paths) -> list[Path]:
    """Return what has to be given away for models: folders to write to, and files to read.

    What belongs to a person, and not to the system, is a library that others use, too.
    """
    folders = [path for path in (paths.config, paths.models) if _stat(path).st_uid < FIRST_PERSON]
    hidden = [
        path
        for path in _entries(paths.models)
        if (status := _stat(path)).st_uid < FIRST_PERSON and not status.st_mode & stat.S_IROTH
    ]
    return [*folders, *hidden]


def _stat(path: Path) -> os.stat_result:
    """Return what is known of a file; of one that is not there, what belongs to another user."""
    try:
        return path.lstat()
    except OSError:
        return os.stat_result((0, 0, 0, 0, FIRST_PERSON, 0, 0, 0, 0, 0))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir()) if folder.is_dir() else []
    except OSError:
        return []
