"""Nothing serves as root: the folders are made and given away, then root is given up."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .paths import Paths

USER: Final = "app"
# Whoever computes on a graphics card must be in the groups of its devices.
GRAPHICS: Final = Path("/dev/dri")


def give_up_root(paths: Paths) -> None:
    """Make the folders of the app, and become its user if this is root.

    Raises OSError if a folder cannot be made.
    """
    folders = (paths.data, paths.config, paths.models)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        # Not the image, but somebody's machine.
        return
    for folder in folders:
        os.chown(folder, user.pw_uid, user.pw_gid)
    for path in (*_own_files(paths), *_entries(paths.models)):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    groups = {path.stat().st_gid for path in _entries(GRAPHICS)}
    os.setgroups(sorted(groups - {0}))
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _own_files(paths: Paths) -> list[Path]:
    """Return what is in the data folder: the options stay the Supervisor's, but can be read."""
    return _entries(paths.data)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
