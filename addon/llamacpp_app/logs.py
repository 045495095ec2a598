"""One readable log of the app and of llama-server, whose newest lines the page shows."""

from __future__ import annotations

import logging
import re
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, override

from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    from collections.abc import Iterable

LINES: Final = 200
MAX_LINE: Final = 500
FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

# "0.06.045.397 I srv  load: ..." or, by a model of the router, "[52425] 0.00.001.217 I srv ...".
_SERVER_LINE: Final = re.compile(r"(?:\[\d+\] )?(?:\d+\.)+\d+ ([DIWE]) (.*)")
# What llama-server tells of each request is for those who want to know everything.
_LEVELS: Final = {
    "D": logging.DEBUG,
    "I": logging.DEBUG,
    "W": logging.INFO,
    "E": logging.WARNING,
}
# It warns of these at every question whose prompt it knows already.
_USUAL: Final = ("need to evaluate at least 1 token", "n_past was set to")
_SERVER: Final = logging.getLogger("llama-server")


class Newest(logging.Handler):
    """Keeps the newest lines. secrets: what is never to be seen in them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Begin with no line."""
        super().__init__()
        self.lines: deque[str] = deque(maxlen=LINES)
        self._secrets = [one for one in secrets if one]

    @override
    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)[:MAX_LINE]
        for secret in self._secrets:
            line = line.replace(secret, "***")
        self.lines.append(line)


def set_up(level: str, secrets: Iterable[str] = ()) -> Newest:
    """Write the log to the standard output from this level on; return its newest lines."""
    newest = Newest(secrets)
    logging.basicConfig(
        level=level.upper(),
        format=FORMAT,
        handlers=[logging.StreamHandler(sys.stdout), newest],
        force=True,
    )
    logging.getLogger("aiohttp.server").addFilter(_is_ours)
    return newest


def _is_ours(record: logging.LogRecord) -> bool:
    """Tell whether this is about us: strangers who do not speak HTTP are not worth a word."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def log_server_line(line: str) -> None:
    """Write a line of llama-server to the log, with the level that it has there."""
    match = _SERVER_LINE.fullmatch(line)
    level, text = (_LEVELS[match[1]], match[2]) if match else (logging.DEBUG, line)
    if any(words in text for words in _USUAL):
        level = logging.DEBUG
    _SERVER.log(level, "%s", text[:MAX_LINE])
