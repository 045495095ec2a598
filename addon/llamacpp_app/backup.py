"""What a backup has of the conversations: a copy that is whole, whatever is being written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from typing import TYPE_CHECKING

from .paths import Paths

if TYPE_CHECKING:
    from pathlib import Path


def copy_of(database: Path) -> Path:
    """Return where the copy of a database is."""
    return database.with_name(f"{database.stem}.backup{database.suffix}")


def write_copy(database: Path) -> None:
    """Copy a database, which others may be writing, in place of the copy before.

    Raises sqlite3.Error and OSError; the copy before is kept then.
    """
    copy = copy_of(database)
    new = copy.with_name(f"{copy.name}.new")
    new.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(database)) as source,
        contextlib.closing(sqlite3.connect(new)) as target,
    ):
        source.backup(target)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(copy)


def take_copy(database: Path) -> bool:
    """Put the copy in place of a database that is gone, as after a restore; return whether it was.

    Raises OSError.
    """
    copy = copy_of(database)
    if database.exists() or not copy.exists():
        return False
    copy.replace(database)
    return True


def main() -> int:
    """Write the copy, as the Supervisor wants it before a backup; return the exit status.

    A backup goes on without a new copy, so it never fails.
    """
    database = Paths.of(os.environ).conversations
    try:
        status = database.stat()
        if os.geteuid() == 0:
            # What root writes beside it, the app could not write any more.
            os.setgid(status.st_gid)
            os.setuid(status.st_uid)
        write_copy(database)
    except (sqlite3.Error, OSError) as err:
        print(f"The backup has an older copy of the conversations, or none: {err}", file=sys.stderr)  # noqa: T201 - the Supervisor logs it
    return 0


if __name__ == "__main__":
    sys.exit(main())
