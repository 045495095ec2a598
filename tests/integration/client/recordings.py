"""Reads the recorded answers of a real llama-server (0.7.0, build 11669).

A file holds the request line with its body (or only a name for the request), the status, the
headers, an empty line and the body; for a stream, the lines with the second of their arrival.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "recorded"

_REQUEST = re.compile(r"(GET|POST) (\S+) ?(.*)")
_EVENT = re.compile(r"\[[0-9.]+s\] (.*)")


@dataclass(frozen=True)
class Recording:
    """One request and its answer. method, path: None if only a name was recorded."""

    method: str | None
    path: str | None
    request: str
    status: int
    content_type: str
    body: str
    events: tuple[str, ...]


def names() -> list[str]:
    """Return the names of all recordings, without the suffix."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read(name: str) -> Recording:
    """Read one recording."""
    # Only line feeds end lines: the recorded JSON may contain other separators.
    first, status, *rest = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n")
    request = _REQUEST.fullmatch(first)
    events = tuple(match[1] for line in rest if (match := _EVENT.fullmatch(line)))
    split = rest.index("") if not events else 0
    headers = dict(line.split(": ", 1) for line in rest[:split])
    return Recording(
        method=request[1] if request else None,
        path=request[2] if request else None,
        request=request[3] if request else first,
        status=int(status.removeprefix("HTTP ")),
        content_type=headers.get("Content-Type", "text/event-stream"),
        body="\n".join(rest[split + 1 :]).removesuffix("\n") if not events else "",
        events=events,
    )
