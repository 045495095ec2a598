"""What the benchmarks' command lines share."""

import argparse
import sys
import tempfile
from pathlib import Path


def say(text: str) -> None:
    """Print progress to stderr, so that it does not mix with the figures."""
    print(text, file=sys.stderr, flush=True)


def working_folder(prefix: str, keep: Path | None) -> tempfile.TemporaryDirectory[str]:
    """Return a folder for a `with` statement.

    keep: folder in which to create it, and to leave it; created if missing. None: a temporary
    folder. Raises OSError.
    """
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix=prefix, dir=keep, delete=keep is None)


def arguments(
    name: str, description: str, repeat: str, default: int, meaning: str
) -> argparse.Namespace:
    """Return the command line's arguments: repetitions, `--json` and `--check`.

    repeat: name of the option for the number of measurements, 1 or more. meaning: its help.
    """
    parser = argparse.ArgumentParser(
        prog=f"scripts/benchmark {name}", description=description.splitlines()[0]
    )
    parser.add_argument(
        f"--{repeat}", type=int, default=default, metavar="N", help=f"{meaning} ({default})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there, too")
    parser.add_argument("--check", action="store_true", help="fail if the aim is missed")
    options = parser.parse_args()
    if getattr(options, repeat) < 1:
        parser.error(f"--{repeat} must be 1 or more")
    return options
